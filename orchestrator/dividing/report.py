"""What `orch data split` says: the candidates in a table, one of them class by class."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.dividing.candidates import Candidate, Impossible
from orchestrator.results.names import thousands
from orchestrator.results.report import Report, columns
from trainables.data.dataset import Dataset, fingerprint
from trainables.data.filling import Triple
from trainables.data.groups import INDEPENDENT
from trainables.data.partition import splits


def split_report(
    source: str,
    dataset: Dataset,
    candidates: Sequence[Candidate],
    impossible: Sequence[Impossible],
    targets: Triple,
    chosen: int,
    every: bool,
) -> Report:
    """chosen: place of the candidate that is shown class by class; every: all of them are."""
    manifest = dataset.manifest
    independent = dataset.group_meaning == INDEPENDENT
    groups = f"{thousands(manifest['group'].nunique(), 'group')} ({dataset.group_meaning})"
    lines = [
        f"{source}: {thousands(len(manifest), 'image')}, {manifest['label'].nunique()} classes, "
        + (INDEPENDENT if independent else groups),
        *(["Synthetic images."] if dataset.synthetic else []),
        "",
        *_overview(candidates),
        "",
        f"  images: mean of |target − share| over classes and splits, targets {_shares(targets)} (stratified)",
        "  pixels, groups: the same for pixels, and for numbers of groups with a third each (ifp, ifpo)",
        "  copies: pairs of near-duplicates in two splits. *: what a search takes by default",
    ]
    for place, one in enumerate(candidates):
        if every or place == chosen:
            lines += ["", f"{place + 1}: {', '.join(one.how)}, partition {one.partition.id}", *_classes(one)]
    if impossible:
        lines += ["", "Not possible here", *(f"  {one.how}: {' '.join(one.why.split())}" for one in impossible)]
    refused = [(place, one) for place, one in enumerate(candidates, 1) if one.faults]
    if refused:
        lines += [
            "",
            "A search would refuse these",
            *(f"  {place}: {' '.join(one.faults.split())}" for place, one in refused),
        ]
    data = {
        "source": source,
        "synthetic": dataset.synthetic,
        "images": len(manifest),
        "group_meaning": dataset.group_meaning,
        "targets": list(targets),
        "chosen": chosen + 1,
        "candidates": [_as_data(place, one, dataset) for place, one in enumerate(candidates, 1)],
        "impossible": [{"how": one.how, "why": one.why} for one in impossible],
    }
    return Report(tuple(lines), data)


def fingerprints(dataset: Dataset, candidate: Candidate) -> tuple[str, str]:
    """Of train and valid together, and of test: those that `study.toml` would hold."""
    manifest = dataset.manifest
    seen = splits(manifest, candidate.partition).isin(["train", "valid"])
    return fingerprint(manifest[seen]), fingerprint(manifest[~seen])


def _overview(candidates: Sequence[Candidate]) -> list[str]:
    rows = [["", "", "how", "images", "pixels, groups", "complete", "copies"]]
    for place, one in enumerate(candidates, 1):
        complete = "no: refused" if one.faults else "yes" if one.is_complete else "no"
        numbers = [f"{one.by_images:.4f}", f"{one.by_both:.4f}", complete, str(one.copies)]
        rows.append(["*" if one.is_taken else "", str(place), " = ".join(one.how), *numbers])
    return columns(rows, (False, True, False, True, True, False, True))


def _classes(one: Candidate) -> list[str]:
    rows = [["class", "images: train / valid / test", "shares", "groups", ""]]
    for part in one.classes:
        lacks = [name for name, number in zip(("train", "valid", "test"), part.groups, strict=True) if not number]
        images, groups = (" / ".join(map(str, numbers)) for numbers in (part.images, part.groups))
        rows.append([part.label, images, _shares(part.shares), groups, f"none in {', '.join(lacks)}" if lacks else ""])
    return columns(rows, (False, True, True, True, False))


def _shares(shares: Sequence[float]) -> str:
    return " / ".join(f"{share:.1%}" for share in shares)


def _as_data(place: int, one: Candidate, dataset: Dataset) -> dict[str, object]:
    seen, test = fingerprints(dataset, one)
    return {
        "number": place,
        "how": list(one.how),
        "policy": one.partition.policy,
        "seed": one.partition.seed,
        "partition": one.partition.id,
        "is_taken": one.is_taken,
        "by_images": one.by_images,
        "by_pixels_and_groups": one.by_both,
        "is_complete": one.is_complete,
        "copies_across_splits": one.copies,
        "faults": one.faults,
        "fingerprint": seen,
        "test_fingerprint": test,
        "classes": [
            {"label": part.label, "images": part.images, "shares": part.shares, "groups": part.groups}
            for part in one.classes
        ],
    }

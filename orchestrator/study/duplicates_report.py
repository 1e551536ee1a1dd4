"""What `orch data duplicates` says, and the comparison that it makes where a study has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orchestrator.results.names import thousands
from orchestrator.results.near_duplicates import (
    KINDS,
    NONE_FOUND,
    counts,
    describe,
    look,
    pairs_csv,
    read_pairs,
    with_kinds,
)
from orchestrator.results.report import Report
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.data_root import images_at
from orchestrator.study.studies import Study
from trainables.data.manifest import read_manifest
from trainables.data.near_duplicates import ALIKE
from trainables.data.partition import Partition

SHOWN = 20
_EVERY = 1000
"""Images between two lines of progress."""


def duplicates_report(study: Study, partition: str | None, every: bool) -> Report:
    """Counts by kind and the pairs, worst first. Raises InputError: nothing was compared yet, no such partition."""
    pairs = read_pairs(study.storage)
    if pairs is None:
        raise InputError(
            f"study {study.name!r} holds no list of near-duplicates: expected {layout.NEAR_DUPLICATES}, which studies "
            "of earlier versions lack",
            f"Compare its images now: orch data duplicates {study.name} --look",
        )
    name = partition or study.record.partition
    there = [file.removesuffix(".parquet") for file in study.storage.list(layout.PARTITIONS)]
    if name not in there:
        raise InputError(f"study {study.name!r} has no partition {name!r}", f"Partitions: {', '.join(sorted(there))}")
    path = layout.partition(name)
    images = read_manifest(study.storage.read(layout.MANIFEST))
    told = with_kinds(pairs, images, Partition.from_bytes(study.storage.read(path), path).groups)
    number = counts(told).to_dict("records")
    lines = [
        f"{study.name}, partition {name}: {thousands(len(told), 'pair')} of near-duplicates among "
        f"{thousands(len(images), 'image')}",
        *(f"  {row['kind']}: {row['pairs']:,}, of them {row['differs']:,} under two labels" for row in number),
    ]
    if told.empty:
        lines.append(NONE_FOUND)
    if study.record.synthetic:
        lines.insert(1, "Synthetic images.")
    shown = told if every else told.head(SHOWN)
    for kind, part in shown.groupby("kind", sort=False):
        lines += ["", str(kind).capitalize(), *(f"  {describe(pair)}" for pair in part.to_dict("records"))]
    if len(shown) < len(told):
        lines.append(f"… and {len(told) - len(shown):,} more (--every shows them, --json has them)")
    if (told["kind"] != KINDS[2]).any():
        lines += ["", "To mend this, make another study: give such images one group, or leave out one of each pair."]
    data = {
        "study": study.name,
        "synthetic": study.record.synthetic,
        "partition": name,
        "images": len(images),
        "least_similarity": ALIKE,
        "counts": number,
        "pairs": told.to_dict("records"),
    }
    return Report(tuple(lines), data)


def look_now(study: Study, data_root: Path | None, show: Callable[[str], None]) -> None:
    """Compare the images of a study that holds no comparison and keep the result; one that holds it is left alone."""
    if read_pairs(study.storage) is not None:
        return
    root = images_at(study, data_root, show, f"orch data duplicates {study.name} --look")
    images = read_manifest(study.storage.read(layout.MANIFEST))

    def progress(done: int, total: int) -> None:
        if done % _EVERY == 0 or done == total:
            show(f"duplicates: {done:,}/{total:,} images read")

    pairs, lost = look(root, images, progress)
    if lost:
        raise InputError(
            f"{len(lost):,} of {len(images):,} images of study {study.name!r} are missing, unreadable or not those it "
            f"was made from, for instance {lost[0]}",
            "Put them back, or name the folder that holds them with --data-root DIR.",
        )
    study.storage.replace(layout.NEAR_DUPLICATES, pairs_csv(pairs))

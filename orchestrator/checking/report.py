"""What `orch data check` says: a whole check put together, as text and as JSON."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.checking.finding import Finding, Item, Section, Told, Weight, count
from orchestrator.checking.material import Material
from orchestrator.checking.reading import CheckRequest, Reading
from orchestrator.checking.registry import FINDINGS
from orchestrator.checking.search_warnings import BEGIN
from orchestrator.results.report import columns
from orchestrator.store.errors import InputError
from orchestrator.study.preparation import describe_partition
from trainables.data.partition import SPLITS

ITEMS_SHOWN = 5
SAMPLES = 8
REFUSED_SHOWN = 3
"""Files of each kind."""


def put_together(request: CheckRequest, reading: Reading) -> Told:
    """Findings of every kind, the heaviest first; errors that stop a search before all."""
    source = str(request.typed.source)
    stops = tuple(_stop(error) for error in reading.stops)
    material = reading.material
    if material is None:
        listing = reading.listing
        refused = tuple(sorted([*listing.refused, *listing.other])) if listing is not None else ()
        return Told(source, "", reading.how, refused=refused, findings=stops, unusable=True)
    findings = [finding for look in FINDINGS if (finding := look(material)) is not None]
    findings.sort(key=lambda finding: list(Weight).index(finding.weight))
    dataset = material.dataset
    refused = tuple((str(file), str(why)) for file, why in dataset.refused[["file", "reason"]].to_numpy().tolist())
    return Told(
        source,
        _head(material),
        reading.how,
        tuple(note for note in dataset.notes if not note.startswith(BEGIN)),
        _table(material),
        _divided(material),
        samples(material),
        refused,
        (*stops, *findings),
        _following(material) if not stops else (),
        reading.unusable,
        dataset.synthetic,
    )


def samples(material: Material) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """SAMPLES files of each class, of different groups while there are any, always the same ones."""
    frame = material.manifest[["label", "group", "file"]]
    keys = [hashlib.sha256(file.encode()).hexdigest() for file in frame["file"]]
    mixed = frame.assign(key=keys).sort_values("key")
    mixed["turn"] = mixed.groupby(["label", "group"]).cumcount()
    order = mixed.sort_values(["label", "turn", "key"]).groupby("label", sort=True)["file"]
    return tuple((str(label), tuple(files.head(SAMPLES))) for label, files in order)


def refused_kinds(refused: Sequence[tuple[str, str]]) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """(kind, number, the first files with what is said of each), the most frequent first."""
    counts = Counter(reason.partition(":")[0] for _, reason in refused)
    return [
        (kind, number, [one for one in refused if one[1].partition(":")[0] == kind][:REFUSED_SHOWN])
        for kind, number in counts.most_common()
    ]


def as_lines(told: Told, every: bool = False) -> list[str]:
    """every: all items of each finding, and all files that are not used."""
    lines = [(told.head and f"{told.source}: {told.head}") or told.source, told.verdict]
    if told.synthetic:
        lines.append("Synthetic images.")
    for weight in (Weight.RUINS, Weight.LOOK):
        lines += _findings(told.of(weight), every)
    if told.table is not None:
        rows = [list(told.table.header), *([*row] for row in told.table.rows)]
        right = [False, *[True] * (len(told.table.header) - 1)]
        lines += ["", told.divided, *columns(rows, right)]
    if told.reading:
        width = max(len(what) for what, _ in told.reading)
        lines += ["", "How it was read", *(f"  {what:<{width}}  {how}" for what, how in told.reading)]
        lines += [f"  {note}" for note in told.notes]
    if told.refused:
        lines += ["", f"{count(len(told.refused), 'file')} not used"]
        for kind, number, files in refused_kinds(told.refused):
            shown = [one for one in told.refused if one[1].partition(":")[0] == kind] if every else files
            lines.append(f"  {number:,} × {kind}")
            lines += [f"    {file}: {why.partition(': ')[2] or why}" for file, why in shown]
            lines += [f"    … and {number - len(shown):,} more (--every)"] if number > len(shown) else []
    lines += _findings(told.of(Weight.TOLD), every)
    if told.following:
        lines += ["", "Next", *(f"  {command}" for command in told.following)]
    return lines


def as_json(told: Told) -> dict[str, Any]:
    """Everything, with all items."""
    table = told.table
    return {
        "source": told.source,
        "synthetic": told.synthetic,
        "verdict": told.verdict,
        "exit_status": told.exit_status,
        "counts": {weight.value: len(told.of(weight)) for weight in Weight},
        "read_as": dict(told.reading),
        "notes": list(told.notes),
        "divided": told.divided,
        "classes": [dict(zip(table.header, row, strict=True)) for row in table.rows] if table is not None else [],
        "refused": [{"file": file, "reason": why} for file, why in told.refused],
        "findings": [finding.as_json() for finding in told.findings],
        "next": list(told.following),
    }


def _findings(findings: Sequence[Finding], every: bool) -> list[str]:
    lines = []
    for finding in findings:
        lines += ["", f"{finding.weight.words}: {finding.title}", f"  {finding.meaning}"]
        shown = finding.items if every else finding.items[:ITEMS_SHOWN]
        lines += [f"    {item.words}" for item in shown]
        if len(shown) < len(finding.items):
            lines.append(f"    … and {len(finding.items) - len(shown):,} more (--every, --json, --output FILE.html)")
        lines += [f"  {line}" for line in finding.advice.splitlines()]
    return lines


def _stop(error: InputError) -> Finding:
    first, *rest = error.message.splitlines()
    return Finding(
        "stops a search",
        Weight.RUINS,
        f"A search stops here: {first}",
        "Nothing is trained until this is fixed.",
        error.advice,
        tuple(Item(line.strip().removeprefix("- ")) for line in rest),
    )


def _head(material: Material) -> str:
    manifest = material.manifest
    groups = f", {count(manifest['group'].nunique(), 'group')}" if material.has_groups else ""
    return f"{count(len(manifest), 'image')}, {count(manifest['label'].nunique(), 'class', 'classes')}{groups}"


def _table(material: Material) -> Section:
    """The table that a search shows first; without splits where none can be made."""
    frame = describe_partition(material.manifest, pd.Series(material.split.to_numpy()))
    if material.partition is None:
        frame = frame.drop(columns=list(SPLITS))
    if not material.groups_said:
        frame = frame.drop(columns="groups", errors="ignore")
    return Section(
        [str(name) for name in frame.columns], [[str(value) for value in row] for row in frame.to_numpy().tolist()]
    )


def _following(material: Material) -> tuple[str, ...]:
    """A search of these images, and other partitions of them; without these where the data has its own."""
    search = f"orch search NAME BACKBONE --data {material.source} {material.typed}".rstrip()
    if material.is_given:
        return (search,)
    return search, f"orch data split {material.source} {material.typed}".rstrip()


def _divided(material: Material) -> str:
    if material.partition is None:
        return "Classes"
    if material.is_given:
        return "Classes, with images and groups in each split, as the data are divided"
    made = material.partition
    how = f"{made.policy}, seed {made.seed}"
    return f"Classes, with images and groups in each split, as a search would divide them ({how})"

"""What a folder of patches says of itself, `cut.json`: how it was cut, from what, and every square.

It is written before the first patch, so that whoever goes on knows what must agree, and `labels.csv` after the last.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from orchestrator.patches.measured import Measured
from orchestrator.patches.names import OWN_COLUMNS, kept_columns
from orchestrator.patches.plan import CutPlan
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.parsing import json_object
from orchestrator.store.schema import told_of
from orchestrator.store.storage import LocalStorage
from trainables.data.labels import normalised

_ELSEWHERE = "Cut into another folder: orch data patches DIR --output DIR"


class _Patch(BaseModel):
    file: str | None
    x: int
    y: int
    width: int
    height: int
    tissue: float
    sharpness: float


class _Source(BaseModel):
    file: str
    label: str
    group: str
    split: str
    extra: dict[str, str]
    width: int
    height: int
    um_per_pixel: list[float] | None
    tissue_by: str
    overview: str
    pixels: dict[str, int]
    patches: list[_Patch]


class _Settings(BaseModel):
    size: int
    least_tissue: float


class _Record(BaseModel):
    """What is used of a record that was read."""

    settings: _Settings
    columns: dict[str, str]
    sources: list[_Source]


RECORD, LABELS, LOSSES, VERDICTS = "cut.json", "labels.csv", "losses.csv", "verdicts.jsonl"
VERSION = 1


def record_of(plan: CutPlan) -> dict[str, Any]:
    header = sorted({name for one in plan.sources for name in one.entry.extra})
    return {
        "version": VERSION,
        "settings": plan.options.as_json(),
        "source": str(plan.options.source),
        "group": plan.group_meaning,
        "columns": dict(kept_columns(header)),
        "refused": [list(one) for one in plan.refused],
        "sources": [
            _source(number, one, files)
            for number, (one, files) in enumerate(zip(plan.sources, plan.files, strict=True))
        ],
    }


def read_record(folder: Path) -> dict[str, Any]:
    """Raises InputError where the folder holds no patches, DamagedRecordError where its record cannot be read."""
    path = folder / RECORD
    try:
        record = json_object(LocalStorage(folder).read(RECORD), str(path))
    except FileNotFoundError:
        raise InputError(
            f"{folder}: expected a folder of cut patches, found no {RECORD} there",
            f"Make one: orch data patches DIR --output {folder}",
        ) from None
    if record.get("version") != VERSION:
        raise InputError(f"{path}: was written by another version", "Cut into another folder: --output DIR")
    try:
        _Record.model_validate(record, strict=True)
    except ValidationError as error:
        raise DamagedRecordError(f"{path} does not say how patches were cut: {told_of(error)}", _ELSEWHERE) from None
    return record


def labels_csv(record: Mapping[str, Any], rejected: frozenset[str]) -> bytes:
    """The table that a search reads: one row for each patch that is neither background nor rejected."""
    split = any(source["split"] for source in record["sources"])
    own = [name for name in OWN_COLUMNS if name != "split" or split]
    columns = record["columns"]
    rows = [[*own, *columns.values()]]
    for source in record["sources"]:
        for patch in source["patches"]:
            if patch["file"] and patch["file"] not in rejected:
                said = {**source, **patch, "source": source["file"]}
                rows.append([*(said[name] for name in own), *(source["extra"].get(name, "") for name in columns)])
    return _csv(rows)


def losses_csv(record: Mapping[str, Any]) -> bytes:
    """Of every source how many of its pixels went where, and why."""
    header = ["source", "label", "patches", "um_per_pixel", "width", "height", "pixels", "kept"]
    rows: list[Sequence[object]] = [[*header, "lost_edges", "lost_margin", "lost_background"]]
    for source in record["sources"]:
        pixels = source["pixels"]
        rows.append(
            [
                *(source["file"], source["label"], sum(1 for patch in source["patches"] if patch["file"])),
                *(source["um_per_pixel"] or "", source["width"], source["height"], sum(pixels.values())),
                *(pixels[name] for name in ("kept", "edges", "margin", "background")),
            ]
        )
    return _csv(rows)


def _source(number: int, one: Measured, files: Sequence[str]) -> dict[str, Any]:
    names = iter(files)
    pixels = one.pixels
    return {
        "file": one.entry.file,
        "label": normalised(one.entry.label),
        "group": one.entry.group,
        "split": one.entry.split,
        "extra": dict(one.entry.extra),
        "content": one.content,
        "width": one.grid.width,
        "height": one.grid.height,
        "margin": list(one.grid.margin),
        "um_per_pixel": None if one.scale is None else [round(one.scale.x, 6), round(one.scale.y, 6)],
        "um_per_pixel_by": None if one.scale is None else one.scale.said_by,
        "tissue_by": one.tissue_by,
        "overview": f".overviews/{number:05d}.jpg",
        "pixels": {
            "kept": pixels.kept,
            "edges": pixels.edges,
            "margin": pixels.margin,
            "background": pixels.background,
        },
        "patches": [
            {
                "file": next(names) if square.is_kept else None,
                "x": square.x,
                "y": square.y,
                "width": square.width,
                "height": square.height,
                "tissue": square.tissue,
                "sharpness": square.sharpness,
            }
            for square in one.squares
        ],
    }


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()

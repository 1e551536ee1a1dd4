"""Images from elsewhere, another hospital's: the same classes, none of them trained or selected on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from orchestrator.evaluation.choice import Split
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import Configuration
from orchestrator.store.storage import Storage
from trainables.data.dataset import load_dataset
from trainables.data.manifest import read_manifest
from trainables.data.options import DatasetOptions


@dataclass(frozen=True)
class External:
    """source as the user gave it; options say how its groups and columns are read."""

    source: Path
    options: DatasetOptions


@dataclass(frozen=True)
class Tested:
    """What is tested on. name: of the external source, "" for the study's own test split. root: None for its own."""

    split: Split
    group_meaning: str
    synthetic: bool
    name: str = ""
    root: Path | None = None
    notes: tuple[str, ...] = ()


def external_images(storage: Storage, configuration: Configuration, own: Split, external: External) -> Tested:
    """Read, decode and check all external images; `own` gives the valid images, which thresholds come from.

    Raises InputError where the source, its groups or classes are at fault, and where one of its images was trained or
    selected on.
    """
    dataset = load_dataset(external.source, replace(external.options, classes=configuration.classes))
    manifest = read_manifest(storage.read(layout.MANIFEST))
    known = set(manifest["content"]) - set(own.test["content"])
    seen = dataset.manifest.loc[dataset.manifest["content"].isin(known), "file"].tolist()
    if seen:
        raise InputError(
            f"--data {external.source}: {len(seen)} images are also among those that the study trained or selected on, "
            f"for instance {seen[0]}",
            "Leave them out: a test on them says nothing.",
        )
    notes = []
    if len(dataset.refused):
        notes.append(f"{len(dataset.refused)} external files are not used, for instance {_example(dataset.refused)}.")
    shared = int(dataset.manifest["content"].isin(set(own.test["content"])).sum())
    if shared:
        notes.append(f"{shared} of the external images are also in the study's own test split.")
    index = {name: number for number, name in enumerate(configuration.classes)}
    rows = dataset.manifest.assign(truth=dataset.manifest["label"].map(index))
    name = external.source.resolve().name
    return Tested(
        Split(rows, own.valid), dataset.group_meaning, dataset.synthetic, name, dataset.root.resolve(), tuple(notes)
    )


def _example(refused: pd.DataFrame) -> str:
    first = refused.iloc[0]
    return f"{first['file']} ({first['reason']})"

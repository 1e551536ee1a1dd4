"""Images from elsewhere, another hospital's: the same classes, none of them trained or selected on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from orchestrator.evaluation.choice import Split
from orchestrator.results.names import counted_who
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from trainables.data.dataset import Dataset, load_dataset
from trainables.data.groups import INDEPENDENT
from trainables.data.intensity import check_foreign
from trainables.data.manifest import read_manifest, reading_of
from trainables.data.options import DatasetOptions
from trainables.data.reading import Reading
from trainables.data.spellings import group_key
from trainables.data.unpacking.opened import Opened


@dataclass(frozen=True)
class External:
    """source as the user gave it; options say how its groups and columns are read. opened: what is read in its place;
    None: itself."""

    source: Path
    options: DatasetOptions
    opened: Opened | None = None


@dataclass(frozen=True)
class Tested:
    """What is tested on. name: of the external source, "" for the study's own test split. root: None for its own.
    notes go into the record; told is for the screen alone, for it may name files and groups."""

    split: Split
    group_meaning: str
    synthetic: bool
    name: str = ""
    root: Path | None = None
    notes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def external_images(storage: Storage, configuration: Configuration, own: Split, external: External) -> Tested:
    """Read, decode and check all external images; `own` gives the valid images, which thresholds come from.

    Raises InputError where the source, its groups or classes are at fault, and where one of its images was trained or
    selected on.
    """
    manifest = read_manifest(storage.read(layout.MANIFEST))
    own_reading = reading_of(manifest)
    # all of the images are tested on: how they were divided elsewhere says nothing here
    record = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY)
    options = replace(
        external.options,
        undivided=True,
        classes=configuration.data.classes,
        class_names=tuple(record.class_names.items()),
        reading=own_reading,
    )
    opened = external.opened or Opened(external.source)
    with opened.blamed():
        dataset = load_dataset(opened.path, options)
    read = map(Reading.parse, dataset.manifest["reading"])
    check_foreign(dict(zip(dataset.manifest["file"], read, strict=True)), own_reading, f"--data {external.source}")
    known = set(manifest["content"]) - set(own.test["content"])
    seen = dataset.manifest.loc[dataset.manifest["content"].isin(known), "file"].tolist()
    if seen:
        raise InputError(
            f"--data {external.source}: the study trained or selected on {len(seen)} of these images, for instance "
            f"{seen[0]}",
            "Leave such images out: a test on them would mean nothing.",
        )
    notes = [*dataset.warnings, *(f"{note.nameless}." for note in dataset.odd)]
    if (dataset.manifest["split"] != "").any():
        notes.append("The external images are divided into splits; all of them are tested.")
    if len(dataset.refused):
        reasons = sorted({str(reason).partition(":")[0] for reason in dataset.refused["reason"]})
        unused = counted_who(len(dataset.refused), "external file", "is", "are")
        notes.append(f"{unused} not used: {', '.join(reasons)}.")
    shared = int(dataset.manifest["content"].isin(set(own.test["content"])).sum())
    if shared:
        are = "is" if shared == 1 else "are"
        notes.append(f"{shared} of the external images {are} also in the study's own test split.")
    named = _named_alike(record.group_meaning, manifest, own, dataset)
    if named:
        notes.append(
            f"{named} of the {dataset.manifest['group'].nunique()} external groups {'has' if named == 1 else 'have'} "
            "the same name as a group that the study trained or selected on. If they are the same patients or slides, "
            "this is no test on new ones."
        )
    index = {name: number for number, name in enumerate(configuration.data.classes)}
    rows = dataset.manifest.assign(truth=dataset.manifest["label"].map(index))
    name = external.source.resolve().name
    return Tested(
        Split(rows, own.valid),
        dataset.group_meaning,
        dataset.synthetic,
        name,
        dataset.root.resolve(),
        tuple(notes),
        (*dataset.notes, *(str(note) for note in dataset.odd if note.files)),
    )


def _named_alike(meaning: str, manifest: pd.DataFrame, own: Split, dataset: Dataset) -> int:
    """How many groups have the name of one outside the test split; 0 where either side has no groups to speak of."""
    if INDEPENDENT in (meaning, dataset.group_meaning):
        return 0
    known = {group_key(group) for group in set(manifest["group"]) - set(own.test["group"])}
    return sum(group_key(group) in known for group in set(dataset.manifest["group"]))

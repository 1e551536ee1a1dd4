"""What must hold of splits and folds that come with the data, before and after images are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.store.errors import Faults
from trainables.data.labels import normalised
from trainables.data.listing import Entry
from trainables.data.partition import SPLITS, counted

if TYPE_CHECKING:
    import pandas as pd

ANEW = "or have the splits made anew: --split-column none (for a table) or --layout -/class (for folders)."
NEEDED = SPLITS[:2]
"""Splits that a given partition has; without test nothing is left to evaluate on."""


def division_faults(entries: Sequence[Entry]) -> list[str]:
    """Faults of the splits or folds of entries, () where they have none. What is unknown of an entry is passed over."""
    import pandas as pd

    rows = [(entry.file, normalised(entry.label), entry.group, entry.split, entry.fold) for entry in entries]
    manifest = pd.DataFrame(rows, columns=["file", "label", "group", "split", "fold"], dtype="str")
    if (manifest["fold"] != "").any():
        return fold_faults(manifest)
    if set(manifest["split"]) in ({"", "test"}, {"train", "test"}):  # that valid is not there is told once
        return tested_faults(manifest)
    return given_faults(manifest) if (manifest["split"] != "").any() else []


def without_valid(entries: Sequence[Entry], asked: bool, faults: Faults) -> list[Entry]:
    """Entries of train and test alone with "" for train, where valid is to be drawn from it (`asked`).

    Adds to `faults` where that was not said, or was said of data that have other splits.
    """
    given = {entry.split for entry in entries} - {""}
    if given == {"train", "test"} and not any(entry.fold for entry in entries):
        if asked:
            return [replace(entry, split="" if entry.split == "train" else entry.split) for entry in entries]
        faults.add("the given splits are train and test only, without valid, by which a search selects")
        faults.advise(
            "Add --valid-from-train, which draws valid from train by groups and leaves test as it is; name the "
            f"validation images; {ANEW}"
        )
    elif asked:
        actual = f"only {' and '.join(sorted(given))}" if given else "no splits"
        faults.add(f"--valid-from-train: expected given splits of train and test only, found {actual}")
        faults.advise("Leave --valid-from-train out.")
    return list(entries)


def tested_faults(manifest: pd.DataFrame) -> list[str]:
    """Groups in the given test split and beside it; manifest: columns group and split."""
    torn = _torn(manifest["group"], manifest["split"].where(manifest["split"] == "test", "train"))
    return [f"{counted(torn, 'group', quote=False)} in more than one split"] if torn else []


def given_faults(manifest: pd.DataFrame) -> list[str]:
    """Groups in two splits, and classes that train or valid has no image of.

    manifest: columns label, group and split; "" where one is not known, and then nothing is said of classes.
    """
    faults = list[str]()
    torn = _torn(manifest["group"], manifest["split"])
    if torn:
        faults.append(f"{counted(torn, 'group', quote=False)} in more than one split")
    if not (manifest[["label", "split"]] == "").any(axis=None):
        for label in sorted(set(manifest["label"])):
            held = set(manifest.loc[manifest["label"] == label, "split"])
            if absent := [name for name in NEEDED if name not in held]:
                faults.append(f"class {label!r} has no image in {' and '.join(absent)}")
    return faults


def fold_faults(manifest: pd.DataFrame) -> list[str]:
    """A single fold, groups in two folds or in one and the test split, classes that a fold has no image of.

    manifest: columns label, group, fold and split ("test" or ""); label and group "" where they are not known.
    """
    faults = list[str]()
    places = places_of(manifest)
    folds = sorted(set(places) - {TEST, ""})
    if len(folds) < 2:
        faults.append(f"{counted(folds, 'fold')} beside the test split, expected two or more")
    torn = _torn(manifest["group"], places)
    if torn:
        faults.append(f"{counted(torn, 'group', quote=False)} in more than one fold")
    for label in sorted(set(manifest["label"])) if not (manifest["label"] == "").any() else ():
        held = set(places[manifest["label"] == label])
        if lacking := [fold for fold in folds if fold not in held]:
            faults.append(f"class {label!r} has no image in {counted(lacking, 'fold')}")
    return faults


TEST = "test split"


def places_of(manifest: pd.DataFrame) -> pd.Series[str]:
    """The fold of every image, or TEST."""
    return manifest["fold"].where(manifest["split"] != "test", TEST)


def _torn(groups: pd.Series[str], places: pd.Series[str]) -> list[str]:
    known = (groups != "") & (places != "")
    places_of = places[known].groupby(groups[known]).unique()
    return [f"{group} ({', '.join(sorted(held))})" for group, held in places_of.items() if len(held) > 1]

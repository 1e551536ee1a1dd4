"""Folds that come with the data: one is the test split or none is, the others take turns in valid."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.store.errors import Faults, InputError
from trainables.data.given import TEST, fold_faults, places_of
from trainables.data.listing import Entry, Listing, named
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition, counted
from trainables.data.partitioning import make_partition

if TYPE_CHECKING:
    import pandas as pd


def with_test_fold(listing: Listing, options: DatasetOptions) -> Listing:
    """Entries of folds have the split "test" or none: that of --test-fold, or those that the data itself calls test.

    Raises InputError: a fold that is not there, no word on what the test split is, images of no fold.
    """
    folds = sorted({entry.fold for entry in listing.entries if entry.fold}, key=_order)
    asked = "none" if options.undivided else options.test_fold
    if "fold" in listing.unclear:
        return listing
    if not folds:
        if options.test_fold is not None or options.fold_column is not None:
            raise InputError(
                f"{listing.subject}: --test-fold or --fold-column was given, but no image is in a fold",
                "Name the column of the folds (--fold-column NAME), or the level of folders: --layout fold/class",
            )
        return listing
    faults = Faults(listing.subject)
    given = {entry.split for entry in listing.entries}
    held = "test" in given
    if asked is None and not held:
        faults.add(f"none of the folds {named(folds)} was chosen as the test split")
    if asked not in (None, "none") and (held or asked not in folds):
        faults.add(
            f"--test-fold {asked}: "
            + ("the data has a test split already" if held else f"the folds are {named(folds)}")
        )
    if "valid" in given:
        faults.add("splits and folds both say which images are valid")
    entries = [_placed(entry, asked) for entry in listing.entries]
    loose = [entry.file for entry in entries if not entry.fold and not entry.split]
    if loose:
        faults.add(f"{counted(loose, 'image')} in no fold and not in the test split")
    faults.raise_if_any(
        f"Add --test-fold {folds[-1]} (tested once, at the end) or --test-fold none (there is no test split), "
        "and give every other image a fold."
    )
    return replace(listing, entries=entries)


def _placed(entry: Entry, test_fold: str | None) -> Entry:
    is_test = entry.split == "test" or (bool(entry.fold) and entry.fold == test_fold)
    return replace(entry, split="test" if is_test else "")


def has_folds(manifest: pd.DataFrame) -> bool:
    return "fold" in manifest.columns


def fold_partitions(manifest: pd.DataFrame) -> list[Partition]:
    """A given partition for each fold but the test split: that fold is valid, the others are train.

    manifest: columns fold and split ("test" or ""). Raises InputError with all faults: a group in two folds, or in one
    and the test split; a class that is missing in a fold, or in all but one; a single fold.
    """
    faults = Faults("the given folds")
    faults.extend(fold_faults(manifest))
    faults.raise_if_any(
        "Correct the folds so that each group is in one and every fold has every class, or leave them out: the "
        "partitions are then made anew (--partitions)."
    )
    places, made = places_of(manifest), []
    for fold in sorted(set(places) - {TEST}, key=_order):
        split = places.map({one: "valid" if one == fold else "train" for one in set(places)} | {TEST: "test"})
        partition = make_partition(manifest.assign(split=split), "given")
        made.append(replace(partition, details={**partition.details, "valid_fold": fold}))
    return made


def _order(fold: str) -> list[tuple[int, str]]:
    """fold2 before fold10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", fold)]

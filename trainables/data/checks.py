"""What must hold before anything is trained: enough groups in every class, nothing shared between splits."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from orchestrator.store.errors import Faults
from trainables.data.equal_images import equal_sets
from trainables.data.listing import named

SPLITS = ("train", "valid", "test")
_SETS_SHOWN = 5


def check_classes(manifest: pd.DataFrame, splits: int = len(SPLITS)) -> None:
    """Raise one InputError naming every class with fewer groups than `splits`: it cannot have one in each.

    Not for a given partition, where `check_splits` names each class that a split lacks.
    """
    faults = Faults("dataset")
    for label, rows in manifest.groupby("label", sort=True):
        groups = sorted(set(rows["group"]))
        if len(groups) < splits:
            images = "1 image" if len(rows) == 1 else f"{len(rows)} images"
            faults.add(
                f"class {label!r}: {images} in {len(groups)} group{'s' if len(groups) > 1 else ''} ({named(groups)}), "
                f"expected at least {splits} groups, one for each of train, valid and test"
            )
    faults.raise_if_any(
        "Merge the class with another or leave it out, name finer groups (--group-by, --group-column), "
        "or give the partition yourself (--split-column NAME, or train, valid and test folders)."
    )


def check_splits(manifest: pd.DataFrame, needed: Sequence[str] = SPLITS, *, keeps_equal: bool = False) -> None:
    """Raise one InputError with all faults of a manifest whose `split` column is final.

    Faults: rows without a split; a group in two splits; equal pixels in two splits; equal pixels with different labels
    (in the whole set); a class that a split of `needed` has no image of. Equal pixels of one label within a split are
    legal, see `duplicates`; with `keeps_equal` all equal pixels are.
    """
    faults = Faults("partition")
    unknown = manifest.loc[~manifest["split"].isin(SPLITS), "file"].tolist()
    if unknown:
        faults.add(f"{len(unknown)} files are in no split: {named(unknown)}")
    faults.extend_shortened(_shared_groups(manifest), "groups in two splits")
    labels, across = _duplicate_faults(manifest) if not keeps_equal else ([], [])
    faults.extend_shortened(labels, "sets of equal images with different labels")
    faults.extend_shortened(across, "sets of equal images in different splits")
    faults.extend(_empty_splits(manifest, needed))
    faults.raise_if_any(
        "Put each group into one split; of equal images keep one, or give them one group and one label; "
        "then run the same command again."
        + (" Or choose what happens to equal images: --duplicates keep-one or keep-all." if labels or across else "")
    )


def duplicates(manifest: pd.DataFrame) -> list[tuple[str, ...]]:
    """Files with equal pixels, a sorted tuple for each set of two or more; sets in order of their first file."""
    return [tuple(rows["file"]) for rows in equal_sets(manifest)]


def _shared_groups(manifest: pd.DataFrame) -> list[str]:
    known = manifest[manifest["split"].isin(SPLITS)]
    faults = []
    for group, rows in known.groupby("group", sort=True):
        counts = rows["split"].value_counts()
        if len(counts) > 1:
            where = ", ".join(f"{split} ({counts[split]} images)" for split in SPLITS if split in counts)
            faults.append(f"group {group!r} is in {len(counts)} splits: {where}")
    return faults


def _duplicate_faults(manifest: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Sets with different labels, and sets in different splits."""
    labels, across = list[str](), list[str]()
    for rows in equal_sets(manifest):
        if rows["label"].nunique() > 1:
            labels.append(f"equal pixels with different labels: {_written(rows, 'label')}")
        if rows["split"].nunique() > 1:
            across.append(f"equal pixels in different splits: {_written(rows, 'split')}")
    return labels, across


def _written(rows: pd.DataFrame, column: str) -> str:
    pairs = [f"{file!r} ({value})" for file, value in zip(rows["file"], rows[column], strict=True)]
    return ", ".join(pairs[:_SETS_SHOWN]) + (
        f" and {len(pairs) - _SETS_SHOWN} more" if len(pairs) > _SETS_SHOWN else ""
    )


def _empty_splits(manifest: pd.DataFrame, needed: Sequence[str]) -> list[str]:
    faults = []
    for split in needed:
        present = set(manifest.loc[manifest["split"] == split, "label"])
        lacking = sorted(set(manifest["label"]) - present)
        if not present:
            faults.append(f"split {split!r} has no images")
        elif lacking:
            faults.append(f"split {split!r} has no image of class {named(lacking)}")
    return faults

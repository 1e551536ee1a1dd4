"""From a user's folder or table to a dataset: every image decoded once, every refused file listed with its reason."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.store.errors import InputError
from trainables.data.contents import check_contents
from trainables.data.decode import Decoded, content_hash, decode
from trainables.data.equal_images import left_out, left_out_note
from trainables.data.given import division_faults, without_valid
from trainables.data.groups import Grouped, with_groups
from trainables.data.intensity import Note, notes
from trainables.data.labels import check_labels, normalised
from trainables.data.listing import Entry, Listing
from trainables.data.manifest import (
    fingerprint,
    made_manifest,
    manifest_bytes,
    read_manifest,
    refused_csv,
    verify_unchanged,
)
from trainables.data.near_duplicates import small_picture
from trainables.data.one_range import Progress, kinds_of, read_all
from trainables.data.options import DatasetOptions
from trainables.data.reading import Reading
from trainables.data.shades import Samples
from trainables.data.source import read_source

__all__ = [
    "Dataset",
    "DatasetOptions",
    "fingerprint",
    "load_dataset",
    "manifest_bytes",
    "read_manifest",
    "refused_csv",
    "verify_unchanged",
]

SYNTHETIC_MARK = "SYNTHETIC.json"
"""A file of this name in the data root says that the images were made by `trainables.data.synthetic`."""

Look = Callable[[str, Decoded], None]
"""Is shown every image that can be read (its file and what was decoded), from any thread, in any order."""

Divided = Callable[[pd.DataFrame], "pd.Series[str]"]
"""Manifest → the split of each of its images, as the study will have it."""


@dataclass(frozen=True)
class Dataset:
    """root: folder that files are relative to. manifest: see `manifest.COLUMNS`, sorted by file; split is "" where none
    was given. refused: (file, reason) of every file that is not used. group_meaning: in words, for the reader.
    pictures: uint8 [images, SIDE, SIDE], a small one of each, for `near_duplicates`. notes: how what could be read in
    several ways was read. warnings: those of them that stay with a study, without names. odd: how images were scaled
    and what is odd about them."""

    root: Path
    manifest: pd.DataFrame
    refused: pd.DataFrame
    group_meaning: str
    synthetic: bool
    pictures: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    odd: tuple[Note, ...] = ()


@dataclass(frozen=True)
class _Read:
    width: int
    height: int
    bytes: int
    content: str
    reading: Reading
    samples: Samples | None
    remarks: tuple[str, ...]
    picture: NDArray[np.uint8]


def load_dataset(
    source: Path,
    options: DatasetOptions,
    progress: Progress | None = None,
    look: Look | None = None,
    divided: Divided | None = None,
) -> Dataset:
    """Read all images of `source` (class folders, a folder with labels.csv, or a table) on all cores.

    Labels and groups are checked before anything is decoded. Groups across splits and duplicates are not: they need
    the final splits, see `checks.check_splits`. `progress(done, total)` is called in this thread after each image.
    divided: how images will be divided, for `options.percentiles`.

    Raises InputError where the source, its columns, labels or groups are at fault, where the range of images with more
    than 8 bits is unclear, where images are not those whose content a table names, and when more than
    `options.max_refused_share` of the images are refused.
    """
    listing = _with_class_names(read_source(source, options), dict(options.class_names))
    if not listing.entries:
        check_refused(listing, listing.refused, options.max_refused_share)
    grouped = _checked(listing, options)
    entries = grouped.entries

    def summary(entry: Entry, reading: Reading) -> _Read:
        decoded = decode(listing.root / entry.file, options.max_pixels, reading)
        if look is not None:
            look(entry.file, decoded)
        return _summary(decoded)

    def training(read: Mapping[str, _Read]) -> set[str]:
        assert divided is not None
        manifest = _manifest(entries, read)
        return set(manifest.loc[(divided(manifest) == "train").to_numpy(), "file"])

    every = read_all(listing, entries, options, summary, progress, training if divided else None)
    read, refused = every.kept, every.refused
    check_refused(listing, refused, options.max_refused_share)
    check_contents(listing.subject, entries, {file: one.content for file, one in read.items()})
    manifest = _manifest(entries, read)
    equal = left_out(manifest) if options.duplicates == "keep-one" else {}
    manifest = manifest[~manifest["file"].isin(list(equal))].reset_index(drop=True)
    lost = sorted({normalised(entry.label) for entry in entries} - set(manifest["label"]))
    if lost:
        raise InputError(
            f"{listing.subject}: every image of class {', '.join(map(repr, lost))} was refused: "
            f"{kinds_of([*refused, *equal.items()])}",
            "Repair or replace these files, or leave the class out.",
        )
    listed = pd.DataFrame(sorted([*refused, *equal.items(), *listing.other]), columns=["file", "reason"], dtype="str")
    pictures = np.stack([read[file].picture for file in manifest["file"]])
    odd = notes({file: (read[file].reading, read[file].remarks) for file in manifest["file"]}, every.origin)
    return Dataset(
        listing.root,
        manifest,
        listed,
        grouped.meaning,
        is_synthetic(listing.root),
        pictures,
        notes=(*listing.notes, *grouped.notes),
        warnings=(*listing.warnings, *grouped.warnings, *([left_out_note(equal)] if equal else [])),
        odd=odd,
    )


def _with_class_names(listing: Listing, names: Mapping[str, str]) -> Listing:
    """Labels as the study calls them."""
    if not names:
        return listing
    named = [replace(one, label=names.get(normalised(one.label), one.label)) for one in listing.entries]
    return replace(listing, entries=named)


def _checked(listing: Listing, options: DatasetOptions) -> Grouped:
    """Every entry with its group; raises one InputError with all that can be seen before images are decoded."""
    faults = listing.as_faults()
    labels = [entry.label for entry in listing.entries]
    if all(labels):
        with faults.collecting():
            check_labels(pd.Series(labels, dtype="str"), listing.subject, options.classes)
    grouped = Grouped(list(listing.entries), "")
    if options.group_by is None or any(entry.file for entry in listing.entries):
        with faults.collecting():
            grouped = with_groups(listing, options.group_by, options.join_groups)
    if not options.undivided:
        entries = without_valid(grouped.entries, options.valid_from_train, faults)
        grouped = replace(grouped, entries=entries)
        faults.extend(division_faults(entries))
    faults.raise_if_any()
    return grouped


def is_synthetic(root: Path) -> bool:
    """Whether the images below `root` were made by `trainables.data.synthetic`."""
    with contextlib.suppress(OSError, ValueError):
        mark = json.loads((root / SYNTHETIC_MARK).read_bytes())
        return isinstance(mark, dict) and mark.get("synthetic") is True
    return False


def _summary(decoded: Decoded) -> _Read:
    height, width = decoded.pixels.shape[:2]
    digest = content_hash(decoded.pixels)
    picture = small_picture(decoded.pixels)
    return _Read(width, height, decoded.bytes, digest, decoded.reading, decoded.samples, decoded.remarks, picture)


def _manifest(entries: Sequence[Entry], read: Mapping[str, _Read]) -> pd.DataFrame:
    folded = any(entry.fold for entry in entries)
    return made_manifest([_row(entry, read[entry.file], folded) for entry in entries if entry.file in read])


def _row(entry: Entry, read: _Read, folded: bool) -> dict[str, object]:
    return {
        "file": entry.file,
        "label": normalised(entry.label),
        "group": entry.group,
        "split": entry.split,
        "width": read.width,
        "height": read.height,
        "bytes": read.bytes,
        "content": read.content,
        "reading": str(read.reading),
        **({"fold": entry.fold} if folded else {}),
        **{f"user_{name}": value for name, value in entry.extra.items()},
    }


def check_refused(listing: Listing, refused: Sequence[tuple[str, str]], most: float) -> None:
    """Raise InputError where more than `most` (a share, 0–1) of the images are refused, or all of them."""
    total = len(listing.entries) + len(listing.refused)
    if total > len(refused) <= most * total:
        return
    raise InputError(
        f"{listing.subject}: {len(refused)} of {total} images were refused, expected at most "
        f"{most:.0%}: {kinds_of(refused)}",
        "Repair or remove these files, then run the same command again.",
    )

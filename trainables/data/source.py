"""Where a dataset comes from: a folder with labels.csv, class folders, or a table by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.store.errors import InputError
from trainables.data.cells import TABLE_SUFFIXES
from trainables.data.decode import is_image
from trainables.data.folders import list_folders
from trainables.data.folds import with_test_fold
from trainables.data.listing import Listing, files_below, printable
from trainables.data.options import DatasetOptions
from trainables.data.table import labels_table, list_table


def list_source(source: Path, options: DatasetOptions) -> Listing:
    """List a source's images with label, group, split and fold as far as it says them; decodes nothing.

    Raises InputError with all faults of its rows.

    A folder that holds a file labels.csv (.tsv, .xlsx, .parquet) is read through that table, since class folders know
    no groups; images that the table does not name are listed as not used.
    """
    listing = read_source(source, options)
    listing.as_faults().raise_if_any()
    return listing


def read_source(source: Path, options: DatasetOptions) -> Listing:
    """The same with what is wrong with rows in `faults`, for whoever looks for more; raises InputError where nothing
    can be listed."""
    listing = _listed(source.expanduser(), options)
    faults = listing.as_faults()
    with faults.collecting():
        listing = with_test_fold(listing, options)
    return replace(listing, faults=tuple(faults.found), advice=tuple(faults.advice))


def _listed(source: Path, options: DatasetOptions) -> Listing:
    if options.data_root is not None and not options.data_root.is_dir():
        raise InputError(f"--data-root {options.data_root}: expected a folder, found none", "Correct the path.")
    if source.is_dir():
        table = labels_table(source)
        return list_folders(source, options) if table is None else _with_unnamed(list_table(table, options), source)
    if not source.exists():
        raise InputError(f"dataset {source}: expected a folder or a table, found nothing there", "Correct --data.")
    if source.suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(
            f"dataset {source}: expected a folder or a .csv, .tsv, .xlsx or .parquet table, found a file {source.name}",
            "Give class folders (--data DIR) or a table of files and labels (--data labels.csv).",
        )
    return list_table(source, options)


def _with_unnamed(listing: Listing, folder: Path) -> Listing:
    named = {entry.file for entry in listing.entries}
    place = folder.resolve()
    other = []
    for path, _ in files_below(place, listing.root):
        if not is_image(place / path):
            continue
        file = (place / path).relative_to(listing.root).as_posix() if place.is_relative_to(listing.root) else str(path)
        if file not in named:
            other.append((printable(file), "not listed in the table: not used"))
    return replace(listing, other=other)

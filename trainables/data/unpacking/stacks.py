"""Stacks of images in NumPy's files, MedMNIST's for instance: written as PNG files and a table of their labels."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.store.errors import Faults, InputError
from trainables.data.cells import TABLE_SUFFIXES, read_cells
from trainables.data.columns import FILE_NAMES, plain_name
from trainables.data.listing import named
from trainables.data.table import labels_table
from trainables.data.unpacking import contents
from trainables.data.unpacking.arrays import Array, npy_array, npz_arrays
from trainables.data.unpacking.contents import Wrote
from trainables.data.unpacking.pictures import Pictures, pictures_of, write_picture
from trainables.data.unpacking.roles import IMAGES, LABELS, role_of
from trainables.data.unpacking.sets import EXPECTED, ImageSet, image_sets
from trainables.data.unpacking.values import column_of, labels_of

INDEX = "index"
"""Column with the place of an image in its array."""


@dataclass(frozen=True)
class Rows:
    """What is written of one set. split: "" where the stack has none. columns: by name, a value for each image; without
    `label` where there are no labels."""

    split: str
    pictures: Pictures
    columns: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Stack:
    """Arrays that were checked; see `contents.Contents`."""

    subject: str
    sets: tuple[Rows, ...]
    notes: tuple[str, ...]

    @property
    def files(self) -> int:
        return sum(one.pictures.array.shape[0] for one in self.sets) + 1

    @property
    def size(self) -> int:
        return sum(one.pictures.array.size for one in self.sets)

    def write(self, folder: Path, wrote: Wrote) -> None:
        """`images/<split>/<index>.png` and `labels.csv`."""
        names = list(dict.fromkeys(name for one in self.sets for name in one.columns))
        splits = ["split"] if any(one.split for one in self.sets) and "split" not in names else []
        with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["file", *names, *splits, INDEX])
            for one in self.sets:
                place = Path("images", one.split)
                (folder / place).mkdir(parents=True)
                for index, picture in enumerate(one.pictures.rows()):
                    path = place / f"{index:06d}.png"
                    wrote(write_picture(folder / path, picture))
                    cells = (one.columns[name][index] if name in one.columns else "" for name in names)
                    table.writerow([path.as_posix(), *cells, *([one.split] if splits else []), index])


def stack_files(source: Path, subject: str) -> list[Path]:
    """The files that a stack is made of: an .npz by itself; an .npy of images with the arrays beside it that belong to
    it, by their names, or else a table labels.csv. Raises InputError where the name says that it holds no images."""
    if source.suffix.casefold() == ".npz":
        return [source]
    own = role_of(source.stem)
    if own.what == LABELS or own.is_beside:
        raise InputError(
            f"{subject}: by its name it does not hold images",
            f"Give the images beside it: --data {source.with_name('X.npy')}",
        )
    words = {own.rest} if own.what else {own.rest, ()}
    beside = list[Path]()
    for path in sorted(source.parent.iterdir()):
        role = role_of(path.stem)
        if path.suffix.casefold() != ".npy" or path == source or bool(role.split) != bool(own.split):
            continue
        if (
            role.is_beside
            or (role.what == LABELS and role.rest in words)
            or (role.what == IMAGES and own.split and role.rest == own.rest)
        ):
            beside.append(path)
    if any(role_of(path.stem).what == LABELS for path in beside):
        return [source, *beside]
    table = labels_table(source.parent)
    return [source, *beside, *([] if table is None else [table])]


def stack_contents(source: Path, files: Sequence[Path], subject: str, labelled: bool) -> Stack:
    """What `stack_files` found, checked. Raises one InputError with every fault; OSError.

    labelled: whether arrays without labels are refused.
    """
    tables = [path for path in files if path.suffix.casefold() in TABLE_SUFFIXES]
    arrays = _arrays(source, [path for path in files if path not in tables], subject)
    faults = Faults(subject)
    sets, unused = image_sets(arrays, labelled and not tables, faults)
    advice = f"{EXPECTED} Nothing was written." if faults.found else "Nothing was written."
    rows, notes = list[Rows](), list[str]()
    for one in sets:
        pictures = pictures_of(one.images, faults)
        columns = _columns(one, faults)
        if tables:
            columns |= _of_table(tables[0], one.images, subject, faults, notes)
        if pictures is not None:
            rows.append(Rows(one.split, pictures, columns))
            notes.append(_said(one, pictures, tables))
    if sum(one.images.shape[0] for one in sets if one.images.shape) > contents.MOST_FILES:
        faults.add(f"holds more than {contents.MOST_FILES:,} images")
    faults.raise_if_any(advice)
    if unused:
        notes.append(f"arrays that are not read: {named([array.name for array in unused])}.")
    return Stack(subject, tuple(rows), tuple(notes))


def _arrays(source: Path, files: Sequence[Path], subject: str) -> list[Array]:
    """The file that was named holds the images, however it is called."""
    if source.suffix.casefold() == ".npz":
        return npz_arrays(source, subject)
    arrays = [npy_array(path, subject) for path in files]
    own = role_of(source.stem)
    if own.what and own.rest:  # cells_images.npy beside cells_labels.npy
        arrays = [replace(array, name=_without(array.name, own.rest)) for array in arrays]
    elif not own.what:
        rest = own.rest
        arrays = [replace(arrays[0], name=IMAGES), *(replace(a, name=_without(a.name, rest)) for a in arrays[1:])]
    return arrays


def _without(name: str, words: Sequence[str]) -> str:
    role = role_of(name)
    if role.what and role.rest == tuple(words):
        return "_".join(part for part in (role.split, role.what) if part)
    return name


def _columns(one: ImageSet, faults: Faults) -> dict[str, Sequence[str]]:
    labels = {} if one.labels is None else {"label": labels_of(one.labels, faults)}
    return {**labels, **{name: column_of(array, faults) for name, array in one.columns.items()}}


def _of_table(table: Path, images: Array, subject: str, faults: Faults, notes: list[str]) -> dict[str, Sequence[str]]:
    """The columns of a table with a row for each image, in the order of the array."""
    header, rows = read_cells(table, f"{subject}, {table.name}", None, notes)
    count = images.shape[0] if images.shape else 0
    if len(rows) != count:
        faults.add(
            f"array {images.name!r} has {count:,} images, {table.name} {len(rows):,} rows: expected one for each"
        )
    order = [row[INDEX].strip() for row in rows] if INDEX in header else []
    if order and order != list(map(str, range(len(rows)))):
        faults.add(f"{table.name}: column {INDEX!r} is not 0, 1, 2 …: expected rows in the order of the array")
    kept = [name for name in header if name != INDEX]
    return {
        (f"original_{name}" if plain_name(name) in FILE_NAMES else name): [row[name] for row in rows] for name in kept
    }


def _said(one: ImageSet, pictures: Pictures, tables: Sequence[Path]) -> str:
    told = [f"images of {one.images}"]
    if pictures.channels_first:
        told.append("read as N × C × H × W")
    if one.labels is not None:
        told.append(f"labels of {one.labels.name!r}")
    elif tables:
        told.append(f"labels of {tables[0].name}")
    told += [f"column {name!r} of {array.name!r}" for name, array in one.columns.items()]
    return f"{', '.join(told)}{f': split {one.split}' if one.split else ''}."

"""Class folders: DIR/<class>/**/image, or DIR/<train|val|test>/<class>/**/image for a given partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from orchestrator.store.errors import InputError
from trainables.data.decode import IMAGE_SUFFIXES
from trainables.data.listing import SPLIT_WORDS, Entry, Listing, files_below, named, outside, printable


def list_folders(folder: Path, data_root: Path | None = None) -> Listing:
    """List the images of class folders; a label is the name of the folder. Raises InputError."""
    subject = f"dataset {folder}"
    place = folder.resolve()
    root = place if data_root is None else data_root.resolve()
    if not place.is_relative_to(root):
        raise InputError(f"{subject}: lies outside the data root {root}", "Give a --data-root that contains it.")
    prefix = PurePosixPath(place.relative_to(root).as_posix())
    images, other = list[PurePosixPath](), list[tuple[str, str]]()
    refused = []
    for path, fault in files_below(place):
        shown = printable(str(prefix / path))
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            other.append((shown, fault or f"not an image by its name: {path.suffix or 'no'} suffix"))
        elif fault:
            refused.append((shown, fault))
        elif (place / path).is_symlink() and outside(root, place / path):
            refused.append((shown, "outside of the data root: the link leads out of it"))
        else:
            images.append(path)
    if not images and not refused:
        raise _no_images(subject, folder, other)
    depth = _depth_of_classes(subject, folder, images)
    entries = []
    for path in images:
        if len(path.parts) < depth + 2:
            refused.append((str(prefix / path), "outside of a class folder: its class is not known"))
            continue
        split = SPLIT_WORDS[path.parts[0].lower()] if depth else ""
        entries.append(Entry(str(prefix / path), path.parts[depth], split=split))
    return Listing(subject, root, entries, refused, other)


def _depth_of_classes(subject: str, folder: Path, images: Sequence[PurePosixPath]) -> int:
    """0 where the classes are the first level of folders, 1 where those are train, valid and test."""
    tops = sorted({path.parts[0] for path in images if len(path.parts) > 1})
    if images and not tops:
        raise InputError(
            f"{subject}: {len(images)} images lie directly in the folder, expected one folder for each class",
            "Sort them into class folders, or give a table of files and labels: --data labels.csv",
        )
    splits = [name for name in tops if name.lower() in SPLIT_WORDS]
    meanings = {SPLIT_WORDS[name.lower()] for name in splits}
    if "train" not in meanings and len(meanings) < 2:
        return 0
    if len(splits) < len(tops):
        others = [name for name in tops if name not in splits]
        raise InputError(
            f"{subject}: {named(splits)} read as a given partition, but {named(others)} lie beside them",
            "Move them elsewhere, or rename the folders if all of them are classes.",
        )
    if len(meanings) < 2 or "train" not in meanings:
        raise InputError(
            f"{subject}: of a given partition only {named(splits)} found, expected train, valid and test",
            f"Add the missing folders, or let the partition be made: --data {folder / splits[0]}",
        )
    return 1


def _no_images(subject: str, folder: Path, other: Sequence[tuple[str, str]]) -> InputError:
    expected = "expected JPEG, PNG, TIFF, BMP, WebP or GIF files in one folder for each class"
    if not other:
        return InputError(f"{subject}: the folder is empty, {expected}", "Give another folder: --data DIR")
    kinds = Counter(PurePosixPath(file).suffix.lower() or "no suffix" for file, _ in other)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6))
    tables = [PurePosixPath(file).name for file, _ in other if file.lower().endswith((".csv", ".tsv", ".parquet"))]
    advice = f"Give the table itself: --data {folder / tables[0]}" if tables else "Give another folder: --data DIR"
    return InputError(f"{subject}: no images among {len(other)} files ({found}), {expected}", advice)

"""Class folders: DIR/<class>/**/image, DIR/<train|val|test>/<class>/**/image, or what --layout says of the levels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from orchestrator.store.errors import Faults, InputError
from trainables.data.decode import is_image
from trainables.data.derived import holds_copies, looks_like_masks, without_derived
from trainables.data.formats import is_document, is_left_behind, unread_holder
from trainables.data.levels import CLASS, FOLD, GROUP, NOTHING, SPLIT, layout_of, seen_layout
from trainables.data.listing import OUT_OF_ROOT, Entry, Listing, files_below, named, outside, printable
from trainables.data.options import DatasetOptions
from trainables.data.split_words import split_of
from trainables.data.unread import unread_picture
from trainables.data.unused_options import FOLDERS, unused_faults

Pairs = list[tuple[str, str]]


def list_folders(folder: Path, options: DatasetOptions) -> Listing:
    """List the images of class folders; a label is the name of the folder. Raises InputError."""
    subject = f"dataset {folder}"
    place = folder.resolve()
    root = place if options.data_root is None else options.data_root.resolve()
    if not place.is_relative_to(root):
        raise InputError(f"{subject}: lies outside the data root {root}", "Give a --data-root that contains it.")
    _check_options(subject, options)
    prefix = PurePosixPath(place.relative_to(root).as_posix())
    images, refused, other = _sorted_out(place, root)
    if not images and not refused:
        raise _no_images(subject, folder, other)
    said = dict(options.split_words)
    layout = layout_of(options.layout) if options.layout else _seen(subject, folder, images, options)
    other += _without_images(subject, place, layout.index(CLASS), images, refused, other)
    entries, strange = [], set()
    for path in images:
        if len(path.parts) <= len(layout):
            refused.append((str(path), "outside the class folders: its class is unknown"))
            continue
        part = dict(zip(layout, path.parts, strict=False))
        split = split_of(part[SPLIT], said) if SPLIT in part else ""
        if split is None:
            strange.add(part[SPLIT])
        entries.append(
            Entry(str(prefix / path), part[CLASS], part.get(GROUP, ""), split=split or "", fold=part.get(FOLD, ""))
        )
    faults = Faults(subject)
    if strange:
        faults.add(
            f"folders {named(sorted(strange))}, expected train, valid or test: say which is which with --split-words"
        )
    level = layout.index(SPLIT) if SPLIT in layout else None
    held = {path.parts[level].casefold() for path in images if len(path.parts) > level} if level is not None else set()
    if unused := set(said) - held:
        faults.add(f"--split-words names {named(sorted(unused))}, but no split folder has such a name")
    faults.raise_if_any("For example: --split-words train=learn,valid=tune,test=held_out")
    meaning = f"folder level {layout.index(GROUP) + 1}" if GROUP in layout else ""
    shown = [(printable(str(prefix / file)), why) for file, why in refused]
    return Listing(subject, root, entries, shown, [(printable(str(prefix / f)), why) for f, why in other], meaning)


def _check_options(subject: str, options: DatasetOptions) -> None:
    """No option is about something else, and one alone says what the groups are."""
    faults = Faults(subject)
    unused_faults(options, FOLDERS, faults)
    faults.raise_if_any()
    if options.layout and options.group_by and GROUP in layout_of(options.layout):
        raise InputError(
            f"{subject}: --group-by and --layout {options.layout} both say what a group is, expected one of them",
            "Leave --group-by out, or write - for the level: --layout " + options.layout.replace(GROUP, NOTHING),
        )


def _sorted_out(place: Path, root: Path) -> tuple[list[PurePosixPath], Pairs, Pairs]:
    """Images, what was meant as one and cannot be read, and other files; paths relative to `place`."""
    images, refused, other = list[PurePosixPath](), Pairs(), Pairs()
    for path, fault in files_below(place, root):
        if fault.startswith("link to a folder") or fault == OUT_OF_ROOT:
            refused.append((str(path), fault))
        elif is_image(place / path):
            if not fault and (place / path).is_symlink() and outside(root, place / path):
                fault = OUT_OF_ROOT
            if fault:
                refused.append((str(path), fault))
            else:
                images.append(path)
        elif not fault and (why := unread_picture(place / path)):
            refused.append((str(path), why))
        else:
            why = fault or unread_holder(path.name) or f"not an image by its name: {path.suffix or 'no'} suffix"
            other.append((str(path), why))
    images, lost, derived = without_derived(images)
    return images, refused + lost, other + derived


def _seen(subject: str, folder: Path, images: Sequence[PurePosixPath], options: DatasetOptions) -> tuple[str, ...]:
    if images and all(len(path.parts) == 1 for path in images):
        raise InputError(
            f"{subject}: {len(images)} images lie directly in the folder, expected one folder for each class",
            "Sort them into class folders, or give a table of files and labels: --data labels.csv",
        )
    layout = seen_layout(subject, folder, images, dict(options.split_words))
    level = layout.index(CLASS)
    names = sorted({path.parts[level] for path in images if len(path.parts) > level + 1})
    below = sorted({path.parts[level + 1] for path in images if len(path.parts) > level + 2})
    if layout == (SPLIT, CLASS) and len(below) > 1 and (len(names) == 1 or all(map(split_of, names))):
        raise InputError(
            f"{subject}: the split folders hold {named(names)}, which do not look like classes, and below them "
            f"{named(below)}",
            f"Add --layout split/-/class if these are the classes, or --layout split/class if {named(names)} are.",
        )
    if pair := looks_like_masks(names):
        raise InputError(
            f"{subject}: the folders {pair[0]!r} and {pair[1]!r} look like images and their masks, as in a "
            "segmentation data set, not like classes",
            f"Give a table of images and labels (--data labels.csv); give {pair[0]!r} alone, if class folders lie "
            "in it; or add --layout class if these are the classes.",
        )
    return layout


def _without_images(
    subject: str, place: Path, depth: int, images: Sequence[PurePosixPath], refused: Pairs, other: Pairs
) -> Pairs:
    """(folder, why) of folders in the place of a class, or above, that hold no image and need none; InputError where
    one may be a class, a split or a patient without its images.

    A class that lies below several splits has vanished only where none of them holds an image of it.
    """
    here = {path.parts[: level + 1] for path in images for level in range(depth + 1)}
    known = {path.parts[depth] for path in images if len(path.parts) > depth + 1}
    faults, told = Faults(subject), Pairs()
    for level in range(depth + 1):
        for folder in _folders_at(place, PurePosixPath(), level):
            if folder.parts in here or (level and folder.parent.parts not in here):
                continue
            below = [(file, why) for file, why in (*refused, *other) if PurePosixPath(file).is_relative_to(folder)]
            if below and holds_copies(folder.name) and all(why.startswith("a small copy") for _, why in below):
                told.append((str(folder), "not a class: a folder of small copies"))
            elif below and all(is_document(file) for file, _ in below):
                told.append((str(folder), f"not a class: {len(below)} files and no image in this folder"))
            elif level == depth and folder.name in known:
                told.append((str(folder), "no image in this folder" if below else "empty folder"))
            else:
                what = "class folder" if level == depth else "folder"
                faults.add(f"{what} {printable(str(folder))!r} {_what_it_holds(below)}")
    faults.raise_if_any(
        "Repair or convert them, give a --data-root that contains the targets of links, or move folders that "
        "are not classes elsewhere; then run the same command again."
    )
    return told


def _folders_at(place: Path, folder: PurePosixPath, depth: int) -> Iterator[PurePosixPath]:
    for path in sorted((place / folder).iterdir()):
        if not is_left_behind(path.name) and (path.is_dir() or path.is_symlink()):
            if not depth:
                yield folder / path.name
            elif path.is_dir():
                yield from _folders_at(place, folder / path.name, depth - 1)


def _what_it_holds(below: Pairs) -> str:
    if not below:
        return "is empty"
    reasons = Counter(why for _, why in below)
    return "holds no image that can be read: " + ", ".join(f"{count} × {why}" for why, count in reasons.most_common(3))


def _no_images(subject: str, folder: Path, other: Pairs) -> InputError:
    expected = "expected JPEG, PNG, TIFF, BMP, WebP, GIF or DICOM files in one folder for each class"
    if not other:
        return InputError(f"{subject}: the folder is empty, {expected}", "Give another folder: --data DIR")
    kinds = Counter(PurePosixPath(file).suffix.lower() or "no suffix" for file, _ in other)
    endings = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6))
    tables = [
        PurePosixPath(file).name for file, _ in other if file.lower().endswith((".csv", ".tsv", ".xlsx", ".parquet"))
    ]
    holders = sorted({why for file, _ in other if (why := unread_holder(file))})
    advice = f"Give the table itself: --data {folder / tables[0]}" if tables else "Give another folder: --data DIR"
    return InputError(
        f"{subject}: no images among {len(other)} files ({endings}), {expected}", "\n".join([*holders, advice])
    )

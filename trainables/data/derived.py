"""Pictures that were made of others and lie beside them: small copies and masks, which are no images of a class."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from trainables.data.split_words import split_of, words_of

_COPIES = frozenset({"thumb", "thumbs", "thumbnail", "thumbnails", "preview", "previews"})
_MASKS = frozenset(
    {
        "mask",
        "masks",
        "segmentation",
        "segmentations",
        "seg",
        "annotation",
        "overlay",
        "gt",
        "superpixels",
        "groundtruth",
    }
)
_AFFIX = "|".join(sorted(_COPIES | _MASKS, key=len, reverse=True))
_BEHIND = re.compile(rf"(.+?)[ _.-]+({_AFFIX})(?:[ _.-]*\d+)?", re.IGNORECASE)
_BEFORE = re.compile(rf"({_AFFIX})[ _.-]+(.+)", re.IGNORECASE)
_OF_IMAGES = frozenset({"image", "images", "img", "imgs", "input", "inputs", "photo", "photos", "picture", "pictures"})
_OF_MASKS = _MASKS | {"label", "labels", "annotations", "groundtruth", "groundtruths", "gts", "contours", "polygons"}
Pairs = list[tuple[str, str]]


def holds_copies(folder: str) -> bool:
    """Whether a folder of this name holds small copies of images."""
    return folder.strip().casefold() in _COPIES


def without_derived(images: Sequence[PurePosixPath]) -> tuple[list[PurePosixPath], Pairs, Pairs]:
    """The images that are none of others here; (file, reason) of small copies whose originals are not here, which were
    meant as images perhaps; and of copies and masks.

    A file is one of another where it lies beside it and its name is that of the other with a word such as `_thumb` or
    `mask_` more (`_mask_1` too), or where it lies in a folder of copies and is called like one outside of it, or in a
    folder of masks below its class and is called like one beside that folder.
    """
    beside, names = defaultdict[PurePosixPath, set[str]](set), set[str]()
    for path in images:
        if not _in_copies(path):
            beside[path.parent].add(path.stem.casefold())
            names.add(path.stem.casefold())
    kept, lost, derived = list[PurePosixPath](), Pairs(), Pairs()
    for path in images:
        original, word = _origin(path.stem)
        if _in_copies(path):
            if {path.stem.casefold(), original} & names:
                derived.append((str(path), "a small copy: in a folder of small copies, named like an image outside it"))
            else:
                lost.append(
                    (str(path), "a small copy: in a folder of small copies, but no image outside it has this name")
                )
        elif _in_masks(path) and {path.stem.casefold(), original} & _around(path.parent, beside):
            derived.append((str(path), "a mask: in a folder of masks, named like an image beside it"))
        elif original in beside[path.parent]:
            what = "a small copy" if word in _COPIES else "a mask"
            derived.append((str(path), f"{what}: named after an image beside it"))
        else:
            kept.append(path)
    return kept, lost, derived


def looks_like_masks(classes: Sequence[str]) -> tuple[str, str] | None:
    """A folder of images and one of their masks where the classes are nothing else, None where they are classes."""
    images = [name for name in classes if _is_called(name, _OF_IMAGES)]
    masks = [name for name in classes if _is_called(name, _OF_MASKS)]
    if images and masks and len(images) + len(masks) == len(classes):
        return images[0], masks[0]
    return None


def _is_called(name: str, words: frozenset[str]) -> bool:
    parts = [word for word in words_of(name) if not word.isdecimal()]
    return "".join(parts) in words or (bool(parts) and set(parts) <= words)


def _in_copies(path: PurePosixPath) -> bool:
    return any(holds_copies(part) for part in path.parts[:-1])


def _in_masks(path: PurePosixPath) -> bool:
    """Whether it lies in a folder of masks below a class; beside folders of images a search asks about them."""
    above = path.parts[-3:-2]
    return bool(above) and split_of(above[0]) is None and _is_called(path.parent.name, _OF_MASKS)


def _around(masks: PurePosixPath, beside: Mapping[PurePosixPath, set[str]]) -> set[str]:
    """Names of the images beside a folder of masks, or in a folder of images beside it."""
    folders = [
        masks.parent,
        *(one for one in beside if one.parent == masks.parent and _is_called(one.name, _OF_IMAGES)),
    ]
    return {name for one in folders for name in beside.get(one, ())}


def _origin(stem: str) -> tuple[str, str]:
    """The stem in small letters without the word that says what was made of it, and that word; "" where it has none."""
    if match := _BEHIND.fullmatch(stem):
        return match[1].casefold(), match[2].casefold()
    if match := _BEFORE.fullmatch(stem):
        return match[2].casefold(), match[1].casefold()
    return "", ""

"""Which arrays belong together: images with their labels and columns, of the whole or of each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.store.errors import Faults
from trainables.data.listing import named
from trainables.data.unpacking.arrays import Array
from trainables.data.unpacking.roles import IMAGES, LABELS, Role, role_of

EXPECTED = (
    "Usual names are images and labels, x_train, y_train, x_val …, or train_images, train_labels, val_images …; "
    "patients or groups beside them say what must not be divided."
)
_VALUES = "biufUS"
_OWN = ("file", "label", "split", "index")


@dataclass(frozen=True)
class ImageSet:
    """Arrays with an entry for each of the same images. split: train, valid, test or "". labels: None where there are
    none. columns: by the name of the column."""

    split: str
    images: Array
    labels: Array | None
    columns: Mapping[str, Array] = field(default_factory=dict)


def image_sets(arrays: Sequence[Array], labelled: bool, faults: Faults) -> tuple[list[ImageSet], list[Array]]:
    """The sets in the order of their splits, and the arrays that are in none; faults of names and lengths are added.

    labelled: whether every set must have labels.
    """
    roles = {array.name: role_of(array.name) for array in arrays}
    images = _by_split(arrays, roles, IMAGES, faults)
    if not images:
        faults.add(f"no array has a name for images, found {', '.join(map(str, arrays)) or 'no array'}")
        return [], list(arrays)
    if "" in images and len(images) > 1:
        faults.add(
            f"{named([array.name for array in images.values()])} are images, some of a split and some of none: keep "
            "one kind"
        )
    sets = [_set(arrays, roles, split, images[split], labelled, faults) for split in sorted(images, key=_rank)]
    for array in arrays:
        role = roles[array.name]
        if role.what == LABELS and not role.rest and role.split not in images and role.split:
            faults.add(f"array {array.name!r} holds labels of {role.split}, but there is no array of those images")
    used = {id(array) for one in sets for array in (one.images, one.labels, *one.columns.values())}
    return sets, [array for array in arrays if id(array) not in used]


def _rank(split: str) -> int:
    return ("", "train", "valid", "test").index(split)


def _by_split(arrays: Sequence[Array], roles: Mapping[str, Role], what: str, faults: Faults) -> dict[str, Array]:
    by_split = dict[str, Array]()
    for array in arrays:
        role = roles[array.name]
        if role.what != what or role.rest:
            continue
        if role.split in by_split:
            faults.add(
                f"arrays {by_split[role.split].name!r} and {array.name!r} are both {what} by their names: keep one"
            )
        by_split.setdefault(role.split, array)
    return by_split


def _set(
    arrays: Sequence[Array], roles: Mapping[str, Role], split: str, images: Array, labelled: bool, faults: Faults
) -> ImageSet:
    count = images.shape[0] if images.shape else 0
    mine = [array for array in arrays if roles[array.name].split == split and array is not images]
    called = [array for array in mine if roles[array.name].what == LABELS and not roles[array.name].rest]
    fitting = [array for array in called if array.shape[:1] == (count,)]
    if len(fitting) > 1:
        faults.add(f"arrays {named([array.name for array in fitting])} are all labels by their names: keep one")
    elif called and not fitting:
        faults.add(f"array {images.name!r} has {count:,} images, but {called[0]} has another length")
    elif labelled and not called:
        faults.add(f"array {images.name!r} has no labels beside it")
    for array in mine:
        fits = array.shape in ((count,), (count, 1)) and array.dtype.kind in _VALUES
        if roles[array.name].is_beside and not fits:
            faults.add(
                f"array {array}: expected one number or text for each of the {count:,} images of {images.name!r}, for "
                "instance numpy.asarray(values, dtype=str)"
            )
    columns = {
        roles[array.name].column: array
        for array in mine
        if array not in called
        and roles[array.name].column not in ("", *_OWN[:2], _OWN[3])
        and array.shape in ((count,), (count, 1))
        and array.dtype.kind in _VALUES
    }
    return ImageSet(split, images, fitting[0] if fitting else None, columns)

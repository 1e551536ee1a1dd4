"""Labels and columns out of arrays, as the cells of a table have them."""

from __future__ import annotations

import numpy as np

from orchestrator.store.errors import Faults
from trainables.data.listing import named
from trainables.data.unpacking.arrays import MOST_LABEL_BYTES, Array

_KINDS = "biufUS"


def labels_of(array: Array, faults: Faults) -> list[str]:
    """One label for each image: numbers, texts, or rows of 0 and one 1, whose label is the number of its column.

    Faults of the array are added; [] then.
    """
    values = _values(array, faults)
    if values is None:
        return []
    if values.ndim == 2 and values.shape[1] > 1:
        return _of_rows(array, values, faults)
    if values.ndim > 2 or values.size != values.shape[0]:
        faults.add(f"array {array}: expected one label for each image")
        return []
    return _texts(array, values.reshape(-1), faults)


def column_of(array: Array, faults: Faults) -> list[str]:
    """The values of an array with one for each image; faults are added."""
    values = _values(array, faults)
    if values is None:
        return []
    values = values.reshape(-1)
    if values.dtype.kind == "f" and not _are_whole(values).all():
        return [str(value) for value in values.tolist()]
    return _texts(array, values, faults)


def _values(array: Array, faults: Faults) -> np.ndarray | None:
    if array.is_pickled or array.dtype.kind not in _KINDS:
        faults.add(f"array {array}: expected numbers or text; save it as such: numpy.asarray(values, dtype=str)")
        return None
    if array.size > MOST_LABEL_BYTES:
        faults.add(f"array {array}: takes {array.size / 1e9:.1f} GB, expected labels of at most 1 GB")
        return None
    return array.whole() if array.shape else np.zeros((0,))


def _of_rows(array: Array, values: np.ndarray, faults: Faults) -> list[str]:
    if values.dtype.kind in "US" or not np.isin(values, (0, 1)).all():
        faults.add(f"array {array}: expected one label for each image, or rows of 0 and 1")
        return []
    ones = (values == 1).sum(axis=1)
    if (ones != 1).any():
        wrong = np.flatnonzero(ones != 1)
        faults.add(
            f"array {array}: {len(wrong):,} rows have no class or several (entries {named(list(map(str, wrong)))}); "
            "several labels for one image are not supported: keep images of one class, or keep the column of one "
            "question"
        )
        return []
    return [str(number) for number in values.argmax(axis=1).tolist()]


def _texts(array: Array, values: np.ndarray, faults: Faults) -> list[str]:
    if values.dtype.kind == "S":
        try:
            return [value.decode() for value in values.tolist()]
        except UnicodeDecodeError:
            faults.add(f"array {array}: its text is not valid UTF-8")
            return []
    if values.dtype.kind == "f":
        if not (whole := _are_whole(values)).all():
            odd = [str(value) for value in values[~whole][:5].tolist()]
            faults.add(f"array {array}: expected classes, found numbers that are not whole: {named(odd)}")
            return []
        values = values.astype(np.int64)
    return [str(value) for value in values.tolist()]


def _are_whole(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    whole: np.ndarray = finite & (np.where(finite, values, 0) == np.floor(np.where(finite, values, 0)))
    return whole & (np.abs(np.where(finite, values, 0)) < 2**53)

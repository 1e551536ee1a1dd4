"""The compressed form in which figures and their data travel in the page: JSON with long rows of numbers apart.

A payload is the text (see `packed_text`) of: five lengths (four bytes each, little-endian), then what they are lengths
of, the JSON and four planes of bytes. The JSON is [value, rows]; {"$": k} in the value stands for row k. Of row k `n`
has how many numbers it holds, which are whole numbers of 10^−`decimals`, each as the difference to the one before, its
sign in the lowest bit. Their lowest bytes lie in the first plane, the next lowest in the second, and so on for `width`
planes, behind those of the rows before: bytes of one kind lie together because they compress better so. `others` has
[place, value] by row where a value is no finite number or too large. Equal rows are kept once.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
DIGITS = 4
"""Digits behind the point; of rows without a number above 0.1 so many significant ones: finer than a pixel."""
_LEAST = 8
"""Shorter rows stay in the JSON."""
_LARGEST = 1e9
_FIRST = np.uint8(ord("#"))
_PLANES = 4
_HEAD = 4 * (1 + _PLANES)
_MOST_DECIMALS = 300
"""A power of ten that a float still holds; rows of smaller numbers become 0."""


def encode(value: object) -> bytes:
    """What `packed_text` makes a payload of. Numbers that are not finite become null; equal values, equal bytes."""
    rows = _Rows()
    text = to_json(value, fallback=rows.plain, inf_nan_mode="null")
    table, planes = _packed(rows.values)
    parts = [b"[%b,%b]" % (text, to_json(table)), *planes]
    return b"".join([*(len(part).to_bytes(4, "little") for part in parts), *parts])


def packed_text(content: bytes) -> str:
    """Compressed, in 85 letters that may stand in a page: a sixteenth shorter than base64.

    The first letter says how many bytes were added to make whole words of four; five letters, most significant first,
    for each big-endian word. Letters begin at "#", and "x" stands for the only one that may not stand there, "<".
    """
    packed = gzip.compress(content, compresslevel=6, mtime=0)
    missing = -len(packed) % 4
    words = np.frombuffer(packed + bytes(missing), dtype=">u4").astype(np.uint32)
    letters = np.empty((len(words), 5), dtype=np.uint8)
    for place in range(4, -1, -1):
        words, rest = np.divmod(words, np.uint32(85))
        letters[:, place] = rest
    letters += _FIRST
    letters[letters == ord("<")] = ord("x")
    return str(missing) + letters.tobytes().decode("ascii")


def unpacked_text(text: str) -> bytes:
    """What `packed_text` was given."""
    letters = np.frombuffer(text[1:].encode("ascii"), dtype=np.uint8).reshape(-1, 5).copy()
    letters[letters == ord("x")] = ord("<")
    words = (letters - _FIRST).astype(np.uint64) @ (np.uint64(85) ** np.arange(4, -1, -1, dtype=np.uint64))
    content = words.astype(">u4").tobytes()
    return gzip.decompress(content[: len(content) - int(text[0])])


def decode(payload: str) -> Any:
    """What the page's script makes of a payload."""
    together = unpacked_text(payload)
    ends = _HEAD + np.cumsum(np.frombuffer(together[:_HEAD], dtype="<u4"))
    planes = [np.frombuffer(together[first:last], dtype=np.uint8) for first, last in pairwise(ends)]
    value, table = json.loads(together[_HEAD : ends[0]])
    used = [0] * _PLANES
    rows = []
    for row, (n, decimals, width) in enumerate(zip(table["n"], table["decimals"], table["width"], strict=True)):
        signed = np.zeros(n, dtype=np.int64)
        for place in range(width):
            signed |= planes[place][used[place] : used[place] + n].astype(np.int64) << (8 * place)
            used[place] += n
        rows.append((np.cumsum((signed >> 1) ^ -(signed & 1)) / 10.0**decimals).tolist())
        for at, other in table["others"].get(str(row), []):
            rows[-1][at] = other
    return _unpacked(value, rows)


class _Rows:
    """Long rows of numbers on their way out of the JSON, equal ones once."""

    def __init__(self) -> None:
        self.values: list[Floats] = []
        self._known: dict[bytes, dict[str, int]] = {}
        self._same: dict[int, tuple[Floats, dict[str, int]]] = {}

    def plain(self, value: object) -> object:
        """What JSON cannot hold: arrays, and NumPy's numbers."""
        if isinstance(value, np.ndarray):
            if value.ndim == 1 and len(value) >= _LEAST and value.dtype.kind == "f":
                same = self._same.get(id(value))
                if same is None:
                    same = self._same[id(value)] = value, self._row(value)  # the array is kept, and with it its id
                return same[1]
            return _finite(value.tolist())
        if isinstance(value, np.generic):
            return _finite(value.item())
        raise TypeError(f"{type(value).__name__} in a figure")

    def _row(self, value: Floats) -> dict[str, int]:
        key = value.tobytes()
        if key not in self._known:
            self._known[key] = {"$": len(self.values)}
            self.values.append(value)
        return self._known[key]


def _packed(rows: Sequence[Floats]) -> tuple[dict[str, Any], list[bytes]]:
    """All rows at once: what the JSON says of them, and the planes."""
    if not rows:
        return {"n": [], "decimals": [], "width": [], "others": {}}, [b""] * _PLANES
    n = np.array([len(row) for row in rows])
    start = np.cumsum(n) - n
    values, others = _without_odd_ones(np.concatenate(rows), n, start)
    largest = np.maximum.reduceat(np.abs(values), start)
    shift = -np.ceil(np.log10(np.where(largest > 0, largest, 1.0))).astype(np.int64)
    decimals = np.minimum(DIGITS + np.maximum(0, shift), _MOST_DECIMALS)
    decimals[np.logical_and.reduceat(np.rint(values) == values, start)] = 0
    scale = np.array([10.0**places for places in decimals.tolist()])
    whole = np.rint(values * np.repeat(scale, n)).astype(np.int64)
    steps = np.diff(whole, prepend=0)
    steps[start] = whole[start]
    signed = (steps << 1) ^ (steps >> 63)
    limits = 1 << 8 * np.arange(1, _PLANES)
    width = 1 + (np.maximum.reduceat(signed, start)[:, None] >= limits).sum(axis=1)
    pieces = signed.astype("<u4").view(np.uint8).reshape(-1, _PLANES)
    planes = [pieces[np.repeat(width > place, n), place].tobytes() for place in range(_PLANES)]
    return {"n": n.tolist(), "decimals": decimals.tolist(), "width": width.tolist(), "others": others}, planes


def _without_odd_ones(values: Floats, n: Counts, start: Counts) -> tuple[Floats, dict[int, list[list[Any]]]]:
    """Rows with what does not fit replaced by the number before it, and what did not fit: [place, value] by row."""
    fits = np.isfinite(values) & (np.abs(values) < _LARGEST / 10**DIGITS)
    others: dict[int, list[list[Any]]] = {}
    for at in np.flatnonzero(~fits).tolist():
        row = int(np.searchsorted(start, at, side="right")) - 1
        others.setdefault(row, []).append([at - int(start[row]), _finite(float(values[at]))])
    before = np.maximum.accumulate(np.where(fits, np.arange(len(values)), np.repeat(start, n)))
    return np.where(fits, values, 0.0)[before], others


def _finite(value: Any) -> Any:
    """Floats to a few digits, NaN and infinities to None, in lists too."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS + 1}g}") if math.isfinite(value) else None
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _unpacked(value: Any, rows: Sequence[list[Any]]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, rows) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" in value:
        return rows[value["$"]]
    return {key: _unpacked(item, rows) for key, item in value.items()}

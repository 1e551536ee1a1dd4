"""The compressed form in which figures and their data travel in the page: JSON with long rows of numbers apart.

A payload is the text (see `packed_text`) of: five lengths (four bytes each, little-endian), then what they are lengths
of, the JSON and four planes of bytes. In the JSON {"$": [decimals, others, n, offset, …]} stands for n numbers: whole
numbers of 10^−decimals, each as the difference to the one before, its sign in the lowest bit; their lowest bytes are in
the first plane from the first offset on, the next lowest in the second, and so on for as many offsets as there are:
bytes of one kind lie together because they compress better so. others are [place, value] where a value is no finite
number or too large. Equal rows of numbers are kept once.
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


def encode(value: object) -> str:
    """Numbers that are not finite become null; the same value always gives the same text."""
    planes = _Planes()
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=planes.plain)
    except ValueError:
        planes = _Planes()
        text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False, default=planes.plain)
    parts = [text.encode(), *(b"".join(plane) for plane in planes.parts)]
    together = b"".join([*(len(part).to_bytes(4, "little") for part in parts), *parts])
    return packed_text(together)


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
    return _unpacked(json.loads(together[_HEAD : ends[0]]), planes)


class _Planes:
    """Rows of numbers laid end to end, equal ones once."""

    def __init__(self) -> None:
        self.parts: list[list[bytes]] = [[] for _ in range(_PLANES)]
        self._sizes = [0] * _PLANES
        self._known: dict[bytes, dict[str, list[Any]]] = {}

    def plain(self, value: object) -> object:
        """What JSON cannot hold: arrays, and NumPy's numbers."""
        if isinstance(value, np.ndarray):
            if value.ndim == 1 and len(value) >= _LEAST and value.dtype.kind == "f":
                key = value.tobytes()
                if key not in self._known:
                    self._known[key] = self._packed(value)
                return self._known[key]
            return _finite(value.tolist())
        if isinstance(value, np.generic):
            return _finite(value.item())
        raise TypeError(f"{type(value).__name__} in a figure")

    def _packed(self, values: NDArray[np.float64]) -> dict[str, list[Any]]:
        others: list[list[Any]] = []
        largest = float(np.abs(values).max())
        if not largest < _LARGEST / 10**DIGITS:  # also where one is NaN
            values, others, largest = _without_odd_ones(values)
        decimals = min(DIGITS + max(0, -math.ceil(math.log10(largest))), _MOST_DECIMALS) if largest > 0 else DIGITS
        scaled = np.rint(values)
        if (scaled == values).all():
            decimals = 0
        else:
            scaled = np.rint(values * 10.0**decimals)
        whole = scaled.astype(np.int64)
        steps = np.empty_like(whole)
        steps[0] = whole[0]
        np.subtract(whole[1:], whole[:-1], out=steps[1:])
        signed = (steps << 1) ^ (steps >> 63)
        width = max(1, (int(signed.max()).bit_length() + 7) // 8)
        offsets = self._sizes[:width]
        for place, plane in enumerate(signed.astype("<u4").view(np.uint8).reshape(-1, _PLANES).T[:width]):
            self.parts[place].append(plane.tobytes())
            self._sizes[place] += len(values)
        return {"$": [decimals, others, len(values), *offsets]}


def _without_odd_ones(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[list[Any]], float]:
    """The row with what does not fit replaced by the number before it, what did not fit, and the largest left."""
    fits = np.isfinite(values) & (np.abs(values) < _LARGEST / 10**DIGITS)
    others = [[int(at), _finite(float(values[at]))] for at in np.flatnonzero(~fits)]
    before = np.maximum.accumulate(np.where(fits, np.arange(len(values)), 0))
    kept = np.where(fits, values, 0.0)[before]
    return kept, others, float(np.abs(kept).max())


def _finite(value: Any) -> Any:
    """Floats to a few digits, NaN and infinities to None, in lists and dictionaries too."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS + 1}g}") if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def _unpacked(value: Any, planes: Sequence[NDArray[np.uint8]]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, planes) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: _unpacked(item, planes) for key, item in value.items()}
    decimals, others, n, *offsets = value["$"]
    signed = np.zeros(n, dtype=np.int64)
    for place, offset in enumerate(offsets):
        signed |= planes[place][offset : offset + n].astype(np.int64) << (8 * place)
    numbers = (np.cumsum((signed >> 1) ^ -(signed & 1)) / 10.0**decimals).tolist()
    for at, other in others:
        numbers[at] = other
    return numbers

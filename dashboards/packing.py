"""The compressed form in which figures and their data travel in the page: JSON with long rows of numbers apart.

A payload is base64 of gzip of: the length of the JSON (four bytes, little-endian), the JSON, and a tail of bytes. In
the JSON {"$": [offset, n, decimals, width, others]} stands for n numbers of the tail: whole numbers of 10^−decimals,
each as the difference to the one before, its sign in the lowest bit, its lowest bytes together, then the next lowest,
`width` bytes of each; others are [place, value] where a value is no finite number or too large. Equal rows of numbers
are kept once.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGITS = 4
"""Digits behind the point; of rows without a number above 0.1 so many significant ones: finer than a pixel."""
_LEAST = 12
"""Shorter rows stay in the JSON."""
_LARGEST = 1e9
_MOST_DECIMALS = 300
"""A power of ten that a float still holds; rows of smaller numbers become 0."""


def encode(value: object) -> str:
    """Numbers that are not finite become null; the same value always gives the same text."""
    tail = _Tail()
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=tail.plain)
    except ValueError:
        tail = _Tail()
        text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False, default=tail.plain)
    content = text.encode()
    together = b"".join([len(content).to_bytes(4, "little"), content, *tail.parts])
    return base64.b64encode(gzip.compress(together, compresslevel=6, mtime=0)).decode()


def decode(payload: str) -> Any:
    """What the page's script makes of a payload."""
    together = gzip.decompress(base64.b64decode(payload))
    length = int.from_bytes(together[:4], "little")
    tail = np.frombuffer(together[4 + length :], dtype=np.uint8)
    return _unpacked(json.loads(together[4 : 4 + length]), tail)


class _Tail:
    """Rows of numbers laid end to end, equal ones once."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0
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
        content = signed.astype("<u4").view(np.uint8).reshape(-1, 4).T[:width].tobytes()
        packed = [self._size, len(values), decimals, width, others]
        self.parts.append(content)
        self._size += len(content)
        return {"$": packed}


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


def _unpacked(value: Any, tail: NDArray[np.uint8]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, tail) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: _unpacked(item, tail) for key, item in value.items()}
    offset, n, decimals, width, others = value["$"]
    planes = tail[offset : offset + n * width].reshape(width, n).astype(np.int64)
    signed = sum(plane << (8 * place) for place, plane in enumerate(planes))
    numbers = (np.cumsum((signed >> 1) ^ -(signed & 1)) / 10.0**decimals).tolist()
    for at, other in others:
        numbers[at] = other
    return numbers

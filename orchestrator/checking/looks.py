"""Colour, brightness, sharpness and borders of every image, taken while it is decoded: no second reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainables.data.borders import border_share
from trainables.data.decode import Decoded
from trainables.data.shades import Pixels

NAMES = (
    *("red", "green", "blue", "red spread", "green spread", "blue spread"),
    *("darkest", "middle", "brightest", "saturation", "saturation spread", "sharpness"),
)
"""What `look_of` measures, in its order."""
_SIDE = 64
"""At least so many rows and columns of an image are looked at (all of a smaller one)."""
_EVEN = 1.0
"""Grey levels; where the largest and the smallest channel are apart by less, there is no colour."""


class Looks:
    """Collects what was seen; handed to `load_dataset` as `look`, from any thread."""

    def __init__(self) -> None:
        self._found: dict[str, NDArray[np.float32]] = {}
        self._border: dict[str, float] = {}

    def __call__(self, file: str, decoded: Decoded) -> None:
        self._found[file] = look_of(decoded.pixels)
        self._border[file] = border_share(decoded.pixels)

    def of(self, files: Sequence[str]) -> NDArray[np.float32]:
        """float32 [files, NAMES]."""
        return np.stack([self._found[file] for file in files])

    def border(self, files: Sequence[str]) -> NDArray[np.float64]:
        """Share of each file's area that lies in black borders, 0 to below 1."""
        return np.array([self._border[file] for file in files])

    def grey(self, files: Sequence[str]) -> NDArray[np.bool_]:
        """Which files show no colour."""
        return np.array([self._found[file][NAMES.index("saturation")] < _EVEN for file in files])


def look_of(pixels: Pixels) -> NDArray[np.float32]:
    """NAMES of uint8 [H, W, 3], float32: in grey levels; sharpness by the logarithm of the mean step to a neighbour."""
    rows = pixels[:: max(1, pixels.shape[0] // _SIDE)]
    few = np.ascontiguousarray(rows[:, :: max(1, pixels.shape[1] // _SIDE)].reshape(-1, 3).T).astype(np.float32)
    grey = few.mean(axis=0)
    saturation = few.max(axis=0) - few.min(axis=0)
    green = rows[:, :, 1].astype(np.int16)
    step = float(np.abs(green[:, 1:] - green[:, :-1]).mean()) if green.shape[1] > 1 else 0.0
    look = [*few.mean(axis=1), *few.std(axis=1), *np.percentile(grey, (5, 50, 95))]
    look += [saturation.mean(), saturation.std(), 20 * np.log1p(step)]
    return np.array(look, dtype=np.float32)

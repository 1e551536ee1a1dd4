"""Where the squares lie in an image: its margins, the squares between them, and the pixels that no square holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEVELS = 2
"""A line belongs to the margin when its pixels differ from the margin's colour by so many grey levels at most …"""
_SHARE = 0.995
"""… which so many of them must: compression leaves specks at borders."""


class Margin(NamedTuple):
    """Pixels of the source that are cut off at each side."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


@dataclass(frozen=True)
class Grid:
    """Squares of `size` pixels without overlap, from the upper left corner that the margin leaves.

    width, height: of the source, in its own pixels. across, down: what its sides are multiplied with before it is cut
    (1 where nothing is resampled).
    """

    width: int
    height: int
    margin: Margin
    size: int
    across: float = 1.0
    down: float = 1.0

    @property
    def inner(self) -> tuple[int, int]:
        """Width and height that the margin leaves, in pixels of the source."""
        left, top, right, bottom = self.margin
        return max(0, self.width - left - right), max(0, self.height - top - bottom)

    @property
    def resampled(self) -> tuple[int, int]:
        """The same in pixels of the patches."""
        width, height = self.inner
        # a part of a pixel is left out; the least bit makes the 250 that is meant of 249.99999
        return int(width * self.across + 1e-6), int(height * self.down + 1e-6)

    @property
    def columns(self) -> int:
        return self.resampled[0] // self.size

    @property
    def rows(self) -> int:
        return self.resampled[1] // self.size

    def places(self) -> list[tuple[int, int, int, int]]:
        """(x, y, width, height) of every square in pixels of the source, row by row."""
        side_x, side_y = self.size / self.across, self.size / self.down
        places = []
        for row in range(self.rows):
            for column in range(self.columns):
                left, top = round(column * side_x), round(row * side_y)
                right, bottom = round((column + 1) * side_x), round((row + 1) * side_y)
                places.append((self.margin.left + left, self.margin.top + top, right - left, bottom - top))
        return places


@dataclass(frozen=True)
class Pixels:
    """Where the pixels of a source, or of all, went; they add up to what there was."""

    kept: int = 0
    edges: int = 0
    margin: int = 0
    background: int = 0

    @property
    def all(self) -> int:
        return self.kept + self.edges + self.margin + self.background

    @property
    def lost(self) -> int:
        return self.all - self.kept

    def __add__(self, other: Pixels) -> Pixels:
        return Pixels(
            self.kept + other.kept,
            self.edges + other.edges,
            self.margin + other.margin,
            self.background + other.background,
        )


def pixels_of(grid: Grid, is_kept: list[bool]) -> Pixels:
    """is_kept: for every square in the order of `places`, whether it holds enough tissue."""
    areas = [width * height for _, _, width, height in grid.places()]
    width, height = grid.inner
    kept = sum(area for area, kept in zip(areas, is_kept, strict=True) if kept)
    return Pixels(kept, width * height - sum(areas), grid.width * grid.height - width * height, sum(areas) - kept)


def found_margin(pixels: NDArray[np.uint8]) -> Margin:
    """uint8 [H, W, 3] → the uniform borders: lines at a side that hold one colour, the one at the side's middle.

    An image that is uniform all over has no margin: it is background, and counted as that.
    """
    height, width = pixels.shape[:2]
    top = _uniform_lines(pixels)
    if top == height:
        return Margin()
    bottom = _uniform_lines(pixels[::-1])
    between = pixels[top : height - bottom].transpose(1, 0, 2)
    left = _uniform_lines(between)
    return Margin(left, top, _uniform_lines(between[::-1]) if left < width else 0, bottom)


def _uniform_lines(pixels: NDArray[np.uint8]) -> int:
    """How many first lines of [lines, along, 3] hold the colour of the first one's median."""
    colour = np.median(pixels[0], axis=0).astype(np.int16)
    for number, line in enumerate(pixels):
        near = np.abs(line.astype(np.int16) - colour).max(axis=1) <= _LEVELS
        if near.mean() < _SHARE:
            return number
    return len(pixels)

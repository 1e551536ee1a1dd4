"""Black borders of an image, as around cells cut out on black: found, and cut off before it becomes a square."""

from __future__ import annotations

from typing import Literal

import numpy as np

from trainables.data.shades import Pixels

Borders = Literal["kept", "cropped"]

BLACK = 16
"""A pixel whose red, green and blue are all at most this is black: what JPEG leaves around an edge stays below it."""
LEAST = 0.02
"""Share of a row's or column's pixels, and two of them at least, that are not black in one that belongs to the image:
a few bright specks do not."""


def inner_box(pixels: Pixels) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of what is not border, of uint8 [H, W, 3]: pixels[top:bottom, left:right].

    From each side rows and columns are cut off up to the first that belongs to the image. Where none does the image is
    left whole.
    """
    lit = (pixels > BLACK).any(axis=2)
    rows, columns = (np.flatnonzero(lit.sum(axis=axis) >= max(2, LEAST * lit.shape[axis])) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return 0, pixels.shape[0], 0, pixels.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def without_borders(pixels: Pixels) -> Pixels:
    """uint8 [h, w, 3]: the part of the image within its `inner_box`."""
    top, bottom, left, right = inner_box(pixels)
    return pixels[top:bottom, left:right]


def border_share(pixels: Pixels) -> float:
    """Share of the image's area that lies outside of its `inner_box`, 0 to below 1."""
    top, bottom, left, right = inner_box(pixels)
    height, width, _ = pixels.shape
    share: float = 1 - (bottom - top) * (right - left) / (height * width)
    return share

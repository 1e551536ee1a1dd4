"""One source image, decoded and measured: its scale, its grid, and of every square how much tissue and how sharp."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.patches.asked import CutOptions
from orchestrator.patches.grid import Grid, Pixels, found_margin, pixels_of
from orchestrator.patches.scale import Scale
from orchestrator.patches.tissue import sharpness, tissue_mask
from trainables.data.decode import content_hash, decode
from trainables.data.listing import Entry
from trainables.data.reading import Reading
from trainables.data.shades import Samples

OVERVIEW = 1600
"""Longer side of the picture of a source on which patches are looked through."""


@dataclass(frozen=True)
class Square:
    """x, y, width, height: in pixels of the source. sharpness: see `tissue.sharpness`."""

    x: int
    y: int
    width: int
    height: int
    tissue: float
    sharpness: float
    is_kept: bool


@dataclass(frozen=True)
class Measured:
    """content: hash of the pixels. scale: what the file or the user says. png_bytes: of one of its patches, 0 where it
    has none. reading, samples: see `decode.Decoded`."""

    entry: Entry
    grid: Grid
    scale: Scale | None
    content: str
    tissue_by: str
    squares: tuple[Square, ...]
    png_bytes: int
    reading: Reading
    samples: Samples | None

    @property
    def kept(self) -> list[Square]:
        return [square for square in self.squares if square.is_kept]

    @property
    def pixels(self) -> Pixels:
        return pixels_of(self.grid, [square.is_kept for square in self.squares])


def measure(root: Path, entry: Entry, scale: Scale | None, options: CutOptions, reading: Reading) -> Measured:
    """Raises RefusedImageError where the file does not decode, NoRangeError where its samples need a range."""
    decoded = decode(root / entry.file, options.data.max_pixels, reading)
    pixels = decoded.pixels
    height, width = pixels.shape[:2]
    margin = found_margin(pixels) if options.margin is None else options.margin
    across, down = _factors(scale, options.um_per_pixel)
    grid = Grid(width, height, margin, options.size, across, down)
    mask = tissue_mask(pixels, options.size / max(across, down))
    squares = []
    for x, y, wide, high in grid.places():
        tissue = round(mask.share(x, y, wide, high), 4)
        sharp = sharpness(pixels[y : y + high, x : x + wide])
        squares.append(Square(x, y, wide, high, tissue, round(sharp, 5), tissue >= options.least_tissue))
    kept = [place for place, square in enumerate(squares) if square.is_kept]
    png = 0
    if kept:
        square = squares[kept[len(kept) // 2]]
        png = len(as_png(_resized(pixels, square, options.size)))
    return Measured(
        entry,
        grid,
        scale,
        content_hash(pixels),
        mask.by,
        tuple(squares),
        png,
        decoded.reading,
        decoded.samples,
    )


def patches_of(pixels: NDArray[np.uint8], one: Measured) -> Iterator[tuple[Square, bytes]]:
    """Every kept square of a source with its PNG; pixels: uint8 [H, W, 3], the source's."""
    for square in one.kept:
        yield square, as_png(_resized(pixels, square, one.grid.size))


def overview_of(pixels: NDArray[np.uint8]) -> bytes:
    """A small JPEG of a source, without metadata."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((OVERVIEW, OVERVIEW), Image.Resampling.BOX, reducing_gap=None)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def _factors(scale: Scale | None, wanted: float | None) -> tuple[float, float]:
    return (1.0, 1.0) if scale is None or wanted is None else (scale.x / wanted, scale.y / wanted)


def _resized(pixels: NDArray[np.uint8], square: Square, size: int) -> NDArray[np.uint8]:
    cut = pixels[square.y : square.y + square.height, square.x : square.x + square.width]
    if cut.shape[:2] == (size, size):
        return cut
    image = Image.fromarray(np.ascontiguousarray(cut))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))

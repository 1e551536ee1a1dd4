"""What several kinds are drawn of: smooth noise, outlines of cells, spots, stain that takes light away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]


def noise(generator: np.random.Generator, size: int, cells: int) -> Floats:
    """Smooth noise of `cells` × `cells` cells, float64 [size, size], about zero mean and unit variance."""
    coarse = Image.fromarray(generator.standard_normal((max(cells, 2), max(cells, 2))).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)


def outline(
    generator: np.random.Generator,
    size: int,
    centre: tuple[float, float],
    radius: float,
    *,
    stretch: float = 1.0,
    angle: float = 0.0,
    wobble: float = 0.05,
) -> Floats:
    """Distance from the edge of a body of an uneven round outline, in pixels, positive inside, float64 [size, size].

    centre: (x, y); radius: geometric mean of both half axes; stretch: their ratio; angle: of the long one, radians;
    wobble: standard deviation of the outline as a share of the radius.
    """
    down, across = np.mgrid[0:size, 0:size] + 0.5
    x, y = across - centre[0], down - centre[1]
    along = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(stretch)
    aside = (y * np.cos(angle) - x * np.sin(angle)) * np.sqrt(stretch)
    turn = np.arctan2(aside, along)
    edge = np.full_like(turn, radius)
    for waves in (2, 3, 4, 5):
        height, phase = generator.standard_normal() / (waves - 1), generator.uniform(0, 2 * np.pi)
        edge += radius * wobble * height * np.cos(waves * turn + phase)
    return np.asarray(edge - np.hypot(along, aside))


def filled(distance: Floats, softness: float) -> Floats:
    """A body of that edge, 0 outside to 1 inside; softness: width of the way between, in pixels."""
    return np.clip(distance / softness + 0.5, 0.0, 1.0)


def spots(generator: np.random.Generator, where: Floats, count: int, radius: float, unequal: float = 0.3) -> Floats:
    """`count` round spots of about height 1 and that radius, their centres drawn within `where` > 0.5, [size, size]."""
    canvas = np.zeros_like(where)
    places = np.flatnonzero(where > 0.5)
    if len(places) and count:
        chosen = generator.choice(places, count)
        np.add.at(canvas.reshape(-1), chosen, np.clip(1 + unequal * generator.standard_normal(count), 0.2, None))
    return np.asarray(gaussian_filter(canvas, radius, mode="nearest") * (2 * np.pi * radius**2))


def add_at(canvas: Floats, small: Floats, left: int, top: int) -> None:
    """Add a small picture to a large one in place; what lies beyond the edges is left out."""
    height, width = canvas.shape
    below, right = min(top + small.shape[0], height), min(left + small.shape[1], width)
    up, start = max(top, 0), max(left, 0)
    if up < below and start < right:
        canvas[up:below, start:right] += small[up - top : below - top, start - left : right - left]


def stained(light: Floats, absorbance: Floats) -> Floats:
    """What light [3] is left behind stain of that absorbance [size, size, 3], by Beer and Lambert."""
    return np.asarray(light * np.exp(-absorbance))


def finished(generator: np.random.Generator, pixels: Floats, blur: float, grain: float) -> NDArray[np.uint8]:
    """The optics' blur (pixels), the sensor's grain (grey levels), and whole numbers from 0 to 255."""
    axes = (blur, blur, 0) if pixels.ndim == 3 else (blur, blur)
    seen = gaussian_filter(pixels, axes, mode="nearest") + grain * generator.standard_normal(pixels.shape)
    return np.asarray(np.clip(np.rint(seen), 0, 255), dtype=np.uint8)

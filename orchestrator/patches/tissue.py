"""How much of a patch is tissue or cells, and how sharp it is: what is skipped or suggested, never a score.

Tissue is what stands out of its image's background by Otsu's threshold (N. Otsu, IEEE Trans. SMC 9, 1979, 62–66): on
the saturation, the largest minus the smallest of red, green and blue, where the image has colour (stains on white,
fluorescence on black), else on the standard deviation of grey within small blocks. The highest hundredth counts as its
least, so that a scale bar moves no threshold. Where the two sides differ by less than ten grey levels (four of standard
deviation) the image shows no background, and all of it counts as tissue: a dark negative is no empty slide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Values = NDArray[np.float64]

_APART = {"saturation": 10.0, "variance": 4.0}
"""By how many grey levels the means of the two sides of the threshold differ at least."""
_HIGHEST = 99
"""Percentile above which values are cut."""
_COLOURED = 24
"""Saturation that one pixel in 200 must reach for an image to have colour."""
_NOISE = 4.0
"""Grey levels that are added to a contrast, so that none is divided by nothing."""
_POINTS = 64
"""A patch's side is reduced to about so many points: noise and compression are averaged away."""


NO_BACKGROUND = "no background seen"


@dataclass(frozen=True)
class Mask:
    """is_tissue: bool [H / factor, W / factor]. by: saturation, variance, or `NO_BACKGROUND`."""

    is_tissue: NDArray[np.bool_]
    factor: int
    by: str

    def share(self, x: int, y: int, width: int, height: int) -> float:
        """Of a box in pixels of the image, 0–1."""
        top, left = y // self.factor, x // self.factor
        box = self.is_tissue[
            top : max(top + 1, (y + height) // self.factor), left : max(left + 1, (x + width) // self.factor)
        ]
        return float(box.mean()) if box.size else 0.0


def tissue_mask(pixels: Pixels, side: float) -> Mask:
    """pixels: uint8 [H, W, 3]; side: of a patch, in its pixels."""
    factor = max(1, round(side / _POINTS))
    small = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).reduce(factor)).astype(np.int16)
    values: Values = (small.max(axis=2) - small.min(axis=2)).astype(np.float64)
    by = "saturation"
    if np.percentile(values, 99.5) < _COLOURED:
        factor = max(4, factor)
        values, by = _spread(pixels, factor), "variance"
    values = np.minimum(values, np.percentile(values, _HIGHEST))
    is_tissue = values > otsu(values)
    if is_tissue.all() or not is_tissue.any() or values[is_tissue].mean() - values[~is_tissue].mean() < _APART[by]:
        return Mask(np.ones(values.shape, bool), factor, NO_BACKGROUND)
    return Mask(is_tissue, factor, by)


def otsu(values: Values) -> float:
    """The threshold between whose sides the variance is largest; values above it are one side."""
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), counts.sum()
    sums = np.cumsum(counts * middles)
    parted = (below > 0) & (below < total)
    between = np.where(
        parted, (sums[-1] * below - sums * total) ** 2.0 / np.where(parted, below * (total - below), 1), -1.0
    )
    return float(edges[int(np.argmax(between)) + 1])


def sharpness(pixels: Pixels) -> float:
    """How steep the steepest hundredth of a patch is, as the share of its contrast by which grey changes per pixel.

    Edges that are n pixels wide give about 1 / n, whatever the exposure, where they fill a hundredth of the patch.
    """
    grey = pixels.astype(np.float64).mean(axis=2)
    if min(grey.shape) < 3:
        return 0.0
    across = (grey[1:-1, 2:] - grey[1:-1, :-2]) / 2
    down = (grey[2:, 1:-1] - grey[:-2, 1:-1]) / 2
    darkest, brightest = np.percentile(grey, [1, _HIGHEST])
    return float(np.percentile(np.hypot(across, down), _HIGHEST) / (brightest - darkest + _NOISE))


def _spread(pixels: Pixels, factor: int) -> Values:
    grey = pixels.astype(np.float64).mean(axis=2)
    height, width = (max(1, side // factor) for side in grey.shape)
    factor_y, factor_x = min(factor, grey.shape[0]), min(factor, grey.shape[1])
    blocks = grey[: height * factor_y, : width * factor_x].reshape(height, factor_y, width, factor_x)
    return np.asarray(blocks.std(axis=(1, 3)), dtype=np.float64)

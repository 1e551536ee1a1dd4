"""Maps as pictures: colours over the image, and colours alone. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

Pixels = NDArray[np.uint8]
_STOPS = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], dtype=np.float64
)
"""Dark to light through violet, red and yellow: readable without telling red from green."""
_VEIL = 0.65
"""How much of the colour lies over the image where a map is 1."""
FULL_DEVIATION = 0.5
"""What has the lightest colour: the largest standard deviation that shares between 0 and 1 can have, nearly."""


def coloured(map_: np.ndarray) -> Pixels:
    """uint8 [h, w, 3] of values from 0 to 1."""
    places = np.linspace(0, 1, len(_STOPS))
    values = np.clip(map_.astype(np.float64), 0, 1)
    channels = [np.interp(values, places, _STOPS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def enlarged(map_: np.ndarray, side: int) -> NDArray[np.float32]:
    """float32 [side, side], bilinear, places at their middles."""
    values = Picture.fromarray(np.ascontiguousarray(map_, dtype=np.float32))
    return np.array(values.resize((side, side), Picture.Resampling.BILINEAR), dtype=np.float32)


def over(image: Pixels, map_: np.ndarray) -> Pixels:
    """A map's colours over an image uint8 [S, S, 3], the stronger the larger the map is there."""
    values = enlarged(map_, image.shape[0])
    share = (_VEIL * np.clip(values, 0, 1))[..., None]
    return (image * (1 - share) + coloured(values) * share).round().astype(np.uint8)


def veil(map_: np.ndarray, side: int) -> Pixels:
    """The same colours as a layer of their own, uint8 [side, side, 4] with alpha."""
    values = np.clip(enlarged(map_, side), 0, 1)
    alpha = (255 * _VEIL * values).round().astype(np.uint8)
    return np.dstack([coloured(values), alpha])


def deviation_picture(deviation: np.ndarray, side: int) -> Pixels:
    """uint8 [side, side, 3], the lightest at `FULL_DEVIATION`."""
    return coloured(enlarged(deviation, side) / FULL_DEVIATION)

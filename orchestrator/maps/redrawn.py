"""Maps that a study keeps, drawn again over their images. No torch."""

from __future__ import annotations

from orchestrator.maps.drawn import Pixels, deviation_picture, over
from orchestrator.maps.record import KeptMap, MapsRecord
from search_spaces.configuration import Configuration
from trainables.data.decode import to_square
from trainables.data.views import crop_offset


def framed(pixels: Pixels, configuration: Configuration) -> Pixels:
    """An image uint8 [H, W, 3] as networks of this configuration see it when they are scored: uint8 [S, S, 3]."""
    image = configuration.image
    square = to_square(pixels, image.store_size, image.interpolation, image.fit, image.borders)
    top, left = crop_offset(0, image.store_size, image.size)
    return square[top : top + image.size, left : left + image.size]


def redrawn(
    pixels: Pixels, configuration: Configuration, record: MapsRecord, kept: KeptMap
) -> list[tuple[str, Pixels]]:
    """Pictures uint8 [S, S, 3] by what they are: the image, the mean map over it, and of several repeats the
    deviation."""
    seen = framed(pixels, configuration)
    pictures = [("image", seen), ("mean map", over(seen, record.values(kept.mean)))]
    if kept.deviation:
        pictures.append(("deviation", deviation_picture(record.values(kept.deviation), len(seen))))
    return pictures

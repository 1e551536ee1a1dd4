"""What is drawn and listed as one: an image, or the source that several patches were cut from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from orchestrator.maps.drawn import Pixels, deviation_picture, over
from orchestrator.maps.explained import Explained, Made, agreement_of
from orchestrator.maps.images import Image
from orchestrator.maps.sources import Source, put_together


class Item(NamedTuple):
    """places: of what is drawn, among the images that were explained; of a source those of its patches."""

    image: Image
    places: tuple[int, ...]
    agreement: float | None
    source: Source | None = None


def items(explained: Explained) -> list[Item]:
    """The sources where patches are put together, else the images. Agreement is over all places of all patches."""
    if not explained.sources:
        images = enumerate(zip(explained.images, explained.agreement, strict=True))
        return [Item(image, (place,), agreement) for place, (image, agreement) in images]
    listed = []
    for source in explained.sources:
        places = tuple(tile.place for tile in source.tiles)
        listed.append(Item(source.image, places, agreement_of(explained.maps[:, list(places)]), source))
    return listed


def drawn(made: Made, item: Item, draw: Callable[[int, Pixels], Pixels]) -> Pixels:
    """A picture of an item; draw(place, pixels): of one image uint8 [S, S, 3], as the networks see it."""
    pixels = dict(zip(item.places, made.pictures(item.places), strict=True))
    if item.source is None:
        (place,) = item.places
        return draw(place, pixels[place])
    return put_together(item.source, made.explained.seen, lambda place: draw(place, pixels[place]))


def layers(made: Made, item: Item) -> dict[str, Pixels]:
    """Pictures by what they are: the image, the mean map over it, and of several repeats the deviation."""
    explained = made.explained
    parts = {
        "image": drawn(made, item, lambda place, pixels: pixels),
        "mean map": drawn(made, item, lambda place, pixels: over(pixels, explained.mean[place])),
    }
    deviation = explained.deviation
    if deviation is not None:
        parts["deviation"] = drawn(made, item, lambda place, pixels: deviation_picture(deviation[place], len(pixels)))
    return parts

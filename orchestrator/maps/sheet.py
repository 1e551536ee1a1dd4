"""What the contact sheet of maps shows, image by image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from orchestrator.maps.drawn import FULL_DEVIATION, Pixels, over
from orchestrator.maps.explained import Explained, Made
from orchestrator.maps.given import GIVEN
from orchestrator.maps.images import KINDS, NAMED
from orchestrator.maps.items import Item, drawn, items, layers
from orchestrator.maps.report import agreement_lines, said_of, sanity_lines, shown
from orchestrator.results.names import counted

_HEADINGS = {
    "best": "Best: highest mean probability of the true class",
    "worst": "Worst: lowest mean probability of the true class",
    "uncertain": "Most uncertain: highest entropy of the mean probabilities",
    "random": "Drawn at random",
    NAMED: "Named images",
    GIVEN: "Given images",
}


class Entry(NamedTuple):
    """One image of the sheet, or a source of patches; pictures uint8 [H, W, 3] by what they are called."""

    heading: str
    lines: tuple[str, ...]
    large: tuple[tuple[str, Pixels], ...]
    repeats: tuple[tuple[str, Pixels], ...]
    is_whole: bool = False
    """Whether it is of many patches, and is drawn larger."""


def introduction(several: Sequence[Explained]) -> list[str]:
    """What the maps are of, and how to read them."""
    return [
        "Each repeat's map is scaled so that its maximum is 1; light colours are large values. The mean is over "
        f"repeats, and the deviation (standard deviation over repeats, lightest from {FULL_DEVIATION:g} on) shows "
        "where they disagree. A map shows what makes a network favour a class, not where a finding is.",
        *(line for explained in several for line in _introduced(explained)),
    ]


def parts(several: Sequence[Made], with_names: bool) -> Iterator[tuple[str, list[Entry]]]:
    """A heading for each way of choosing, and its images, each by all configurations; one that was chosen twice stands
    twice."""
    listed = [items(one.explained) for one in several]
    for kind in (*KINDS, NAMED, GIVEN):
        places = [place for place, item in enumerate(listed[0]) if kind in item.image.kinds]
        if places:
            yield (
                _HEADINGS[kind],
                [
                    _entry(one, its[place], with_names, len(several) > 1)
                    for place in places
                    for one, its in zip(several, listed, strict=True)
                ],
            )


def _introduced(explained: Explained) -> list[str]:
    where = f" at layer {explained.layer}" if explained.layer else ""
    whose = f" of the {explained.explains} class" if explained.explains else ""
    return [
        f"{explained.method}{where}{whose}: {explained.name} ({explained.configuration}), "
        f"{counted(len(explained.repeats), 'repeat')}, {counted(len(explained.images), f'{explained.split} image')}. "
        f"{explained.chosen[:1].upper()}{explained.chosen[1:]}.",
        *agreement_lines(explained),
        *sanity_lines(explained),
        *explained.notes,
    ]


def _entry(made: Made, item: Item, with_names: bool, is_one_of_several: bool) -> Entry:
    explained, image = made.explained, item.image
    whose = f"map of class {image.target}, " if explained.explains else ""
    lines = [f"{said_of(image)}; {whose}agreement between repeats {shown(item.agreement)}"]
    if item.source is not None:
        lines.append(f"patches put together: {len(item.places)}; their maps share one scale")
    if is_one_of_several:
        lines.insert(0, f"{explained.name} ({explained.configuration})")
    if with_names and image.group:
        lines.append(f"group {image.group}")
    repeats: list[tuple[str, Pixels]] = []
    if explained.deviation is not None:
        repeats = [
            (f"repeat {number}", drawn(made, item, partial(_over, one)))
            for number, one in zip(explained.repeats, explained.maps, strict=True)
        ]
    heading = image.file if with_names else image.called
    return Entry(heading, tuple(lines), tuple(layers(made, item).items()), tuple(repeats), item.source is not None)


def _over(maps: np.ndarray, place: int, pixels: Pixels) -> Pixels:
    return over(pixels, maps[place])

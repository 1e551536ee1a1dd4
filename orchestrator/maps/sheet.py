"""What the contact sheet of maps shows, image by image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.maps.drawn import FULL_DEVIATION, Pixels, deviation_picture, over
from orchestrator.maps.explained import Explained
from orchestrator.maps.images import KINDS, NAMED
from orchestrator.maps.report import agreement_lines, sanity_lines, shown

if TYPE_CHECKING:
    from orchestrator.maps.run import Made

_HEADINGS = {
    "best": "Best: the true class is given the largest mean probability",
    "worst": "Worst: the true class is given the least mean probability",
    "uncertain": "Most uncertain: the mean probabilities have the largest entropy",
    "random": "Drawn at random",
    NAMED: "Named images",
}


class Entry(NamedTuple):
    """One image of the sheet; pictures uint8 [S, S, 3] by what they are called."""

    heading: str
    lines: tuple[str, ...]
    large: tuple[tuple[str, Pixels], ...]
    repeats: tuple[tuple[str, Pixels], ...]


def introduction(several: Sequence[Explained]) -> list[str]:
    """What the maps are of, and how to read them."""
    return [
        "Each repeat's map is scaled so that its largest place is 1. Light colours are large values; the mean is over "
        f"repeats, and the deviation (standard deviation over repeats, lightest from {FULL_DEVIATION:g}) says where "
        "they disagree. A map shows what speaks for a class in a network, not where a finding is.",
        *(line for found in several for line in _introduced(found)),
    ]


def parts(several: Sequence[Made], with_names: bool) -> Iterator[tuple[str, list[Entry]]]:
    """A heading for each way of choosing, and its images, each by all configurations; one that was chosen twice stands
    twice."""
    images = several[0].explained.images
    for kind in (*KINDS, NAMED):
        places = [place for place, image in enumerate(images) if kind in image.kinds]
        if places:
            yield (
                _HEADINGS[kind],
                [_entry(one, place, with_names, len(several) > 1) for place in places for one in several],
            )


def _introduced(found: Explained) -> list[str]:
    where = f" at layer {found.layer}" if found.layer else ""
    whose = f" of the {found.explains} class" if found.explains else ""
    return [
        f"{found.method}{where}{whose}: {found.name} ({found.configuration}), {len(found.repeats)} repeats, "
        f"{len(found.images)} {found.split} images. {found.chosen[:1].upper()}{found.chosen[1:]}.",
        *agreement_lines(found),
        *sanity_lines(found),
        *found.notes,
    ]


def _entry(made: Made, place: int, with_names: bool, is_one_of_several: bool) -> Entry:
    found, original = made.explained, made.pictures([place])[0]
    image = found.images[place]
    right = "right" if image.predicted == image.truth else "wrong"
    said = f"true {image.truth}, predicted {image.predicted} ({right}); probability of the true class "
    said += f"{image.chance:.2f} ± {image.spread:.2f}; "
    said += f"map of class {image.target}, " if found.explains else ""
    lines = [f"{said}agreement of repeats {shown(found.agreement[place])}"]
    if is_one_of_several:
        lines.insert(0, f"{found.name} ({found.configuration})")
    if with_names:
        lines.append(f"group {image.group}")
    large = [("image", original), ("mean map", over(original, found.mean[place]))]
    repeats: tuple[tuple[str, Pixels], ...] = ()
    if found.deviation is not None:
        large.append(("deviation", deviation_picture(found.deviation[place], len(original))))
        repeats = tuple(
            (f"repeat {number}", over(original, one[place]))
            for number, one in zip(found.repeats, found.maps, strict=True)
        )
    return Entry(image.file if with_names else image.called, tuple(lines), tuple(large), repeats)

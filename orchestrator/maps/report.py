"""Maps in words and as data."""

from __future__ import annotations

import numpy as np

from orchestrator.evaluation.text import table_lines
from orchestrator.maps.explained import Explained
from orchestrator.maps.images import Image
from orchestrator.maps.items import items
from orchestrator.maps.sanity import LEAST_GROUPS, Mean
from orchestrator.results.names import counted

_MOST_LINES = 40
"""Images that a terminal is shown."""


def as_data(explained: Explained, with_names: bool = False) -> dict[str, object]:
    """What a script wants, without the maps themselves; files and groups only with names."""
    return {
        "study": explained.study,
        "configuration": explained.configuration,
        "name": explained.name,
        "chosen": explained.chosen,
        "method": explained.method,
        "layer": explained.layer,
        "split": explained.split,
        "for": explained.explains,
        "repeats": list(explained.repeats),
        "places": list(explained.maps.shape[2:]),
        "agreement": explained.mean_agreement,
        "sanity": None if explained.sanity is None else explained.sanity.as_data(),
        "notes": list(explained.notes),
        "images": [
            {
                **_of_image(explained, image, agreement, with_names),
                "mean_deviation_of_map": None
                if explained.deviation is None
                else float(explained.deviation[place].mean()),
            }
            for place, (image, agreement) in enumerate(zip(explained.images, explained.agreement, strict=True))
        ],
        "sources": [
            {
                **_of_image(explained, item.image, item.agreement, with_names),
                "patches": [
                    {**tile._asdict(), "image": explained.images[tile.place].called} for tile in item.source.tiles
                ],
            }
            for item in items(explained)
            if item.source is not None
        ],
    }


def _of_image(explained: Explained, image: Image, agreement: float | None, with_names: bool) -> dict[str, object]:
    return {
        "image": image.called,
        **({"file": image.file, "group": image.group} if with_names else {}),
        "chosen_as": list(image.kinds),
        "truth": image.truth,
        "predicted": image.predicted,
        "map_of": image.target if explained.explains else "",
        "probability_of_truth": image.chance if image.truth else None,
        "probability_of_map_of": None if image.truth else image.chance,
        "deviation_of_probability": image.spread,
        "agreement": agreement,
    }


def as_lines(explained: Explained, with_names: bool = False) -> list[str]:
    """For a terminal: what was made, and where repeats agree."""
    where = f" at {explained.layer}" if explained.layer else ""
    whose = f" of the {explained.explains} class" if explained.explains else ""
    lines = [
        f"Maps of study {explained.study}: {explained.name} ({explained.configuration}), "
        f"{counted(len(explained.repeats), 'repeat')}",
        f"{explained.method}{where}{whose}, {counted(len(explained.images), f'{explained.split} image')}, "
        f"{' × '.join(map(str, explained.maps.shape[2:]))} places",
        *(f"Note: {note}" for note in explained.notes),
        "",
    ]
    first = "source" if explained.sources else "image"
    of = "truth" if all(image.truth for image in explained.images) else "map's class"
    rows = [[first, "chosen as", "truth", "predicted", f"probability of {of}", "agreement"]]
    listed = items(explained)
    for image, _, agreement, _ in listed[:_MOST_LINES]:
        rows.append(
            [
                image.file if with_names else image.called,
                ", ".join(image.kinds),
                image.truth or "–",
                image.predicted,
                chance(image),
                shown(agreement),
            ]
        )
    lines += table_lines(rows)
    if len(listed) > _MOST_LINES:
        lines.append(f"  … and {len(listed) - _MOST_LINES} more (--json has all)")
    return [*lines, "", *agreement_lines(explained), *sanity_lines(explained)]


def chance(image: Image) -> str:
    """The mean probability over repeats with its deviation: of the true class, or of the one whose map is made."""
    return f"{image.chance:.2f} ± {image.spread:.2f}"


def said_of(image: Image) -> str:
    """In words what an image is called, and how surely."""
    if not image.truth:
        return f"predicted {image.predicted}; probability of {image.target} {chance(image)}"
    right = "right" if image.predicted == image.truth else "wrong"
    said = f"true {image.truth}, predicted {image.predicted} ({right})"
    return f"{said}; probability of the true class {chance(image)}"


def agreement_lines(explained: Explained) -> list[str]:
    """What is said of the repeats together."""
    if explained.deviation is None:
        return ["Only one repeat: agreement between repeats is unknown."]
    whole = explained.mean_agreement
    none = sum(one is None for one in explained.agreement)
    lines = [
        f"Agreement between repeats (Spearman's correlation over places between every two maps, mean over images): "
        f"{shown(whole)}; mean deviation of a place {np.mean(explained.deviation):.2f}.",
    ]
    if none:
        lines.append(
            f"No agreement for {counted(none, 'image')}: fewer than two of the repeats' maps vary from place to place."
        )
    return lines


def sanity_lines(explained: Explained) -> list[str]:
    """What the checks say, against the agreement of repeats."""
    sanity = explained.sanity
    if sanity is None:
        return []
    against = [f"of a random network {_interval(sanity.random_network)}"]
    if sanity.random_head is not None:
        against.insert(0, f"of the same network with random heads {_interval(sanity.random_head)}")
    return [
        f"Correlation with maps {', '.join(against)} (Spearman's, over places, mean over repeats and images). A value "
        "near the agreement between repeats would mean that maps do not depend on what was learned.",
        f"Mean probability of the class while the image is blurred place by place: {_interval(sanity.deleted)} in the "
        f"order of the mean map, {_interval(sanity.at_random)} in a random order; the map gains "
        f"{_interval(sanity.gained)}.",
        *(
            []
            if sanity.gained.low is not None
            else [f"No intervals: the images come from fewer than {LEAST_GROUPS} groups."]
        ),
    ]


def _interval(mean: Mean) -> str:
    limits = "" if mean.low is None or mean.high is None else f" [{mean.low:.2f}, {mean.high:.2f}]"
    return f"{shown(mean.value)}{limits}"


def shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"

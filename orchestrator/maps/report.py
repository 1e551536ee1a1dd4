"""Maps in words and as data."""

from __future__ import annotations

import numpy as np

from orchestrator.evaluation.text import table_lines
from orchestrator.maps.explained import Explained, mean_of

_MOST_LINES = 40
"""Images that a terminal is shown."""


def as_data(found: Explained, with_names: bool = False) -> dict[str, object]:
    """What a script wants, without the maps themselves; files and groups only with names."""
    return {
        "study": found.study,
        "configuration": found.configuration,
        "name": found.name,
        "chosen": found.chosen,
        "method": found.method,
        "layer": found.layer,
        "split": found.split,
        "for": found.explains,
        "repeats": list(found.repeats),
        "places": list(found.maps.shape[2:]),
        "agreement": mean_of(found.agreement),
        "sanity": dict(found.sanity),
        "notes": list(found.notes),
        "images": [
            {
                "image": image.called,
                **({"file": image.file, "group": image.group} if with_names else {}),
                "chosen_as": list(image.kinds),
                "truth": image.truth,
                "predicted": image.predicted,
                "map_of": image.target if found.explains else "",
                "probability_of_truth": image.chance,
                "deviation_of_probability": image.spread,
                "agreement": agreement,
                "mean_deviation_of_map": None if found.deviation is None else float(found.deviation[place].mean()),
            }
            for place, (image, agreement) in enumerate(zip(found.images, found.agreement, strict=True))
        ],
    }


def as_lines(found: Explained, with_names: bool = False) -> list[str]:
    """For a terminal: what was made, and where repeats agree."""
    where = f" at {found.layer}" if found.layer else ""
    whose = f" of the {found.explains} class" if found.explains else ""
    lines = [
        f"Maps of study {found.study}: {found.name} ({found.configuration}), {len(found.repeats)} repeats",
        f"{found.method}{where}{whose}, {len(found.images)} {found.split} images, "
        f"{' × '.join(map(str, found.maps.shape[2:]))} places",
        *(f"Note: {note}" for note in found.notes),
        "",
    ]
    rows = [["image", "chosen as", "truth", "predicted", "probability of truth", "agreement"]]
    for image, agreement in list(zip(found.images, found.agreement, strict=True))[:_MOST_LINES]:
        rows.append(
            [
                image.file if with_names else image.called,
                ", ".join(image.kinds),
                image.truth,
                image.predicted,
                f"{image.chance:.2f} ± {image.spread:.2f}",
                shown(agreement),
            ]
        )
    lines += table_lines(rows)
    if len(found.images) > _MOST_LINES:
        lines.append(f"  … and {len(found.images) - _MOST_LINES} more (--json has all)")
    return [*lines, "", *agreement_lines(found)]


def agreement_lines(found: Explained) -> list[str]:
    """What is said of the repeats together."""
    if found.deviation is None:
        return ["One repeat: nothing is said of where others agree."]
    whole = mean_of(found.agreement)
    none = sum(one is None for one in found.agreement)
    lines = [
        f"Agreement of repeats (Spearman's correlation of every two maps over places, mean over images): "
        f"{shown(whole)}; mean deviation of a place {np.mean(found.deviation):.2f}.",
    ]
    if none:
        lines.append(f"{none} images have fewer than two maps with any place above the others: they have none.")
    return lines


def shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"

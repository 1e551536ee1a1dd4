"""Operating points and subgroups of test images as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dashboards.figures.markup import table
from dashboards.page.sample_images import Album
from dashboards.page.score_cells import NAMES, Cells
from orchestrator.evaluation.record import ClassScores, OperatingPoint, Score, Subgroup


def operating_points(points: Sequence[tuple[str, OperatingPoint]], cells: Cells) -> str:
    """points: whose each is, "" where all are of one; "" where there are none."""
    names = ("sensitivity", "specificity", "ppv", "npv")
    rows = [
        [
            f"{point.name}: {point.asked}{who and ', '}{who}",
            ", ".join(f"{name} {value:.3f}" for name, value in point.valid.items()),
            *(cells.of(point.scores.get(name)) for name in names),
        ]
        for who, point in points
    ]
    columns = ["Operating point", "On validation, where it was chosen", *(NAMES[name] for name in names)]
    return table(columns, rows, "Operating points on the test images", "cards") if rows else ""


def subgroups(parts: Sequence[tuple[str, Subgroup]], cells: Cells, album: Album) -> str:
    """As `operating_points`. album: names of groups are numbers, unless it shows names."""
    rows = [
        [
            f"{one.column}: {album.unless_group(one.value)}{who and ', '}{who}",
            f"{one.images:,}",
            f"{one.groups:,}",
            *_overall(one.overall, cells),
            _worst(one.classes),
        ]
        for who, one in parts
    ]
    columns = ["Subgroup", "Images", "Groups", "Accuracy", "Balanced accuracy", "Lowest sensitivity"]
    return table(columns, rows, "Test scores by subgroup", "cards") if rows else ""


def _overall(scores: Mapping[str, Score], cells: Cells) -> list[str]:
    return [cells.of(scores.get(name)) for name in ("accuracy", "balanced_accuracy")]


def _worst(classes: Iterable[ClassScores]) -> str:
    recalls = [(one.scores["recall"].value, one.name) for one in classes if "recall" in one.scores]
    known = [(value, name) for value, name in recalls if value is not None]
    return f"{min(known)[0]:.3f} ({min(known)[1]})" if known else "–"

"""The search view of one backbone on one partition, and variance by partition: each only where there is one."""

from __future__ import annotations

from dataclasses import replace

from dashboards.figures import search_view
from dashboards.figures.choice import Choice, Source, backbones
from dashboards.figures.markup import METRIC_NAMES, backbone_text
from dashboards.figures.registry import FIGURES
from dashboards.figures.search_settings import LEAST_CONFIGURATIONS, off_grid
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import controls, nothing, reading, select
from orchestrator.statistics.partitions import partitions_of

LABELS = {
    "parallel": "Parallel coordinates: a line per configuration over its settings and its validation score.",
    "slices": "Validation score of every configuration against each setting.",
    "importance": "Share of the variance between configurations that each setting explains alone.",
}


def has_search_view(source: Source) -> bool:
    """Whether any backbone of any partition was searched off a grid."""
    members = source.summary.configurations
    places = ((one, two) for one in partitions_of(source.summary) for two in backbones(members))
    return any(off_grid(source.members(Choice(*place))) for place in places)


def search_introduction() -> str:
    """How the section is read, and its control."""
    return reading(
        "Shown where a strategy varies three settings or more and heat maps do not show all of its configurations: "
        "they do not fill the grid of their values, or differ in more than learning rate, batch size, n and u. Scores "
        "are of the validation split at selected epochs, means over repeats."
    ) + controls(select("Show", "search", {str(key): name for key, name in METRIC_NAMES.items()}))


def section_search(source: Source, choice: Choice, charts: Charts, tag: str) -> str:
    """Parallel coordinates, slices and importance."""
    if not off_grid(source.members(choice)):
        return nothing("This backbone’s configurations fill their grids: the heat maps show all of them.")
    parts = []
    for name, label in LABELS.items():
        figure = FIGURES[name]
        variants: dict[str, Variant] = {}
        width = 0
        for score in METRIC_NAMES:
            one = replace(choice, score=str(score))
            data = figure.data(source, one)
            if not data.empty:
                variants[str(score)] = Variant.of(figure.draw(data, one), label, data)
                width = search_view.parallel_width(data) if name == "parallel" else 640
        if variants:
            title = f"{backbone_text(choice.backbone)}, {figure.title.lower()}"
            chart = charts.add(variants, control="search", min_width=width, title=title)
            parts.append(f"<h3>{figure.title}</h3>{reading(figure.reading)}{chart}")
        elif name == "importance" and parts:
            parts.append(nothing(f"Importance needs {LEAST_CONFIGURATIONS} configurations with a result."))
    return "".join(parts)


def partition_block(source: Source, charts: Charts) -> str:
    """Head of the spread section of a study with several partitions."""
    if len(partitions_of(source.summary)) < 2:
        return ""
    figure = FIGURES["partition-spread"]
    choice = figure.choices(source.summary)[0]
    data = figure.data(source, choice)
    if data.empty:
        return nothing("Variance by partition needs a configuration with two repeats done on every partition.")
    label = "Standard deviations between partitions, between repeats and of the rest, for the best configurations."
    variant = Variant.of(figure.draw(data, choice), label, data)
    chart = charts.add({"only": variant}, min_width=520, title=figure.title)
    return f"<h3>{figure.title}</h3>{reading(figure.reading)}{chart}"

"""Heat maps of all facets of a backbone side by side, on one scale that stands above them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from dashboards.figures import heat_maps
from dashboards.figures.choice import QUANTITIES, SCORES, Choice, Quantity, Source
from dashboards.figures.declaration import Figure
from dashboards.figures.facets import Facet, Pair
from dashboards.figures.markup import backbone_text, text
from dashboards.figures.setting_text import label_of, value_of
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import when
from dashboards.page.pairs import by_pair

Every = Mapping[tuple[Pair, str], Mapping[Facet, Sequence[heat_maps.Point]]]
"""The points of all maps, by pair and score."""
Limits = Mapping[tuple[str, Quantity], tuple[float, float] | None]
"""Least and largest value by score and quantity, over all configurations of the backbone."""


def heat_map_panels(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    """A panel for each facet of each pair of settings, the pair that is chosen shown."""
    every = {
        (pair, score): heat_maps.heat_points(source, replace(choice, pair=pair, score=score))
        for pair in source.pairs
        for score in SCORES
    }
    limits = {
        (score, quantity): heat_maps.heat_limits(chain.from_iterable(every[source.pairs[0], score].values()), quantity)
        for score in SCORES
        for quantity in QUANTITIES
    }
    legends = "".join(
        when(heat_maps.heat_legend(ends, replace(choice, score=score, quantity=quantity)), heat=score, of=quantity)
        for (score, quantity), ends in limits.items()
        if ends
    )

    def block(pair: Pair) -> str:
        return _panels(figure, source, replace(choice, pair=pair), every, limits, charts)

    return legends + by_pair(figure, source, block) if source.members(choice) else ""


def _panels(figure: Figure, source: Source, choice: Choice, every: Every, limits: Limits, charts: Charts) -> str:
    panels = []
    for facet in source.facets(choice):
        variants = {}
        for value, one in figure.variants(source.summary, replace(choice, facet=facet)).items():
            points = every[one.pair, one.score][facet]
            spec = heat_maps.points_figure(points, limits[one.score, one.quantity] or heat_maps.NO_LIMITS, one)
            variants[value] = Variant(spec, heat_maps.heat_label(points, one), *_table(points, one))
        title = f"{backbone_text(choice.backbone)}, {facet.name}"
        chart = charts.add(variants, control=" ".join(one.name for one in figure.page.controls), title=title)
        panels.append(f'<div class="panel"><h4>{text(facet.name)}</h4>{chart}</div>')
    return f'<div class="panels">{"".join(panels)}</div>'


def _table(points: Sequence[heat_maps.Point], choice: Choice) -> tuple[list[str], list[Any]]:
    """The columns of a map's table, and the values of each."""
    row, column, mean, std, n, asked, _ = zip(*points, strict=True)
    names = [label_of(name) for name in choice.pair]
    places = [[value_of(name, one) for one in values] for name, values in zip(choice.pair, (row, column), strict=True)]
    score = f"{SCORES[choice.score]}, mean"
    return [*names, score, "std", "n", "asked"], [*places, np.array(mean), np.array(std), n, asked]

"""Heat maps of all facets of a backbone side by side, on one scale that stands above them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from dashboards.figures import heat_maps
from dashboards.figures.choice import QUANTITIES, REACH, SCORES, Choice, Quantity, Reach, Source
from dashboards.figures.declaration import Figure
from dashboards.figures.facets import Facet, Pair
from dashboards.figures.markup import backbone_text, text
from dashboards.figures.setting_text import label_of, value_of
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import when
from dashboards.page.figure_chart import MOST, choose_reach, reach_control
from dashboards.page.pairs import by_pair

Every = Mapping[tuple[Pair, str], Mapping[Facet, Sequence[heat_maps.Point]]]
"""The points of all maps, by pair and score."""
Scales = dict[tuple[str, Quantity, Reach], heat_maps.Scale | None]
"""By score, quantity and, where something lies beyond the scale of most, reach; over all configurations of the
backbone."""


def heat_map_panels(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    """A panel for each facet of each pair of settings, the pair that is chosen shown."""
    every = {
        (pair, score): heat_maps.heat_points(source, replace(choice, pair=pair, score=score))
        for pair in source.pairs
        for score in SCORES
    }
    scales: Scales = {}
    for one in (replace(choice, score=s, quantity=q, reach=r) for s in SCORES for q in QUANTITIES for r in REACH):
        points = every[source.pairs[0], one.score].values()
        scale = heat_maps.heat_scale(chain.from_iterable(points), one)
        if one.reach == "most" or (scale and scale.is_told_apart):
            scales[one.score, one.quantity, one.reach] = scale
    reach = reach_control(figure, source, choice, [replace(choice, reach=reach) for _, _, reach in scales])
    legends = "".join(
        _legend(scale, replace(choice, score=score, quantity=quantity), dict.fromkeys(reach, of) if far else {})
        for (score, quantity, of), scale in scales.items()
        if scale
        for far in [(score, quantity, "all") in scales]
    )

    def block(pair: Pair) -> str:
        return _panels(figure, source, replace(choice, pair=pair), every, scales, reach, charts)

    return choose_reach(*reach) + legends + by_pair(figure, source, block) if source.members(choice) else ""


def _legend(scale: heat_maps.Scale, choice: Choice, reach: Mapping[str, Reach]) -> str:
    """Shown while that score, quantity and range are chosen."""
    legend = heat_maps.heat_legend(scale.limits, choice, scale)
    return when(legend, heat=choice.score, of=choice.quantity, **reach)


def _panels(
    figure: Figure,
    source: Source,
    choice: Choice,
    every: Every,
    scales: Scales,
    reach: tuple[str, ...],
    charts: Charts,
) -> str:
    controls = " ".join([*(one.name for one in figure.page.controls), *reach])
    panels = []
    for facet in source.facets(choice):
        variants = {}
        for value, one in figure.variants(source.summary, replace(choice, facet=facet)).items():
            place = one.score, one.quantity, one.reach
            if place not in scales:
                continue
            points, scale = every[one.pair, one.score][facet], scales[place]
            spec = heat_maps.points_figure(points, scale.limits if scale else heat_maps.NO_LIMITS, one)
            variants[value if reach else value.removesuffix(MOST)] = Variant(
                spec, heat_maps.heat_label(points, one), *_table(points, one)
            )
        title = f"{backbone_text(choice.backbone)}, {facet.name}"
        chart = charts.add(variants, control=controls, title=title)
        panels.append(f'<div class="panel"><h4>{text(facet.name)}</h4>{chart}</div>')
    return f'<div class="panels">{"".join(panels)}</div>'


def _table(points: Sequence[heat_maps.Point], choice: Choice) -> tuple[list[str], list[Any]]:
    """The columns of a map's table, and the values of each."""
    row, column, mean, std, n, asked, _ = zip(*points, strict=True)
    names = [label_of(name) for name in choice.pair]
    places = [[value_of(name, one) for one in values] for name, values in zip(choice.pair, (row, column), strict=True)]
    score = f"{SCORES[choice.score]}, mean"
    return [*names, score, "std", "n", "asked"], [*places, np.array(mean), np.array(std), n, asked]

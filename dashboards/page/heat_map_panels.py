"""Heat maps of all depths of a backbone side by side, on one scale that stands above them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from dashboards.figures import heat_maps
from dashboards.figures.choice import QUANTITIES, SCORES, Choice, Source
from dashboards.figures.declaration import Figure
from dashboards.figures.markup import backbone_text, depth_text, lr_text, text
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import when


def heat_map_panels(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    """A panel for each depth; of each score the points are found once, for all maps and the limits."""
    every = {score: heat_maps.heat_points(source, replace(choice, score=score)) for score in SCORES}
    limits = {
        (score, quantity): heat_maps.heat_limits(chain.from_iterable(points.values()), quantity)
        for score, points in every.items()
        for quantity in QUANTITIES
    }
    legends = "".join(
        when(heat_maps.heat_legend(ends, replace(choice, score=score, quantity=quantity)), heat=score, of=quantity)
        for (score, quantity), ends in limits.items()
        if ends
    )
    panels = []
    for at in every["loss"]:
        variants = {}
        for value, one in figure.variants(source.summary, replace(choice, depth=at)).items():
            points = every[one.score][at]
            spec = heat_maps.points_figure(points, limits[one.score, one.quantity] or heat_maps.NO_LIMITS, one)
            variants[value] = Variant(spec, heat_maps.heat_label(points, one), *_table(points, one.score))
        title = f"{backbone_text(choice.backbone)}, {depth_text(at)}"
        chart = charts.add(variants, control=" ".join(one.name for one in figure.page.controls), title=title)
        panels.append(f'<div class="panel"><h4>{text(depth_text(at))}</h4>{chart}</div>')
    return f'{legends}<div class="panels">{"".join(panels)}</div>' if panels else ""


def _table(points: Sequence[heat_maps.Point], score: str) -> tuple[list[str], list[Any]]:
    lr, batch, mean, std, n, asked, *_ = zip(*points, strict=True)
    names = ["lr", "batch size", f"{SCORES[score]}, mean", "std", "n", "asked"]
    return names, [[lr_text(one) for one in lr], batch, np.array(mean), np.array(std), n, asked]

"""The grid of mean curves for one facet at a time, and behind each panel the single repeats of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dashboards.figures import curve_panels, curves, single_repeats
from dashboards.figures.choice import BOTH, ON_TWO_AXES, Choice, Source
from dashboards.figures.declaration import Figure
from dashboards.figures.facets import Facet, Pair
from dashboards.figures.markup import METRIC_NAMES, backbone_text
from dashboards.figures.setting_text import shown_value
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import ANY, controls, nothing, select, when
from dashboards.page.pairs import by_pair, pair_control, place_tag

_COLUMNS = ["configuration", "score", "epoch", "train mean", "train std", "valid mean", "valid std", "n"]
Panels = Mapping[tuple[str, str], curve_panels.Panel | None]
"""By configuration and score; drawn in several grids."""


def curve_grid(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    """For each pair of settings a grid, and the choice among its facets, the best configuration's first; then the
    single repeats."""
    variants: dict[str, Variant] = {}
    facets: dict[Pair, dict[str, Facet]] = {}
    panels = {(m.id, str(s)): curve_panels.panel_of(m, s) for m in source.members(choice) for s in METRIC_NAMES}
    for place, pair in enumerate(source.pairs):
        facets[pair] = {}
        for number, facet in _best_first(source, replace(choice, pair=pair)):
            drawn = _variants(figure, source, replace(choice, pair=pair, facet=facet), panels)
            if drawn:
                variants |= {f"{place}|{number}|{value}": one for value, one in drawn.items()}
                facets[pair][str(number)] = facet
    if not variants:
        sentence = figure.page.absent(source, choice) if figure.page.absent else ""
        return nothing(sentence) if sentence else ""
    tag = place_tag(source, choice)
    payload = charts.payload(variants)
    first = next(iter(variants.values()))
    picks = f"one-{tag}"

    def block(pair: Pair) -> str:
        facet = f"facet-{tag}-{source.pairs.index(pair)}"
        names = {number: one.name for number, one in facets[pair].items()}
        control = " ".join([pair_control(figure), facet, *(one.name for one in figure.page.controls)])
        across = len({shown_value(member.configuration, pair.columns) for member in source.members(choice)})
        width = 100 + curves.PANEL_WIDTH * across
        chart = charts.frame(payload, first, control, width, backbone_text(choice.backbone))
        chart = chart.replace('class="chart"', f'class="chart" data-picks="{picks}"', 1)
        return controls(select("Of", facet, names, len(names) < 2)) + chart

    if not single_repeats.EVERY.is_of(source.summary):
        return by_pair(figure, source, block)
    singles = single_repeats.singles_payload(source, source.members(choice))
    options = {"": "none"} | {str(number): panel["name"] for number, panel in enumerate(singles["panels"])}
    behind = charts.add_singles(singles, picks, f"{backbone_text(choice.backbone)}, single repeats")
    choose = controls(select("Single repeats of", picks, options))
    return f"{by_pair(figure, source, block)}{choose}{when(behind, **{picks: ANY})}"


def _best_first(source: Source, choice: Choice) -> list[tuple[int, Facet]]:
    """Facets with their numbers, by which a choice is kept; the one that holds the first-ranked member first."""
    best = next((member for member in source.members(choice) if member.rank is not None), None)
    every = source.facets(choice)
    return sorted(enumerate(every), key=lambda one: best is None or all(best is not member for member in every[one[1]]))


def _variants(figure: Figure, source: Source, choice: Choice, panels: Panels) -> dict[str, Variant]:
    """The figures in short, without their bands: the page's script draws them from the lines."""
    variants = {}
    for value, one in figure.variants(source.summary, choice).items():
        scores = ON_TWO_AXES if one.score == BOTH else (one.score,)
        every = [(m, panels[m.id, score]) for score in scores for m in source.members(choice)]
        if shown := curve_panels.placed(every, choice):
            label = curves.curve_label(len({place.panel.name for place in shown}), one)
            variants[value] = Variant(curves.panels_figure(shown, choice.pair), label, _COLUMNS, None)
    return variants

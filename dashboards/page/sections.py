"""The sections that show training, for one backbone on one partition: progress, heat maps, curves, depth, spread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from dashboards.figures import curves, depth, heat_maps, progress, single_repeats
from dashboards.figures.choice import BOTH, QUANTITIES, SCORES, Choice, Depth, Source, depths
from dashboards.figures.markup import METRIC_NAMES, backbone_text, depth_text, lr_text, text
from dashboards.figures.registry import FIGURES
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import ANY, SPLIT_KEY, SPLIT_KEY_WITH_MARKS, controls, key, nothing, reading, select, when
from orchestrator.store.schema import Metric

_SPREAD_SCORES: tuple[Metric, ...] = ("loss", "accuracy", "balanced_accuracy")
CURVE_NAMES: dict[str, str] = {
    **{str(score): METRIC_NAMES[score] for score in _SPREAD_SCORES},
    BOTH: "Loss and accuracy on two axes",
}


def section_progress(source: Source, choice: Choice, charts: Charts, tag: str) -> str:
    data = progress.progress_data(source, choice)
    return "" if data.empty else progress.progress_grid(data)


def section_heat_maps(source: Source, choice: Choice, charts: Charts, tag: str) -> str:
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
        for score, points in every.items():
            columns, values = _heat_table(points[at], score)
            for quantity in QUANTITIES:
                one = replace(choice, depth=at, score=score, quantity=quantity)
                spec = heat_maps.points_figure(points[at], limits[score, quantity] or heat_maps.NO_LIMITS, one)
                label = heat_maps.heat_label(points[at], one)
                variants[f"{score}|{quantity}"] = Variant(spec, label, columns, values)
        title = f"{backbone_text(choice.backbone)}, {depth_text(at)}"
        chart = charts.add(variants, control="heat of", title=title)
        panels.append(f'<div class="panel"><h4>{text(depth_text(at))}</h4>{chart}</div>')
    return f'{legends}<div class="panels">{"".join(panels)}</div>' if panels else ""


def _heat_table(points: list[heat_maps.Point], score: str) -> tuple[list[str], list[Any]]:
    lr, batch, mean, std, n, asked, _ = zip(*points, strict=True)
    names = ["lr", "batch size", f"{SCORES[score]}, mean", "std", "n", "asked"]
    return names, [[lr_text(one) for one in lr], batch, np.array(mean), np.array(std), n, asked]


def section_curves(source: Source, choice: Choice, charts: Charts, tag: str) -> str:
    members = source.members(choice)
    blocks: list[str] = []
    names: list[str] = []
    for at in depths(members):
        one = replace(choice, depth=at)
        panels = {str(score): curves.curve_panels(source, replace(one, score=score)) for score in METRIC_NAMES}
        panels[BOTH] = [panel for score in curves.ON_TWO_AXES for panel in panels[score]]
        variants = {score: _curve_variant(panels[score], score, at) for score in CURVE_NAMES if panels[score]}
        if not variants:
            continue
        here = [member for member in members if member.depth == at]
        width = 100 + curves.PANEL_WIDTH * len({member.configuration.batch_size for member in here})
        title = f"{backbone_text(choice.backbone)}, {depth_text(at)}"
        place = f"one-{tag}-{len(names)}"
        singles = single_repeats.singles_payload(source, here)
        chart = charts.add(variants, control="curve", min_width=width, title=title)
        options = {"": "none"} | {str(number): panel["name"] for number, panel in enumerate(singles["panels"])}
        chart = chart.replace('class="chart"', f'class="chart" data-picks="{place}"', 1)
        choose = controls(select("Single repeats of", place, options))
        behind = charts.add_singles(singles, place, f"{title}, single repeats")
        once = f"{chart}{choose}{when(behind, **{place: ANY})}"
        blocks.append(when(once, **{f"depth-{tag}": len(names)}))
        names.append(depth_text(at))
    if not blocks:
        return nothing("All repeats that are done diverged: there is no mean.") if any(m.n for m in members) else ""
    best = _best_repeat(source, choice, charts)
    return controls(select("Strategy", f"depth-{tag}", names, len(names) < 2)) + "".join(blocks) + best


def _curve_variant(panels: list[curves.Panel], score: str, at: Depth) -> Variant:
    """The figure in short, without its bands: the page's script draws them from the lines."""
    count = len({(panel.lr, panel.batch_size) for panel in panels})
    label = (
        f"Mean {CURVE_NAMES[score].lower()} of train and valid by epoch for {count} configurations, {depth_text(at)}."
    )
    columns = ["lr", "batch size", "score", "epoch", "train mean", "train std", "valid mean", "valid std", "n"]
    return Variant(curves.panels_figure(panels), label, columns, None)


def _best_repeat(source: Source, choice: Choice, charts: Charts) -> str:
    figure = FIGURES["best-repeat"]
    data = figure.data(source, choice)
    if data.empty:
        return ""
    where = f"{data['configuration'].iloc[0]}, repeat {data['repeat'].iloc[0]}"
    variant = Variant.of(figure.draw(data, choice), f"Loss and accuracy of the best single repeat: {where}.", data)
    title = f"{backbone_text(choice.backbone)}, best single repeat"
    chart = charts.add({"only": variant}, min_width=560, title=title)
    return f"<h3>{figure.title}: {text(where)}</h3>{reading(figure.reading)}{chart}"


def section_depth(source: Source, choice: Choice, charts: Charts, tag: str) -> str:
    panels = []
    for setting, name in depth.NAMES.items():
        variants = {}
        for score in METRIC_NAMES:
            one = replace(choice, score=score)
            data = depth.depth_data(source, one, setting)
            if len(data) < 2:
                break
            spec, label = depth.depth_figure(data, one, setting), depth.depth_label(data, one, setting)
            variants[str(score)] = Variant.of(spec, label, data)
        if variants:
            chart = charts.add(variants, control="score", title=f"{backbone_text(choice.backbone)}, {name}")
            panels.append(f'<div class="panel"><h4>Number of {name}</h4>{chart}</div>')
    if not panels:
        return nothing("This figure needs ranked configurations with at least two different depths.")
    return f'<div class="panels two">{"".join(panels)}</div>'


def section_spread(source: Source, choice: Choice, charts: Charts, tag: str) -> str:
    name = backbone_text(choice.backbone)
    parts = []
    for figure_name, what in (("spread", "Repeats of the best-ranked configurations"), ("gap", "Train against valid")):
        figure = FIGURES[figure_name]
        variants: dict[str, Variant] = {}
        for score in _SPREAD_SCORES:
            one = replace(choice, score=score)
            data = figure.data(source, one)
            if not data.empty:
                label = f"{what}, {METRIC_NAMES[score].lower()}."
                variants[score] = Variant.of(figure.draw(data, one), label, data)
        if variants:
            chart = charts.add(variants, control="spread", min_width=340, title=f"{name}, {figure.title.lower()}")
            parts.append(f"<h3>{figure.title}</h3>{reading(figure.reading)}{chart}")
    folded = []
    for figure_name, label in (
        ("untrained", "Histograms of loss and accuracy at epoch 0."),
        ("density", "Density of repeats by validation accuracy and loss."),
    ):
        figure = FIGURES[figure_name]
        data = figure.data(source, choice)
        if not data.empty:
            variant = Variant.of(figure.draw(data, choice), label, data)
            chart = charts.add({"only": variant}, min_width=520, title=f"{name}, {figure.title.lower()}")
            folded.append(f"<h3>{figure.title}</h3>{reading(figure.reading)}{chart}")
    if folded:
        summary = "<summary>The untrained network, and where repeats end</summary>"
        parts.append(f'<details class="fold">{summary}{"".join(folded)}</details>')
    return "".join(parts)


Section = Callable[[Source, Choice, Charts, str], str]
PER_BACKBONE: dict[str, Section] = {
    "progress": section_progress,
    "heat-maps": section_heat_maps,
    "curves": section_curves,
    "depth": section_depth,
    "spread": section_spread,
}


def introductions(source: Source) -> dict[str, str]:
    """What stands once at the head of each of these sections: how to read it, the key, its controls."""
    dot = '<li><i class="dot"></i> best of a repeat (valid)</li>'
    loss = '<li><i class="dot"></i> loss: thick lines, left axes</li>'
    accuracy = '<li><i class="dot diamond"></i> accuracy: thin lines, right axes</li>'
    grey = '<li><i class="none"></i> untrained</li>'
    scores = {str(score): METRIC_NAMES[score] for score in _SPREAD_SCORES}
    return {
        "heat-maps": reading(FIGURES["heat-map"].reading)
        + controls(
            select("Show", "heat", SCORES), select("as", "of", {str(key): name for key, name in QUANTITIES.items()})
        ),
        "curves": reading(
            FIGURES["curves"].reading
            + " All panels share both axes; click or tap one, or choose it below, for its single "
            "repeats. Drag over a panel to enlarge, double click to go back."
        )
        + key(SPLIT_KEY, dot)
        + when(key(loss, accuracy), curve=BOTH)
        + controls(select("Show", "curve", CURVE_NAMES)),
        "depth": reading(FIGURES["non-linearities"].reading + " The same for unfrozen layers.")
        + key(SPLIT_KEY_WITH_MARKS, grey)
        + controls(select("Show", "score", {str(key): name for key, name in METRIC_NAMES.items()})),
        "spread": key(SPLIT_KEY_WITH_MARKS) + controls(select("Show", "spread", scores)),
    }

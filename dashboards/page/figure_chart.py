"""One declared figure as it stands on the page: heading, reading, key, chart, and what follows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from dashboards.figures.choice import REACH, Choice, Source
from dashboards.figures.declaration import Figure, Form, Per
from dashboards.figures.markup import backbone_text, text
from dashboards.figures.palette import Spec
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import controls, key, nothing, reading, select
from dashboards.page.pairs import place_tag
from dashboards.page.picked import PICKED

MOST = "|most"
"""The end of a variant's name where there is nothing else to choose."""
LEFT = '<div class="left"><p class="note" role="status"></p><button type="button" hidden>Let go of axes</button></div>'
"""Where the page's script says how many configurations are left between the ends of narrowed axes."""


def figure_chart(figure: Figure, source: Source, place: Choice, charts: Charts) -> str:
    """The figure with a variant for each choice that has data; else the sentence that it has for that, or ""."""
    page = figure.page
    if not page.is_shown(source, place):
        return ""
    asked = figure.variants(source.summary, place)
    tables = {value: table for value, choice in asked.items() if len(table := figure.data(source, choice))}
    if not tables:
        return _absent(figure, source, place)
    data, choice = next((table, asked[value]) for value, table in tables.items())
    level = 4 if page.form is Form.PANEL else 3
    heading = page.heading(data, choice) if page.heading else figure.title
    head = f"<h{level}>{text(heading)}</h{level}>"
    if page.sentence:
        head += f"<p>{text(page.sentence(data, choice))}</p>"
    reach = reach_control(figure, source, place, [asked[value] for value in tables])
    variants = {
        value if reach else value.removesuffix(MOST): Variant.of(
            figure.draw(table, asked[value]), figure.label(table, asked[value]), table
        )
        for value, table in tables.items()
        if len(table) >= page.least_rows
    }
    if not variants:
        return head if page.sentence else _absent(figure, source, place)
    if page.reading_on_top is None:
        head += reading(figure.reading + (page.more(source, choice) if page.more else ""), how(figure, source, choice))
    if not page.controls:
        head += "".join(key(one) for one in page.keys)
    control, title = " ".join([*(one.name for one in page.controls), *reach]), _saved(figure, data, choice)
    chart = charts.add(variants, control=control, min_width=page.width(data), title=title)
    traces = [trace for one in variants.values() for trace in one.spec["data"]]
    if any("ids" in _meta(trace) for trace in traces):
        chart = chart.replace('class="chart"', f'class="chart" data-marks="{PICKED}"', 1)
    if axes := dict.fromkeys(name for trace in traces for name in _meta(trace).get("axes", ())):
        chart = chart.replace('class="chart"', f'class="chart" data-axes="{" ".join(axes)}"', 1) + LEFT
    block = f"{head}{choose_reach(*reach)}{chart}{page.below(data, choice) if page.below else ''}"
    return f'<div class="panel">{block}</div>' if page.form is Form.PANEL else block


def reach_control(figure: Figure, source: Source, place: Choice, choices: Iterable[Choice]) -> tuple[str, ...]:
    """The control that chooses where axes or colours end, where that is a choice: something lies beyond them."""
    if all(choice.reach == "most" for choice in choices):
        return ()
    return (f"reach-{figure.name}-{place_tag(source, place)}",)


def choose_reach(*names: str) -> str:
    return "".join(controls(select("Range", name, {str(key): words for key, words in REACH.items()})) for name in names)


def how(figure: Figure, source: Source, place: Choice) -> str:
    """What it takes to read the figure on a page, beside its caption."""
    return figure.how + (figure.page.how(source, place) if figure.page.how else "")


def _meta(trace: Spec) -> dict[str, Any]:
    """What a trace says of its points: which configurations they are, and which axes they cross."""
    meta = trace.get("meta")
    return meta if isinstance(meta, dict) else {}


def _saved(figure: Figure, data: pd.DataFrame, choice: Choice) -> str:
    """What the figure is called in a file that a reader saves."""
    called = figure.page.saved(data, choice) if figure.page.saved else figure.title
    if figure.per is not Per.BACKBONE:
        return called
    return f"{backbone_text(choice.backbone)}, {called if figure.page.saved else called.lower()}"


def _absent(figure: Figure, source: Source, place: Choice) -> str:
    sentence = figure.page.absent(source, place) if figure.page.absent else ""
    return nothing(sentence) if sentence else ""

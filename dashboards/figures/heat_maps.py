"""Heat maps over two settings, learning rate × batch size at first, one for every choice of the others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dashboards.figures.choice import EPOCH, QUANTITIES, REACH, SCORES, Choice, Source, is_loss
from dashboards.figures.declaration import Control, Figure, Form, OnPage, Per
from dashboards.figures.facets import Facet
from dashboards.figures.far_out import count_beyond, top_of
from dashboards.figures.limits import are_apart, ends
from dashboards.figures.markup import number, plot_text, text
from dashboards.figures.palette import HEAT, MUTED, VALID, Spec, axis, layout
from dashboards.figures.setting_text import by_size, label_of, ordered, shown_value, value_of, words_of
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.statistic import Statistic

STATISTICS = ["mean", "std", "n", "asked"]
NO_LIMITS = (0.0, 1.0)
"""Of maps without a value; they have no legend."""


class Point(NamedTuple):
    """One configuration: its values of the two settings, its score, and its strategy."""

    row: Any
    column: Any
    mean: float
    std: float
    n: int
    asked: int
    strategy: str = ""


def heat_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration of a backbone, facet by facet: validation at selected epochs, NaN without a result.

    Columns: strategy, the settings, STATISTICS, low, high. low and high are where the colours of the chosen quantity
    end, over all facets: one scale for all maps of a backbone, so that they can be compared.
    """
    points = heat_points(source, choice)
    scale = heat_scale(chain.from_iterable(points.values()), choice)
    limits = scale.limits if scale else NO_LIMITS
    if choice.reach == "all" and not (scale and scale.is_told_apart):
        points = {}
    shown = points if choice.facet is None or not points else {choice.facet: points.get(choice.facet, [])}
    rows = [
        {
            "strategy": point.strategy,
            **dict(facet.values),
            choice.pair.rows: point.row,
            choice.pair.columns: point.column,
        }
        | {name: getattr(point, name) for name in STATISTICS}
        for facet, here in shown.items()
        for point in here
    ]
    data = pd.DataFrame(rows, columns=None if rows else [*choice.pair, *STATISTICS])
    return data.assign(low=limits[0], high=limits[1])


def heat_points(source: Source, choice: Choice) -> dict[Facet, list[Point]]:
    """The points of every facet of a backbone."""
    rows, columns = choice.pair
    points_of = {}
    for facet, members in source.facets(choice).items():
        points = []
        for member in members:
            score = _statistic(member, choice.score)
            mean, std, n = (score.mean, score.std, score.n) if score else (math.nan, math.nan, 0)
            c = member.configuration
            points.append(
                Point(shown_value(c, rows), shown_value(c, columns), mean, std, n, member.counting, c.strategy)
            )
        points_of[facet] = sorted(points, key=lambda point: (by_size(rows, point.row), by_size(columns, point.column)))
    return points_of


class Scale(NamedTuple):
    """Where the colours of a backbone's maps end, the largest finite value, and how many lie beyond the end; whether a
    scale of all values is another."""

    limits: tuple[float, float]
    largest: float
    beyond: int
    is_told_apart: bool


def heat_scale(points: Iterable[Point], choice: Choice) -> Scale | None:
    """Of points that have a value; None where none has. A loss, or its deviation, that is far out leaves the colours to
    the others, unless all are asked for."""
    values = np.array([float(getattr(point, choice.quantity)) for point in points if point.n])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    most = float(values.max()) if choice.quantity == "n" else top_of([values], Choice(score=choice.score))
    largest, low = float(values.max()), float(values.min())
    top = largest if choice.reach == "all" else most
    return Scale((low, top), largest, count_beyond(values, top), most < largest)


def heat_label(points: Sequence[Point], choice: Choice) -> str:
    """What a screen reader says."""
    name = f"{QUANTITIES[choice.quantity]} of validation {SCORES[choice.score].lower()}"
    rows, columns = choice.pair
    label = f"Heat map of the {name} by {label_of(rows)} and {label_of(columns)}"
    label += f", {choice.facet.name}." if choice.facet else "."
    best = _best(points, choice)
    if best is not None:
        label += f" Best mean {best.mean:.3f} at {_place(best, choice)}."
    return label


def heat_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Points not in the grid stay blank, those without a result say so.

    With a colour bar of its own, which the page has once for all maps of a backbone, see `heat_legend`.
    """
    limits = (float(data["low"].iloc[0]), float(data["high"].iloc[0])) if len(data) else NO_LIMITS
    spec = points_figure(_points(data, choice), limits, choice)
    far = count_beyond(data[choice.quantity].to_numpy(dtype=float), limits[1])
    beyond = f" ({far} beyond)" if far else ""
    bar = {
        "title": {"text": scale_title(choice) + beyond, "side": "right", "font": {"size": 11}},
        "thickness": 9,
        "outlinewidth": 0,
        "nticks": 5,
        "tickfont": {"size": 10, "color": MUTED},
    }
    heat, words = spec["data"]
    heat |= {"showscale": True, "colorbar": bar}
    words["textfont"] |= {"color": text_colours(heat["z"], limits, [colour for _, colour in heat["colorscale"]])}
    return spec


def points_figure(points: Sequence[Point], limits: tuple[float, float], choice: Choice) -> Spec:
    """The drawing itself; the page's script gives its words the colour that stands out."""
    rows = ordered(choice.pair.rows, (point.row for point in points))
    columns = ordered(choice.pair.columns, (point.column for point in points))
    z = np.full((len(rows), len(columns)), np.nan)
    shown = [["" for _ in columns] for _ in rows]
    details = [["" for _ in columns] for _ in rows]
    digits = 1 if choice.score == EPOCH else 3
    notes = []
    for point in points:
        at, of = rows.index(point.row), columns.index(point.column)
        value = float(getattr(point, choice.quantity)) if point.n else math.nan
        z[at, of] = value
        if math.isinf(value):
            shown[at][of] = "∞"
        if math.isfinite(value):
            shown[at][of] = number(value, digits) if choice.quantity != "n" else f"{point.n}"
        if point.n == 0:
            notes.append({"x": of, "y": at, "text": f"0/{point.asked}", "showarrow": False, "font": {"color": MUTED}})
        elif point.n < point.asked:
            share = f"{point.n}/{point.asked}"
            shown[at][of] = share if choice.quantity == "n" else f"{shown[at][of]}<br>n {share}"
        std = f" ± {number(point.std, digits + 1)}" if math.isfinite(point.std) else ""
        score = f"{SCORES[choice.score]} {number(point.mean, digits + 1)}{std}<br>n = {point.n} of {point.asked}"
        details[at][of] = f"{plot_text(_place(point, choice))}<br>{score}"
    scale = HEAT[::-1] if _darker_is_less(choice) else HEAT
    low, high = ends(*limits)
    trace = {
        "type": "heatmap",
        "z": z,
        "x": list(range(len(columns))),
        "y": list(range(len(rows))),
        "zmin": low,
        "zmax": high,
        "colorscale": [[place / (len(scale) - 1), colour] for place, colour in enumerate(scale)],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "text": details,
        "hovertemplate": "%{text}<extra></extra>",
        "hoverongaps": False,
    }
    shapes = []
    best = _best(points, choice)
    if best is not None:
        x, y = columns.index(best.column), rows.index(best.row)
        shown[y][x] = f"<b>{shown[y][x]}</b>"
        edge = {"type": "rect", "x0": x - 0.49, "x1": x + 0.49, "y0": y - 0.49, "y1": y + 0.49}
        shapes.append({**edge, "line": {"color": VALID, "width": 3}, "fillcolor": "rgba(0,0,0,0)"})
    words = {
        "type": "scatter",
        "mode": "text",
        "x": [of for _ in rows for of in range(len(columns))],
        "y": [at for at in range(len(rows)) for _ in columns],
        # plotly 4 hides for good what was once ""
        "text": [word or " " for line in shown for word in line],
        "textfont": {"size": 11},
        "hoverinfo": "skip",
        "meta": "on heat map",
    }
    across = axis(
        tickvals=list(range(len(columns))),
        ticktext=[_tick(choice.pair.columns, value) for value in columns],
        showgrid=False,
        title={"text": label_of(choice.pair.columns), "font": {"size": 11}, "standoff": 6},
        fixedrange=True,
        range=[-0.5, len(columns) - 0.5],
    )
    down = axis(
        tickvals=list(range(len(rows))),
        ticktext=[_tick(choice.pair.rows, value) for value in rows],
        title={"text": label_of(choice.pair.rows), "font": {"size": 11}, "standoff": 4},
        showgrid=False,
        range=[len(rows) - 0.5, -0.5],
        fixedrange=True,
    )
    return {
        "data": [trace, words],
        "layout": layout(
            64 + 42 * len(rows),
            xaxis=across,
            yaxis=down,
            shapes=shapes,
            annotations=notes,
            margin={"l": 58, "r": 4, "t": 4, "b": 40},
        ),
    }


def text_colours(z: np.ndarray, limits: tuple[float, float], scale: Sequence[str]) -> list[str]:
    """Black or white for each cell, row by row, whichever stands out more (WCAG 2 relative luminance).

    The page's script does the same for the dark scale.
    """
    stops = np.array([[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in scale]) / 255
    low, high = ends(*limits)
    share = np.nan_to_num((z.ravel() - low) / (high - low)).clip(0, 1)
    colours = np.stack([np.interp(share, np.linspace(0, 1, len(stops)), channel) for channel in stops.T], axis=1)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return ["#000000" if light > 0.179 else "#ffffff" for light in linear @ (0.2126, 0.7152, 0.0722)]


def scale_title(choice: Choice) -> str:
    """What the colours stand for."""
    score = SCORES[choice.score].lower()
    return "n" if choice.quantity == "n" else f"valid {score}, {QUANTITIES[choice.quantity]}"


def heat_legend(limits: tuple[float, float], choice: Choice, scale: Scale | None = None) -> str:
    """The scale as HTML, from its light end to its dark one, with how many values lie beyond it."""
    low, high = limits
    cells = "1 cell lies" if scale and scale.beyond == 1 else f"{scale.beyond if scale else 0} cells lie"
    far = f"<span>{cells} beyond, up to {scale.largest:.3g}</span>" if scale and scale.beyond else ""
    if _darker_is_less(choice):
        low, high = high, low
    digits = 0 if choice.quantity == "n" else 1 if choice.score == EPOCH else 3
    ends = ("early", "late") if choice.score == EPOCH else ("worse", "better")
    if choice.quantity != "mean":
        ends = ("less", "more")
    if not are_apart(*sorted((low, high))):
        return f'<p class="legend"><b>{text(scale_title(choice))}</b> <span>{number(low, digits)}</span></p>'
    return (
        f'<p class="legend"><b>{text(scale_title(choice))}</b> <span>{ends[0]} {number(low, digits)}</span>'
        '<span class="ramp" aria-hidden="true"></span>'
        f"<span>{number(high, digits)} {ends[1]}</span>{far}</p>"
    )


def _points(data: pd.DataFrame, choice: Choice) -> list[Point]:
    return [Point(*row) for row in zip(*(data[name].tolist() for name in (*choice.pair, *STATISTICS)), strict=True)]


def _place(point: Point, choice: Choice) -> str:
    """`lr 1e-3, batch 16`"""
    return f"{words_of(choice.pair.rows, point.row)}, {words_of(choice.pair.columns, point.column)}"


def _tick(column: str, value: Any) -> str:
    return plot_text(value_of(column, value))


def _statistic(member: ConfigurationSummary, score: str) -> Statistic | None:
    if score == EPOCH:
        return member.selected_epochs
    return member.score(score, "valid")  # a key of SCORES


def _darker_is_less(choice: Choice) -> bool:
    return is_loss(choice.score) and choice.quantity == "mean"


def _best(points: Sequence[Point], choice: Choice) -> Point | None:
    """The best mean among configurations whose repeats are all done; an epoch and a spread have no better or worse."""
    whole = [point for point in points if point.n == point.asked and math.isfinite(point.mean)]
    if choice.score == EPOCH or choice.quantity != "mean" or not whole:
        return None
    return min(whole, key=lambda point: point.mean if is_loss(choice.score) else -point.mean)


_READING = (
    "Each cell is one configuration: its validation score over n repeats at their selected epochs. The frame marks the "
    "best mean among configurations whose repeats are all done."
)

FIGURE = Figure(
    name="heat-map",
    section="heat-maps",
    title="Heat maps over two settings",
    reading=_READING,
    how="There is one map for each combination of the settings that are neither rows nor columns. Points outside the "
    "grid are blank, and all maps of a backbone share one colour scale.",
    data=heat_data,
    draw=heat_figure,
    label=lambda data, choice: heat_label(_points(data, choice), choice),
    per=Per.FACET,
    scores=tuple(SCORES),
    quantities=tuple(QUANTITIES),
    reaches=tuple(REACH),
    page=OnPage(
        form=Form.MAPS,
        controls=(
            Control("heat", "Show", SCORES),
            Control("of", "as", {str(key): name for key, name in QUANTITIES.items()}, sets="quantity"),
        ),
        reading_on_top=_READING,
        how=lambda source, choice: " Point at a cell for its mean, standard deviation (n − 1) and n.",
    ),
)

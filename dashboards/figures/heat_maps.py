"""Heat maps of learning rate × batch size, one per strategy, n and u."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd

from dashboards.figures.choice import EPOCH, QUANTITIES, SCORES, Choice, Depth, Quantity, Source
from dashboards.figures.declaration import Control, Figure, Form, OnPage, Per
from dashboards.figures.limits import ends
from dashboards.figures.markup import depth_text, lr_text, number, plot_text, text
from dashboards.figures.palette import HEAT, MUTED, VALID, Spec, axis, layout
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.statistic import Statistic

DEPTH = ["strategy", "non_linearities", "unfrozen"]
COLUMNS = [*DEPTH, "lr", "batch_size", "mean", "std", "n", "asked", "configurations", "others", "low", "high"]
NO_LIMITS = (0.0, 1.0)
"""Of maps without a value; they have no legend."""


class Point(NamedTuple):
    lr: float
    batch_size: int
    mean: float
    std: float
    n: int
    asked: int
    configurations: int = 1
    """That share this learning rate and batch size; the numbers are those of the best-ranked one."""
    others: str = ""
    """Of that one, see `ConfigurationSummary`."""


def heat_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per depth, lr and batch size of one backbone; COLUMNS. Validation, at the selected epoch; NaN without a
    result. Of several configurations there (with another weight decay, say) the best-ranked.

    low and high are the least and the largest value of the chosen quantity over all depths: one scale for all maps of a
    backbone, so that they can be compared.
    """
    points = heat_points(source, choice)
    limits = heat_limits(chain.from_iterable(points.values()), choice.quantity) or NO_LIMITS
    shown = points if choice.depth is None else {choice.depth: points.get(choice.depth, [])}
    return pd.DataFrame([(*at, *point, *limits) for at, here in shown.items() for point in here], columns=COLUMNS)


def heat_points(source: Source, choice: Choice) -> dict[Depth, list[Point]]:
    """The points of every depth of a backbone, by depth, then by lr and batch size."""
    found: dict[Depth, dict[tuple[float, int], Point]] = {}
    for member in source.members(replace(choice, depth=None)):  # best rank first
        here, place = (
            found.setdefault(member.depth, {}),
            (member.configuration.optimiser.lr, member.configuration.optimiser.batch_size),
        )
        if place in here:
            here[place] = here[place]._replace(configurations=here[place].configurations + 1)
            continue
        score = _statistic(member, choice.score)
        mean, std, n = (score.mean, score.std, score.n) if score else (math.nan, math.nan, 0)
        here[place] = Point(*place, mean, std, n, member.asked, others=member.others)
    return {depth: sorted(found[depth].values()) for depth in sorted(found, key=lambda depth: (depth[2], depth[1]))}


def heat_limits(points: Iterable[Point], quantity: Quantity) -> tuple[float, float] | None:
    """Least and largest value, of points that have one."""
    values = [float(getattr(point, quantity)) for point in points if point.n]
    values = [value for value in values if math.isfinite(value)]
    return (min(values), max(values)) if values else None


def heat_label(points: Sequence[Point], choice: Choice) -> str:
    """What a screen reader says."""
    name = f"{QUANTITIES[choice.quantity]} of validation {SCORES[choice.score].lower()}"
    label = f"Heat map of the {name} by learning rate and batch size"
    label += f", {depth_text(choice.depth)}." if choice.depth else "."
    best = _best(points, choice)
    if best is not None:
        label += f" Best mean {best.mean:.3f} at lr {lr_text(best.lr)}, batch {best.batch_size}."
    return label


def heat_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Rows lr, columns batch size; points not in the grid stay blank, those without a result say so.

    With a colour bar of its own, which the page has once for all maps of a backbone, see `heat_legend`.
    """
    limits = (float(data["low"].iloc[0]), float(data["high"].iloc[0])) if len(data) else NO_LIMITS
    spec = points_figure(_points(data), limits, choice)
    bar = {
        "title": {"text": scale_title(choice), "side": "right", "font": {"size": 11}},
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
    lrs, batches = sorted({point.lr for point in points}), sorted({point.batch_size for point in points})
    z = np.full((len(lrs), len(batches)), np.nan)
    shown = [["" for _ in batches] for _ in lrs]
    details = [["" for _ in batches] for _ in lrs]
    digits = 1 if choice.score == EPOCH else 3
    notes = []
    for point in points:
        at, of = lrs.index(point.lr), batches.index(point.batch_size)
        value = float(getattr(point, choice.quantity)) if point.n else math.nan
        z[at, of] = value
        if math.isfinite(value):
            shown[at][of] = number(value, digits) if choice.quantity != "n" else f"{point.n}"
        if point.n == 0:
            notes.append({"x": of, "y": at, "text": f"0/{point.asked}", "showarrow": False, "font": {"color": MUTED}})
        elif point.n < point.asked:
            share = f"{point.n}/{point.asked}"
            shown[at][of] = share if choice.quantity == "n" else f"{shown[at][of]}<br>n {share}"
        std = f" ± {number(point.std, digits + 1)}" if math.isfinite(point.std) else ""
        score = f"{SCORES[choice.score]} {number(point.mean, digits + 1)}{std}<br>n = {point.n} of {point.asked}"
        if point.configurations > 1:
            score += f"<br>best of {point.configurations} configurations here: {plot_text(point.others)}"
        details[at][of] = f"lr {lr_text(point.lr)}, batch {point.batch_size}<br>{score}"
    scale = HEAT[::-1] if _darker_is_less(choice) else HEAT
    low, high = ends(*limits)
    trace = {
        "type": "heatmap",
        "z": z,
        "x": list(range(len(batches))),
        "y": list(range(len(lrs))),
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
        x, y = batches.index(best.batch_size), lrs.index(best.lr)
        shown[y][x] = f"<b>{shown[y][x]}</b>"
        edge = {"type": "rect", "x0": x - 0.49, "x1": x + 0.49, "y0": y - 0.49, "y1": y + 0.49}
        shapes.append({**edge, "line": {"color": VALID, "width": 3}, "fillcolor": "rgba(0,0,0,0)"})
    words = {
        "type": "scatter",
        "mode": "text",
        "x": [of for _ in lrs for of in range(len(batches))],
        "y": [at for at in range(len(lrs)) for _ in batches],
        # plotly 4 hides for good what was once ""
        "text": [word or " " for line in shown for word in line],
        "textfont": {"size": 11},
        "hoverinfo": "skip",
        "meta": "on heat map",
    }
    across = axis(
        tickvals=list(range(len(batches))),
        ticktext=[str(batch) for batch in batches],
        showgrid=False,
        title={"text": "batch size", "font": {"size": 11}, "standoff": 6},
        fixedrange=True,
        range=[-0.5, len(batches) - 0.5],
    )
    down = axis(
        tickvals=list(range(len(lrs))),
        ticktext=[lr_text(lr) for lr in lrs],
        title={"text": "lr", "font": {"size": 11}, "standoff": 4},
        showgrid=False,
        range=[len(lrs) - 0.5, -0.5],
        fixedrange=True,
    )
    return {
        "data": [trace, words],
        "layout": layout(
            64 + 42 * len(lrs),
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


def heat_legend(limits: tuple[float, float], choice: Choice) -> str:
    """The scale as HTML, from its light end to its dark one."""
    low, high = limits
    if _darker_is_less(choice):
        low, high = high, low
    digits = 0 if choice.quantity == "n" else 1 if choice.score == EPOCH else 3
    ends = ("early", "late") if choice.score == EPOCH else ("worse", "better")
    if choice.quantity != "mean":
        ends = ("less", "more")
    return (
        f'<p class="legend"><b>{text(scale_title(choice))}</b> <span>{ends[0]} {number(low, digits)}</span>'
        '<span class="ramp" aria-hidden="true"></span>'
        f"<span>{number(high, digits)} {ends[1]}</span></p>"
    )


def _points(data: pd.DataFrame) -> list[Point]:
    return [Point(*row) for row in zip(*(data[name].tolist() for name in Point._fields), strict=True)]


def _statistic(member: ConfigurationSummary, score: str) -> Statistic | None:
    if score == EPOCH:
        return member.selected_epochs
    return member.score(score, "valid")  # type: ignore[arg-type]  # a key of SCORES


def _darker_is_less(choice: Choice) -> bool:
    return choice.score == "loss" and choice.quantity == "mean"


def _best(points: Sequence[Point], choice: Choice) -> Point | None:
    """The best mean among configurations whose repeats are all done; an epoch and a spread have no better or worse."""
    whole = [point for point in points if point.n == point.asked and math.isfinite(point.mean)]
    if choice.score == EPOCH or choice.quantity != "mean" or not whole:
        return None
    return min(whole, key=lambda point: point.mean if choice.score == "loss" else -point.mean)


_READING = (
    "Each cell is one configuration on the validation split, at each repeat’s selected epoch; point at it for "
    "mean, standard deviation (n − 1) and n. Where several configurations share a cell, it shows the best-ranked. "
    "The frame marks the best mean among configurations whose repeats are all done; points outside the grid are "
    "blank; all maps of a backbone share one scale."
)

FIGURE = Figure(
    name="heat-map",
    section="heat-maps",
    title="Heat maps of learning rate and batch size",
    reading=_READING,
    data=heat_data,
    draw=heat_figure,
    label=lambda data, choice: heat_label(_points(data), choice),
    per=Per.DEPTH,
    scores=tuple(SCORES),
    quantities=tuple(QUANTITIES),
    page=OnPage(
        form=Form.MAPS,
        controls=(
            Control("heat", "Show", SCORES),
            Control("of", "as", {str(key): name for key, name in QUANTITIES.items()}, sets="quantity"),
        ),
        reading_on_top=_READING,
    ),
)

"""The grid of mean learning curves with bands, one setting down and one across (as in figures B.1 to B.3)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import BOTH, Choice, Source
from dashboards.figures.curve_panels import Panel, Placed, curve_data, panels_of
from dashboards.figures.declaration import TRAIN_AND_VALID, Control, Figure, Form, Key, OnPage, Per
from dashboards.figures.facets import Pair
from dashboards.figures.folding import unfolded
from dashboards.figures.limits import ends
from dashboards.figures.markup import METRIC_NAMES, deviations, plot_text
from dashboards.figures.palette import INK, MUTED, PAPER, SPLIT_COLOURS, Spec, axis, layout
from dashboards.figures.setting_text import ordered, words_of
from orchestrator.results.names import counted

PANEL_HEIGHT, PANEL_WIDTH = 150, 168
"""Pixels; with more columns than fit, the grid scrolls sideways."""
NAMES: dict[str, str] = {
    **{str(key): name for key, name in METRIC_NAMES.items()},
    BOTH: "Loss and accuracy on two axes",
}
"""Scores that a grid can show."""
_ALIKE = ("train", "valid", "selected")
"""The traces of a panel and score."""
_RIGHT = 500
"""Number of the first axis on the right; plotly's axes are numbered, from 1."""


def curve_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """All panels share both ranges; with BOTH the accuracy has an axis of its own on the right."""
    return _with_bands(unfolded(panels_figure(panels_of(data, choice), choice.pair)))


def panels_figure(placed: list[Placed], pair: Pair) -> Spec:
    """The drawing in short, see `folding`, and without its bands: they follow from means and deviations.

    The panels of a column have one x axis, those of a row one y axis for each score: with axes of their own for each
    panel plotly takes half as long again.
    """
    panels = [one.panel for one in placed]
    scores = list(dict.fromkeys(panel.score for panel in panels))
    rows = ordered(pair.rows, (one.row for one in placed))
    columns = ordered(pair.columns, (one.column for one in placed))
    points = {(rows.index(one.row), columns.index(one.column)) for one in placed}
    top, bottom, right = 30, 48, 8 if len(scores) < 2 else 46
    height = PANEL_HEIGHT * max(1, len(rows)) + top + bottom
    spec = layout(height, margin={"l": 92, "r": right, "t": top, "b": bottom}, dragmode="zoom")
    limits = [_limits([panel for panel in panels if panel.score == score]) for score in scores]
    spec |= _axes(points, len(rows), len(columns), limits)
    traces: list[Spec] = []
    notes: list[Spec] = []
    counts = [_count(one.panel, limits[scores.index(one.panel.score)][1]) for one in placed]
    same_n = len(points) > 1 and len(set(counts)) == 1
    if same_n:
        notes.append(_note(f"{counts[0]} each", 0, 1, "right", "bottom", 10, 6))
    for one, count in zip(placed, counts, strict=True):
        panel, row, column = one.panel, rows.index(one.row), columns.index(one.column)
        place = scores.index(panel.score)
        x, y = _name("x", column), _name("y", row, place)
        traces.extend(_panel_traces(panel, x, y, len(_ALIKE) * place))
        if place == 0 and not same_n:
            corner = spec[_name("xaxis", column)]["domain"][1], spec[_name("yaxis", row)]["domain"][1]
            notes.append(_note(count, *corner, "right", "bottom", 10))
    for column, value in enumerate(columns):
        notes.append(_note(_words(pair.columns, value), (column + 0.5) / len(columns), 1, "center", "bottom", 12, 6))
    for row, value in enumerate(rows):
        note = _note(_words(pair.rows, value), 0, 1 - (row + 0.5) / len(rows), "right", "middle", 12)
        notes.append({**note, "xshift": -44, "textangle": -90, "xanchor": "center"})
    last = max((len(panel.curves["valid"].mean) - 1 for panel in panels), default=1)
    quiet = {"automargin": False, "mirror": "all", "showline": True, "ticklabeloverflow": "allow"}
    title = {"text": "epoch", "font": {"size": 11}, "standoff": 4}
    axes = {
        "x": axis(range=[-0.02 * last, 1.02 * last], nticks=5, title=title, **quiet),
        "y": axis(nticks=4, **quiet),
    }
    alike = [trace for place, score in enumerate(scores) for trace in _alike(score, place)]
    return {"data": traces, "layout": {**spec, "annotations": notes}, "alike": alike, "axes": axes}


def _name(letter: str, number: int, place: int = 0) -> str:
    """The axis of a column or row, in plotly's words; `place` 1 for the one on the right."""
    number += _RIGHT if place else 1
    return letter if number == 1 else f"{letter}{number}"


def _words(column: str, value: Any) -> str:
    return plot_text(words_of(column, value))


def _axes(points: set[tuple[int, int]], rows: int, columns: int, limits: list[list[float]]) -> Spec:
    """An axis below each column, one left of each row and, with two scores, one right of it; limits: range by score.

    Where points are missing, they stand at the lowest, the first or the last panel that there is.
    """
    gap_x, gap_y = (0.12 if len(limits) < 2 else 0.16) / max(columns, 1), 0.14 / max(rows, 1)
    spec: Spec = {}
    for column in range(columns):
        edges = column / columns + gap_x / 2, (column + 1) / columns - gap_x / 2
        lowest = max(row for row, other in points if other == column)
        own: Spec = {"domain": [round(edge, 4) for edge in edges], "anchor": _name("y", lowest)}
        spec[_name("xaxis", column)] = own | ({"matches": "x"} if column else {})
    for row in range(rows):
        edges = 1 - (row + 1) / rows + gap_y / 2, 1 - row / rows - gap_y / 2
        beside = [column for other, column in points if other == row]
        for place, (limit, end) in enumerate(zip(limits, (min, max), strict=False)):
            own = {"domain": [round(edge, 4) for edge in edges], "anchor": _name("x", end(beside)), "range": limit}
            if place:
                own |= {"overlaying": _name("y", row), "side": "right", "showgrid": False, "tickmode": "auto"}
            spec[_name("yaxis", row, place)] = own | ({"matches": _name("y", 0, place)} if row else {})
    return spec


def _count(panel: Panel, top: float) -> str:
    """Its n, how many of its repeats diverged, and how many of its dots lie above the axes."""
    n = panel.curves["valid"].n
    most, fewest = int(n[0]), int(n[-1])
    shown = f"n = {most}" if most == fewest else f"n = {most} → {fewest}"
    above = int((panel.selected > top).sum())
    more = (f"{panel.diverged} diverged" if panel.diverged else "", f"{counted(above, 'dot')} above" if above else "")
    return ", ".join(filter(None, [shown, *more]))


def _panel_traces(panel: Panel, x: str, y: str, first: int) -> list[Spec]:
    """Lines and dots, without what they share with those of other panels: the `first` of `_alike` and what follows."""
    lines: list[Spec] = [
        {
            "y": curve.mean,
            "customdata": curve.std,
            "meta": {"name": panel.name, "n": panel.runs},
            "xaxis": x,
            "yaxis": y,
            "like": first + _ALIKE.index(split),
        }
        | (_own_hover(panel, split) if len(panel.runs) > 1 or panel.runs[0][1] < 2 else {})
        for split, curve in panel.curves.items()
    ]
    selected = first + _ALIKE.index("selected")
    dots = {"x": panel.selected_epochs, "y": panel.selected, "xaxis": x, "yaxis": y, "like": selected}
    return [*lines, dots]


def _own_hover(panel: Panel, split: str) -> Spec:
    """What a line says where n is not the same at every epoch, or 1."""
    curve = panel.curves[split]
    words = zip(deviations(curve.std.tolist()), curve.n.tolist(), strict=True)
    return {
        "text": [f"{std}, epoch {epoch}, n = {n}" for epoch, (std, n) in enumerate(words)],
        "hovertemplate": _hover(split, panel.score, "%{text}"),
    }


def _hover(split: str, score: str, more: str) -> str:
    name = METRIC_NAMES[score].lower()
    return f"{split} {name} %{{y:.4f}}{more}<extra></extra>"


def _alike(score: str, place: int) -> list[Spec]:
    """What the traces of a score have in common, in the order of _ALIKE."""
    name = METRIC_NAMES[score].lower()
    lines: list[Spec] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": split,
            "x0": 0,
            "dx": 1,
            "line": {"color": colour, "width": 1.7 if place == 0 else 1.1, "dash": dash},
            "meta": {"split": split, "band": band, "score": score},
            "hovertemplate": _hover(split, score, " ± %{customdata:.4f}, epoch %{x}, n = %{meta.n[0][1]}"),
        }
        for split, (colour, band, dash) in SPLIT_COLOURS.items()
    ]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": "best of a repeat",
        "marker": {
            "size": 6,
            "color": PAPER,
            "line": {"color": INK, "width": 1.3},
            "symbol": "circle" if place == 0 else "diamond",
        },
        "hovertemplate": f"best of a repeat: valid {name} %{{y:.4f}}, epoch %{{x}}<extra></extra>",
    }
    return [*lines, dots]


def _with_bands(spec: Spec) -> Spec:
    """The figure with mean ± std behind its lines, as far as a deviation is known; the page's script does the same.

    Bands are shapes: plotly draws them in half the time that traces take.
    """
    bands = []
    for line in spec["data"]:
        known = int(np.isfinite(line["customdata"]).cumprod().sum()) if "meta" in line else 0
        if known:
            mean, std = line["y"][:known], line["customdata"][:known]
            above = [f"{epoch},{value:.6g}" for epoch, value in enumerate(mean + std)]
            below = [f"{epoch},{value:.6g}" for epoch, value in enumerate(mean - std)]
            bands.append(
                {
                    "type": "path",
                    "layer": "below",
                    "path": f"M{'L'.join(above + below[::-1])}Z",
                    "fillcolor": line["meta"]["band"],
                    "line": {"width": 0},
                    "xref": line["xaxis"],
                    "yref": line["yaxis"],
                }
            )
    return {**spec, "layout": {**spec["layout"], "shapes": bands}}


def _limits(panels: list[Panel]) -> list[float]:
    """One range for all panels: bands (the mean itself where n < 2) and selected values fit in.

    A loss is 0 or more, and one that runs away is cut at 2.5 times the untrained.
    """
    limits = [panel.limits for panel in panels if math.isfinite(panel.limits[0])]
    low, high = (min(low for low, _ in limits), max(high for _, high in limits)) if limits else (0.0, 1.0)
    is_loss = panels[0].score == "loss"
    untrained = [panel.untrained for panel in panels if math.isfinite(panel.untrained)]
    if is_loss and untrained:
        high = min(high, 2.5 * max(untrained))
    low, high = ends(low, high)
    margin = 0.06 * (high - low)
    # mean − std of a loss can lie below zero, where no loss is
    return [max(0.0, low - margin) if is_loss else low - margin, high + margin]


def _note(content: str, x: float, y: float, across: str, down: str, size: int, shift: int = 0) -> Spec:
    return {
        "text": content,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": across,
        "yanchor": down,
        "yshift": shift,
        "showarrow": False,
        "font": {"size": size, "color": MUTED if size < 12 else INK},
    }


def curve_label(count: int, choice: Choice) -> str:
    """What a screen reader says of a grid of `count` panels."""
    of = f", {choice.facet.name}" if choice.facet else ""
    return f"Mean {NAMES[choice.score].lower()} of train and valid by epoch for {count} configurations{of}."


def _all_diverged(source: Source, choice: Choice) -> str:
    is_any_done = any(member.n for member in source.members(choice))
    return "All finished repeats diverged, so there is no mean curve." if is_any_done else ""


_READING = (
    "Each panel is one configuration: lines are means over the n finished repeats, bands ± one standard deviation "
    "(n − 1) where n ≥ 2. Each dot is one repeat’s selected epoch with its validation value."
)
_HOW = (
    "There is one grid for each combination of the settings that are neither rows nor columns. Epoch 0 is the "
    "untrained network. A curve thins out where repeats stopped early, or have fewer epochs than others while a search "
    "is being extended: its panel then says n = first → last. Diverged repeats are in no mean: a panel counts them, "
    "and a configuration whose repeats all diverged has no panel. A loss above 2.5 times the untrained loss is cut "
    "off: a panel counts the dots above, and the table has them. On two axes, accuracy is the thinner line with "
    "diamonds, and its scale is on the right."
)

FIGURE = Figure(
    name="curves",
    section="curves",
    title="Mean learning curves",
    reading=_READING,
    how=_HOW,
    data=curve_data,
    draw=curve_figure,
    label=lambda data, choice: curve_label(data["configuration"].nunique(), choice),
    per=Per.FACET,
    scores=tuple(NAMES),
    page=OnPage(
        form=Form.GRID,
        controls=(Control("curve", "Show", NAMES, seldom=("macro_f1",)),),
        keys=(
            Key((*TRAIN_AND_VALID.marks, ("dot", "best of a repeat (valid)"))),
            Key(
                (("dot", "loss: thick lines, left axes"), ("dot diamond", "accuracy: thin lines, right axes")),
                score=BOTH,
            ),
        ),
        reading_on_top=_READING,
        how=lambda source, choice: (
            " All panels share both axes. Point at a line for n at that epoch; click or tap a panel, or choose it "
            "below, for its single repeats. Drag over a panel to enlarge it, double click to go back."
        ),
        absent=_all_diverged,
    ),
)

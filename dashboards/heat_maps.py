"""Heat maps of learning rate × batch size, one per strategy, n and u."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from dashboards.chart import Variant
from dashboards.markup import METRIC_NAMES, depth_text, lr_text
from dashboards.palette import HEAT, MUTED, VALID, Spec, axis, layout
from orchestrator.summary import ConfigurationSummary, Statistic

VALUES: dict[str, str] = {**{str(key): name for key, name in METRIC_NAMES.items()}, "epoch": "Best epoch"}
"""What a heat map may show, by key."""


def heat_data(members: Sequence[ConfigurationSummary], key: str) -> pd.DataFrame:
    """One row per configuration: depth, lr, batch_size, mean, std, n, asked; of valid, NaN without a result."""
    rows = []
    for member in members:
        statistic = _statistic(member, key) or Statistic.of(np.zeros(0))
        settings = member.configuration
        scores = statistic.mean, statistic.std, statistic.n
        rows.append((member.depth, settings.lr, settings.batch_size, *scores, member.asked))
    return pd.DataFrame(rows, columns=["depth", "lr", "batch_size", "mean", "std", "n", "asked"])


def heat_range(data: pd.DataFrame) -> tuple[float, float]:
    """Lowest and highest mean: one scale for all maps of a backbone, so that they can be compared."""
    means = data["mean"].to_numpy(dtype=float)
    means = means[np.isfinite(means)]
    return (float(means.min()), float(means.max())) if len(means) else (0.0, 1.0)


def heat_variant(data: pd.DataFrame, key: str, depth: tuple[str, int, int], limits: tuple[float, float]) -> Variant:
    """The map of one depth; `data` may hold others."""
    part = data[data["depth"] == depth].sort_values(["lr", "batch_size"])
    best = _best(part, key)
    label = f"Heat map of validation {VALUES[key].lower()} by learning rate and batch size, {depth_text(depth)}."
    if best is not None:
        label += f" Best mean {best.mean:.3f} at lr {lr_text(best.lr)}, batch {best.batch_size}."
    rows = [
        [lr_text(row.lr), int(row.batch_size), row.mean, row.std, int(row.n), int(row.asked)] for row in _points(part)
    ]
    columns = ["lr", "batch size", f"{VALUES[key]}, mean", "std", "n", "asked"]
    return Variant(heat_figure(part, key, limits), label, columns, rows)


def heat_figure(part: pd.DataFrame, key: str, limits: tuple[float, float]) -> Spec:
    """Rows lr, columns batch size; points not in the grid stay blank, those without a result say so."""
    lrs, batches = sorted(part["lr"].unique()), sorted(part["batch_size"].unique())
    z = np.full((len(lrs), len(batches)), np.nan)
    shown = [["" for _ in batches] for _ in lrs]
    details = [[["", "", ""] for _ in batches] for _ in lrs]
    digits = 1 if key == "epoch" else 3
    notes = []
    for row in _points(part):
        at, of = lrs.index(row.lr), batches.index(row.batch_size)
        z[at, of] = row.mean
        shown[at][of] = f"{row.mean:.{digits}f}" if math.isfinite(row.mean) else ""
        if row.n == 0:
            notes.append({"x": of, "y": at, "text": f"0/{row.asked}", "showarrow": False, "font": {"color": MUTED}})
        elif row.n < row.asked:
            shown[at][of] += f"<br>n {row.n}/{row.asked}"
        std = f"{row.std:.{digits}f}" if math.isfinite(row.std) else "–"
        details[at][of] = [std, f"{row.n} of {row.asked}", f"lr {lr_text(row.lr)}, batch {row.batch_size}"]
    scale = HEAT[::-1] if _lower_is_better(key) else HEAT
    trace = {
        "type": "heatmap",
        "z": z,
        "x": list(range(len(batches))),
        "y": list(range(len(lrs))),
        "zmin": limits[0],
        "zmax": limits[1] if limits[1] > limits[0] else limits[0] + 1e-9,
        "colorscale": [[place / (len(scale) - 1), colour] for place, colour in enumerate(scale)],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "customdata": details,
        "hovertemplate": "%{customdata[2]}<br>"
        + f"{VALUES[key]} %{{z:.4f}} ± %{{customdata[0]}}<br>n = %{{customdata[1]}}<extra></extra>",
        "hoverongaps": False,
    }
    shapes = []
    best = _best(part, key)
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
        "text": [word for line in shown for word in line],
        "textfont": {"size": 11, "color": text_colours(z, limits, scale)},
        "hoverinfo": "skip",
        "meta": "on heat map",
    }
    across = axis(
        tickvals=list(range(len(batches))),
        ticktext=[str(batch) for batch in batches],
        showgrid=False,
        title={"text": "batch size", "font": {"size": 11}, "standoff": 6},
        fixedrange=True,
    )
    down = axis(
        tickvals=list(range(len(lrs))),
        ticktext=[lr_text(lr) for lr in lrs],
        showgrid=False,
        autorange="reversed",
        fixedrange=True,
    )
    height = 64 + 42 * len(lrs)
    return {
        "data": [trace, words],
        "layout": layout(
            height,
            xaxis=across,
            yaxis=down,
            shapes=shapes,
            annotations=notes,
            margin={"l": 46, "r": 4, "t": 4, "b": 40},
        ),
    }


def text_colours(z: np.ndarray, limits: tuple[float, float], scale: Sequence[str]) -> list[str]:
    """Black or white for each cell, row by row, whichever stands out more (WCAG 2 relative luminance).

    The page's script does the same for the dark scale.
    """
    stops = np.array([[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in scale]) / 255
    share = np.nan_to_num((z.ravel() - limits[0]) / max(limits[1] - limits[0], 1e-9)).clip(0, 1)
    colours = np.stack([np.interp(share, np.linspace(0, 1, len(stops)), channel) for channel in stops.T], axis=1)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return ["#000000" if light > 0.179 else "#ffffff" for light in linear @ (0.2126, 0.7152, 0.0722)]


def heat_legend(key: str, limits: tuple[float, float]) -> str:
    """The scale as HTML, from worse to better (or from early to late)."""
    low, high = limits if not _lower_is_better(key) else limits[::-1]
    digits = 1 if key == "epoch" else 3
    ends = ("early", "late") if key == "epoch" else ("worse", "better")
    return (
        f'<p class="legend"><span>{ends[0]} {low:.{digits}f}</span><span class="ramp" aria-hidden="true"></span>'
        f"<span>{high:.{digits}f} {ends[1]}</span></p>"
    )


class _Point(NamedTuple):
    depth: tuple[str, int, int]
    lr: float
    batch_size: int
    mean: float
    std: float
    n: int
    asked: int


def _points(part: pd.DataFrame) -> list[_Point]:
    return [_Point(*values) for values in part[list(_Point._fields)].itertuples(index=False, name=None)]


def _statistic(member: ConfigurationSummary, key: str) -> Statistic | None:
    if key == "epoch":
        return member.selected_epochs
    return next((member.score(metric, "valid") for metric in METRIC_NAMES if metric == key), None)


def _lower_is_better(key: str) -> bool:
    return key == "loss"


def _best(part: pd.DataFrame, key: str) -> _Point | None:
    """The best mean among configurations whose repeats are all done; an epoch has no better or worse."""
    whole = [point for point in _points(part) if point.n == point.asked and math.isfinite(point.mean)]
    if key == "epoch" or not whole:
        return None
    return min(whole, key=lambda point: point.mean if _lower_is_better(key) else -point.mean)

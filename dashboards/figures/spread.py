"""How much repeats vary: single repeats per configuration, train against valid, the untrained network, density."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import Choice, Source
from dashboards.figures.markup import METRIC_NAMES, depth_text, lr_text, plot_text, point_text
from dashboards.figures.palette import (
    HEAT,
    MUTED,
    SPLIT_COLOURS,
    STRATEGY_COLOURS,
    STRATEGY_MARKS,
    UNTRAINED,
    Spec,
    axis,
    layout,
    legend,
)
from dashboards.figures.strips import dots, row_axis, strip, ticks
from orchestrator.store.schema import Metric

SHOWN = 24
"""Configurations drawn, best first."""
BINS, DENSITY_BINS = 40, 32


def spread_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per repeat and split of the best-ranked SHOWN configurations, at the selected epoch.

    Columns: place (0 is the best), strategy, non_linearities, unfrozen, lr, batch_size, split, repeat, value.
    """
    names = ["place", "strategy", "non_linearities", "unfrozen", "lr", "batch_size", "split", "repeat", "value"]
    found: dict[str, list[Any]] = {name: [] for name in names}
    ranked = [member for member in source.members(choice) if member.rank is not None][:SHOWN]
    for place, member in enumerate(ranked):
        settings = member.configuration
        for split in ("train", "valid"):
            score = member.score(choice.score, split)  # type: ignore[arg-type]
            if score is None:
                continue
            where = (place, *member.depth, settings.lr, settings.batch_size, split)
            for name, value in zip(names, where, strict=False):
                found[name] += [value] * score.n
            found["repeat"] += member.with_result
            found["value"] += score.values.tolist()
    return pd.DataFrame(found)


def spread_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per configuration: quartiles as a bar, the median as a tick, each repeat as a dot."""
    traces: list[Spec] = []
    for split in ("train", "valid"):
        one = strip(data, split)
        rows, quartiles = one.rows, np.array([_quartiles(values) for values in one.by_row]).reshape(-1, 3)
        gap = np.full(len(rows), np.nan)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.stack([quartiles[:, 0], quartiles[:, 2], gap], axis=1).ravel(),
                "y": np.stack([rows, rows, gap], axis=1).ravel(),
                "line": {"color": SPLIT_COLOURS[split][1], "width": 9},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
        traces += [dots(one, split, choice.score), ticks(quartiles[:, 1], rows, split, choice.score, "median")]
    columns = (data[name].tolist() for name in ("strategy", "non_linearities", "unfrozen", "lr", "batch_size"))
    first = np.unique(data["place"].to_numpy(), return_index=True)[1].tolist()
    settings = list(zip(*columns, strict=True))
    names = [
        plot_text(depth_text((strategy, n, u)))
        + f"<br><span style='color:{MUTED}'>lr {lr_text(lr)}, batch {batch}</span>"
        for strategy, n, u, lr, batch in (settings[row] for row in first)
    ]
    across = axis(title={"text": METRIC_NAMES[choice.score]}, nticks=7)  # type: ignore[index]
    spec = layout(64 + 32 * len(names), xaxis=across, yaxis=row_axis(names, 0.6))
    return {"data": traces, "layout": spec}


def _quartiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower quartile, median and upper quartile of what is finite, between the values next to them in proportion."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return np.full(3, np.nan)
    found: NDArray[np.float64] = np.interp(np.arange(1, 4) / 4 * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    return found


def gap_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration with a result: strategy, where it lies, train and valid mean, gap, n."""
    rows = []
    for member in source.members(choice):
        train, valid = (member.score(choice.score, split) for split in ("train", "valid"))  # type: ignore[arg-type]
        if train is None or valid is None or not math.isfinite(train.mean + valid.mean):
            continue
        where = f"{depth_text(member.depth)}, {point_text(member.configuration)}"
        gap = float(np.mean(valid.values - train.values))
        rows.append((member.configuration.strategy, where, train.mean, valid.mean, gap, valid.std, member.n))
    return pd.DataFrame(rows, columns=["strategy", "configuration", "train", "valid", "gap", "valid_std", "n"])


def gap_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Train across, valid up, a mark per configuration; on the diagonal there is no gap."""
    name = METRIC_NAMES[choice.score].lower()  # type: ignore[index]
    values = np.concatenate([data[split].to_numpy(dtype=float) for split in ("train", "valid")])
    values = values[np.isfinite(values)]
    if choice.score == "loss":
        values = values[values <= 3 * np.median(values)]
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * max(high - low, 1e-6)
    traces: list[Spec] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "no gap",
            "x": [low, high],
            "y": [low, high],
            "line": {"color": MUTED, "width": 1, "dash": "dash"},
            "hoverinfo": "skip",
        }
    ]
    strategies = np.array(data["strategy"].tolist())
    words = [plot_text(configuration) for configuration in data["configuration"].tolist()]
    numbers = {name: data[name].to_numpy() for name in ("train", "valid", "gap", "n")}
    for strategy, symbol in STRATEGY_MARKS.items():
        mine = np.flatnonzero(strategies == strategy)
        if not len(mine):
            continue
        part = {name: values[mine] for name, values in numbers.items()}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": strategy,
                "x": part["train"],
                "y": part["valid"],
                "marker": {"size": 8, "symbol": f"{symbol}-open", "color": STRATEGY_COLOURS[strategy]},
                "customdata": np.stack([part["gap"], part["n"]], axis=1),
                "text": [words[row] for row in mine],
                "hovertemplate": "%{text}<br>train %{x:.4f}, valid %{y:.4f}<br>gap %{customdata[0]:.4f}, "
                "n = %{customdata[1]}<extra></extra>",
            }
        )
    x = axis(title={"text": f"train {name}"}, nticks=6, range=[low - margin, high + margin])
    y = axis(title={"text": f"valid {name}"}, nticks=6, range=[low - margin, high + margin])
    spec = layout(400, xaxis=x, yaxis=y, showlegend=True, legend=legend(), dragmode="zoom")
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


def untrained_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Distribution of loss and accuracy on train and valid at epoch 0, all repeats chosen together (C.1, C.2).

    Columns: score, split, low, high (edges of the bin), repeats.
    """
    return _histograms(source, choice, ("loss", "accuracy"))


def _histograms(source: Source, choice: Choice, scores: tuple[Metric, ...]) -> pd.DataFrame:
    blocks = []
    members = source.members(choice)
    for score in scores:
        values = {
            split: np.concatenate([s.values for m in members if (s := m.untrained(score, split))] or [np.zeros(0)])
            for split in ("train", "valid")
        }
        values = {split: found[np.isfinite(found)] for split, found in values.items()}
        together = np.concatenate(list(values.values()))
        if not len(together):
            continue
        # a few heads start far away: the bins span what lies between the outermost hundredths
        low, high = np.quantile(together, [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1e-6, BINS + 1)
        for split, found in values.items():
            counts, _ = np.histogram(found.clip(edges[0], edges[-1]), edges)
            blocks.append(
                pd.DataFrame({"score": score, "split": split, "low": edges[:-1], "high": edges[1:], "repeats": counts})
            )
    columns = ["score", "split", "low", "high", "repeats"]
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame(columns=columns)


def untrained_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Outlines of two histograms on each side: loss left, accuracy right."""
    traces: list[Spec] = []
    scores, splits = (np.array(data[name].tolist()) for name in ("score", "split"))
    low, high, repeats = (data[name].to_numpy(dtype=float) for name in ("low", "high", "repeats"))
    for side, score in enumerate(("loss", "accuracy")):
        for split in ("train", "valid"):
            mine = np.flatnonzero((scores == score) & (splits == split))
            if not len(mine):
                continue
            colour, band, dash = SPLIT_COLOURS[split]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": split,
                    "legendgroup": split,
                    "showlegend": side == 0,
                    "x": np.append(low[mine], high[mine[-1]]),
                    "y": np.append(repeats[mine], 0),
                    "line": {"shape": "hv", "color": colour, "width": 1.6, "dash": dash},
                    "fill": "tozeroy",
                    "fillcolor": band,
                    "hovertemplate": f"{split} {score} from %{{x:.4f}}: %{{y}} repeats<extra></extra>",
                    "xaxis": "x" if side == 0 else "x2",
                    "yaxis": "y" if side == 0 else "y2",
                }
            )
    spec = layout(
        300,
        xaxis=axis(domain=[0, 0.46], title={"text": "loss at epoch 0"}, nticks=6),
        yaxis=axis(title={"text": "repeats"}, nticks=5, rangemode="tozero"),
        xaxis2=axis(domain=[0.54, 1], title={"text": "accuracy at epoch 0"}, nticks=6, anchor="y2"),
        yaxis2=axis(anchor="x2", nticks=5, rangemode="tozero"),
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


def density_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Counts of repeats by validation accuracy and loss at the selected epoch (C.3); bins without a repeat left out.

    Columns: accuracy_low, accuracy_high, loss_low, loss_high, repeats. Losses above 99 % of all count in the last bin.
    """
    columns = ["accuracy_low", "accuracy_high", "loss_low", "loss_high", "repeats"]
    pairs = [
        np.stack([accuracy.values, loss.values], axis=1)
        for member in source.members(choice)
        if (accuracy := member.score("accuracy", "valid")) and (loss := member.score("loss", "valid"))
    ]
    values = np.concatenate(pairs) if pairs else np.zeros((0, 2))
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return pd.DataFrame(columns=columns)
    low, high = values.min(axis=0), np.array([values[:, 0].max(), np.quantile(values[:, 1], 0.99)])
    high = np.where(high > low, high, low + 1e-6)
    edges = [np.linspace(low[axis], high[axis], DENSITY_BINS + 1) for axis in (0, 1)]
    counts, *_ = np.histogram2d(values[:, 0], values[:, 1].clip(None, high[1]), bins=edges)
    across, up = np.nonzero(counts)
    return pd.DataFrame(
        {
            "accuracy_low": edges[0][across],
            "accuracy_high": edges[0][across + 1],
            "loss_low": edges[1][up],
            "loss_high": edges[1][up + 1],
            "repeats": counts[across, up].astype(int),
        }
    )


def density_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Accuracy across, loss up; darker where more repeats end."""
    edges_x = np.unique(np.round(data["accuracy_low"].to_numpy(dtype=float), 9))
    edges_y = np.unique(np.round(data["loss_low"].to_numpy(dtype=float), 9))
    width = data["accuracy_high"].to_numpy(dtype=float) - data["accuracy_low"].to_numpy(dtype=float)
    tall = data["loss_high"].to_numpy(dtype=float) - data["loss_low"].to_numpy(dtype=float)
    x = np.arange(edges_x.min(), edges_x.max() + width[0] / 2, width[0])
    y = np.arange(edges_y.min(), edges_y.max() + tall[0] / 2, tall[0])
    z = np.full((len(y), len(x)), np.nan)
    column = np.rint((data["accuracy_low"].to_numpy(dtype=float) - x[0]) / width[0]).astype(int)
    row = np.rint((data["loss_low"].to_numpy(dtype=float) - y[0]) / tall[0]).astype(int)
    z[row, column] = data["repeats"].to_numpy(dtype=float)
    trace = {
        "type": "heatmap",
        "x": x + width[0] / 2,
        "y": y + tall[0] / 2,
        "z": z,
        "colorscale": [[place / (len(HEAT) - 2), colour] for place, colour in enumerate(HEAT[1:])],
        "colorbar": {
            "title": {"text": "repeats"},
            "thickness": 10,
            "outlinewidth": 0,
            "tickfont": {"color": UNTRAINED},
        },
        "hoverongaps": False,
        "hovertemplate": "accuracy %{x:.3f}, loss %{y:.3f}<br>%{z} repeats<extra></extra>",
    }
    spec = layout(
        380,
        xaxis=axis(title={"text": "valid accuracy"}, nticks=6, showgrid=False),
        yaxis=axis(title={"text": "valid loss"}, nticks=6, showgrid=False),
    )
    return {"data": [trace], "layout": spec}

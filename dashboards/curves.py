"""The grid of mean learning curves with bands, lr down and batch sizes across (as in figures B.1 to B.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboards.chart import Variant
from dashboards.markup import METRIC_NAMES, depth_text, lr_text
from dashboards.palette import INK, MUTED, PAPER, SPLIT_COLOURS, Spec, axis, layout
from orchestrator.store.schema import Metric
from orchestrator.summary import ConfigurationSummary, Curve

PANEL_HEIGHT, PANEL_WIDTH = 150, 168
"""Pixels; with more columns than fit, the grid scrolls sideways."""


@dataclass(frozen=True)
class Panel:
    """One configuration: mean and std per epoch of train and valid, and each repeat's best epoch and valid value."""

    lr: float
    batch_size: int
    train: Curve
    valid: Curve
    best_epochs: NDArray[np.float64]
    best_values: NDArray[np.float64]
    untrained: float
    asked: int
    diverged: int


def curve_data(members: Sequence[ConfigurationSummary], metric: Metric) -> list[Panel]:
    """One panel per configuration that has a finished repeat, by lr, then batch size."""
    panels = []
    for member in members:
        train, valid = member.curve(metric, "train"), member.curve(metric, "valid")
        score, start = member.score(metric, "valid"), member.untrained(metric, "valid")
        if train is None or valid is None or score is None or start is None or member.selected_epochs is None:
            continue
        settings = member.configuration
        panels.append(
            Panel(
                settings.lr,
                settings.batch_size,
                train,
                valid,
                member.selected_epochs.values,
                score.values,
                start.mean,
                member.asked,
                member.diverged,
            )
        )
    return sorted(panels, key=lambda panel: (panel.lr, panel.batch_size))


def curve_variant(panels: Sequence[Panel], metric: Metric, depth: tuple[str, int, int]) -> Variant:
    """The figure without its bands: the page's script draws them from the lines, which halves the page."""
    name = METRIC_NAMES[metric]
    label = f"Mean {name.lower()} of train and valid by epoch for {len(panels)} configurations, {depth_text(depth)}."
    columns = ["lr", "batch size", "epoch", "train mean", "train std", "valid mean", "valid std", "n"]
    spec = curve_figure(panels, metric)
    lines = [trace for trace in spec["data"] if trace.get("fill") is None]
    return Variant({**spec, "data": lines}, label, columns, None)


def curve_figure(panels: Sequence[Panel], metric: Metric) -> Spec:
    """All panels share both axes; what has one colour in a panel is one trace."""
    lrs, batches = sorted({panel.lr for panel in panels}), sorted({panel.batch_size for panel in panels})
    height, top, bottom = PANEL_HEIGHT * len(lrs) + 78, 30, 48
    spec = layout(height, margin={"l": 92, "r": 8, "t": top, "b": bottom})
    traces: list[Spec] = []
    notes: list[Spec] = []
    low, high = _limits(panels, metric)
    last = max(len(panel.valid.mean) - 1 for panel in panels)
    gap_x, gap_y = 0.12 / max(len(batches), 1), 0.14 / max(len(lrs), 1)
    for number, panel in enumerate(panels):
        row, column = lrs.index(panel.lr), batches.index(panel.batch_size)
        suffix = "" if number == 0 else str(number + 1)
        x = [column / len(batches) + gap_x / 2, (column + 1) / len(batches) - gap_x / 2]
        y = [1 - (row + 1) / len(lrs) + gap_y / 2, 1 - row / len(lrs) - gap_y / 2]
        below = not any(p.batch_size == panel.batch_size and p.lr > panel.lr for p in panels)
        left = not any(p.lr == panel.lr and p.batch_size < panel.batch_size for p in panels)
        spec[f"xaxis{suffix}"] = axis(
            domain=x,
            anchor=f"y{suffix}",
            range=[-0.02 * last, 1.02 * last],
            showticklabels=below,
            nticks=5,
            automargin=False,
            mirror=True,
            showline=True,
            title={"text": "epoch" if below else "", "font": {"size": 11}, "standoff": 4},
        )
        spec[f"yaxis{suffix}"] = axis(
            domain=y,
            anchor=f"x{suffix}",
            range=[low, high],
            showticklabels=left,
            nticks=4,
            automargin=False,
            mirror=True,
            showline=True,
        )
        if number:
            spec[f"xaxis{suffix}"]["matches"], spec[f"yaxis{suffix}"]["matches"] = "x", "y"
        traces.extend(_panel_traces(panel, suffix))
        notes.append(_note(f"n = {panel.valid.n}", x[1], y[1], "right", "top", 10))
        if panel.diverged:
            notes[-1]["text"] += f"<br>{panel.diverged} diverged"
    for column, batch in enumerate(batches):
        notes.append(_note(f"batch {batch}", (column + 0.5) / len(batches), 1, "center", "bottom", 12, 6))
    for row, lr in enumerate(lrs):
        note = _note(f"lr {lr_text(lr)}", 0, 1 - (row + 0.5) / len(lrs), "right", "middle", 12)
        notes.append({**note, "xshift": -44, "textangle": -90, "xanchor": "center"})
    return {"data": traces, "layout": {**spec, "annotations": notes}}


def _panel_traces(panel: Panel, suffix: str) -> list[Spec]:
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    lines: list[Spec] = []
    bands: list[Spec] = []
    for split, curve in (("train", panel.train), ("valid", panel.valid)):
        colour, band, dash = SPLIT_COLOURS[split]
        epochs = np.arange(len(curve.mean))
        if np.isfinite(curve.std).all():
            bands.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": np.concatenate([epochs, epochs[::-1]]),
                    "y": np.concatenate([curve.mean + curve.std, (curve.mean - curve.std)[::-1]]),
                    "fill": "toself",
                    "fillcolor": band,
                    "line": {"width": 0, "color": band},
                    "hoverinfo": "skip",
                    **axes,
                }
            )
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": split,
                "x0": 0,
                "dx": 1,
                "y": curve.mean,
                "line": {"color": colour, "width": 1.7, "dash": dash},
                "customdata": curve.std,
                "meta": {"split": split, "band": band, "point": [lr_text(panel.lr), panel.batch_size], "n": curve.n},
                "hovertemplate": f"{split} %{{y:.4f}} ± %{{customdata:.4f}}, epoch %{{x}}<extra></extra>",
                **axes,
            }
        )
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": "best of a repeat",
        "x": panel.best_epochs,
        "y": panel.best_values,
        "marker": {"size": 6, "color": PAPER, "line": {"color": INK, "width": 1.3}},
        "hovertemplate": "best of a repeat: valid %{y:.4f}, epoch %{x}<extra></extra>",
        **axes,
    }
    return [*bands, *lines, dots]


def _limits(panels: Sequence[Panel], metric: Metric) -> tuple[float, float]:
    """One range for all panels; a loss is 0 or more, and one that runs away is cut at 2.5 times the untrained."""
    values = np.concatenate([np.concatenate([*_edges(p.train), *_edges(p.valid), p.best_values]) for p in panels])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if metric == "loss":
        high = min(high, 2.5 * max(panel.untrained for panel in panels))
    margin = 0.06 * max(high - low, 1e-6)
    # mean − std of a loss can lie below zero, where no loss is
    return (max(0.0, low - margin) if metric == "loss" else low - margin), high + margin


def _edges(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper edge of a band; the mean itself where n < 2."""
    std = np.nan_to_num(curve.std)
    return curve.mean - std, curve.mean + std


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

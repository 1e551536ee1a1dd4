"""Scores against the number of non-linearities and of unfrozen layers, with the untrained band (figures 4.5, 4.7)."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import TRAIN_AND_VALID_MARKS, Control, Figure, Form, Key, OnPage, Per
from dashboards.figures.limits import ends
from dashboards.figures.markup import METRIC_NAMES, deviations, point_text
from dashboards.figures.palette import MUTED, SPLIT_COLOURS, UNTRAINED, UNTRAINED_BAND, Spec, axis, layout
from orchestrator.results.configuration_summary import ConfigurationSummary
from search_spaces.configuration import by_column

Setting = Literal["non_linearities", "unfrozen"]
_MOST_FREE = 3
"""Times the length of the scores that an axis may have for the untrained network’s sake."""
NAMES: dict[Setting, str] = {"non_linearities": "non-linearities, n", "unfrozen": "unfrozen weight layers, u"}


def depth_data(source: Source, choice: Choice, setting: Setting) -> pd.DataFrame:
    """One row per value of `setting` (the other at 0): its best-ranked configuration's scores and its untrained ones.

    Of heads of one kind, that of the best-ranked configuration in which both settings matter. Columns: value, point, n,
    and mean and std of train, valid and untrained (valid at epoch 0).
    """
    metric, other = choice.score, "unfrozen" if setting == "non_linearities" else "non_linearities"
    both = [by_column()[name] for name in NAMES]
    members = [m for m in source.members(choice) if m.rank is not None and all(map(m.configuration.matters, both))]
    members = sorted((m for m in members if m.configuration.column(other) == 0), key=lambda m: m.rank or 0)
    best: dict[int, ConfigurationSummary] = {}
    for member in members:
        if member.configuration.head.name == members[0].configuration.head.name:
            best.setdefault(member.configuration.column(setting), member)
    rows = []
    for value, member in sorted(best.items()):
        row: dict[str, object] = {"value": value, "point": point_text(member), "n": member.n}
        for name, statistic in (
            ("train", member.score(metric, "train")),
            ("valid", member.score(metric, "valid")),
            ("untrained", member.untrained(metric, "valid")),
        ):
            row[f"{name}_mean"] = statistic.mean if statistic else np.nan
            row[f"{name}_std"] = statistic.std if statistic else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def depth_label(data: pd.DataFrame, choice: Choice, setting: Setting) -> str:
    """What a screen reader says."""
    name = METRIC_NAMES[choice.score]
    return f"{name} against {NAMES[setting]}, {len(data)} values, with the band of the untrained network."


def depth_figure(data: pd.DataFrame, choice: Choice, setting: Setting) -> Spec:
    """Mean ± standard deviation of train and valid, and the band of the untrained network in grey."""
    name = METRIC_NAMES[choice.score]
    values = data["value"].to_numpy(dtype=float)
    mean, std = (data[f"untrained_{name}"].to_numpy(dtype=float) for name in ("mean", "std"))
    low, high = mean - np.nan_to_num(std), mean + np.nan_to_num(std)
    traces: list[Spec] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": np.concatenate([values, values[::-1]]),
            "y": np.concatenate([high, low[::-1]]),
            "fill": "toself",
            "fillcolor": UNTRAINED_BAND,
            "line": {"width": 0, "color": UNTRAINED_BAND},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "untrained",
            "x": values,
            "y": mean,
            "line": {"color": UNTRAINED, "width": 1.2, "dash": "dash"},
            "customdata": deviations(std),
            "hovertemplate": "untrained %{y:.4f}%{customdata}<extra></extra>",
        },
    ]
    points = [f"{p}<br>n = {n}" for p, n in zip(data["point"].tolist(), data["n"].tolist(), strict=True)]
    for split, shift in (("train", -0.03), ("valid", 0.03)):
        colour, _, dash = SPLIT_COLOURS[split]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": split,
                "x": values + shift,
                "y": data[f"{split}_mean"].to_numpy(),
                "error_y": {"type": "data", "array": data[f"{split}_std"].to_numpy(), "thickness": 1.3, "width": 4},
                "line": {"color": colour, "width": 1.7, "dash": dash},
                "marker": {"size": 8, "color": colour, "symbol": "circle" if split == "valid" else "square-open"},
                "text": points,
                "customdata": deviations(data[f"{split}_std"]),
                "hovertemplate": f"{split} %{{y:.4f}}%{{customdata}}<br>%{{text}}<extra></extra>",
            }
        )
    across = axis(title={"text": NAMES[setting]}, tickvals=values, ticktext=[f"{v:g}" for v in values], showgrid=False)
    limits = _limits(data)
    down = axis(title={"text": name}, nticks=6, **({"range": limits} if limits else {}))
    notes = [_far_off(mean, is_above=mean.mean() > limits[1])] if limits else []
    return {"data": traces, "layout": layout(330, xaxis=across, yaxis=down, annotations=notes)}


def _limits(data: pd.DataFrame) -> list[float] | None:
    """Where the axis ends if the untrained network lies so far off that the scores would share a third of it; else
    None: everything is in."""
    mean, std = (
        np.nan_to_num(np.stack([data[f"{split}_{of}"] for split in ("train", "valid")]).astype(float))
        for of in ("mean", "std")
    )
    low, high = ends(float((mean - std).min()), float((mean + std).max()))
    untrained = data["untrained_mean"].to_numpy(dtype=float)
    length = max(high, untrained.max()) - min(low, untrained.min())
    if not length > _MOST_FREE * (high - low) or (low < untrained.max() and high > untrained.min()):
        return None
    return [low - 0.08 * (high - low), high + 0.08 * (high - low)]


def _far_off(untrained: NDArray[np.float64], *, is_above: bool) -> Spec:
    low, high = f"{untrained.min():.3g}", f"{untrained.max():.3g}"
    return {
        "text": f"{'↑' if is_above else '↓'} untrained: {low if low == high else f'{low} to {high}'}",
        "x": 1,
        "y": 1 if is_above else 0,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "right",
        "yanchor": "top" if is_above else "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": MUTED},
    }


_READING = (
    "Each mark is the best-ranked configuration with that many {}: mean ± standard deviation (n − 1) over its n "
    "repeats at their selected epochs. Grey is the untrained network, the validation score at epoch 0 of the same "
    "repeats."
)
_HOW = "Where the untrained network lies far off, its score stands there in words."


def _declared(name: str, setting: Setting, title: str, of: str, on_top: str) -> Figure:
    return Figure(
        name=name,
        section="depth",
        title=f"Scores against the number of {title}",
        reading=_READING.format(of),
        how=_HOW,
        data=partial(depth_data, setting=setting),
        draw=partial(depth_figure, setting=setting),
        label=partial(depth_label, setting=setting),
        per=Per.BACKBONE,
        scores=tuple(METRIC_NAMES),
        page=OnPage(
            form=Form.PANEL,
            controls=(Control("score", "Show", {str(key): name for key, name in METRIC_NAMES.items()}),),
            keys=(Key((*TRAIN_AND_VALID_MARKS.marks, ("none", "untrained"))),),
            least_rows=2,
            heading=lambda data, choice: f"Number of {NAMES[setting]}",
            saved=lambda data, choice: NAMES[setting],
            reading_on_top=on_top and _READING.format(on_top),
        ),
    )


NON_LINEARITIES = _declared(
    "non-linearities",
    "non_linearities",
    "non-linearities",
    "non-linearities (nothing unfrozen)",
    "non-linearities (nothing unfrozen) or unfrozen weight layers (no non-linearity)",
)
UNFROZEN = _declared("unfrozen", "unfrozen", "unfrozen layers", "unfrozen weight layers (no non-linearity)", "")

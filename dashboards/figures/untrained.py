"""The untrained network: loss and accuracy at epoch 0 of all repeats together (as in figures C.1, C.2)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.limits import ends
from dashboards.figures.palette import SPLIT_COLOURS, Spec, axis, layout, legend
from orchestrator.store.schema import Metric

BINS = 40
FOLDED = "The untrained network, and where repeats end"


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
        values = {split: numbers[np.isfinite(numbers)] for split, numbers in values.items()}
        together = np.concatenate(list(values.values()))
        if not len(together):
            continue
        # a few heads start far away: the bins span what lies between the outermost hundredths
        low, high = np.quantile(together, [0.005, 0.995])
        edges = np.linspace(*ends(float(low), float(high)), BINS + 1)
        for split, numbers in values.items():
            counts, _ = np.histogram(numbers.clip(edges[0], edges[-1]), edges)
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


FIGURE = Figure(
    name="untrained",
    section="spread",
    title="The untrained network",
    reading="Loss and accuracy at epoch 0, all repeats together. The outermost half percent is counted in the last "
    "bins.",
    data=untrained_data,
    draw=untrained_figure,
    label=lambda data, choice: "Histograms of loss and accuracy at epoch 0.",
    per=Per.BACKBONE,
    by_class=True,
    page=OnPage(min_width=520, folded=FOLDED),
)

"""The curves of the leak experiment: mean train, valid and held-back loss of each experiment (as in figure 2.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.markup import text
from dashboards.figures.palette import MUTED, SERIES, SPLIT_COLOURS, UNTRAINED, Spec, axis, layout, legend
from dashboards.page.chart import Charts, Variant
from dashboards.page.controls import reading
from dashboards.page.page import document

HEIGHT = 340
_HELD_BACK = (SERIES[2], "rgba(27,122,88,0.18)", "dash")
_NAMES = {"train": "train", "valid": "valid", "held_back": "held back"}


def leak_data(answer: Mapping[str, Any]) -> pd.DataFrame:
    """Columns experiment, name, split, epoch, loss (mean), std (n − 1, NaN for one repeat), n; epoch 0 included.

    answer: what `orch data leak --json` says.
    """
    rows = [
        (one["experiment"], one["name"], split, epoch, loss, np.nan if std is None else std, one["repeats"])
        for one in answer["experiments"]
        for split in one["mean_loss"]
        for epoch, (loss, std) in enumerate(zip(one["mean_loss"][split], one["std_loss"][split], strict=True))
    ]
    return pd.DataFrame(rows, columns=["experiment", "name", "split", "epoch", "loss", "std", "n"])


def leak_figure(data: pd.DataFrame) -> Spec:
    """One panel per experiment on one scale, mean ± one standard deviation; a dotted rule at the untrained loss."""
    experiments = sorted(data["experiment"].unique())
    width = 1 / len(experiments)
    spec: Spec = {
        "data": [],
        "layout": layout(HEIGHT, showlegend=True, legend=legend(y=1.1), annotations=[], shapes=[]),
    }
    top = float((data["loss"] + data["std"].fillna(0)).max()) * 1.05
    start = float(data.loc[(data["epoch"] == 0) & (data["split"] == "held_back"), "loss"].mean())
    for place, experiment in enumerate(experiments):
        here = data[data["experiment"] == experiment]
        number = "" if place == 0 else str(place + 1)
        domain = [place * width + (0.02 if place else 0), (place + 1) * width - 0.02]
        spec["layout"][f"xaxis{number}"] = axis(domain=domain, title={"text": "epoch"}, anchor=f"y{number}")
        spec["layout"][f"yaxis{number}"] = axis(
            range=[0, top],
            anchor=f"x{number}",
            showticklabels=place == 0,
            title={"text": "loss (nats)" if place == 0 else ""},
        )
        spec["layout"]["annotations"].append(
            {
                "text": f"{experiment}: {here['name'].iloc[0]}",
                "x": sum(domain) / 2,
                "y": 1.0,
                "xref": "paper",
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "center",
                "showarrow": False,
                "font": {"size": 12, "color": MUTED},
            }
        )
        for split, name in _NAMES.items():
            line = here[here["split"] == split]
            spec["data"] += _traces(line, split, name, number, place == 0)
        spec["data"].append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [0, int(here["epoch"].max())],
                "y": [start, start],
                "xaxis": f"x{number}",
                "yaxis": f"y{number}",
                "line": {"color": UNTRAINED, "width": 1, "dash": "dot"},
                "name": "untrained",
                "legendgroup": "untrained",
                "showlegend": place == 0,
                "hoverinfo": "skip",
            }
        )
    spec["layout"]["margin"] = {"l": 56, "r": 12, "t": 64, "b": 44}
    return spec


def leak_page(title: str, answer: Mapping[str, Any]) -> str:
    """A self-contained page: the sentence, the figure, what the band is."""
    charts = Charts(title)
    data = leak_data(answer)
    n = int(data["n"].max())
    label = f"{answer['sentence']} Mean losses over {n} repeats of three experiments."
    chart = charts.add({"": Variant.of(leak_figure(data), label, data)}, title="Leak experiment")
    said = reading(
        f"Means over n = {n} repeats with bands of ± one standard deviation (n − 1); each repeat holds back groups of "
        "its own. The test split was not opened.",
        "The three experiments: train and valid divided by group; one image of every group exchanged between them; the "
        "images of both shuffled together.",
    )
    body = (
        f'<main id="main"><header><h1>{text(title)}</h1><p>{text(answer["sentence"])}</p></header>'
        f"<section><h2>Leak experiment</h2>{chart}{said}</section></main>"
    )
    return document(f"{title}: leak experiment", body, charts)


def _traces(line: pd.DataFrame, split: str, name: str, number: str, first: bool) -> list[Spec]:
    colour, band, dash = SPLIT_COLOURS.get(split, _HELD_BACK)
    epoch, loss, std = (line[column].to_numpy() for column in ("epoch", "loss", "std"))
    place = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}", "legendgroup": split}
    traces: list[Spec] = []
    if np.isfinite(std).all():
        around = {
            "x": np.concatenate([epoch, epoch[::-1]]).tolist(),
            "y": np.concatenate([loss + std, np.maximum(0, loss - std)[::-1]]).tolist(),
            "fill": "toself",
            "fillcolor": band,
            "line": {"width": 0},
            "mode": "lines",
            "hoverinfo": "skip",
            "showlegend": False,
        }
        traces.append({**place, **around})
    hover = f"{name}, epoch %{{x}}: %{{y:.3f}}<extra></extra>"
    curve = {
        "x": epoch.tolist(),
        "y": loss.tolist(),
        "mode": "lines",
        "line": {"color": colour, "dash": dash, "width": 2},
    }
    traces.append({**place, **curve, "name": name, "showlegend": first, "hovertemplate": hover})
    return traces

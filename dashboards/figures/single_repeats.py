"""Single repeats of one configuration, and the best one (figure 4.8): loss and accuracy by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, Form, OnPage, Per
from dashboards.figures.histories import Single
from dashboards.figures.markup import plot_text, whole_name
from dashboards.figures.palette import INK, PAPER, SPLIT_COLOURS, Spec, axis, layout, legend
from orchestrator.results.configuration_summary import ConfigurationSummary

SPLITS = ("train", "valid")
COLUMNS = [
    "configuration",
    "repeat",
    "epoch",
    "is_selected",
    "train_loss",
    "valid_loss",
    "train_accuracy",
    "valid_accuracy",
]


def singles_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Every epoch of every repeat of the first-ranked configuration chosen; COLUMNS."""
    member = _first(source, choice)
    return _table(member, source.histories.of(member)) if member else pd.DataFrame(columns=COLUMNS)


def best_repeat_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Every epoch of the best single repeat of the first-ranked configuration chosen; COLUMNS."""
    member = _first(source, choice)
    best = member.best_repeat() if member else None
    if member is None or best is None:
        return pd.DataFrame(columns=COLUMNS)
    return _table(member, [single for single in source.histories.of(member) if single.repeat == best[0]])


def singles_payload(source: Source, members: Sequence[ConfigurationSummary]) -> dict[str, Any]:
    """What the page draws single repeats from: the empty figure, and per configuration that has a result its repeats.

    Repeats lie end to end, panel by panel, `lengths` epochs of each (epoch 0 included): losses with four digits, and
    for accuracies how many of the split's images were predicted right, which is exact; train, then valid.
    """
    panels: list[dict[str, Any]] = []
    every: list[Single] = []
    for member in sorted(
        members,
        key=lambda m: (m.depth[2], m.depth[1], m.configuration.optimiser.lr, m.configuration.optimiser.batch_size),
    ):
        singles = source.histories.of(member)
        if singles:
            every += singles
            panels.append(
                {
                    "name": whole_name(member),
                    "repeats": [single.repeat for single in singles],
                    "selected": [single.selected for single in singles],
                    "lengths": [len(single.loss) for single in singles],
                    "images": singles[0].images.tolist(),
                }
            )
    loss = np.concatenate([single.loss for single in every] or [np.zeros((0, 2))]).T.copy()
    hits = np.concatenate([single.hits.astype(float) for single in every] or [np.zeros((0, 2))]).T.copy()
    return {"template": _template(), "columns": COLUMNS[1:], "panels": panels, "loss": [*loss], "hits": [*hits]}


@cache
def _template() -> Spec:
    """The figure without repeats."""
    return singles_figure(pd.DataFrame({name: [] for name in COLUMNS}), Choice())


def _first(source: Source, choice: Choice) -> ConfigurationSummary | None:
    return next((member for member in source.members(choice) if member.rank is not None), None)


def _table(member: ConfigurationSummary, singles: Sequence[Single]) -> pd.DataFrame:
    where = whole_name(member)
    blocks = []
    for single in singles:
        epoch = np.arange(len(single.loss))
        columns: dict[str, Any] = {"repeat": single.repeat, "epoch": epoch, "is_selected": epoch == single.selected}
        for place, split in enumerate(SPLITS):
            columns |= {f"{split}_loss": single.loss[:, place], f"{split}_accuracy": single.accuracy[:, place]}
        blocks.append(pd.DataFrame(columns))
    table = pd.concat(blocks, ignore_index=True)
    table.insert(0, "configuration", where)
    return table[COLUMNS]


def singles_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Loss on the left, accuracy on the right; a thin line per repeat, a ring at its selected epoch."""
    traces: list[Spec] = []
    several = data["repeat"].nunique() != 1
    for side, score in enumerate(("loss", "accuracy")):
        axes = {"xaxis": "x" if side == 0 else "x2", "yaxis": "y" if side == 0 else "y2"}
        for split in ("train", "valid"):
            colour, _, dash = SPLIT_COLOURS[split]
            x, y, names = _broken(data, f"{split}_{score}")
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": split,
                    "legendgroup": split,
                    "showlegend": side == 0,
                    "x": x,
                    "y": y,
                    "text": names,
                    "line": {"color": colour, "width": 0.9 if several else 1.8, "dash": dash},
                    "hovertemplate": f"{split}, repeat %{{text}}<br>{score} %{{y:.4f}}, epoch %{{x}}<extra></extra>",
                    **axes,
                }
            )
        chosen = data[data["is_selected"].astype(bool)]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "selected epoch (valid)",
                "legendgroup": "selected",
                "showlegend": side == 0,
                "x": chosen["epoch"].to_numpy(dtype=float),
                "y": chosen[f"valid_{score}"].to_numpy(dtype=float),
                "text": chosen["repeat"].tolist(),
                "marker": {"size": 8, "color": PAPER, "line": {"color": INK, "width": 1.5}},
                "hovertemplate": f"selected, repeat %{{text}}<br>{score} %{{y:.4f}}, epoch %{{x}}<extra></extra>",
                **axes,
            }
        )
    spec = layout(
        320,
        xaxis=axis(domain=[0, 0.46], title={"text": "epoch"}, nticks=6),
        yaxis=axis(title={"text": "loss"}, nticks=6),
        xaxis2=axis(domain=[0.54, 1], title={"text": "epoch"}, nticks=6, anchor="y2"),
        yaxis2=axis(title={"text": "accuracy"}, nticks=6, anchor="x2"),
        showlegend=True,
        legend=legend(),
        dragmode="zoom",
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


def _broken(data: pd.DataFrame, column: str) -> tuple[list[Any], list[Any], list[Any]]:
    """All repeats as one line with gaps between them: many short traces draw slowly."""
    x: list[Any] = []
    y: list[Any] = []
    names: list[Any] = []
    for repeat, part in data.groupby("repeat", sort=False):
        gap = [None] if x else []
        x += [*gap, *part["epoch"].tolist()]
        y += [*gap, *part[column].astype(float).tolist()]
        names += [*gap, *[plot_text(repeat)] * len(part)]
    return x, y, names


def _where(data: pd.DataFrame) -> str:
    return f"{data['configuration'].iloc[0]}, repeat {data['repeat'].iloc[0]}"


def _has_curves(source: Source, choice: Choice) -> bool:
    return any(member.curves for member in source.members(choice))


BEST = Figure(
    name="best-repeat",
    section="curves",
    title="The best single repeat",
    reading="The repeat of the first-ranked configuration with the best selection value; the ring marks its selected "
    "epoch. A single repeat has no band, and is no result.",
    data=best_repeat_data,
    draw=singles_figure,
    label=lambda data, choice: f"Loss and accuracy of the best single repeat: {_where(data)}.",
    per=Per.BACKBONE,
    by_class=True,
    page=OnPage(
        min_width=560,
        heading=lambda data, choice: f"The best single repeat: {_where(data)}",
        saved=lambda data, choice: "best single repeat",
        is_shown=_has_curves,
    ),
)
EVERY = Figure(
    name="single-repeats",
    section="curves",
    title="Single repeats of the best configuration",
    reading="Each thin line is one of n repeats. Rings mark selected epochs with their validation values.",
    data=singles_data,
    draw=singles_figure,
    label=lambda data, choice: f"Loss and accuracy by epoch of {data['repeat'].nunique()} single repeats.",
    per=Per.BACKBONE,
    by_class=True,
    page=OnPage(form=Form.BEHIND),
)

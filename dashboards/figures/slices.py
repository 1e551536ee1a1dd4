"""Slices of a search off a grid: the score of every configuration against one setting at a time."""

from __future__ import annotations

import pandas as pd

from dashboards.figures.choice import Choice, is_loss
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES
from dashboards.figures.palette import TRAIN, VALID, Spec, axis, layout, legend
from dashboards.figures.scales import scale_of, score_scale
from dashboards.figures.search_settings import CONTROL, NAMES, row_words, search_data, settings_of, stopped_sentence

ACROSS = 3


def slices_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A panel per setting: the score of every configuration against the setting's value, the best one marked."""
    names = settings_of(data)
    score = METRIC_NAMES[choice.score]
    down = score_scale(data["mean"].to_numpy(dtype=float), is_loss(choice.score))
    words = row_words(data, score)
    across = min(ACROSS, len(names))
    rows = -(-len(names) // across)
    spec = layout(60 + 230 * rows, showlegend=True, legend=legend())
    traces: list[Spec] = []
    gap_x, gap_y = 0.05, 0.26 / rows
    height = (1 - gap_y * (rows - 1)) / rows
    for number, name in enumerate(names):
        row, column = divmod(number, across)
        suffix = "" if number == 0 else str(number + 1)
        scale = scale_of(name, data[name].tolist())
        spec[f"xaxis{suffix}"] = axis(
            domain=[column / across + (gap_x if column else 0) / 2, (column + 1) / across - gap_x / 2],
            anchor=f"y{suffix}",
            range=[-0.08, 1.08],
            tickvals=scale.ticks,
            ticktext=scale.names,
            title={"text": NAMES[name], "standoff": 6},
        )
        spec[f"yaxis{suffix}"] = axis(
            domain=[max(0.0, 1 - row * (height + gap_y) - height), 1 - row * (height + gap_y)],
            anchor=f"x{suffix}",
            range=[-0.06, 1.06],
            tickvals=down.ticks,
            ticktext=down.names if column == 0 else [""] * len(down.names),
            title={"text": f"valid {score.lower()}" if column == 0 else ""},
        )
        for part, label, marker in (
            (slice(1, None), "one configuration", {"size": 6, "color": TRAIN, "opacity": 0.6, "symbol": "circle-open"}),
            (slice(0, 1), "best mean", {"size": 11, "color": VALID, "symbol": "diamond"}),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": label,
                    "legendgroup": label,
                    "showlegend": number == 0,
                    "x": scale.places[part],
                    "y": down.places[part],
                    "text": words[part],
                    "meta": {"ids": data["id"].tolist()[part]},
                    "marker": marker,
                    "hovertemplate": "%{text}<extra></extra>",
                    "xaxis": f"x{suffix}",
                    "yaxis": f"y{suffix}",
                }
            )
    return {"data": traces, "layout": {**spec, "margin": {"l": 64, "r": 12, "t": 34, "b": 44}}}


FIGURE = Figure(
    name="slices",
    section="search",
    title="Slices",
    reading="Each mark is one configuration: its mean validation score over n repeats at the selected epochs, better "
    "on top, against one setting at a time. The diamond is the best mean.",
    how="The other settings vary too. Scores far worse than most stand at the foot, with their number in brackets.",
    data=search_data,
    draw=slices_figure,
    label=lambda data, choice: "Validation score of every configuration against each setting.",
    per=Per.BACKBONE,
    scores=tuple(METRIC_NAMES),
    page=OnPage(controls=(CONTROL,), min_width=640, how=stopped_sentence),
)

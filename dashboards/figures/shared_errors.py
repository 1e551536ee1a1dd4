"""Which errors configurations share: how many images exactly these of them have wrong (an UpSet plot)."""

from __future__ import annotations

import math

import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import plot_text
from dashboards.figures.palette import INK, RULE, TRAIN, Spec, axis, layout

MOST = 24
"""Regions drawn, the largest first; and of configurations the first:"""
MOST_SETS = 12
COLUMNS = ["region", "images", "of", "configurations"]
_ROW = 24


def shared_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per set of configurations that exactly have some images wrong, the largest first; COLUMNS.

    region: numbers of the configurations from 1, "none" for the images that none has wrong. of: all images.
    configurations: their names. attrs["names"]: of all. Empty with fewer than two configurations, or more than
    MOST_SETS.
    """
    record = source.mistakes
    if record is None or not 2 <= len(record.configurations) <= MOST_SETS:
        return pd.DataFrame(columns=COLUMNS)
    names = [one.name for one in record.configurations]
    rows = [
        (
            " + ".join(str(place + 1) for place in one.configurations) or "none",
            one.images,
            record.images,
            "; ".join(names[place] for place in one.configurations),
        )
        for one in record.regions
    ]
    data = pd.DataFrame(rows, columns=COLUMNS)
    data.attrs["names"] = names
    return data


def shared_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A bar per region, and below it a dot for each configuration that has these images wrong."""
    names = data.attrs["names"]
    drawn = data[data["region"] != "none"].head(MOST).reset_index(drop=True)
    members = [[int(part) - 1 for part in region.split(" + ")] for region in drawn["region"]]
    lower = _ROW * len(names)
    height = 200 + lower
    share = lower / (150 + lower)
    dots = [(x, place) for x, one in enumerate(members) for place in one]
    links = [value for x, one in enumerate(members) for value in ((x, min(one)), (x, max(one)), (math.nan, math.nan))]
    empty = [(x, place) for x in range(len(drawn)) for place in range(len(names))]
    small = {"type": "scatter", "hoverinfo": "skip", "yaxis": "y2", "showlegend": False}
    traces: list[Spec] = [
        {
            "type": "bar",
            "x": list(range(len(drawn))),
            "y": drawn["images"].tolist(),
            "text": [str(count) for count in drawn["images"]],
            "textposition": "outside",
            "cliponaxis": False,
            "marker": {"color": TRAIN},
            "hovertext": [
                f"{row['images']} of {row['of']} images wrong in exactly<br>{plot_text(row['configurations'])}"
                for row in drawn.to_dict("records")
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        },
        {
            **small,
            "mode": "markers",
            "x": [x for x, _ in empty],
            "y": [y for _, y in empty],
            "marker": {"size": 9, "color": RULE},
        },
        {
            **small,
            "mode": "lines",
            "x": [x for x, _ in links],
            "y": [y for _, y in links],
            "line": {"color": INK, "width": 2},
        },
        {
            **small,
            "mode": "markers",
            "x": [x for x, _ in dots],
            "y": [y for _, y in dots],
            "marker": {"size": 9, "color": INK},
        },
    ]
    ticks = [plot_text(f"{place + 1}  {name}") for place, name in enumerate(names)]
    down = axis(tickvals=list(range(len(names))), ticktext=ticks, range=[len(names) - 0.4, -0.6], showgrid=False)
    spec = layout(
        height,
        xaxis=axis(showticklabels=False, showgrid=False, range=[-0.6, max(3, len(drawn)) - 0.4], anchor="y2"),
        yaxis=axis(title={"text": "images"}, rangemode="tozero", domain=[share + 0.04, 1], nticks=5),
        yaxis2={**down, "domain": [0, share], "color": INK},
        bargap=0.35,
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 24, "b": 12}}}


FIGURE = Figure(
    name="shared-errors",
    section="errors",
    title="Errors that configurations share",
    reading="Each bar counts the images that exactly the configurations with a dot below it get wrong, each in more "
    "than half of its predictions. The largest bars come first, at most 24.",
    data=shared_data,
    draw=shared_figure,
    label=lambda data, choice: "Numbers of images that exactly these configurations have wrong.",
    per=Per.STUDY,
    scores=(),
    page=OnPage(min_width=560, least_rows=2),
)

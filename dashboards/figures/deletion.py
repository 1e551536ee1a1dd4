"""Deletion curves: what is left of a class's probability while the places that its maps point at are blurred."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import plot_text
from dashboards.figures.palette import SERIES, Spec, axis, layout, legend

MOST = len(SERIES)
"""Answers of `orch maps` that are drawn: the newest."""
ORDERS = {"map": ("places of the mean map first", "solid"), "random": ("in a random order", "dot")}
COLUMNS = ["maps", "order", "blurred", "probability", "images", "repeats"]


def deletion_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per answer of `orch maps --sanity`, order of places and share of the image that is blurred, COLUMNS."""
    blocks = []
    for record in [one for one in source.maps if one.sanity is not None][:MOST]:
        for order, curve in zip(ORDERS, (record.sanity.curve, record.sanity.random_curve), strict=True):  # type: ignore[union-attr]
            block = {"maps": f"{record.method}, {record.name}, {record.split} images", "order": order}
            shares = np.linspace(0, 1, len(curve))
            counts = {"images": len(record.images), "repeats": len(record.repeats)}
            blocks.append(pd.DataFrame({**block, "blurred": shares, "probability": curve, **counts}))
    return pd.concat(blocks, ignore_index=True)[COLUMNS] if blocks else pd.DataFrame(columns=COLUMNS)


def deletion_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Two lines of a colour for each answer."""
    traces: list[Spec] = []
    for place, (_, part) in enumerate(data.groupby((data["blurred"] == 0).cumsum())):
        words, dash = ORDERS[part["order"].iloc[0]]
        name = plot_text(part["maps"].iloc[0])
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{name}: {words}",
                "x": part["blurred"].to_numpy(dtype=float),
                "y": part["probability"].to_numpy(dtype=float),
                "line": {"color": SERIES[place // len(ORDERS)], "dash": dash, "width": 1.9},
                "marker": {"size": 4},
                "hovertemplate": f"{name}, {words}<br>%{{x:.0%}} blurred: %{{y:.3f}}<extra></extra>",
            }
        )
    spec = layout(
        360 + 20 * len(traces),
        xaxis=axis(title={"text": "share of the image that is blurred"}, range=[-0.02, 1.02], tickformat=".0%"),
        yaxis=axis(title={"text": "probability of the class"}, range=[-0.02, 1.04], nticks=6),
        showlegend=True,
        legend=legend(),
    )
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 20 + 20 * len(traces), "b": 44}}}


FIGURE = Figure(
    name="deletion-curves",
    section="maps",
    title="Deletion curves",
    reading="Probability of the mapped class, averaged over repeats and images, while the image is blurred tenth by "
    "tenth. The further the solid line lies below the dotted line of its colour, the more the networks use what the "
    "map points at.",
    how="Where both lines are alike, the map points at nothing.",
    data=deletion_data,
    draw=deletion_figure,
    label=lambda data, choice: "Probability of the class by the share of the image that is blurred, two orders each.",
    per=Per.STUDY,
    scores=(),
    page=OnPage(min_width=600),
)

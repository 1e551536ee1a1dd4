"""Where scores of a study over several partitions vary: between partitions, between repeats, and the rest."""

from __future__ import annotations

import math

import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, OnPage, Per
from dashboards.figures.markup import METRIC_NAMES, backbone_text, plot_text, whole_name
from dashboards.figures.palette import INK, RULE, SERIES, TRAIN, VALID, Spec, axis, layout, legend
from orchestrator.statistics.partition_table import over_partitions
from orchestrator.statistics.partitions import partitions_of

SHOWN = 24
"""Configurations drawn, best mean over the partitions first."""
PARTS = {
    "partition": ("between partitions", "circle", TRAIN),
    "seed": ("between repeats", "square-open", VALID),
    "rest": ("rest", "x-thin-open", SERIES[2]),
}
COLUMNS = ["place", "configuration", "mean", *PARTS, "partitions", "repeats"]


def partition_spread_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration that is ranked on every partition, the best SHOWN; COLUMNS.

    partition, seed and rest: standard deviations of the selecting value from a two-way analysis with random effects,
    see `orchestrator.statistics.resampled.components`. mean: over partitions, of the means over repeats. Empty with
    fewer than two partitions, or two repeats that all of them have.
    """
    summary = source.summary
    table = over_partitions(summary, summary.study.selection)
    if table is None:
        return pd.DataFrame(columns=COLUMNS)
    several = len({members[0].configuration.network.backbone for members in table.members}) > 1
    rows = []
    for place, members in enumerate(table.members[:SHOWN]):
        parts = table.components(place)
        if parts is None:
            continue
        settings = members[0].configuration
        name = whole_name(members[0])
        name = f"{backbone_text(settings.network.backbone)}, {name}" if several else name
        shares = (parts.partition, parts.seed, parts.rest)
        rows.append((place, name, float(table.means[place].mean()), *shares, parts.partitions, parts.seeds))
    return pd.DataFrame(rows, columns=COLUMNS)


def partition_spread_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A row per configuration, a mark per part on one axis of standard deviations."""
    rows = list(range(len(data)))
    reach = data[list(PARTS)].max(axis=1)
    top = float(reach.max()) or 1e-3
    traces: list[Spec] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [value for most in reach for value in (0.0, most, math.nan)],
            "y": [value for row in rows for value in (row, row, math.nan)],
            "line": {"color": RULE, "width": 1},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for name, (label, symbol, colour) in PARTS.items():
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": data[name].to_numpy(dtype=float),
                "y": rows,
                "customdata": data[["mean", "partitions", "repeats"]].to_numpy(),
                "marker": {"size": 9, "symbol": symbol, "color": colour, "line": {"width": 1.6}},
                "cliponaxis": False,
                "hovertemplate": f"{label}: standard deviation %{{x:.4f}}<br>mean %{{customdata[0]:.4f}} over "
                "%{customdata[1]} partitions × %{customdata[2]} repeats<extra></extra>",
            }
        )
    names = [plot_text(name) for name in data["configuration"]]
    down = axis(tickvals=rows, ticktext=names, range=[len(rows) - 0.4, -0.6], showgrid=False)
    score = METRIC_NAMES[choice.score].lower()
    across = axis(title={"text": f"standard deviation of the {score}"}, nticks=7, range=[-0.03 * top, 1.05 * top])
    spec = layout(100 + 27 * len(rows), xaxis=across, yaxis={**down, "color": INK}, showlegend=True, legend=legend())
    return {"data": traces, "layout": {**spec, "margin": {"l": 56, "r": 12, "t": 34, "b": 44}}}


def _absent(source: Source, choice: Choice) -> str:
    if len(partitions_of(source.summary)) < 2:
        return ""
    return "Variance by partition needs a configuration with two repeats done on every partition."


FIGURE = Figure(
    name="partition-spread",
    section="spread",
    title="Variance by partition and repeat",
    reading="Each mark is a standard deviation of one configuration’s selection score: between partitions, between "
    "repeats, or the rest that neither explains. The configurations with the best mean over the partitions come first, "
    "at most 24.",
    how="The standard deviations come from a two-way analysis with random effects over k partitions × n repeats. A "
    "negative estimate stands at 0.",
    data=partition_spread_data,
    draw=partition_spread_figure,
    label=lambda data, choice: (
        "Standard deviations between partitions, between repeats and of the rest, for the best configurations."
    ),
    per=Per.STUDY,
    scores=(),
    page=OnPage(min_width=520, absent=_absent),
)

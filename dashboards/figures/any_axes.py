"""A score against any setting, with any others as lines and panels: what a notebook and `orch figures --x` ask for.

Every configuration is a mark of its own, also where several have the same values of all that is asked for; lines join
the means of what lies at one value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from dashboards.figures.choice import Choice, Source, is_loss
from dashboards.figures.markup import METRIC_NAMES, plot_text
from dashboards.figures.palette import Spec, axis, layout, legend, series_style
from dashboards.figures.setting_text import (
    NOT_TRIED,
    is_logarithmic,
    label_of,
    ordered,
    shown_value,
    title_of,
    unknown,
    value_of,
)
from orchestrator.results.names import names_of
from orchestrator.results.summary import Summary
from orchestrator.store.errors import Faults
from search_spaces.configuration import column_names

PANELS_ABREAST = 3
PANEL_PX, GAP = 300, 0.08
TOP_PX, BOTTOM_PX, HEADING_PX = 50, 44, 22
Band = Literal["std", "none"]


@dataclass(frozen=True)
class Asked:
    """x, line, facet: columns of settings (`lr`, `batch_size`, `strategy` …), "" for none. y: a metric, on the
    validation split at selected epochs. band: what stands at a mark, ± one standard deviation over repeats or nothing.
    """

    x: str
    y: str = "loss"
    line: str = ""
    facet: str = ""
    band: Band = "std"

    @property
    def name(self) -> str:
        """Of its file."""
        return "-".join(filter(None, [self.y, "by", self.x, self.line, self.facet])).replace(".", "_")

    def check(self, summary: Summary) -> None:
        """Raise InputError with every name that there is not, of settings and of metrics of the study's task, and an x
        that matters nowhere in the study."""
        faults = Faults("figure")
        for option, name in (("x", self.x), ("line", self.line), ("facet", self.facet)):
            if (name or option == "x") and (fault := unknown(name)):
                faults.add(f"{option}: {fault}")
        configurations = [member.configuration for member in summary.configurations]
        if configurations and not faults.found and all(shown_value(c, self.x) == NOT_TRIED for c in configurations):
            faults.add(f"x: expected a setting that matters in study {summary.study.name!r}, found {self.x!r}")
        known = summary.metrics
        if self.y not in known:
            faults.add(f"y: expected a metric of the task {summary.study.task} ({', '.join(known)}), found {self.y!r}")
        if self.band not in ("std", "none"):
            faults.add(f"band: expected std or none, found {self.band!r}")
        faults.raise_if_any(f"Settings: {', '.join(column_names())}")


def any_data(source: Source, choice: Choice, asked: Asked) -> pd.DataFrame:
    """A row per configuration with a result on the choice's partition: facet, line, x, mean, std, n, configuration.

    Those in which the setting of x cannot matter stay out.
    """
    members = choice.members(source.summary)
    names = names_of(member.configuration for member in members)
    rows = []
    for member in members:
        score = member.score(asked.y, "valid")  # `check` has seen to it
        c = member.configuration
        if score is None or not math.isfinite(score.mean) or shown_value(c, asked.x) == NOT_TRIED:
            continue
        values = [shown_value(c, name) if name else "" for name in (asked.facet, asked.line, asked.x)]
        rows.append((*values, score.mean, score.std, score.n, names[member.id]))
    data = pd.DataFrame(rows, columns=["facet", "line", "x", "mean", "std", "n", "configuration"])
    return data.sort_values("mean", ascending=is_loss(asked.y), kind="stable", ignore_index=True)


def any_figure(data: pd.DataFrame, asked: Asked) -> Spec:
    """Panels side by side, a colour and dash for each line."""
    facets, lines = ordered(asked.facet, data["facet"]), ordered(asked.line, data["line"])
    rows = -(-len(facets) // PANELS_ABREAST)
    columns = min(len(facets), PANELS_ABREAST)
    traces: list[Spec] = []
    axes: dict[str, Spec] = {}
    notes = []
    in_legend: set[str] = set()
    for place, facet in enumerate(facets):
        number = "" if place == 0 else str(place + 1)
        for at, line in enumerate(lines):
            mine = data[(data["facet"] == facet) & (data["line"] == line)]
            if len(mine):
                is_first = str(line) not in in_legend
                in_legend.add(str(line))
                traces += _traces(mine, asked, str(line), series_style(at), number, is_first=is_first)
        across, down = place % columns, place // columns
        axes[f"xaxis{number}"] = axis(
            title={"text": title_of(asked.x)},
            domain=_domain(across, columns),
            anchor=f"y{number}",
            **_kind(asked.x, data["x"].tolist()),
        )
        axes[f"yaxis{number}"] = axis(
            title={"text": f"valid {METRIC_NAMES[asked.y].lower()}" if across == 0 else ""},
            domain=_domain(rows - 1 - down, rows),
            anchor=f"x{number}",
            nticks=6,
            **({"matches": "y"} if place else {}),
        )
        if asked.facet:
            notes.append(_heading(f"{label_of(asked.facet)} {facet}", number))
    top = TOP_PX + (HEADING_PX if asked.facet else 0)
    height = PANEL_PX * rows + top
    above = HEADING_PX / (height - top - BOTTOM_PX) if asked.facet else 0  # of the drawing: the key over the headings
    key = legend(title={"text": label_of(asked.line)}, y=1 + above) if asked.line else {}
    made = layout(height, showlegend=bool(asked.line), legend=key, annotations=notes, **axes)
    return {"data": traces, "layout": {**made, "margin": {"l": 56, "r": 12, "t": top, "b": BOTTOM_PX}}}


def reading(asked: Asked) -> str:
    """How to read it."""
    band = " ± one standard deviation (n − 1) over its n repeats" if asked.band == "std" else " over its n repeats"
    lines = f", lines join the means at each {label_of(asked.x)}" + (
        f" of one {label_of(asked.line)}" if asked.line else ""
    )
    return f"Each mark is one configuration on the validation split at selected epochs: mean{band}{lines}."


def _traces(
    mine: pd.DataFrame, asked: Asked, name: str, style: dict[str, Any], number: str, *, is_first: bool
) -> list[Spec]:
    where = {"xaxis": f"x{number}", "yaxis": f"y{number}", "legendgroup": name}
    joined = mine.groupby("x", sort=False)["mean"].mean()
    order = ordered(asked.x, joined.index)
    has_bars = asked.band == "std" and bool((mine["n"] > 1).any())
    bars = {"error_y": {"type": "data", "array": mine["std"].fillna(0.0).tolist(), "thickness": 1, "width": 3}}
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": order,
            "y": [float(joined[value]) for value in order],
            "line": {"width": 1.5, **style},
            "hoverinfo": "skip",
            "showlegend": False,
            **where,
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": plot_text(name),
            "x": mine["x"].tolist(),
            "y": mine["mean"].tolist(),
            "marker": {"size": 7, "color": style["color"]},
            "text": [plot_text(one) for one in mine["configuration"]],
            "customdata": mine["n"].tolist(),
            "hovertemplate": "%{text}<br>mean %{y:.4f}, n = %{customdata}<extra></extra>",
            "showlegend": is_first and bool(name),
            **(bars if has_bars else {}),
            **where,
        },
    ]


def _kind(column: str, values: Sequence[Any]) -> Spec:
    """The scale that the setting declares, as far as its values allow it; ticks at the values."""
    shown = ordered(column, values)
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in shown):
        return {"type": "category", "categoryarray": [str(value) for value in shown]}
    is_log = is_logarithmic(column) and min(shown) > 0
    few = {"tickvals": shown, "ticktext": [value_of(column, value) for value in shown]} if len(shown) <= 8 else {}
    return {"type": "log" if is_log else "linear", **few}


def _domain(place: int, count: int) -> list[float]:
    width = (1 - GAP * (count - 1)) / count
    return [place * (width + GAP), place * (width + GAP) + width]


def _heading(text: str, number: str) -> Spec:
    """Above a panel."""
    return {
        "text": plot_text(text),
        "x": 0,
        "y": 1,
        "xref": f"x{number} domain",
        "yref": f"y{number} domain",
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11},
    }

"""The panels of a grid of mean learning curves: one configuration and one score each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import BOTH, ON_TWO_AXES, Choice, Source
from dashboards.figures.markup import whole_name
from dashboards.figures.palette import Spec
from dashboards.figures.setting_text import by_size, shown_value
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.mean_curves import Curve
from orchestrator.store.schema import Metric

COLUMNS = ["configuration", "score", "series", "repeat", "epoch", "value", "std", "n"]
"""Of the table, behind those of the two settings."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One configuration and one score: its mean curves, and its repeats at their selected epochs (validation)."""

    name: str
    """Of the configuration."""
    score: str
    curves: dict[str, Curve]
    """By split: "train" and "valid"."""
    repeats: Floats
    """Numbers of the repeats that have a result, float64 [repeats], as the next two."""
    selected_epochs: Floats
    selected: Floats
    untrained: float
    """Mean at epoch 0."""

    @property
    def diverged(self) -> int:
        """Repeats that have a selected epoch but no curve."""
        return len(self.selected) - int(self.curves["valid"].n[0])

    @cached_property
    def limits(self) -> tuple[float, float]:
        """Bands (the mean itself where n < 2) and selected values fit in; NaN without a finite value."""
        curves = self.curves.values()
        bands = [curve.mean + sign * np.nan_to_num(curve.std) for curve in curves for sign in (-1, 1)]
        values = np.concatenate([*bands, self.selected])
        values = values[np.isfinite(values)]
        return (float(values.min()), float(values.max())) if len(values) else (math.nan, math.nan)

    @cached_property
    def runs(self) -> list[list[int]]:
        """[first epoch, n] wherever the n of the curves changes; it never grows."""
        n = self.curves["valid"].n
        if n[0] == n[-1]:
            return [[0, int(n[0])]]
        changed = np.flatnonzero(n[1:] != n[:-1]) + 1
        return [[place, int(n[place])] for place in (0, *changed.tolist())]


class Placed(NamedTuple):
    """A panel in a grid: its values of the setting down and of the one across."""

    row: Any
    column: Any
    panel: Panel


def curve_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Mean curves of every configuration of a facet that has a finished repeat: the two settings, then COLUMNS.

    series: "train" and "valid", one row per epoch with mean, std (n − 1) and n; "selected", one row per repeat with a
    result, at its selected epoch with its validation value; "untrained", the mean at epoch 0.
    """
    parts: list[pd.DataFrame] = []
    for row, column, panel in curve_panels(source, choice):
        place = dict(zip(choice.pair, (row, column), strict=True))
        place |= {"configuration": panel.name, "score": panel.score}
        rows: dict[str, Spec] = {
            split: {
                "epoch": np.arange(len(curve.mean), dtype=float),
                "value": curve.mean,
                "std": curve.std,
                "n": curve.n,
            }
            for split, curve in panel.curves.items()
        }
        rows["selected"] = {"repeat": panel.repeats, "epoch": panel.selected_epochs, "value": panel.selected}
        rows["untrained"] = {"epoch": [0.0], "value": [panel.untrained]}
        parts += [pd.DataFrame({**place, "series": series, **row}) for series, row in rows.items()]
    columns = [*choice.pair, *COLUMNS]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns) if parts else pd.DataFrame(columns=columns)


def curve_panels(source: Source, choice: Choice) -> list[Placed]:
    """The same as panels, without a table in between, row by row."""
    scores = ON_TWO_AXES if choice.score == BOTH else (choice.score,)
    every = [(member, panel_of(member, score)) for member in source.members(choice) for score in scores]
    return placed(every, choice)


def placed(panels: Iterable[tuple[ConfigurationSummary, Panel | None]], choice: Choice) -> list[Placed]:
    """The panels that there are of a facet's members, row by row."""
    rows, columns = choice.pair
    known = (
        Placed(shown_value(member.configuration, rows), shown_value(member.configuration, columns), panel)
        for member, panel in panels
        if panel
    )
    return sorted(known, key=lambda one: (by_size(rows, one.row), by_size(columns, one.column)))


def panel_of(member: ConfigurationSummary, score: str) -> Panel | None:
    """None where no repeat has a curve."""
    metric: Metric = score
    chosen, start = member.score(metric, "valid"), member.untrained(metric, "valid")
    train, valid = (member.curve(metric, split) for split in ("train", "valid"))
    if chosen is None or start is None or member.selected_epochs is None or train is None or valid is None:
        return None
    curves, repeats = {"train": train, "valid": valid}, np.array(member.with_result, dtype=float)
    selected = member.selected_epochs.values
    return Panel(whole_name(member), score, curves, repeats, selected, chosen.values, start.mean)


def panels_of(data: pd.DataFrame, choice: Choice) -> list[Placed]:
    """The table's rows, panel by panel, in its order."""
    panels: list[Placed] = []
    numbers = ["epoch", "value", "std", "n", "repeat"]
    for key, rows in data.groupby([*choice.pair, "configuration", "score"], sort=False):
        row, column, name, score = cast("tuple[Any, Any, str, str]", key)
        series = {name: part[numbers].to_numpy(dtype=float).T for name, part in rows.groupby("series")}
        if not {"train", "valid", "selected", "untrained"} <= series.keys():
            continue
        curves = {
            split: Curve(value, std, n.astype(np.int64))
            for split in ("train", "valid")
            for _, value, std, n, _ in [series[split]]
        }
        epoch, value, _, _, repeat = series["selected"]
        panels.append(
            Placed(row, column, Panel(name, score, curves, repeat, epoch, value, float(series["untrained"][1, 0])))
        )
    return panels

"""The panels of a grid of mean learning curves: one configuration and one score each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import BOTH, Choice, Source
from dashboards.figures.palette import Spec
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.mean_curves import Curve
from orchestrator.store.schema import Metric

ON_TWO_AXES: tuple[Metric, ...] = ("loss", "accuracy")
COLUMNS = ["lr", "batch_size", "score", "series", "repeat", "epoch", "value", "std", "n"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One configuration and one score: its mean curves, and its repeats at their selected epochs (validation)."""

    lr: float
    batch_size: int
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


def curve_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Mean curves of every configuration of one backbone and depth that has a finished repeat; COLUMNS.

    series: "train" and "valid", one row per epoch with mean, std (n − 1) and n; "selected", one row per repeat with a
    result, at its selected epoch with its validation value; "untrained", the mean at epoch 0. By lr, then batch size.
    """
    parts: list[pd.DataFrame] = []
    for panel in curve_panels(source, choice):
        place = {"lr": panel.lr, "batch_size": panel.batch_size, "score": panel.score}
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
    return pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS) if parts else pd.DataFrame(columns=COLUMNS)


def curve_panels(source: Source, choice: Choice) -> list[Panel]:
    """The same as panels, without a table in between; of configurations with one lr and batch size the best-ranked."""
    scores = ON_TWO_AXES if choice.score == BOTH else (choice.score,)
    members = sorted(
        source.members(choice), key=lambda m: (m.configuration.optimiser.lr, m.configuration.optimiser.batch_size)
    )
    found: dict[tuple[float, int, str], Panel] = {}
    for member in members:
        for score in scores:
            if panel := _panel(member, score):
                found.setdefault((panel.lr, panel.batch_size, panel.score), panel)
    return list(found.values())


def _panel(member: ConfigurationSummary, score: str) -> Panel | None:
    metric: Metric = score  # type: ignore[assignment]  # a key of METRIC_NAMES
    chosen, start = member.score(metric, "valid"), member.untrained(metric, "valid")
    train, valid = (member.curve(metric, split) for split in ("train", "valid"))
    if chosen is None or start is None or member.selected_epochs is None or train is None or valid is None:
        return None
    curves, repeats = {"train": train, "valid": valid}, np.array(member.with_result, dtype=float)
    place = member.configuration.optimiser.lr, member.configuration.optimiser.batch_size
    return Panel(*place, str(score), curves, repeats, member.selected_epochs.values, chosen.values, start.mean)


def panels_of(data: pd.DataFrame) -> list[Panel]:
    """The table's rows, panel by panel, in its order."""
    panels: list[Panel] = []
    numbers = ["epoch", "value", "std", "n", "repeat"]
    for key, rows in data.groupby(["lr", "batch_size", "score"], sort=False):
        lr, batch, score = cast("tuple[float, int, str]", key)
        series = {name: part[numbers].to_numpy(dtype=float).T for name, part in rows.groupby("series")}
        if not {"train", "valid", "selected", "untrained"} <= series.keys():
            continue
        curves = {
            split: Curve(value, std, n.astype(np.int64))
            for split in ("train", "valid")
            for _, value, std, n, _ in [series[split]]
        }
        epoch, value, _, _, repeat = series["selected"]
        panels.append(Panel(lr, int(batch), str(score), curves, repeat, epoch, value, float(series["untrained"][1, 0])))
    return panels

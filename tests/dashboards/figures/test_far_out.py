"""What lies far from everything else is told, and does not squeeze the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures import curves, depth, gap
from dashboards.figures.choice import Choice
from dashboards.figures.curve_panels import Panel
from dashboards.figures.limits import reach
from orchestrator.results.mean_curves import Curve


def gaps(valid: list[float]) -> pd.DataFrame:
    near = [{"strategy": "extension", "configuration": f"{value}", "train": 0.1, "valid": value} for value in valid]
    return pd.DataFrame(near).assign(gap=0.0, valid_std=0.0, n=3)


def test_a_loss_that_is_far_out_stands_at_the_edge_and_is_counted() -> None:
    spec: Any = gap.gap_figure(gaps([0.2, 0.22, 0.25, 0.28, 0.3, 0.32, 0.35, 0.4, 65.0, 68.0]), Choice())
    top = spec["layout"]["yaxis"]["range"][1]
    _, marks = spec["data"]
    edge = marks["y"].max()
    assert 0.4 < edge < top < 0.5
    assert marks["y"].tolist() == [0.2, 0.22, 0.25, 0.28, 0.3, 0.32, 0.35, 0.4, edge, edge]
    assert marks["customdata"][-1][1] == 68.0, "what is pointed at is said as it is"
    assert [note["text"] for note in spec["layout"]["annotations"]] == ["2 of 10 stand at the edge: far out, up to 68"]


def test_a_loss_that_is_somewhat_larger_stands_where_it_is() -> None:
    spec: Any = gap.gap_figure(gaps([0.2, 0.2, 0.2, 0.3, 0.49]), Choice())
    assert spec["data"][1]["y"].max() == 0.49 < spec["layout"]["yaxis"]["range"][1]
    assert spec["layout"]["annotations"] == []


def test_ends_of_what_lies_together() -> None:
    assert reach(np.array([1.0, 1.1, 1.2, 1.3, 90.0])) == 1.3
    assert reach(np.array([1.0, 1.1, 1.2, 1.3, 1.9])) == 1.9, "it takes no two thirds"
    assert reach(np.array([2.0])) == 2.0
    assert reach(np.array([1.0, 1.0, 1.0, 90.0, 91.0])) == 91.0, "two of five are no exception"


def depths(untrained: float) -> pd.DataFrame:
    rows = [
        {"value": n, "point": "", "n": 3, "train_mean": 0.95, "valid_mean": 0.9 + 0.01 * n, "untrained_mean": untrained}
        for n in (0, 1)
    ]
    return pd.DataFrame(rows).assign(train_std=0.01, valid_std=0.01, untrained_std=0.02)


def test_an_untrained_network_that_is_far_off_is_told_in_words() -> None:
    choice = Choice(score="accuracy")
    spec: Any = depth.depth_figure(depths(0.5), choice, "non_linearities")
    low, high = spec["layout"]["yaxis"]["range"]
    assert 0.85 < low < 0.89 < 0.96 < high
    assert [note["text"] for note in spec["layout"]["annotations"]] == ["↓ untrained: 0.5"]
    near: Any = depth.depth_figure(depths(0.8), choice, "non_linearities")
    assert "range" not in near["layout"]["yaxis"]
    assert near["layout"]["annotations"] == []


def test_a_panel_counts_the_dots_above_it() -> None:
    curve = Curve(np.array([0.7, 0.3]), np.array([0.0, 0.0]), np.array([3, 3]))
    panel = Panel("a", "loss", {"train": curve, "valid": curve}, np.arange(3.0), np.ones(3), np.array([0.3, 9, 9]), 0.7)
    assert curves._count(panel, top=2.0) == "n = 3, 2 dots above"
    assert curves._count(panel, top=10.0) == "n = 3"

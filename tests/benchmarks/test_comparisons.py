"""The tables of docs/statistics.md: the script makes them, and its models are what their names say."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.checkout import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import comparisons
from table import Table

SHAPE = (4000, 3, 10)


def rows_of(table: Table) -> list[dict[str, object]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_a_few_rounds_make_every_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["comparisons.py", "--rounds", "4", "--json", str(tmp_path / "found.json")])
    monkeypatch.setattr(comparisons, "OF", 6)
    monkeypatch.setattr(comparisons, "CONFIGURATIONS", 4)
    comparisons.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "found_intervals.json",
        "found_partitions.json",
        "found_sets.json",
        "found_sizes.json",
    ]


@pytest.mark.slow
def test_the_promise_holds_for_normal_scores_and_breaks_where_divergence_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparisons, "CONFIGURATIONS", 5)
    found = comparisons._kept_and_held(40, 3)
    sets = {str(row["scores"]): row for row in rows_of(found["sets"])}
    intervals = {str(row["scores"]): row for row in rows_of(found["intervals"])}

    def percent(cell: object) -> float:
        return float(str(cell).split(" ")[0])

    for name in list(sets)[:4]:
        assert percent(sets[name]["look at 20"]) >= 86
        assert percent(intervals[name]["intervals, 10 repeats"]) >= 90
    counted = "10 % of the rivals diverge, counted at epoch 0"
    assert percent(sets[counted]["look at 20"]) < 80
    assert percent(intervals[counted]["intervals, 10 repeats"]) < 85


@pytest.mark.parametrize("name", comparisons.MODELS)
def test_all_configurations_of_a_model_are_equally_good(name: str) -> None:
    scores = comparisons.MODELS[name](np.random.default_rng(0), SHAPE)
    assert scores.shape == SHAPE
    spread = np.nanstd(scores, axis=(0, 2))
    assert np.all(np.abs(np.nanmean(scores, axis=(0, 2))) < 5 * spread / (SHAPE[0] * SHAPE[2]) ** 0.5 + 0.03)

"""The estimate for the reference study: its grids are those of the file, its shares those that the proposer asks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.checkout import ROOT, SHARED

sys.path.insert(0, str(ROOT / "benchmarks"))

import reference_search
from adaptive_rules import adaptive
from reference_search import ALL, ONE, searches
from round_of_search import Round, World


def test_the_grids_are_those_of_the_file() -> None:
    found = {(one.strategy, one.extent): one for one in searches()}
    assert [found[name, ONE].configurations for name in reference_search.SECONDS] == [20, 90, 160]
    assert [found[name, ALL].configurations for name in reference_search.SECONDS] == [200, 360, 640]
    whole = sum(one.grid_epochs for one in found.values() if one.extent == ONE)
    assert whole == 720_000
    assert reference_search.whole_hours(whole) == pytest.approx(105.8, abs=0.1)


def test_the_share_of_twenty_configurations_by_hand() -> None:
    """20, 10, 5 and 3 configurations go to 15, 30, 60 and 100 epochs with three repeats, two of those that stop at each
    rung to 100; then all ten repeats of the last three, which no screen thins out."""
    scores = np.arange(20.0)[:, None] + np.zeros((1, 10))
    world = World((), {}, np.zeros((20, 100)), scores, lambda points: np.zeros((0, 100)), 1.0)
    search = Round(world, 20 * 10 * 100, 0)
    adaptive(10, epochs="halving", repeats="screen")(search, np.random.default_rng(0))
    rungs = 3 * (20 * 15 + 10 * 15 + 5 * 30 + 3 * 40)
    audits = 3 * 2 * (85 + 70 + 40)
    assert search.spent == rungs + audits + 3 * 7 * 100


def test_a_quick_run_makes_its_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    surrogate = SHARED / "data" / "lcbench_surrogate"
    if not surrogate.exists():
        pytest.skip(f"{surrogate} is missing")
    pytest.importorskip("onnxruntime")
    target = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["reference_search.py", "--quick", "--json", str(target)])
    reference_search.main()
    rows = json.loads(target.read_text())["rows"]
    assert len(rows) == 3 * (6 + 2)
    assert all(0.1 < row["epochs, share of the grid's"] < 0.4 for row in rows)

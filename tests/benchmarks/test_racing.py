"""The tables of races and screens: what is counted is what the product's proposer does, and the script makes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.checkout import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import racing
from racing import REPEATS, Case, as_played, raced, trained


@pytest.mark.parametrize("case", [Case("alike"), Case("one", ahead=1, by=3.0), Case("three", ahead=3, by=1.0)])
def test_a_race_is_counted_as_the_proposer_plays_it(case: Case) -> None:
    for scores in case.scores(np.random.default_rng(0), 3):
        counted, played = raced(scores), as_played(scores, repeats="race")
        assert counted.blocks.tolist() == [played.repeats(place) for place in range(len(scores))]
        assert counted.blocks.sum() == played.spent
        left = [place for place in range(len(scores)) if not counted.excluded[place]]
        assert (played.choices[-1][1] in left) or counted.blocks.min() == counted.blocks.max()


def test_a_race_with_one_left_ends_early() -> None:
    (scores,) = Case("one", ahead=1, by=50.0).scores(np.random.default_rng(0), 1)
    found = raced(scores)
    assert list(np.flatnonzero(~found.excluded)) == [0]
    assert found.blocks.tolist() == [8] * 30


def test_a_screen_keeps_eight() -> None:
    (scores,) = Case("one", ahead=1, by=5.0).scores(np.random.default_rng(0), 1)
    played = as_played(scores, repeats="screen")
    assert sum(played.repeats(place) == REPEATS for place in range(30)) == 8
    assert played.spent == 30 * 5 + 8 * 15
    assert played.choices[-1][1] == 0


def test_classifiers_are_alike_on_other_groups_and_the_first_may_be_ahead() -> None:
    draw = np.random.default_rng(0)
    for ahead in (0, 1):
        means = np.mean([trained(draw, 60, 2, ahead).mean(axis=1) for _ in range(150)], axis=0)
        spread = means[1:].std()
        assert spread < 0.01
        assert (means[0] > means[1:].max() + 0.02) == bool(ahead)


def test_a_quick_run_makes_its_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["racing.py", "--quick", "--json", str(tmp_path / "found.json")])
    monkeypatch.setattr(racing, "CASES", racing.CASES[:3])
    monkeypatch.setattr(racing, "GROUPS", (16,))
    racing.main()
    found = {
        name: json.loads((tmp_path / f"found_{name}.json").read_text()) for name in ("race", "screen", "partitions")
    }
    assert [len(table["rows"]) for table in found.values()] == [3, 2, 6]

"""Rules of searches: what they pay and choose, that peers decide as their tools do, and that the tables are made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.checkout import ROOT, SHARED

sys.path.insert(0, str(ROOT / "benchmarks"))

import deciding
import peers
from curves import Dimension, Floats, Points
from deciding import GIVEN, OURS, PEERS, Game, Kept, Named, Outcome, all_played
from peers import grid, milestones, optuna_tpe, optuna_wilcoxon, ray_asha
from round_of_search import Round, Rule, World

EPOCHS = 20
DIMENSIONS = (Dimension("lr", 1e-3, 1.0, log=True, whole=False), Dimension("width", 1, 8, log=False, whole=True))
DISTURBED = 0.5


def answer(points: Points) -> Floats:
    """Best at lr = 0.03 and width 6; whoever is better is so from the first epoch on."""
    height = 90 - 10 * np.log10(points["lr"] / 0.03) ** 2 - (points["width"] - 6) ** 2
    return np.asarray(height[:, None] - 20 / np.arange(1, EPOCHS + 1))


def world(deviation: float = 0.0, count: int = 12) -> World:
    draw = np.random.default_rng(3)
    points = {one.name: one.drawn(draw, count) for one in DIMENSIONS}
    return World(DIMENSIONS, points, answer(points), deviation * draw.normal(size=(count, 20)), answer, deviation)


def play(rule: Rule, played: World, budget: int) -> Round:
    search = Round(played, budget, 1)
    rule(search, np.random.default_rng(1))
    return search


def test_what_was_trained_before_is_not_paid_again() -> None:
    search = Round(world(), 100, 0)
    assert search.train(2, 0, 5) < search.train(2, 0, 8)
    search.choose(2)
    assert search.train(2, 0, 5) == search.train(2, 0, 5)
    assert search.spent == 8
    assert search.train(3, 0, 4) == search.world.truth[3, 3]
    search.choose(3)
    assert [search.chosen(spending) for spending in (7, 8, 11, 12)] == list(search.world.truth[[0, 2, 2, 3], -1])
    assert search.tried == 2
    assert search.best == max(search.world.truth[[2, 3], -1])


def test_a_configuration_that_is_added_has_its_own_repeats() -> None:
    search = Round(world(DISTURBED), 100, 0)
    place = search.add({"lr": 0.03, "width": 6.0})
    first, second = (search.train(place, repeat, EPOCHS) for repeat in range(2))
    assert first != second
    assert search.train(place, 0, EPOCHS) == first
    assert search.best == 89.0


@pytest.mark.parametrize("named", [one for one in (*OURS, *PEERS) if one.among == GIVEN], ids=lambda one: one.name)
def test_without_noise_the_best_of_the_given_is_chosen(named: Named) -> None:
    played = world()
    search = play(named.rule, played, 10**6)
    assert search.chosen(search.spent) == played.truth[:, -1].max()
    assert search.spent <= 12 * 20 * EPOCHS


@pytest.mark.parametrize("named", [one for one in PEERS if one.among != GIVEN], ids=lambda one: one.name)
def test_who_draws_from_the_space_ends_with_the_budget(named: Named) -> None:
    search = play(named.rule, world(DISTURBED), 1000)
    assert 1000 <= search.spent < 1000 + 10 * EPOCHS
    assert search.tried > 3
    assert search.best >= search.chosen(search.spent) > 80


def test_the_products_whole_grid_chooses_as_one_that_is_written_out() -> None:
    ours, written = (play(rule, world(DISTURBED), 10**6) for rule in (deciding.RULES[0].rule, grid(10)))
    assert ours.choices == written.choices
    assert ours.spent == 12 * 10 * EPOCHS


@pytest.mark.parametrize(
    "rule",
    [optuna_tpe(1), optuna_tpe(2, given=True), ray_asha(1), ray_asha(2, sampler="tpe"), ray_asha(1, least=2, eta=2)],
    ids=["TPE with Hyperband", "given with Hyperband", "ASHA", "ASHA with OptunaSearch", "ASHA from 2"],
)
def test_reporting_every_epoch_decides_alike(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    at_rungs = play(rule, world(DISTURBED), 600)
    monkeypatch.setattr(peers, "milestones", lambda least, eta, epochs: list(range(1, epochs)))
    every = play(rule, world(DISTURBED), 600)
    assert at_rungs.spent == every.spent
    assert at_rungs.choices == every.choices


def test_pruners_stop_what_is_behind() -> None:
    played = world()
    whole = play(optuna_tpe(1, given=True, hyperband=False), played, 10**6)
    for rule in (optuna_tpe(1, given=True), ray_asha(1, given=True), optuna_wilcoxon(10, given=True)):
        assert play(rule, played, 10**6).spent < 0.8 * whole.spent


def test_milestones_are_those_below_the_last_epoch() -> None:
    assert milestones(1, 4, 52) == [1, 4, 16]
    assert milestones(1, 3, 27) == [1, 3, 9]
    assert milestones(8, 2, 52) == [8, 16, 32]


def test_a_quick_run_makes_both_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    surrogate = SHARED / "data" / "lcbench_surrogate"
    if not surrogate.exists():
        pytest.skip(f"{surrogate} is missing")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(
        sys, "argv", ["deciding.py", "--quick", "--deviations", "1", "--json", str(tmp_path / "found.json")]
    )
    deciding.main()
    rules, against = (json.loads((tmp_path / f"found_{name}.json").read_text())["rows"] for name in ("rules", "peers"))
    assert len(rules) == len(deciding.RULES)
    assert rules[0]["epochs, share of the grid's"] == 1
    assert [row["rule"] for row in against] == [one.name for one in (*OURS, *PEERS)]
    assert all(float(row["regret at 4/4"].split(" ")[0]) >= 0 for row in against)


@pytest.mark.parametrize("named", [one for one in OURS if one.among != GIVEN], ids=lambda one: one.name)
def test_our_samplers_draw_from_the_whole_space_and_keep_to_the_budget(named: Named) -> None:
    budget = 40 * 3 * EPOCHS
    search = play(named.rule, world(), budget)
    assert search.tried >= 16
    assert search.spent <= budget
    assert search.chosen(search.spent) == search.best > 88, "without noise"


def test_kept_outcomes_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process plays only what the first one had not written whole."""
    rules = [Named("one", grid(1)), Named("two", grid(2))]
    rounds = {1.0: [Game("7", number, world(DISTURBED)) for number in range(3)]}
    first = all_played(rules, rounds, 1000, Kept(tmp_path))
    assert first == all_played(rules, rounds, 1000, Kept(None))
    cut = tmp_path / "two_the_30.jsonl"
    cut.write_text(cut.read_text()[:-5])
    real, again = deciding.played, list[str]()

    def counted(rule: Rule, game: Game, budget: int) -> Outcome:
        again.append(f"{game.number}")
        return real(rule, game, budget)

    monkeypatch.setattr(deciding, "played", counted)
    for _ in range(2):
        assert all_played(rules, rounds, 1000, Kept(tmp_path)) == first
    assert again == ["2"]


def test_differences_are_made_round_by_round() -> None:
    rules = [Named("slow", grid(1)), Named("fast", grid(1))]
    slow, fast = Outcome(0, 1, 1, (1.0, 2.0, 3.0, 4.0), 9.0), Outcome(0, 1, 1, (4.0, 5.0, 6.0, 8.0), 8.0)
    (row,) = deciding.round_by_round(rules, {0.5: [[slow, fast]] * 2}, "slow").rows
    assert row == ("fast", 0.5, "-3.00 ± 0.00", "-3.00 ± 0.00", "-3.00 ± 0.00", "-4.00 ± 0.00", "-1.00 ± 0.00")

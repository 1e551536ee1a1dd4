"""`orch search --sampler …`: what is stored, what goes on, and what is refused before anything is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.resolved import Search
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.study.studies import raise_budget
from search_spaces.limits import Limits
from tests.orchestrator.commands.test_decisions import Searching, done, searching
from tests.support.handing_out import as_wanted

__all__ = ["searching"]

DRAWN = ("--strategy", "straightforward", "--lr", "1e-4..0.1", "--batch-size", "8,16")


def test_a_sampler_and_its_budget_are_stored(searching: Searching) -> None:
    done(searching.search(*DRAWN, "--repeats", "3", "--sampler", "tpe", "--budget", "5"))
    decided = searching.decided()
    ((name, search),) = decided.searches.items()
    assert (search.proposer, dict(search.settings)) == ("adaptive", {"sampler": "tpe"})
    (drawn,) = search.distributions
    assert (drawn.path, drawn.low, drawn.high, drawn.log) == ("optimiser.lr", 1e-4, 0.1, True)
    assert set(drawn.configurations) == set(search.configurations)
    assert decided.budgets[name][0].suggestions == 5
    (run,) = searching.run
    assert len({key.configuration for key in run.epochs}) == 5, "the first wave, as far as it is known"
    assert all(c.optimiser.lr == float(f"{c.optimiser.lr:.3g}") for c in run.asked.configurations.values())


def test_a_sampler_goes_with_rungs(searching: Searching) -> None:
    more = ("--sampler", "tpe", "--epochs", "adaptive", "--budget", "5")
    done(searching.search(*DRAWN, "--repeats", "3", *more))
    (search,) = searching.decided().searches.values()
    assert dict(search.settings) == {"sampler": "tpe", "epochs": "halving"}
    (run,) = searching.run
    assert {most for key in run.epochs for most in run.epochs[key].values()} == {8}, "15 % of 50"


def test_a_second_goal_is_part_of_the_search(searching: Searching) -> None:
    done(searching.search(*DRAWN, "--repeats", "3", "--sampler", "tpe", "--goal", "hours", "--budget", "5"))
    (search,) = searching.decided().searches.values()
    assert dict(search.settings) == {"sampler": "tpe", "goal": "hours"}


def test_a_larger_budget_is_of_the_same_search(searching: Searching) -> None:
    for budget in ("5", "9", "9", "7"):
        done(searching.search(*DRAWN, "--repeats", "3", "--sampler", "tpe", "--budget", budget))
    ((name, _),) = searching.decided().searches.items()
    assert [one.suggestions for one in searching.decided().budgets[name]] == [5, 9]


def test_hours_are_part_of_the_budget(searching: Searching) -> None:
    grid = ("--strategy", "straightforward", "--lr", "1e-3", "--batch-size", "8", "--repeats", "2")
    done(searching.search(*grid, "--budget", "2gpuh"))
    done(searching.search(*grid))
    ((name, search),) = searching.decided().searches.items()
    assert search.proposer == "grid"
    assert [one.hours for one in searching.decided().budgets[name]] == [2.0, None]


def test_rules_of_a_file_and_of_the_command(searching: Searching) -> None:
    file = searching.desk.place / "mine.toml"
    file.write_text(
        'name = "mine"\n[search]\nsampler = "tpe"\nrepeats = "race"\nbudget = 4\n'
        "[grid]\nlr = { low = 1e-4, high = 0.1 }\n"
    )
    data = ("--data", searching.desk.data, "--group-by", r"(g\d)", "--weights", "none")
    asked = ("search", file, "squeezenet1_1", *data, "--strategy", "straightforward", "--repeats", "20")
    done(searching.desk.run(*asked))
    done(searching.desk.run(*asked, "--sampler", "random", "--budget", "6"))
    decided = searching.decided()
    found = {str(one.settings["sampler"]): one for one in decided.searches.values()}
    assert {name: one.settings["repeats"] for name, one in found.items()} == {"tpe": "race", "random": "race"}
    budgets = {name: decided.budgets[one.id][0].suggestions for name, one in found.items()}
    assert budgets == {"tpe": 4, "random": 6}


def test_points_of_a_file_come_first(searching: Searching, tmp_path: Path) -> None:
    start = tmp_path / "start.toml"
    start.write_text("[[start]]\nlr = 0.02\nbatch_size = 16\n")
    done(searching.search(*DRAWN, "--repeats", "3", "--sampler", "tpe", "--budget", "5", "--start", start))
    (run,) = searching.run
    first = next(iter(run.ahead[0].suggestions)).configuration
    assert run.asked.configurations[first].optimiser.lr == 0.02


def test_a_plan_says_what_the_budget_leaves_open(searching: Searching) -> None:
    told = searching.search(*DRAWN, "--repeats", "3", "--sampler", "tpe", "--budget", "40", "--plan")
    done(told)
    assert "8 of up to 40 configurations" in " ".join(told.output.split())
    assert not (searching.desk.studies / "mine").exists()


@pytest.mark.parametrize(
    ("budget", "more", "told"),
    [
        (
            "0.0000001gpuh",
            (),
            "The budget of 1e-07 hours of training is enough for about 0% of this: some 0 of 3 repeats",
        ),
        ("9000gpuh", (), r"The budget of 9000 hours of training is enough for [\d.]+ times as much\."),
        ("9000gpuh", ("--repeats", "race"), r"times as much, so also for what the results will decide\."),
    ],
    ids=str,
)
def test_a_plan_says_what_hours_buy(searching: Searching, budget: str, more: tuple[str, ...], told: str) -> None:
    grid = ("--strategy", "straightforward", "--lr", "1e-3", "--batch-size", "8", "--repeats", "3")
    result = searching.search(*grid, *more, "--budget", budget, "--plan")
    done(result)
    assert re.search(told, " ".join(result.output.split())), result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "optimiser.lr: expected lists of values where every configuration is tried, found a distribution"),
        (("--repeats", "race"), "optimiser.lr: expected lists of values where every configuration is tried"),
        (("--sampler", "gp", "--set", "optimiser.name=sgd,adam"), "sampler gp: expected up to 6 settings to search"),
        (("--sampler", "tpe", "--goal", "hour"), "did you mean 'hours'"),
        (("--sampler", "tpe", "--budget", "0"), "expected a number of configurations, such as 60"),
        (("--sampler", "tpe", "--budget", "0gpuh"), "or hours of training, such as 2gpuh, found 0gpuh"),
        (("--sampler", "tpe", "--proposer", "grid"), "--proposer grid: expected adaptive, which --sampler"),
        (("--sampler", "tpe", "--lr", "0.1..0.1"), "--lr: expected a low below high, found 0.1 and 0.1"),
        (("--sampler", "tpe", "--lr", "0..0.1"), "--lr: expected a number above 0 for low and high, found 0"),
        (("--sampler", "tpe", "--set", "head.name=logistic"), "--lr: expected --head other than logistic"),
        (("--budget", "20", "--lr", "0.1"), "budget 20: expected a sampler with a number of configurations"),
        (("--sampler", "random", "--repeats", "race", "--time", "soon"), "expected a time such as 2h, 90min"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    searching: Searching, arguments: tuple[str, ...], told: str
) -> None:
    result = searching.search(*DRAWN, *arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not (searching.desk.studies / "mine").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("start = 3\n", "expected tables [[start]] alone, found start"),
        ("[[begin]]\nlr = 1\n", "expected tables [[start]] alone, found begin"),
        ("[[start]\n", "expected TOML"),
        ("[[start]]\nlrr = 1\n", "start.0: expected names of settings, found lrr; did you mean 'lr'"),
        ("[[start]]\nlr = 3.0\n", "start: expected points of the space of the search, found optimiser.lr 3.0"),
    ],
    ids=str,
)
def test_points_that_are_none_are_refused(searching: Searching, tmp_path: Path, content: str, told: str) -> None:
    start = tmp_path / "start.toml"
    start.write_text(content)
    result = searching.search(*DRAWN, "--repeats", "3", "--sampler", "tpe", "--start", start)
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not (searching.desk.studies / "mine").exists()


def test_the_history_names_limits_and_distributions(searching: Searching) -> None:
    done(searching.search(*DRAWN, "--repeats", "3", "--sampler", "tpe", "--budget", "5"))
    (search,) = json.loads(searching.ask("decisions", "mine", "--json").stdout)["searches"]
    assert search["distributions"] == [{"path": "optimiser.lr", "low": 1e-4, "high": 0.1, "log": True, "step": None}]
    assert [one["suggestions"] for one in search["budgets"]] == [5]


def test_the_report_is_of_all_that_was_suggested_meanwhile(
    searching: Searching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of what is known when the search begins alone."""

    def decided(search: Search, *_: object) -> int:
        (name,) = search.searches
        storage = search.study.storage
        for count in (5, 9):
            raise_budget(storage, name, {}, "orch search", Limits(suggestions=count))
            deciding = Deciding(storage, Decided.of(storage), name, NewsReader(storage), Machine(1, "cpu", as_wanted))
            assert deciding.decide() is not None
        return 0

    monkeypatch.setattr("orchestrator.train.run", decided)
    told = searching.search(*DRAWN, "--repeats", "3", "--sampler", "random", "--budget", "5")
    assert "9 configurations are incomplete and not ranked" in " ".join(told.output.split())

"""`orch decisions`, and what commands do about searches, budgets and decisions that cannot be read. Starts no Ray."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.resolved import Search
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.store.searches import asked_of_lanes
from orchestrator.store.storage import Storage
from orchestrator.study.studies import find_study
from tests.support.desk import Desk
from tests.support.handing_out import as_wanted

NARROW = ("--strategy", "straightforward", "--lr", "0.1,0.2", "--batch-size", "4", "--epochs", "3")


@dataclass
class Searching:
    """A desk whose searches are decided and not trained; `run` are those that would have been."""

    desk: Desk
    run: list[Search] = field(default_factory=list)

    def search(self, *arguments: str, command: str = "search") -> Result:
        data = ("--data", self.desk.data, "--group-by", r"(g\d)") if command == "search" else ()
        where = ("--cache", self.desk.place / "cache")
        what = ("mine", "squeezenet1_1", "--weights", "none") if command != "resume" else ("mine",)
        if command == "resume":
            return self.ask(command, *what, *map(str, where), *arguments)
        return self.desk.run(command, *what, *data, *arguments)

    def ask(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--studies", str(self.desk.studies)])

    @property
    def storage(self) -> Storage:
        found = find_study(self.desk.studies, "mine")
        assert found is not None
        return found.storage

    def decided(self) -> Decided:
        return Decided.of(self.storage)

    def hurt(self, name: str) -> Path:
        """Cut a file of the only search short."""
        (path,) = self.desk.studies.glob(f"mine/searches/*/{name}")
        path.write_bytes(path.read_bytes()[:100])
        return path


@pytest.fixture
def searching(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Searching:
    made = Searching(desk)

    def decided(search: Search, *_: object) -> int:
        made.run.append(search)
        for name in search.searches:
            storage = search.study.storage
            machine = Machine(1, "cpu", as_wanted)
            Deciding(storage, Decided.of(storage), name, NewsReader(storage), machine).decide()
        return 0

    monkeypatch.setattr("orchestrator.train.run", decided)
    return made


def done(result: Result) -> str:
    """All that it said."""
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_decisions_are_told_with_their_reasons(searching: Searching) -> None:
    done(searching.search(*NARROW, "--repeats", "2"))
    done(searching.search("--repeats", "4"))
    done(searching.search(*NARROW, "--batch-size", "8", "--repeats", "1"))
    told = searching.ask("decisions", "mine", "--check")
    assert told.exit_code == 0
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert lines[0] == "mine: 2 searches, 3 decisions"
    assert sum("proposer grid, 2 configurations on 1 partition: orch" in line for line in lines) == 2
    assert sum(line.startswith("1 ") and line.endswith(" 4 3 0 the whole grid") for line in lines) == 1
    assert sum(line.startswith("2 ") and line.endswith(" 4 3 0 more of the whole grid") for line in lines) == 1
    assert lines[-1] == "3 of 3 decisions made again, with the same answer."
    found = json.loads(searching.ask("decisions", "mine", "--json").stdout)
    assert found["study"] == "mine"
    assert found["damaged"] == []
    assert sorted(len(search["decisions"]) for search in found["searches"]) == [1, 2]


@pytest.mark.parametrize("command", ["search", "plan", "resume"])
@pytest.mark.parametrize("name", ["1.toml", "budget-1.toml", "search.toml"])
def test_a_damaged_file_is_told_and_the_search_goes_on(searching: Searching, name: str, command: str) -> None:
    done(searching.search(*NARROW, "--repeats", "2"))
    path = searching.hurt(name)
    file = path.relative_to(searching.desk.studies / "mine")
    reason = f"{file} fails its checksum (if it was changed on purpose, remove its first line)"
    for asked in (("status",), ("table",), ("decisions",), ("decisions", "--check"), ("decisions", "--json")):
        told = searching.ask(asked[0], "mine", *asked[1:])
        assert told.exit_code == 1
        assert f"Left out: {searching.desk.studies / 'mine'}: {reason}" in told.stderr
    (damaged,) = json.loads(told.stdout)["damaged"]
    assert (damaged["file"], damaged["reason"]) == (str(file), reason)
    before = path.read_bytes()
    more = ("--repeats", "2") if command == "resume" else (*NARROW, "--repeats", "2")
    told = searching.search(*more, command=command)
    assert f"Note: {reason}; it is skipped." in " ".join(told.output.split())
    is_mended = command == "search" or (command, name) == ("resume", "1.toml")
    assert told.exit_code == (not is_mended), "what was asked is asked again, in a file of its own"
    if command == "search":
        asked = asked_of_lanes(searching.decided().every())
        assert sorted((lane.repeat, epochs) for lane, epochs in asked.items()) == [(0, 3), (0, 3), (1, 3), (1, 3)]
        assert (path.read_bytes() == before) == (name != "search.toml"), "only the search is what it was by its name"
    else:
        assert path.read_bytes() == before


def test_what_a_damaged_decision_asked_is_asked_again_under_the_next_number(searching: Searching) -> None:
    done(searching.search(*NARROW, "--repeats", "2"))
    searching.hurt("1.toml")
    done(searching.search(*NARROW, "--repeats", "2"))
    assert len(searching.run) == 2
    ((decision,),) = searching.decided().decisions.values()
    assert decision.number == 2
    assert sum(len(ask.configurations) * len(ask.repeats) for ask in decision.asks) == 4
    assert len(decision.segments()) == 2, "it is divided again too"
    told = searching.ask("decisions", "mine", "--check")
    assert told.exit_code == 1
    assert "decision 2: it should be number 1: a decision before it is missing" in told.stdout


def test_a_damaged_budget_is_followed_by_the_next_one(searching: Searching) -> None:
    done(searching.search(*NARROW, "--repeats", "2"))
    done(searching.search(*NARROW, "--repeats", "3"))
    searching.hurt("budget-2.toml")
    done(searching.search(*NARROW, "--repeats", "4"))
    ((first, third),) = searching.decided().budgets.values()
    assert (first.number, third.number) == (1, 3)
    assert set(third.of_each().values()) == {(4, 3)}


def test_the_proposer_of_the_file_and_of_the_command(searching: Searching) -> None:
    (searching.desk.place / "mine.toml").write_text('name = "mine"\nsearch = { proposer = "grid" }\n')
    data = ("--data", searching.desk.data, "--group-by", r"(g\d)", "--weights", "none")
    file = searching.desk.place / "mine.toml"
    done(searching.desk.run("search", file, "squeezenet1_1", *data, *NARROW, "--repeats", "1"))
    done(searching.search(*NARROW, "--repeats", "1", "--proposer", "grid"))
    (search,) = searching.decided().searches.values()
    assert (search.proposer, dict(search.settings)) == ("grid", {})


def test_a_race_writes_what_it_promises_before_anything_is_trained(searching: Searching) -> None:
    done(searching.search(*NARROW, "--repeats", "race", "--margin", "0.02"))
    (search,) = searching.decided().searches.values()
    looks = [[8, 3 / 256], [12, 0.0132], [20, 0.025]]
    assert dict(search.settings) == {"looks": looks, "repeats": "race", "margin": 0.02}
    (decision,) = searching.decided().decisions[search.id]
    assert decision.reason == "race, look 1: 8 repeats of 2 configurations, on this partition"
    done(searching.search(*NARROW, "--repeats", "race", "--margin", "0.02"))
    assert len(searching.decided().searches) == 1
    done(searching.search(*NARROW, "--repeats", "race", "--margin", "0.03"))
    assert len(searching.decided().searches) == 2


def test_a_margin_without_a_race_is_refused_before_there_is_a_study(searching: Searching) -> None:
    alone = searching.search(*NARROW, "--repeats", "8", "--margin", "0.02")
    assert alone.exit_code == 2
    assert "a margin is of a race" in alone.output
    grid = searching.search(*NARROW, "--margin", "0.02", "--proposer", "grid")
    assert "--proposer grid: expected adaptive, which" in grid.output
    assert find_study(searching.desk.studies, "mine") is None

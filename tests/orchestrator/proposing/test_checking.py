"""Decisions are made again from what they cite; whatever does not follow from that is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.proposing.checking import Checked, check
from orchestrator.results.decided import Decided
from orchestrator.store.layout import BundleKey
from orchestrator.store.searches import (
    Ask,
    Budget,
    Decision,
    SearchRecord,
    allowances,
    budget_file,
    decision_file,
    search_file,
)
from orchestrator.study.studies import raise_budget
from tests.support.generated_study import PARTITION
from tests.support.undecided_study import UndecidedStudy, undecided_study


@pytest.fixture
def desk(tmp_path: Path) -> UndecidedStudy:
    return undecided_study(tmp_path / "generated")


@pytest.fixture
def search(desk: UndecidedStudy) -> SearchRecord:
    """A grid that was raised once its first results were there: two decisions."""
    search = desk.search(
        desk.names, 2, 5, command="orch search generated resnet18", created="2026-01-01T00:00:00+00:00"
    )
    desk.decide(search)
    desk.finish(0, (0, 1), 5)
    raise_budget(desk.storage, search.id, dict.fromkeys(desk.names, (3, 5)), "orch resume generated --repeats 3")
    desk.decide(search)
    return search


def checked(desk: UndecidedStudy) -> list[Checked]:
    return check(desk.storage, Decided.of(desk.storage))


def changed(desk: UndecidedStudy, search: SearchRecord, number: int, **values: object) -> None:
    """A decision with other values, as whole a file as before."""
    decision = Decided.of(desk.storage).decisions[search.id][number - 1]
    desk.storage.replace(decision_file(search.id, number), decision.model_copy(update=values).to_toml())


def fault(desk: UndecidedStudy, number: int) -> str:
    found = checked(desk)
    assert [one.number for one in found if one.faults] == [number]
    return "; ".join(found[number - 1].faults)


@pytest.mark.usefixtures("search")
def test_decisions_follow_from_what_they_cite(desk: UndecidedStudy) -> None:
    assert [(one.number, one.faults, one.differing) for one in checked(desk)] == [(1, (), ()), (2, (), ())]


def test_another_answer_is_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    asks = (Ask(partition=PARTITION, configurations=desk.names[:1], repeats=(0,), epochs=5),)
    changed(desk, search, 2, asks=asks, stacks=())
    assert fault(desk, 2) == "the proposer grid asks for something else"


def test_another_reason_is_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    changed(desk, search, 1, reason="I like it")
    assert fault(desk, 1) == "the proposer grid gives another reason: the whole grid"


def test_what_was_spent_and_pending_is_made_again(desk: UndecidedStudy, search: SearchRecord) -> None:
    changed(desk, search, 2, spent_epochs=11, pending=())
    told = fault(desk, 2)
    assert "the epochs spent were 10, not 11" in told
    assert "what was pending" in told


def test_a_changed_record_is_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    path = BundleKey(PARTITION, desk.names[0], 0).final(1, 5)
    desk.storage.replace(path, desk.storage.read(path) + b" ")
    assert fault(desk, 2) == f"a record that it cites has changed or is gone: {path}"
    desk.storage.delete(path)
    assert fault(desk, 2) == f"a record that it cites has changed or is gone: {path}"


def test_work_that_nobody_asked_for_is_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    stacks = Decided.of(desk.storage).decisions[search.id][1].stacks
    changed(desk, search, 2, stacks=(*stacks, stacks[0].model_copy(update={"epochs": 7})))
    assert fault(desk, 2) == "1 of the repeats that it divides were not asked for"


def test_a_missing_decision_is_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    desk.storage.delete(decision_file(search.id, 1))
    (only,) = checked(desk)
    assert "it should be number 1: a decision before it is missing" in only.faults


def test_other_versions_are_no_fault_and_are_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    versions = dict(Decided.of(desk.storage).decisions[search.id][0].versions)
    changed(desk, search, 1, versions={**versions, "torch": "1.0"})
    first = checked(desk)[0]
    assert first.faults == ()
    assert first.differing == (f"torch {versions['torch']}, then 1.0",)


def test_the_command_tells_of_searches_and_their_decisions(
    desk: UndecidedStudy, search: SearchRecord, tmp_path: Path
) -> None:
    where = ["generated", "--studies", str(tmp_path)]
    found = CliRunner().invoke(main, ["decisions", *where, "--check"])
    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[0] == "generated: 1 search, 2 decisions"
    assert "more of the whole grid" in found.output
    assert {line.split()[4] for line in found.output.splitlines() if "the whole grid" in line} == {"5"}
    assert "2 of 2 decisions made again, with the same answer." in found.output
    data = json.loads(CliRunner().invoke(main, ["decisions", *where, "--json"]).stdout)
    (mine,) = data["searches"]
    assert (mine["search"], mine["proposer"]) == (search.id, "grid")
    assert [(one["repeats"], one["results_seen"], one["pending"]) for one in mine["decisions"]] == [
        (8, 0, 0),
        (4, 2, 6),
    ]
    assert [one["repeats"] for one in mine["budgets"]] == [8, 12]

    changed(desk, search, 1, reason="I like it")
    wrong = CliRunner().invoke(main, ["decisions", *where, "--check"])
    assert wrong.exit_code == 1
    assert "decision 1: the proposer grid gives another reason" in wrong.output


def test_a_damaged_decision_is_passed_over_and_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    path = decision_file(search.id, 2)
    desk.storage.replace(path, desk.storage.read(path)[:-9])
    decided = Decided.of(desk.storage)
    assert [one.number for one in decided.decisions[search.id]] == [1]
    assert [one.path for one in decided.damaged] == [path]
    decision: Decision = desk.decide(search)
    assert decision.number == 3, "the number of the damaged one is not used again"
    assert desk.deciding(search).decide() is None


def test_what_a_damaged_decision_asked_for_is_asked_again(desk: UndecidedStudy, search: SearchRecord) -> None:
    """Although a later decision has answered the budget."""
    before = Decided.of(desk.storage).asked()
    path = decision_file(search.id, 1)
    desk.storage.replace(path, desk.storage.read(path)[:-9])
    raise_budget(desk.storage, search.id, dict.fromkeys(desk.names, (3, 6)), "orch resume generated --epochs 6")
    desk.decide(search)
    desk.storage.replace(decision_file(search.id, 2), b"")
    assert desk.deciding(search).decide() is None, "the third has asked for everything"
    assert Decided.of(desk.storage).asked().keys() == before.keys()


def test_a_search_under_another_name_is_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    path = search_file("0123456789ab")
    desk.storage.create(path, search.to_toml())
    decided = Decided.of(desk.storage)
    assert list(decided.searches) == [search.id]
    assert [one.path for one in decided.damaged] == [path]


def test_what_is_another_number_by_what_it_says_is_told(desk: UndecidedStudy, search: SearchRecord) -> None:
    path = decision_file(search.id, 7)
    desk.storage.create(path, desk.storage.read(decision_file(search.id, 2)))
    decided = Decided.of(desk.storage)
    assert [one.number for one in decided.decisions[search.id]] == [1, 2]
    assert [(one.path, one.reason) for one in decided.damaged] == [(path, f"{path} says that it is number 2")]


@pytest.mark.parametrize("change", ["less", "more"])
def test_a_budget_of_other_configurations_than_its_search_is_told(
    desk: UndecidedStudy, search: SearchRecord, change: str
) -> None:
    names = desk.names[1:] if change == "less" else (*desk.names, "another")
    path = budget_file(search.id, 2)
    desk.storage.replace(path, Budget(number=2, allowances=allowances(dict.fromkeys(names, (3, 5)))).to_toml())
    decided = Decided.of(desk.storage)
    assert [one.path for one in decided.damaged] == [path]
    budget = decided.budget(search.id)
    assert budget is not None
    assert budget.number == 1
    decided.read()
    assert len(decided.damaged) == 1, "told once"
    where = ["generated", "--studies", str(desk.storage.root.parent), "--check"]
    told = CliRunner().invoke(main, ["decisions", *where])
    assert told.exit_code == 1
    assert "names other configurations than its search" in told.output

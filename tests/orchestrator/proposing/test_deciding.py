"""What a decision says follows from the search, its budget and what it cites; the work is divided once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.proposing.checking import check
from orchestrator.proposing.proposer import Proposal, View
from orchestrator.results.decided import Decided
from orchestrator.store.errors import InputError, OrchError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.searches import Ask, Decision, SearchRecord, asks_of
from orchestrator.store.segments import LaneKey
from orchestrator.study.studies import raise_budget
from search_spaces.proposers import PROPOSERS
from search_spaces.settings.choice import Variant
from tests.support.generated_study import PARTITION
from tests.support.undecided_study import UndecidedStudy, undecided_study


@pytest.fixture
def desk(tmp_path: Path) -> UndecidedStudy:
    return undecided_study(tmp_path)


def test_the_grid_says_everything_once(desk: UndecidedStudy) -> None:
    search = desk.search(desk.names, 12, 5)
    decision = desk.decide(search)
    assert (decision.number, decision.budget, decision.reason) == (1, 1, "the whole grid")
    assert decision.asks == (Ask(partition=PARTITION, configurations=desk.names, repeats=tuple(range(12)), epochs=5),)
    assert [len(one.repeats) for one in decision.stacks] == [10, 2] * 4, "what lies in one bundle is divided together"
    assert desk.deciding(search).decide() is None
    assert Decided.of(desk.storage).asked() == {
        ConfigurationKey(PARTITION, name): dict.fromkeys(range(12), 5) for name in desk.names
    }


def test_one_stack_alone_is_shared_out_among_two_workers(desk: UndecidedStudy) -> None:
    """Not where something else is asked for, which the other worker has meanwhile."""
    search = desk.search(desk.names[:1], 10, 5)
    assert [one.repeats for one in desk.decide(search).stacks] == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)]
    raise_budget(desk.storage, search.id, {desk.names[0]: (20, 5)}, "orch resume --repeats 20")
    assert [one.repeats for one in desk.decide(search).stacks] == [tuple(range(10, 20))]


def test_a_raised_budget_is_one_more_decision_from_where_the_lanes_are(desk: UndecidedStudy) -> None:
    search = desk.search(desk.names, 2, 5)
    desk.decide(search)
    desk.finish(0, (0, 1), 5)
    raise_budget(desk.storage, search.id, dict.fromkeys(desk.names, (3, 8)), "orch resume --repeats 3 --epochs 8")
    decision = desk.decide(search)
    assert (decision.number, decision.budget, decision.reason) == (2, 2, "more of the whole grid")
    starts = {(one.configurations[0], one.start): one.repeats for one in decision.stacks}
    assert starts == {(name, 5): (0, 1) for name in desk.names} | {(name, 0): (2,) for name in desk.names}
    assert [(one.configuration, one.repeats, one.epochs) for one in decision.news] == [(desk.names[0], (0, 1), 5)]
    assert sum(len(ask.configurations) * len(ask.repeats) for ask in decision.pending) == 6
    assert decision.spent_epochs == 10


def test_what_another_search_asked_for_is_not_divided_again(desk: UndecidedStudy) -> None:
    desk.decide(desk.search(desk.names[:2], 2, 5))
    decision = desk.decide(desk.search(desk.names, 3, 5))
    assert {name: one.repeats for one in decision.stacks for name in one.configurations} == {
        desk.names[0]: (2,),
        desk.names[1]: (2,),
        desk.names[2]: (0, 1, 2),
        desk.names[3]: (0, 1, 2),
    }


def test_what_has_a_result_or_ended_by_itself_is_not_divided(desk: UndecidedStudy) -> None:
    desk.finish(0, (0,), 9)
    desk.study.diverges = lambda configuration, repeat: repeat == 1
    desk.finish(0, (1,), 3)
    decision = desk.decide(desk.search(desk.names[:1], 3, 5))
    assert [(one.repeats, one.start) for one in decision.stacks] == [((2,), 0)]


class Waits:
    """Asks for the configuration after the ones that are told, and cites the best so far."""

    listens = True

    def __init__(self, search: SearchRecord) -> None: ...

    def propose(self, view: View) -> Proposal | None:
        told = {result.lane.configuration for result in view.results}
        left = [name for name in view.search.configurations if name not in told]
        if view.pending or not left:
            return None
        ask = Ask(partition=PARTITION, configurations=(left[0],), repeats=(0,), epochs=5)
        return Proposal((ask,), f"best {max((one.value for one in view.results), default=0.0):.6f}")


class Greedy(Waits):
    def propose(self, view: View) -> Proposal | None:
        ask = Ask(partition=PARTITION, configurations=view.search.configurations, repeats=(0,), epochs=500)
        return Proposal((ask,), "more")


@pytest.fixture
def proposers(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Waits, Greedy):
        variant = Variant(kind.__name__.lower(), "tests:none", "For this test.")
        monkeypatch.setitem(PROPOSERS.variants, variant.name, variant)
    kinds = {"waits": Waits, "greedy": Greedy}
    real = PROPOSERS.load
    monkeypatch.setattr(PROPOSERS, "load", lambda name: kinds.get(name) or real(name))


@pytest.mark.usefixtures("proposers")
def test_a_proposer_is_told_each_result_once_in_order(desk: UndecidedStudy) -> None:
    search = desk.search(desk.names, 2, 5, proposer="waits")
    decisions = [desk.decide(search)]
    for place in range(3):
        assert desk.deciding(search).decide() is None, "nothing is new"
        desk.finish(place, (0,), 5)
        decisions.append(desk.decide(search))
    assert [[one.configuration for one in decision.news] for decision in decisions] == [
        [],
        *([name] for name in desk.names[:3]),
    ]
    values = [one.values[0] for decision in decisions for one in decision.news]
    assert decisions[-1].reason == f"best {max(values):.6f}"
    desk.finish(3, (0,), 5)
    assert desk.deciding(search).decide() is None, "it has nothing to say any more"


@pytest.mark.usefixtures("proposers")
def test_two_that_decide_at_once_make_one_decision(desk: UndecidedStudy) -> None:
    search = desk.search(desk.names, 2, 5, proposer="waits")
    first, second = desk.deciding(search), desk.deciding(search)
    assert first.decide() is not None
    assert second.decide() is None
    assert [decision.number for decision in second.decided.decisions[search.id]] == [1]


@pytest.mark.usefixtures("proposers")
def test_a_proposer_keeps_to_its_budget(desk: UndecidedStudy) -> None:
    search = desk.search(desk.names, 2, 5, proposer="greedy")
    with pytest.raises(OrchError, match=r"proposer greedy asked for more than search \w+ may train"):
        desk.deciding(search).decide()
    assert Decided.of(desk.storage).decisions[search.id] == []


def test_a_proposer_that_this_version_does_not_know_is_named(desk: UndecidedStudy) -> None:
    search = desk.search(desk.names, 2, 5, proposer="of tomorrow")
    with pytest.raises(InputError, match="of tomorrow") as error:
        desk.deciding(search).decide()
    assert error.value.exit_status == 2


def test_the_grid_takes_no_settings(desk: UndecidedStudy) -> None:
    search = desk.search(desk.names, 2, 5, settings={"width": 3})
    with pytest.raises(InputError, match="expected no settings, found width"):
        desk.deciding(search).decide()


def test_lanes_may_be_asked_for_in_any_order(desk: UndecidedStudy) -> None:
    """Repeat numbers need not begin with 0, nor follow each other."""
    search = desk.search(desk.names[:1], 6, 5)
    lanes = [(LaneKey(PARTITION, desk.names[0], repeat), 5) for repeat in (4, 1)]
    decision = Decision(number=1, budget=1, reason="", asks=asks_of(lanes), stacks=())
    desk.storage.create(f"searches/{search.id}/1.toml", decision.to_toml())
    assert Decided.of(desk.storage).asked() == {ConfigurationKey(PARTITION, desk.names[0]): {1: 5, 4: 5}}


HALVING = {"epochs": "halving", "ranked_on": 2}


def halved(desk: UndecidedStudy) -> SearchRecord:
    return desk.search(desk.names, 2, 40, proposer="adaptive", settings=HALVING)


def test_what_was_trained_for_longer_counts_as_it_was_at_the_rung(desk: UndecidedStudy) -> None:
    """A search begins at 6 of 40 epochs where an earlier one has trained to the end."""
    for place in range(len(desk.names)):
        desk.finish(place, (0, 1), 40)
    search = halved(desk)
    desk.play(search)
    decisions = Decided.of(desk.storage).decisions[search.id]
    told_at = sorted({news.epochs for decision in decisions for news in decision.news})
    assert told_at[0] == 6
    assert told_at[-1] == 40
    assert not any(decision.stacks for decision in decisions), "nothing is trained again"
    first = next(news for decision in decisions for news in decision.news if news.epochs == 6)
    record = desk.study.final(
        next(c for c in desk.study.configurations() if c.id == first.configuration), first.repeats[0], 40
    )
    loss = record.history.loss[:7]
    selected = int(np.argmin(loss[:, 1]))
    assert first.values[0] == pytest.approx(-loss[selected, 1])
    assert first.longer[0] == f"{first.repeats[0]}.e40"
    assert all(not checked.faults for checked in check(desk.storage, Decided.of(desk.storage)))


def test_the_next_rung_is_asked_for_beside_its_checks(desk: UndecidedStudy) -> None:
    """Before any of the checks has its result."""
    search = halved(desk)
    deciding = desk.deciding(search)
    first = deciding.decide()
    assert first is not None
    assert deciding.decide() is None, "it waits for results"
    for ask in first.asks:
        for name in ask.configurations:
            desk.finish(desk.names.index(name), ask.repeats, ask.epochs)
    deciding = desk.deciding(search)
    said = []
    while (decision := deciding.decide()) is not None:
        said.append(decision)
    assert [decision.reason.partition(":")[0] for decision in said] == ["rung 1", "rung 2 of 4"]
    assert not said[1].news
    assert desk.deciding(search).decide() is None, "nothing is said twice"

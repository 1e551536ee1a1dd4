"""Who decides while a search runs: one driver at a time, nothing twice, whoever of them dies."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.running.decider import LOOK_EVERY_S, Decider, Said
from orchestrator.store.errors import OrchError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import STALE_AFTER_S, Lease, current_lease
from orchestrator.store.searches import SearchRecord, search_file, search_folder
from orchestrator.study.studies import raise_budget
from search_spaces.configuration import Configuration
from search_spaces.limits import Limits
from search_spaces.proposers import PROPOSERS
from tests.faults.odd_views import SeenLate
from tests.support.checkout import ROOT
from tests.support.handing_out import as_wanted, together
from tests.support.scripted import SCRIPTED
from tests.support.tiny_study import TinyStudy
from tests.support.waiting import PatientClock, wait_until

STEPS = [{"configurations": [0], "repeats": [repeat], "epochs": 1} for repeat in range(3)]


@pytest.fixture
def one(study: TinyStudy) -> Configuration:
    return study.configuration(lr=0.02)


@pytest.fixture
def other(study: TinyStudy) -> Configuration:
    return study.configuration(lr=0.05)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is the proposer of `tests/support/scripted.py`."""
    monkeypatch.setitem(PROPOSERS.variants, SCRIPTED.name, SCRIPTED)


def searched(
    study: TinyStudy,
    configurations: Sequence[Configuration],
    most: tuple[int, int],
    proposer: str = "grid",
    **settings: Any,
) -> str:
    """A search with a budget of so many (repeats, epochs); its id."""
    record = SearchRecord(
        proposer=proposer,
        settings=settings,
        partitions=(study.partition,),
        configurations=tuple(c.id for c in configurations),
    )
    study.storage.create(search_file(record.id), record.to_toml())
    raise_budget(study.storage, record.id, dict.fromkeys(record.configurations, most), "orch search")
    return record.id


def decider_of(study: TinyStudy, *searches: str) -> Decider:
    decided = Decided.of(study.storage)
    ids = {name for search in searches for name in decided.searches[search].configurations}
    keys = frozenset(ConfigurationKey(study.partition, name) for name in ids)
    return Decider(decided, searches, keys, Machine(1, "cpu", as_wanted))


def settled(decider: Decider) -> Said:
    """All that it says before something else happens."""
    decider.notice()
    wait_until(lambda: (decider.poll(1.0), not decider._has_news and decider._job is None)[1])
    return decider.said


def numbers(study: TinyStudy, search: str) -> list[int]:
    return [decision.number for decision in Decided.of(study.storage).decisions[search]]


def lease_of(study: TinyStudy, search: str) -> Any:
    return current_lease(study.storage, search_folder(search))


def test_a_grid_is_decided_once_and_its_lease_given_back(study: TinyStudy, one: Configuration) -> None:
    search = searched(study, [one], (2, 1))
    with decider_of(study, search) as decider:
        assert decider.is_open
        wait_until(lambda: decider.poll(1.0))
        assert decider.said.segments == (together(study, [one], (0, 1), 0, 1),)
        assert decider.said.repeats == 2
        assert not decider.is_open
        assert not lease_of(study, search).is_released
        decider.notice()
        assert decider.is_open, "what has finished was not told yet"
        assert not settled(decider).is_open
    assert lease_of(study, search).is_released
    assert numbers(study, search) == [1]
    with decider_of(study, search) as decider:
        assert settled(decider).segments == (together(study, [one], (0, 1), 0, 1),)
    assert numbers(study, search) == [1]
    assert lease_of(study, search).number == 1, "there was nothing to decide"


def test_a_folder_listed_as_it_was_hides_neither_a_search_nor_its_budget(study: TinyStudy, one: Configuration) -> None:
    """A shared file system may show a folder late: what this process knows to be there counts."""
    record = SearchRecord(proposer="grid", partitions=(study.partition,), configurations=(one.id,))
    keys = frozenset({ConfigurationKey(study.partition, one.id)})
    for most in ((2, 1), (2, 3)):
        late = SeenLate(1e9)(study.storage)
        Decided.of(late)
        late.list(search_folder(record.id))
        late.create(search_file(record.id), record.to_toml())
        budget = raise_budget(late, record.id, {one.id: most}, "orch search")
        decided = Decided.of(late, [search_file(record.id), budget])
        with Decider(decided, [record.id], keys, Machine(1, "cpu", as_wanted)) as decider:
            assert max(segment.epochs for segment in settled(decider).segments) == most[1]
    assert numbers(study, record.id) == [1, 2]
    assert [budget.of_each() for budget in Decided.of(study.storage).budgets[record.id]] == [
        {one.id: (2, 1)},
        {one.id: (2, 3)},
    ]


@pytest.mark.usefixtures("scripted")
def test_each_step_is_decided_once_the_one_before_is_told(study: TinyStudy, one: Configuration) -> None:
    search = searched(study, [one], (3, 1), "scripted", steps=STEPS)
    with decider_of(study, search) as decider:
        for number in range(3):
            assert len(settled(decider).segments) == number + 1
            assert len(settled(decider).segments) == number + 1, "without news nothing more is said"
            study.train_segment(decider.said.segments[-1])
        settled(decider)
        assert not decider.is_open
    assert numbers(study, search) == [1, 2, 3]


@pytest.mark.parametrize("proposer", ["grid", "scripted"])
@pytest.mark.usefixtures("scripted")
def test_several_at_once_decide_once(study: TinyStudy, one: Configuration, proposer: str) -> None:
    settings = {"steps": STEPS} if proposer == "scripted" else {}
    search = searched(study, [one], (3, 1), proposer, **settings)
    deciders = [decider_of(study, search) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(settled, deciders))
    assert numbers(study, search) == [1]
    assert sum(bool(decider._leases) for decider in deciders) == 1
    for decider in deciders:
        assert len(settled(decider).segments) == {"grid": 1, "scripted": 1}[proposer]
        with decider:
            pass
    assert numbers(study, search) == [1]


@pytest.mark.usefixtures("scripted")
def test_whoever_waits_goes_on_when_the_lease_is_given_back(study: TinyStudy, one: Configuration) -> None:
    search = searched(study, [one], (3, 1), "scripted", steps=STEPS)
    first, second = decider_of(study, search), decider_of(study, search)
    settled(first)
    (segment,) = settled(second).segments
    assert second.said.is_open, "the other is to say more"
    study.train_segment(segment)
    settled(second)
    assert numbers(study, search) == [1], "who decides is not it"
    assert len(settled(first).segments) == 2
    assert len(settled(second).segments) == 2
    study.train_segment(first.said.segments[-1])
    with first:
        pass
    assert len(settled(second).segments) == 3
    assert numbers(study, search) == [1, 2, 3]
    assert not second.said.is_open
    with second:
        pass
    assert lease_of(study, search).is_released


HOLDER = """
import sys, time
from pathlib import Path
from tests.support.scripted import register
register()
from orchestrator.proposing.deciding import Machine
from orchestrator.results.decided import Decided
from orchestrator.running.decider import Decider
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.storage import LocalStorage
from tests.support.handing_out import as_wanted
folder, search, partition, configuration = sys.argv[1:]
keys = {ConfigurationKey(partition, configuration)}
decider = Decider(Decided.of(LocalStorage(Path(folder))), [search], keys, Machine(1, "cpu", as_wanted))
while not decider.poll(1.0):
    pass
print("decided", flush=True)
time.sleep(3600)
"""


@pytest.mark.usefixtures("scripted")
def test_what_a_killed_driver_held_is_taken_over(study: TinyStudy, one: Configuration) -> None:
    search = searched(study, [one], (3, 1), "scripted", steps=STEPS)
    command = [sys.executable, "-c", HOLDER, str(study.folder), search, study.partition, one.id]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "decided\n"
        with decider_of(study, search) as decider:
            (segment,) = settled(decider).segments
            study.train_segment(segment)
            assert settled(decider).is_open
            assert numbers(study, search) == [1]
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            assert len(settled(decider).segments) == 2, "at once: it is known to be gone"
            assert numbers(study, search) == [1, 2]
            assert lease_of(study, search).number == 2
    finally:
        holder.kill()
        holder.communicate()


def test_one_that_fell_silent_elsewhere_is_waited_for(
    study: TinyStudy, one: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.store.leases._machine", lambda: "another")
    search = searched(study, [one], (1, 1))
    assert Lease.take(study.storage, search_folder(search), 0) is not None
    monkeypatch.undo()
    clock = PatientClock(monkeypatch)
    with decider_of(study, search) as decider:
        assert settled(decider).is_open
        clock.slept_s += STALE_AFTER_S / 2
        assert settled(decider).is_open
        assert numbers(study, search) == []
        clock.slept_s += STALE_AFTER_S
        assert settled(decider).segments == (together(study, [one], (0,), 0, 1),)
    assert numbers(study, search) == [1]


def test_a_budget_that_is_raised_meanwhile_is_decided(
    study: TinyStudy, one: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = searched(study, [one], (1, 1))
    clock = PatientClock(monkeypatch)
    with decider_of(study, search) as decider:
        settled(decider)
        raise_budget(study.storage, search, {one.id: (2, 1)}, "orch resume --repeats 2")
        assert not decider.poll()
        clock.slept_s += LOOK_EVERY_S
        wait_until(lambda: decider.poll(1.0))
        assert decider.said.segments[1:] == (together(study, [one], (1,), 0, 1),)
    assert numbers(study, search) == [1, 2]


def test_who_was_succeeded_decides_nothing_more(study: TinyStudy, one: Configuration) -> None:
    """As one that was suspended for long, and wakes up."""
    search = searched(study, [one], (1, 1))
    with decider_of(study, search) as decider:
        settled(decider)
        other = Lease.take(study.storage, search_folder(search), 1)
        assert other is not None
        raise_budget(study.storage, search, {one.id: (2, 1)}, "orch resume --repeats 2")
        assert settled(decider).is_open, "the other is to decide it"
        assert numbers(study, search) == [1]
    current = lease_of(study, search)
    assert (current.number, current.is_released) == (2, False), "what is the other's stays so"


def test_of_two_who_decide_at_once_the_first_is_heard(study: TinyStudy, one: Configuration) -> None:
    """Leases only save work: should both believe that they hold it, there is one decision all the same."""
    search = searched(study, [one], (1, 1))
    both = [
        Deciding(
            study.storage, Decided.of(study.storage), search, NewsReader(study.storage), Machine(1, who, as_wanted)
        )
        for who in ("first", "second")
    ]
    said = [deciding.decide() for deciding in both]
    assert said[0] is not None
    assert said[1] is None
    assert [decision.device for decision in both[1].decided.decisions[search]] == ["first"]
    assert both[1].next() is None


@pytest.mark.usefixtures("scripted")
def test_a_proposer_that_asks_for_more_than_it_may_is_told(study: TinyStudy, one: Configuration) -> None:
    search = searched(study, [one], (1, 1), "scripted", steps=[{"configurations": [0], "repeats": [4], "epochs": 1}])
    with decider_of(study, search) as decider, pytest.raises(OrchError, match=r"scripted asked for more than .* train"):
        settled(decider)
    assert numbers(study, search) == []
    assert lease_of(study, search).is_released


def test_what_another_search_has_divided_serves_this_one(study: TinyStudy, one: Configuration) -> None:
    other = study.configuration(lr=0.05)
    wide, narrow = searched(study, [one, other], (2, 1)), searched(study, [one], (3, 1))
    with decider_of(study, wide) as decider:
        settled(decider)
    with decider_of(study, narrow) as decider:
        said = settled(decider)
    mine = together(study, [one], (2,), 0, 1)
    assert set(said.segments) == {together(study, [one], (0, 1), 0, 1), mine}
    assert set(said.every) == {*said.segments, together(study, [other], (0, 1), 0, 1)}
    assert said.repeats == 5, "of the whole study"
    (decision,) = Decided.of(study.storage).decisions[narrow]
    assert decision.segments() == (mine,), "nothing is divided twice"


def test_hours_that_are_used_up_end_a_search(study: TinyStudy, one: Configuration, other: Configuration) -> None:
    """What has begun ends; nothing else begins, and a larger budget goes on."""
    search = searched(study, [one, other], (2, 1))
    raise_budget(study.storage, search, {}, "orch search --budget", Limits(hours=1e-9))
    first, second = (together(study, [c], (0, 1), 0, 1) for c in (one, other))
    with decider_of(study, search) as decider:
        assert settled(decider).segments == (first, second)
        assert not decider.said.is_spent
        study.train_segment(first)
        said = settled(decider)
        assert (said.segments, said.is_spent, said.is_open) == ((), True, False)
        raise_budget(study.storage, search, {}, "orch search --budget", Limits(hours=10.0))
        wait_until(lambda: (decider.poll(1.0), not decider.said.is_spent)[1])
        assert decider.said.segments == (first, second)
    budgets = Decided.of(study.storage).budgets[search]
    assert [one.hours for one in budgets] == [None, 1e-9, 10.0]


@pytest.mark.usefixtures("scripted")
def test_nothing_is_decided_once_hours_are_used_up(study: TinyStudy, one: Configuration) -> None:
    search = searched(study, [one], (3, 1), "scripted", steps=STEPS)
    raise_budget(study.storage, search, {}, "orch search --budget", Limits(hours=1e-9))
    with decider_of(study, search) as decider:
        for segment in settled(decider).segments:
            study.train_segment(segment)
        assert settled(decider).is_spent
    assert numbers(study, search) == [1]

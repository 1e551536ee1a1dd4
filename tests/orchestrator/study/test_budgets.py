"""How much a search may train: what commands allow, raise, and leave as it is; nothing is trained."""

from __future__ import annotations

import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.resolved import Search
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.running.progress import Display
from orchestrator.search import Raise, SearchOptions, reopen_search, resolve_search
from orchestrator.store.errors import InputError
from orchestrator.store.schema import parse_toml
from orchestrator.store.searches import Budget, budget_file, parse_budget, search_folder
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import LocalStorage
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import Study, find_study, raise_budget, raised, raised_budget
from tests.support.configurations import asked
from tests.support.desk import write_images
from tests.support.handing_out import as_wanted
from tests.support.tiny_study import TinyStudy
from trainables.data.options import DatasetOptions

BACKBONE = "timm:test_resnet.r160_in1k"
NARROW: dict[str, Any] = {"strategies": ("straightforward",), "lr": (0.1, 0.2), "batch_size": (4,)}
Most = Mapping[str, tuple[int, int]]

# --- budgets by themselves -------------------------------------------------------------------------------------------

MOST = st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(1, 9), st.integers(0, 9)))


@given(MOST, MOST)
def test_the_larger_of_both_counts_for_each_configuration(before: Most, wanted: Most) -> None:
    more = raised_budget(before, wanted)
    assert more.keys() == before.keys() | wanted.keys()
    for name, (repeats, epochs) in more.items():
        there = [each[name] for each in (before, wanted) if name in each]
        assert (repeats, epochs) == (max(r for r, _ in there), max(e for _, e in there))
    assert raised_budget(more, wanted) == more
    assert list(more)[: len(before)] == list(before), "in the order of the one before"


def budgets(storage: LocalStorage, search: str) -> list[Budget]:
    numbers = sorted(n for name in storage.list(search_folder(search)) if (n := parse_budget(name)) is not None)
    return [parse_toml(Budget, storage.read(budget_file(search, n)), "budget") for n in numbers]


def test_nothing_is_written_where_it_is_allowed_already(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    raise_budget(storage, "s", {"a": (3, 10), "b": (3, 10)}, "first")
    for covered in ({"a": (3, 10)}, {"a": (1, 10), "b": (3, 2)}, {}):
        raise_budget(storage, "s", covered, "covered")
    raise_budget(storage, "s", {"b": (1, 20)}, "second")
    raise_budget(storage, "s", {"b": (5, 1)}, "third")
    found = budgets(storage, "s")
    assert [budget.number for budget in found] == [1, 2, 3]
    assert [budget.command for budget in found] == ["first", "second", "third"]
    assert found[-1].of_each() == {"a": (3, 10), "b": (5, 20)}
    assert len(found[0].allowances) == 1, "those that are alike are said together"
    assert raised(found[-1], {"a": (3, 9)}, "") is None
    more = raised(found[-1], {"a": (4, 9)}, "")
    assert more is not None
    assert (more.number, more.of_each()) == (4, {"a": (4, 10), "b": (5, 20)})


@dataclass
class Meeting(LocalStorage):
    """Whoever is to create a file waits until as many as are expected have looked."""

    root: Path
    barrier: Barrier = field(default_factory=lambda: Barrier(4))
    waits: bool = True

    def create(self, path: str, content: bytes) -> bool:
        if self.waits:
            self.barrier.wait()
        try:
            return super().create(path, content)
        finally:
            self.waits = False


def test_several_who_raise_at_once_are_all_heard(tmp_path: Path) -> None:
    raise_budget(LocalStorage(tmp_path), "s", {"a": (1, 1), "b": (1, 1)}, "first")
    storage = Meeting(tmp_path)
    wanted: list[Most] = [{"a": (3, 1)}, {"a": (2, 5)}, {"b": (1, 7)}, {"b": (4, 1)}]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda most: raise_budget(storage, "s", most, "more"), wanted))
    found = budgets(storage, "s")
    assert found[-1].of_each() == {"a": (3, 5), "b": (4, 7)}
    assert [budget.number for budget in found] == list(range(1, len(found) + 1))
    for before, after in pairwise(found):
        assert raised_budget(before.of_each(), after.of_each()) == after.of_each() != before.of_each()


# --- commands --------------------------------------------------------------------------------------------------------


@dataclass
class Asking:
    """Searches of one study, one after the other."""

    folder: Path

    def __call__(self, *, writes: bool = True, partitions: int = 1, **changes: Any) -> Search:
        data = DataRequest(self.folder / "data", DatasetOptions(group_by=r"(g\d)"), partitions)
        options = SearchOptions(
            *("mine", (BACKBONE,), self.folder / "studies", self.folder / "cache", data, asked(**changes)),
            given=Given("none"),
            command="orch search mine",
        )
        return resolve_search(options, Display(io.StringIO()), writes=writes)

    def resume(self, **more: int | None) -> Search:
        told = Raise(more.get("epochs"), more.get("repeats"), "orch resume mine") if more else None
        places = self.folder / "data", None, self.folder / "cache"
        return reopen_search(self.study, *places, Display(io.StringIO()), more=told)

    @property
    def study(self) -> Study:
        found = find_study(self.folder / "studies", "mine")
        assert found is not None
        return found

    def written(self) -> dict[str, bytes]:
        """Files of all searches, by path."""
        root = self.folder / "studies" / "mine" / "searches"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def most(self) -> dict[str, set[tuple[int, int]]]:
        """(repeats, epochs) by search, oldest first."""
        decided = Decided.of(self.study.storage)
        return {name: set(budget.of_each().values()) for name in decided.searches if (budget := decided.budget(name))}


@pytest.fixture
def ask(tmp_path: Path) -> Asking:
    write_images(tmp_path / "data")
    return Asking(tmp_path)


def decide(search: Search) -> list[Segment]:
    """As a driver does; what is trained for it."""
    storage = search.study.storage
    found: list[Segment] = []
    for name in search.searches:
        deciding = Deciding(storage, Decided.of(storage), name, NewsReader(storage), Machine(1, "cpu", as_wanted))
        while (decision := deciding.decide()) is not None:
            found += decision.segments()
    return found


def finish(search: Search, lanes: list[LaneKey]) -> None:
    """Results of as many epochs as were asked."""
    for lane in lanes:
        epochs = search.epochs[lane.partition, lane.configuration][lane.repeat]  # type: ignore[index]
        search.study.storage.create(lane.bundle.final(lane.repeat, epochs), b"")


def test_the_same_command_twice_is_the_same_search(ask: Asking) -> None:
    first = ask(**NARROW, repeats=2, epochs=3)
    before = ask.written()
    again = ask(**NARROW, repeats=2, epochs=3)
    assert again.searches == first.searches
    assert ask.written() == before
    assert [len(one.asks) for one in again.ahead] == [1], "nobody has decided it yet"
    decide(again)
    assert ask(**NARROW, repeats=2, epochs=3).ahead == ()
    assert ask(**{**NARROW, "lr": (0.2, 0.1)}, repeats=1, epochs=1).searches == first.searches, "in any order"
    assert len(ask.most()) == 1
    assert ask(**{**NARROW, "lr": (0.1,)}, repeats=2, epochs=3).searches != first.searches
    assert len(ask.most()) == 2


@pytest.mark.parametrize("settings", [NARROW, {}], ids=["with its settings", "as so far"])
def test_more_repeats_and_epochs_raise_its_budget(ask: Asking, settings: dict[str, Any]) -> None:
    first = ask(**NARROW, repeats=2, epochs=3)
    (search,) = first.searches
    done = decide(first)
    assert sorted(lane.repeat for segment in done for lane in segment.lanes) == [0, 0, 1, 1]
    more = ask(**settings, repeats=5, epochs=3)
    assert more.searches == (search,)
    assert ask.most() == {search: {(5, 3)}}
    assert {tuple(epochs) for epochs in more.epochs.values()} == {(0, 1, 2, 3, 4)}
    segments = decide(more)
    assert {(segment.repeats, segment.start, segment.epochs) for segment in segments} == {((2, 3, 4), 0, 3)}
    longer = ask(**settings, epochs=7, repeats=1)
    assert ask.most() == {search: {(5, 7)}}
    assert {(segment.repeats, segment.start, segment.epochs) for segment in decide(longer)} == {((0, 1, 2, 3, 4), 3, 7)}
    before = ask.written()
    for repeats, epochs in ((3, 7), (5, 2)):
        assert ask(**settings, repeats=repeats, epochs=epochs).searches == (search,)
    assert ask.written() == before, "less is allowed already"
    assert sorted(name.partition("/")[2] for name in before) == [
        "1.toml", "2.toml", "3.toml", "budget-1.toml", "budget-2.toml", "budget-3.toml", "search.toml",
    ]  # fmt: skip


def test_resume_raises_every_search(ask: Asking) -> None:
    decide(ask(**NARROW, repeats=2, epochs=3))
    decide(ask(**{**NARROW, "batch_size": (8,)}, repeats=4, epochs=1))
    found = ask.resume(epochs=5)
    assert sorted(map(max, ask.most().values())) == [(2, 5), (4, 5)]
    assert found.searches == tuple(ask.most())
    assert {epochs for each in found.epochs.values() for epochs in each.values()} == {5}
    segments = decide(found)
    assert sorted({(len(one.repeats), one.start, one.epochs) for one in segments}) == [(2, 3, 5), (4, 1, 5)]
    before = ask.written()
    assert ask.resume(epochs=4, repeats=2).ahead == ()
    assert ask.written() == before


def test_a_plan_writes_nothing_and_foresees_the_raise(ask: Asking) -> None:
    planned = ask(**NARROW, repeats=2, epochs=3, writes=False)
    assert not (ask.folder / "studies").exists()
    assert len(planned.owed_lanes()) == 4
    first = ask(**NARROW, repeats=2, epochs=3)
    assert planned.searches == first.searches
    decide(first)
    finish(first, first.owed_lanes())
    before = ask.written()
    same = ask(**NARROW, repeats=2, epochs=3, writes=False)
    assert (same.owed_lanes(), same.has_work, same.ahead) == ([], False, ())
    for settings in (NARROW, {}):
        more = ask(**settings, repeats=3, epochs=5, writes=False)
        assert {tuple(sorted(epochs.items())) for epochs in more.epochs.values()} == {((0, 5), (1, 5), (2, 5))}
        assert len(more.owed_lanes()) == 6
        segments = more.segments(Machine(1, "cpu", as_wanted))
        assert sorted({(one.repeats, one.start, one.epochs) for one in segments}) == [((0, 1), 3, 5), ((2,), 0, 5)]
    wider = ask(**{**NARROW, "lr": (0.1, 0.2, 0.3)}, repeats=2, epochs=3, writes=False)
    assert [lane.repeat for lane in wider.owed_lanes()] == [0, 1], "of the new one; the others are there"
    assert ask.written() == before


def test_what_is_there_already_is_decided_without_a_cluster(ask: Asking) -> None:
    """All of it was trained for another search: a decision says so, and nothing is to be done."""
    wide = ask(**{**NARROW, "lr": (0.1, 0.2, 0.3)}, repeats=2, epochs=3)
    place, partition = ask.folder / "studies" / "mine", wide.study.record.partition
    study = TinyStudy(place, ask.folder / "data", ask.folder / "cache", ("a", "b"), partition, "")
    for segment in decide(wide):
        study.train_segment(segment, wide.bench())
    narrow = ask(**NARROW, repeats=2, epochs=3)
    assert not narrow.has_work
    assert len(narrow.ahead) == 1
    settled = narrow.settled()
    assert settled.ahead == ()
    (decision,) = settled.decided.decisions[narrow.searches[0]]
    assert decision.stacks == ()
    assert {name for one in decision.asks for name in one.configurations} == set(narrow.asked.configurations)


def test_on_more_partitions_it_is_a_search_of_its_own(ask: Asking) -> None:
    one = ask(**NARROW, repeats=2, epochs=3)
    two = ask(repeats=3, partitions=2)
    assert two.searches != one.searches
    assert sorted(map(max, ask.most().values())) == [(2, 3), (3, 3)]
    assert len(two.epochs) == 2 * len(one.epochs)


def test_epochs_behind_the_end_of_a_schedule_raise_nothing(ask: Asking) -> None:
    schedule: dict[str, Any] = {"schedule": ("linear",), "schedule.length": (9,)}
    ask(**NARROW, **schedule, repeats=1, epochs=3)
    before = ask.written()
    for raising in (ask, ask.resume):
        with pytest.raises(InputError, match="linear: expected a length of at least 10"):
            raising(epochs=10)
    assert ask.written() == before

"""What is still to be trained, in which order, and which of several segments serves a search; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.results.decided import Decided
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import (
    Ask,
    Decision,
    SearchRecord,
    Stack,
    decision_file,
    search_file,
)
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from orchestrator.study.owed import Chain, owed, serving
from trainables.bundles.work import divide

P = "p00000001"


def seg(configurations: str, repeats: Sequence[int], start: int, epochs: int) -> Segment:
    return Segment(P, tuple(configurations), tuple(repeats), start, epochs)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def finish(storage: LocalStorage, segment: Segment, state: RepeatState = RepeatState.FINISHED) -> None:
    for lane in segment.lanes:
        storage.create(segment.final(lane, state), b"")


def test_each_comes_after_what_its_lanes_go_on_from() -> None:
    first, other, middle, last = (
        seg("ab", (0,), 0, 1),
        seg("c", (0,), 0, 1),
        seg("ac", (0,), 1, 2),
        seg("a", (0,), 2, 3),
    )
    chain = Chain()
    chain.add([last, middle, first, other, seg("b", (0,), 1, 2), seg("a", (1,), 0, 1)])
    assert chain.before(first) == []
    assert chain.before(middle) == [first, other]
    assert chain.with_all_before([last, other]) == [first, other, middle, last]


def test_parts_take_the_place_of_what_was_divided() -> None:
    whole, longer = seg("ab", (0,), 0, 1), seg("ab", (0,), 1, 2)
    chain = Chain()
    chain.add([whole])
    chain.divide(whole, whole.alone())
    assert chain.before(longer) == list(whole.alone())
    chain.add([whole])
    assert chain.before(longer) == list(whole.alone()), "for good"


def test_what_lacks_a_result_is_owed_and_what_was_divided_as_its_parts(storage: LocalStorage) -> None:
    done, begun, whole = seg("a", (0, 1), 0, 2), seg("b", (0, 1), 0, 2), seg("cd", (0, 1), 0, 2)
    diverged, longer = seg("e", (0,), 0, 2), seg("e", (0,), 2, 9)
    finish(storage, done)
    finish(storage, seg("b", (0,), 0, 2))
    finish(storage, diverged, RepeatState.DIVERGED)
    divide(storage, whole, whole.alone())
    finish(storage, whole.alone()[0])
    assert owed(storage, [done, begun, whole, diverged, longer]) == [begun, whole.alone()[1]]
    assert owed(storage, [seg("a", (0, 1), 2, 3)]) == [seg("a", (0, 1), 2, 3)]


class Told:
    """Decisions of several searches."""

    def __init__(self, storage: LocalStorage) -> None:
        self.storage = storage

    def __call__(self, configurations: str, repeats: Sequence[int], epochs: int, *segments: Segment) -> str:
        """A search whose only decision asks for that and divides it so; its id."""
        search = SearchRecord(
            proposer="grid",
            partitions=(P,),
            configurations=tuple(configurations),
            seed=len(Decided.of(self.storage).searches),
        )
        ask = Ask(partition=P, configurations=tuple(configurations), repeats=tuple(repeats), epochs=epochs)
        stacks = tuple(
            Stack(partition=P, configurations=s.configurations, repeats=s.repeats, start=s.start, epochs=s.epochs)
            for s in segments
        )
        self.storage.create(search_file(search.id), search.to_toml())
        decision = Decision(number=1, budget=1, reason="", asks=(ask,), stacks=stacks)
        self.storage.create(decision_file(search.id, 1), decision.to_toml())
        return search.id


def test_a_search_is_served_by_what_any_search_had_divided(storage: LocalStorage) -> None:
    told = Told(storage)
    wide, longer, more = seg("ab", (0, 1), 0, 2), seg("a", (0, 1), 2, 5), seg("a", (2,), 0, 2)
    first = told("ab", (0, 1), 2, wide)
    second = told("a", (0, 1), 5, longer)
    third = told("a", (0, 1, 2), 2, more)
    decided = Decided.of(storage)
    keys = {ConfigurationKey(P, name) for name in "ab"}
    assert serving(decided, [first], keys) == [wide]
    assert serving(decided, [second], keys) == [longer]
    assert set(serving(decided, [third], keys)) == {wide, more}, "the shortest that is enough"
    assert set(serving(decided, [first, second, third], keys)) == {wide, longer, more}
    assert serving(decided, [second], {ConfigurationKey(P, "b")}) == []


def test_what_nobody_has_divided_is_trained_by_itself(storage: LocalStorage) -> None:
    """A result was there when it was decided, and has been set aside since."""
    search = Told(storage)("ab", (0, 1), 3, seg("a", (0, 1), 0, 3))
    assert serving(Decided.of(storage), [search], {ConfigurationKey(P, name) for name in "ab"}) == [
        seg("a", (0, 1), 0, 3),
        *seg("b", (0, 1), 0, 3).in_turn(),
    ]

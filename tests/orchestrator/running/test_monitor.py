"""What a running search says of how far it is counts what earlier searches finished, and what is decided meanwhile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.running.monitor import Monitor, Training
from orchestrator.running.progress import Display, Snapshot
from orchestrator.running.time_left import Left
from orchestrator.store.errors import StorageError
from orchestrator.store.layout import ConfigurationKey, lease
from orchestrator.store.searches import SearchRecord, search_file
from orchestrator.store.segments import Segment
from orchestrator.study.studies import raise_budget
from search_spaces.configuration import Configuration
from search_spaces.limits import Limits
from tests.support.asked import Item, ask, segments_of
from tests.support.handing_out import as_wanted
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.failures import Kind, note_failure
from trainables.bundles.work import divide


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path)


def watching(study: TinyStudy, configurations: Sequence[Configuration], *searches: SearchRecord) -> Monitor:
    training = Training(
        name="slides",
        storage=study.storage,
        configurations={c.id: c for c in configurations},
        searches=[search.id for search in searches],
        keys=[ConfigurationKey(study.partition, c.id) for c in configurations],
    )
    return Monitor(training, Display(), lambda: None)


def shown(monitor: Monitor) -> Snapshot:
    return monitor.snapshot(1.0, 0, "")


def leased(study: TinyStudy, segment: Segment, epoch: int, *, released: bool = False, number: int = 3) -> None:
    content = json.dumps({"released": released, "epoch": epoch, "of": segment.epochs}).encode()
    study.storage.replace(lease(segment.folder, number), content)


def test_what_is_finished_counts(study: TinyStudy) -> None:
    finished, begun = study.configuration(), study.configuration(lr=0.01)
    search = ask(study.storage, [study.partition], [Item(finished.id, 3, 2), Item(begun.id, 2, 2)])
    study.train(finished, (0, 1, 2), 2)
    study.train(begun, (0,), 2)
    monitor = watching(study, [finished, begun], search)
    snapshot = shown(monitor)
    assert (snapshot.repeats_done, snapshot.repeats_asked) == (4, 5)
    assert (snapshot.epochs_done, snapshot.epochs_asked) == (8, 10)
    segment = segments_of(study.storage, search)[1]
    leased(study, segment, 1, released=True)
    snapshot = shown(monitor)
    assert snapshot.epochs_done == 9, "what was interrupted counts before anybody goes on with it"
    assert snapshot.rows == [], "but nobody is at it"
    leased(study, segment, 1)
    (row,) = shown(monitor).rows
    assert (row.done, row.asked, row.running_epochs) == (1, 2, "1/2")
    study.train(begun, (1,), 2)
    snapshot = shown(monitor)
    assert (snapshot.repeats_done, snapshot.epochs_done, snapshot.rows) == (5, 10, [])


def test_what_is_decided_meanwhile_counts(study: TinyStudy) -> None:
    one, other = study.configuration(), study.configuration(lr=0.01)
    first = ask(study.storage, [study.partition], [Item(one.id, 2, 2)])
    second = ask(study.storage, [study.partition], [Item(one.id, 1, 1), Item(other.id, 1, 1)])
    monitor = watching(study, [one, other], first, second)
    study.train(one, (0, 1), 2)
    snapshot = shown(monitor)
    assert (snapshot.repeats_done, snapshot.repeats_asked) == (2, 3)
    assert (snapshot.epochs_done, snapshot.epochs_asked) == (4, 5)
    ask(study.storage, [study.partition], [Item(one.id, 2, 5)])
    ask(study.storage, [study.partition], [Item(one.id, 1, 1), Item(other.id, 1, 3)])
    snapshot = shown(monitor)
    assert (snapshot.repeats_done, snapshot.repeats_asked) == (0, 3), "they are to go on"
    assert (snapshot.epochs_done, snapshot.epochs_asked) == (4, 13)
    ask(study.storage, [study.partition], [Item(other.id, 7, 7)])
    ask(study.storage, [study.partition], [Item(study.configuration(lr=0.5).id, 7, 7)])
    assert shown(monitor).repeats_asked == 3, "of what other searches ask nothing"


def test_epochs_of_deeper_networks_are_not_told_by_those_of_heads(study: TinyStudy) -> None:
    head, deep = study.configuration(), study.configuration(unfrozen=1)
    search = ask(study.storage, [study.partition], [Item(head.id, 2, 2), Item(deep.id, 2, 3)])
    monitor = watching(study, [head, deep], search)
    assert shown(monitor).left == Left(), "nothing has begun"
    study.train(head, (0, 1), 2)
    assert shown(monitor).left == Left(None, 6)


def test_rows_read_apart(study: TinyStudy) -> None:
    several = [study.configuration(weight_decay=decay) for decay in (0.0, 0.1)]
    search = ask(study.storage, [study.partition], [Item(c.id, 1, 2) for c in several])
    for segment in segments_of(study.storage, search):
        leased(study, segment, 1)
    rows = shown(watching(study, several, search)).rows
    assert [row.name.partition(", ")[2] for row in rows] == ["weight decay 0, repeat 0", "weight decay 0.1, repeat 0"]


def test_a_divided_segment_is_shown_as_its_parts(study: TinyStudy) -> None:
    one = study.configuration()
    search = ask(study.storage, [study.partition], [Item(one.id, 2, 4)])
    (whole,) = segments_of(study.storage, search)
    divide(study.storage, whole, whole.in_turn())
    for part, epoch in zip(whole.in_turn(), (1, 3), strict=True):
        leased(study, part, epoch)
    snapshot = shown(watching(study, [one], search))
    assert [(row.asked, row.running_epochs) for row in snapshot.rows] == [(1, "1/4"), (1, "3/4")]
    assert [row.name.rpartition(", ")[2] for row in snapshot.rows] == ["repeat 0", "repeat 1"]
    assert (snapshot.epochs_done, snapshot.epochs_asked) == (4, 8)


@pytest.mark.parametrize("seen", [True, False], ids=["while it runs", "by the search before"])
@pytest.mark.parametrize("cause", ["cannot write final/3.e60: no space left on the device", ""])
def test_progress_that_falls_back_is_told_with_its_cause(study: TinyStudy, seen: bool, cause: str) -> None:
    one = study.configuration()
    search = ask(study.storage, [study.partition], [Item(one.id, 2, 60)])
    (segment,) = segments_of(study.storage, search)
    monitor = watching(study, [one], search)
    monitor.display = told = Told()
    leased(study, segment, 30)
    if seen:
        assert shown(monitor).epochs_done == 60
    if cause:
        note_failure(study.storage, segment, StorageError(cause), Kind.EXCEPTION, lease=3)
    leased(study, segment, 0, number=4)
    assert shown(monitor).epochs_done == 60, "from where it goes on is not known yet"
    leased(study, segment, 12, number=4)
    assert shown(monitor).epochs_done == 24
    leased(study, segment, 13, number=4)
    shown(monitor)
    (message,) = told.messages
    assert ": had reached epoch 30, goes on from its last checkpoint, at epoch 12" in message
    assert message.endswith(f" (StorageError: {cause})" if cause else "at epoch 12")


class Told(Display):
    def __init__(self) -> None:
        super().__init__(line_every_s=1e9)
        self.messages: list[str] = []

    def say(self, message: str) -> None:
        self.messages.append(message)


def test_a_page_that_cannot_be_drawn_is_told_once(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ValueError("no figure")

    monkeypatch.setattr("orchestrator.running.monitor.REWRITE_EVERY_S", 0.0)
    told = Told()
    monitor = Monitor(Training("slides", study.storage, {}, [], []), told, broken)
    for _ in range(3):
        monitor.beat(0.0, 0, "")
    assert [message for message in told.messages if "could not be written" in message] == [
        "The dashboard could not be written (no figure); the search goes on."
    ]


def test_a_search_that_decides_says_where_it_stands(study: TinyStudy) -> None:
    one = study.configuration()
    search = SearchRecord(
        proposer="adaptive", settings={"repeats": "race"}, partitions=(study.partition,), configurations=(one.id,)
    )
    study.storage.create(search_file(search.id), search.to_toml())
    raise_budget(study.storage, search.id, {one.id: (20, 1)}, "orch search", Limits(hours=2.0))
    decided = Decided.of(study.storage)
    Deciding(study.storage, decided, search.id, NewsReader(study.storage), Machine(1, "cpu", as_wanted)).decide()
    snapshot = shown(watching(study, [one], search))
    assert snapshot.decided == ("race, look 1: 8 repeats of 1 configuration, on this partition; 0.00 of 2 h spent")
    assert snapshot.line().endswith(f"({snapshot.decided})")

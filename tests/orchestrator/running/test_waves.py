"""What each free worker of a wave gets: segments of one memory class, and what is decided while it waits."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from orchestrator.proposing.deciding import Machine
from orchestrator.results.decided import Decided
from orchestrator.running.decider import WAIT_S, Decider
from orchestrator.running.interruption import Interruption
from orchestrator.running.launch import Job, _Work
from orchestrator.running.tune_search import OwedWork
from orchestrator.running.work_queue import Taken
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place
from orchestrator.store.searches import SearchRecord, search_file
from orchestrator.store.segments import Segment
from orchestrator.study.studies import raise_budget
from search_spaces.proposers import PROPOSERS
from tests.support.handing_out import Counter, as_wanted, together
from tests.support.scripted import SCRIPTED
from tests.support.tiny_study import TinyStudy, make_tiny_study
from tests.support.waiting import wait_until

LARGE, SMALL = 1.0, 0.25


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path)


def test_segments_of_one_share_go_out_together(study: TinyStudy) -> None:
    configurations = [study.configuration(lr=0.1, unfrozen=depth) for depth in (1, 0)]
    configurations += [study.configuration(lr=0.2 + i) for i in range(3)]
    segments = [together(study, [one], (0,), 0, 1) for one in configurations]
    large = segments[0]

    def share_of(segment: Segment) -> float:
        return LARGE if segment == large else SMALL

    counter = Counter(study, workers=4)
    counter.add(*segments)
    asked: list[float] = []

    def workers(share: float) -> int:
        asked.append(share)
        return int(2 / share)

    searcher = OwedWork(
        counter.queue, Interruption(), workers, lambda seconds: False, lambda taken: {"taken": taken}, share_of
    )
    waves: list[tuple[float, int]] = []
    while not searcher.is_done:
        assert searcher.take_next()
        with searcher.wave() as share:
            given: list[Taken] = []
            while isinstance(one := searcher.suggest(f"{len(waves)}-{len(given)}"), dict):
                given.append(one["taken"])
            assert one is None, "some are under way, and nothing else is of this share"
            assert {share_of(segment) for taken in given for segment in taken.segments} == {share}
            for number, taken in enumerate(given):
                for segment in taken.segments:
                    study.train_segment(segment)
                searcher.on_trial_complete(f"{len(waves)}-{number}", {"outcome": "finished"})
            assert searcher.suggest("none") == Searcher.FINISHED, "Tune ends, and the next wave begins"
            waves.append((share, len(given)))
    assert waves == [(LARGE, 1), (SMALL, 4)]
    assert set(asked) == {SMALL, LARGE}


def test_a_worker_waits_for_what_is_being_decided(study: TinyStudy) -> None:
    """So that a wave does not end, and its actors with it, between two decisions."""
    first, second = (together(study, [study.configuration()], (repeat,), 0, 1) for repeat in (0, 1))
    counter = Counter(study)
    counter.add(first)
    waited: list[float] = []

    def poll(seconds: float) -> bool:
        waited.append(seconds)
        return bool(seconds and study.storage.list(second.bundles[0].finals) and counter.add(second))

    def suggest(name: str) -> Any:
        waited.clear()
        return searcher.suggest(name)

    searcher = OwedWork(
        counter.queue, Interruption(), lambda share: 2, poll, lambda taken: {"segments": taken.segments}
    )
    assert suggest("first") == {"segments": (first,)}
    assert waited == [0.0], "with work there nobody waits"
    assert suggest("second") is None
    assert waited == [0.0, WAIT_S]
    study.train_segment(first)
    searcher.on_trial_complete("first", {"outcome": "finished"})
    assert suggest("second") == {"segments": (second,)}
    assert not searcher.is_done
    study.train_segment(second)
    searcher.on_trial_complete("second", {"outcome": "finished"})
    assert suggest("third") == Searcher.FINISHED
    assert searcher.is_done


def test_after_a_signal_nothing_is_handed_out(study: TinyStudy) -> None:
    counter = Counter(study)
    segment = together(study, [study.configuration()], (0,), 0, 1)
    counter.add(segment)
    interruption = Interruption()
    interruption.signal = signal.SIGTERM
    searcher = OwedWork(counter.queue, interruption, lambda share: 1, lambda seconds: False, lambda taken: {})
    assert searcher.suggest("one") == Searcher.FINISHED
    assert counter.queue.waiting == (segment,)


def test_a_driver_does_not_leave_before_it_knows_what_others_have_finished(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It decides for all, and the last that it waited for was another driver's: what follows is decided first."""
    monkeypatch.setitem(PROPOSERS.variants, SCRIPTED.name, SCRIPTED)
    monkeypatch.setattr("orchestrator.running.decider.LOOK_EVERY_S", 3600.0)
    one = study.configuration()
    steps = [{"configurations": [0], "repeats": [repeat], "epochs": 1} for repeat in range(2)]
    search = SearchRecord(
        proposer="scripted", settings={"steps": steps}, partitions=(study.partition,), configurations=(one.id,)
    )
    study.storage.create(search_file(search.id), search.to_toml())
    raise_budget(study.storage, search.id, {one.id: (2, 1)}, "")
    counter, key = Counter(study), ConfigurationKey(study.partition, one.id)
    decided = Decided.of(study.storage)
    job = Job(Place.of(study.folder), counter.bench, counter.bench, decided, (search.id,), {key}, 0.0)
    with Decider(decided, [search.id], {key}, Machine(1, "cpu", as_wanted)) as decider:
        work = _Work(job, counter.queue, Polled(), decider)  # type: ignore[arg-type]
        wait_until(lambda: work.poll(1.0))
        (segment,) = counter.queue.waiting
        assert not work.is_open, "nothing else to say before it is trained"
        study.train_segment(segment)
        assert counter.queue.take() is None
        assert not counter.queue.waiting
        assert work.is_open, "what comes next was not asked yet"
        wait_until(lambda: work.poll(1.0))
        assert [one.repeats for one in counter.queue.waiting] == [(1,)]


class Polled:
    """A feature stage that has nothing to do."""

    def poll(self) -> None: ...

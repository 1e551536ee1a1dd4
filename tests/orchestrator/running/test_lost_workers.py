"""What a lost worker held goes out again at once, what other drivers hold once it is stale; without Ray.

Workers run on other machines here: nothing can be told of their processes.
"""

from __future__ import annotations

import time

import pytest

from orchestrator.running.losses import Losses, Node
from orchestrator.running.work_queue import BUSY_RETRY_S, Taken
from orchestrator.store import leases
from orchestrator.store.leases import RENEW_EVERY_S, STALE_AFTER_S, LeaseView
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from tests.support.handing_out import Counter, together
from tests.support.tiny_study import KEEPS, TinyStudy
from tests.support.waiting import PatientClock
from trainables.bundles.failures import LostError, NodeLostError, SupersededError, failures_of
from trainables.bundles.segment_run import SegmentRun

REPEATS = (0, 1)


@pytest.fixture
def counter(study: TinyStudy) -> Counter:
    return Counter(study)


@pytest.fixture
def one(study: TinyStudy) -> Configuration:
    return study.configuration(lr=0.02)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system does not tell which machine this is."""
    monkeypatch.setattr(leases, "_machine", lambda: "")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> PatientClock:
    return PatientClock(monkeypatch)


def begun(counter: Counter, taken: Taken) -> SegmentRun:
    """As a worker of this driver begins the first of what it was given."""
    lease = counter.lease(taken.segments[0], taken.over[0])
    return SegmentRun.begin(counter.bench, taken.segments[0], lease, keeps=KEEPS)


def records(study: TinyStudy, segment: Segment) -> dict[str, bytes]:
    folder = segment.bundles[0].finals
    return {name: study.storage.read(f"{folder}/{name}") for name in study.storage.list(folder)}


def test_what_a_lost_worker_held_goes_out_at_once(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    first, second = (together(study, [one], (repeat,), 0, 2) for repeat in REPEATS)
    counter.add(first, second)
    taken = counter.take()
    lease = counter.lease(first, taken.over[0])
    counter.queue.ended(taken, "died")
    again = counter.take()
    assert (again.segments, again.over) == ((first,), (lease.number,)), "and before what waits"
    counter.train(again)
    assert not lease.renew(0, 2, force=True), "should it live on, it learns of it"


def test_it_goes_out_at_once_when_the_lease_is_taken_after_the_loss(
    study: TinyStudy, counter: Counter, one: Configuration
) -> None:
    """A worker that is cut off, and not dead, takes it when torch has been loaded."""
    segment = together(study, [one], REPEATS, 0, 2)
    counter.add(segment)
    taken = counter.take()
    counter.queue.ended(taken, "died")
    assert counter.lease(segment, taken.over[0]).number == 1
    assert counter.take().over == (1,)


def test_what_a_worker_of_another_driver_holds_is_left_to_it(
    study: TinyStudy, counter: Counter, one: Configuration, clock: PatientClock
) -> None:
    segment = together(study, [one], REPEATS, 0, 2)
    counter.add(segment)
    taken = counter.take()
    lease = Counter(study).lease(segment, 0)  # it was first, under the number that was this driver's to take
    counter.queue.ended(taken, "died")
    assert counter.queue.take() is None
    time.sleep(BUSY_RETRY_S)
    assert lease.renew(1, 2, force=True)
    assert counter.queue.take() is None


@pytest.mark.parametrize("is_first", ["the one cut off", "its successor"])
def test_a_worker_that_was_only_cut_off_changes_nothing(
    study: TinyStudy, counter: Counter, one: Configuration, is_first: str
) -> None:
    """Both train on; whoever ends first writes the records, the other one none."""
    segment = together(study, [one], REPEATS, 0, 3)
    counter.add(segment)
    taken = counter.take()
    cut_off = begun(counter, taken)
    cut_off.advance(0.0)
    counter.queue.ended(taken, "died")
    again = counter.take()
    successor = begun(counter, again)
    runs = (cut_off, successor) if is_first == "the one cut off" else (successor, cut_off)
    written: list[dict[str, bytes]] = []
    for run in runs:
        run.lease._renewed_at = -1e9
        try:
            while not run.advance(60.0):
                pass
        except SupersededError:
            assert run is cut_off
        written.append(records(study, segment))
    assert written[0] == written[1], "the first record of a repeat stays"
    assert len(written[1]) == len(REPEATS)
    counter.queue.ended(again, "finished")
    assert counter.queue.waiting == ()
    assert counter.tally.finished == len(REPEATS)


def test_leases_of_others_are_watched_while_every_worker_is_busy(
    study: TinyStudy, counter: Counter, one: Configuration, clock: PatientClock
) -> None:
    held, mine = together(study, [one], REPEATS, 0, 2), together(study, [one], (2, 3), 0, 2)
    lease = Counter(study).lease(held, 0)
    counter.add(held, mine)
    taken = counter.take()
    assert taken.segments == (mine,)
    for _ in range(10):
        time.sleep(RENEW_EVERY_S)
        assert lease.beat_on()
        counter.queue.watch()
    for _ in range(int(STALE_AFTER_S / RENEW_EVERY_S) + 1):  # it beats no more
        counter.queue.watch()
        time.sleep(RENEW_EVERY_S)
    counter.train(taken)
    assert counter.take().segments == (held,), "without another minute"


def test_a_watched_lease_that_beats_is_its_owners(
    study: TinyStudy, counter: Counter, one: Configuration, clock: PatientClock
) -> None:
    held = together(study, [one], REPEATS, 0, 2)
    lease = Counter(study).lease(held, 0)
    counter.add(held)
    for _ in range(30):
        time.sleep(RENEW_EVERY_S)
        assert lease.beat_on()
        counter.queue.watch()
    assert counter.queue.take() is None


def test_what_others_have_finished_leaves_the_queue_while_it_is_watched(
    study: TinyStudy, counter: Counter, one: Configuration
) -> None:
    done, waiting = together(study, [one], REPEATS, 0, 2), together(study, [one], (2, 3), 0, 2)
    counter.add(done, waiting)
    study.train_segment(done)
    counter.queue.watch()
    assert counter.queue.waiting == (waiting,)
    assert counter.tally.finished == len(REPEATS)


def test_why_it_is_gone_is_kept_in_words(study: TinyStudy, one: Configuration) -> None:
    seen: list[LeaseView | None] = []

    def why(lease: LeaseView | None) -> LostError:
        seen.append(lease)
        return NodeLostError("node 10.0.0.2 on host oak was lost")

    segment = together(study, [one], REPEATS, 0, 2)
    counter = Counter(study, why_lost=why)
    counter.add(segment)
    for expected in (None, 1):
        taken = counter.take()
        if expected:
            counter.lease(segment, taken.over[0])
        counter.queue.ended(taken, "died")
    assert [lease and lease.number for lease in seen] == [None, 1]
    causes = [failure.cause for failure in failures_of(study.storage, segment)]
    assert causes == ["NodeLostError: node 10.0.0.2 on host oak was lost"] * 2


def test_a_segment_that_loses_its_machine_again_and_again_is_neither_given_up_nor_divided(study: TinyStudy) -> None:
    """Preemptible machines are lost more often than three times; worker processes that die alone are not."""
    several = [study.configuration(lr=0.1 * number) for number in (1, 2)]
    stack = together(study, several, REPEATS, 0, 2)
    counter = Counter(study, why_lost=lambda lease: NodeLostError("node 10.0.0.2 on host oak was lost"))
    counter.add(stack)
    for _ in range(10):
        taken = counter.take()
        assert taken.segments == (stack,)
        counter.queue.ended(taken, "died")
    assert counter.tally.failed == 0


def node(number: int, **changes: object) -> Node:
    return {
        "NodeID": f"id-{number}",
        "Alive": True,
        "NodeManagerAddress": f"10.0.0.{number}",
        "NodeManagerHostname": f"host-{number}",
        "NodeManagerPort": 1,
        "Resources": {"CPU": 2.0},
        **changes,
    }


def lease_on(number: int) -> LeaseView:
    return LeaseView(1, {"node": f"id-{number}", "host": f"host-{number}"})


def test_a_lost_node_is_named_and_where_its_work_goes_on() -> None:
    told: list[str] = []
    there = [node(1), node(2, Alive=False, DeathReason=2), node(3), node(4, Resources={})]
    losses = Losses(told.append, lambda: there, lambda one: True)
    lost = losses.why(lease_on(2))
    assert isinstance(lost, NodeLostError)
    cause = str(lost)
    assert cause == (
        "node 10.0.0.2 on host host-2 was lost: Ray gets no answer from it; its work continues on node 10.0.0.1 on "
        "host host-1 and node 10.0.0.3 on host host-3"
    )
    assert str(losses.why(lease_on(2))) == cause
    assert told == [f"N{cause[1:]}."], "once, however many workers it had"


@pytest.mark.parametrize(
    ("left", "where"),
    [(0, "when another node joins"), (1, "on node 10.0.0.3 on host host-3"), (5, "on 5 other nodes")],
)
def test_others_are_counted_where_they_are_many(left: int, where: str) -> None:
    there = [node(2, Alive=False, DeathReason=1), *(node(number) for number in range(3, 3 + left))]
    assert str(Losses(lambda message: None, lambda: there).why(lease_on(2))) == (
        f"node 10.0.0.2 on host host-2 was lost: its Ray was stopped; its work continues {where}"
    )


def test_a_node_that_ray_still_counts_is_asked_itself(clock: PatientClock) -> None:
    """Its workers are missed seconds before its health is."""
    asked: list[str] = []
    answers = {"id-1": True, "id-2": False}

    def answer(one: Node) -> bool:
        asked.append(one["NodeID"])
        return answers[one["NodeID"]]

    losses = Losses(lambda message: None, lambda: [node(1), node(2)], answer)
    assert str(losses.why(lease_on(2))).startswith("node 10.0.0.2 on host host-2 was lost: Ray gets no answer from it;")
    losses.why(lease_on(2))
    assert str(losses.why(lease_on(1))) == "the worker process on host host-1 died; it was killed or ran out of memory"
    assert asked == ["id-2", "id-1"], "not again for each of its workers"
    answers["id-2"] = True
    clock.slept_s += 60.0
    assert "the worker process on host host-2 died" in str(losses.why(lease_on(2)))


def test_a_worker_without_a_lease_had_not_begun() -> None:
    assert str(Losses(lambda message: None, list).why(None)) == (
        "the worker process died before it began; it was killed or ran out of memory"
    )

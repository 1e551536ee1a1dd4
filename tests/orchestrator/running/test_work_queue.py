"""What goes out when: what is added meanwhile, what waits for what, what takes others with it; without Ray."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from orchestrator.running.work_queue import BUSY_RETRY_S, MOST_IN_TURN, Taken
from orchestrator.store.errors import OrchError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.segments import Divided, Segment
from search_spaces.configuration import Configuration
from tests.support.handing_out import Counter, together
from tests.support.tiny_study import TinyStudy
from tests.support.waiting import PatientClock
from trainables.bundles.failures import RULES, Kind, failures_of
from trainables.bundles.states import drop_states, stored_states
from trainables.bundles.work import divide, owed_lanes, parts

REPEATS = (0, 1)


@pytest.fixture
def one(study: TinyStudy) -> Configuration:
    return study.configuration(lr=0.02)


@pytest.fixture
def other(study: TinyStudy) -> Configuration:
    return study.configuration(lr=0.05)


@pytest.fixture
def counter(study: TinyStudy) -> Counter:
    return Counter(study)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The clock is set forward instead of waited for."""
    PatientClock(monkeypatch)
    return iter(())


def outs(several: list[Taken]) -> list[tuple[Segment, ...]]:
    return [taken.segments for taken in several]


def test_more_is_added_while_it_runs(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    first, second = together(study, [one], REPEATS, 0, 1), together(study, [other], REPEATS, 0, 1)
    assert counter.add(first) == [first]
    taken = counter.take()
    assert counter.queue.take() is None
    assert counter.add(second) == [second]
    assert counter.take().segments == (second,)
    counter.train(taken)
    assert counter.queue.waiting == ()
    third = together(study, [one, other], (2,), 0, 1)
    assert counter.add(third) == [third], "also once everything is done"
    assert outs(counter.train_all()) == [(third,)]
    assert (counter.tally.finished, counter.tally.failed) == (4, 0)


def test_what_is_added_twice_goes_out_once(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    segment = together(study, [one], REPEATS, 0, 1)
    assert counter.add(segment, segment) == [segment]
    assert counter.add(segment) == []
    taken = counter.take()
    assert counter.add(segment) == [], "while it is out"
    counter.train(taken)
    assert counter.add(segment) == [], "and after that"
    assert counter.queue.take() is None
    assert counter.queue.waiting == ()


def test_what_is_done_already_does_not_go_out(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    done = together(study, [one], REPEATS, 0, 1)
    study.train_segment(done)
    assert counter.add(done) == []
    waiting = together(study, [one], (2, 3), 0, 1)
    counter.add(waiting)
    study.train_segment(waiting)  # by another driver
    assert counter.queue.take() is None
    assert counter.queue.waiting == ()


def test_a_segment_waits_for_what_its_lanes_go_on_from(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    """A lane of each of two, under another width than before."""
    first, second = together(study, [one], REPEATS, 0, 1), together(study, [other], REPEATS, 0, 1)
    longer = together(study, [one, other], (1,), 1, 2)
    assert counter.add(longer, first, second) == [first, second, longer]
    assert counter.take().segments == (first,)
    taken = counter.take()
    assert taken.segments == (second,)
    assert counter.queue.take() is None
    study.train_segment(first)
    counter.queue.ended(Taken((first,), (0,)), "finished")
    assert counter.queue.take() is None, "one of the two is not enough"
    counter.train(taken)
    assert outs(counter.train_all()) == [(longer,)], "at once"
    assert counter.tally.finished == 6


def test_what_another_search_asked_for_is_trained_first(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    """Its driver may be gone; whoever needs it trains it."""
    first, second, third = (together(study, [one], REPEATS, start, start + 1) for start in range(3))
    counter.queue.know([first, second, third])
    assert counter.queue.add([third]) == [first, second, third]
    assert outs(counter.train_all()) == [(first,), (second,), (third,)]


@pytest.mark.usefixtures("later")
def test_what_another_driver_trains_is_waited_for(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    first, longer = together(study, [one], REPEATS, 0, 1), together(study, [one], REPEATS, 1, 2)
    counter.queue.know([first])
    counter.add(longer)
    run = study.start(first)
    assert counter.queue.take() is None
    time.sleep(BUSY_RETRY_S)
    assert counter.queue.take() is None
    while not run.advance(60.0):
        pass
    assert counter.queue.take() is None, "it is not looked at all the time"
    time.sleep(BUSY_RETRY_S)
    assert outs(counter.train_all()) == [(longer,)]


@pytest.mark.usefixtures("later")
def test_what_others_hold_waits_and_the_rest_goes_on(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    held, free = together(study, [one], REPEATS, 0, 1), together(study, [other], REPEATS, 0, 1)
    others = Counter(study)
    lease = others.lease(held, 0)
    counter.add(held, free)
    assert outs(counter.train_all()) == [(free,)]
    assert counter.queue.waiting == (held,)
    lease.release()
    time.sleep(BUSY_RETRY_S)
    taken = counter.take()
    assert (taken.segments, taken.over) == ((held,), (1,))
    lease = others.lease(held, 1)  # another driver was first
    counter.queue.ended(taken, "busy")
    assert counter.queue.waiting == (held,)
    time.sleep(BUSY_RETRY_S)
    assert counter.queue.take() is None
    lease.release()
    time.sleep(BUSY_RETRY_S)
    assert counter.take().over == (2,)


@pytest.mark.parametrize("is_divided", ["before it is added", "while it waits", "while it is out"])
def test_a_divided_segment_goes_out_as_its_parts(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration, is_divided: str
) -> None:
    whole, longer = together(study, [one, other], REPEATS, 0, 1), together(study, [one, other], REPEATS, 1, 2)
    if is_divided == "before it is added":
        divide(study.storage, whole, whole.alone())
    counter.add(longer, whole)
    if is_divided == "while it is out":
        taken = counter.take()
        divide(study.storage, whole, whole.alone())
        counter.queue.ended(taken, "superseded")
    elif is_divided == "while it waits":
        divide(study.storage, whole, whole.alone())
    first, second = counter.take(), counter.take()
    assert [first.segments, second.segments] == [(part,) for part in whole.alone()]
    counter.train(first)
    assert counter.queue.take() is None, "what goes on from it waits for every part"
    counter.queue.know([whole, longer])  # as whenever something is decided
    counter.train(second)
    assert outs(counter.train_all()) == [(longer,)]
    assert counter.queue.waiting == ()
    assert counter.add(whole) == []


def test_a_part_that_is_divided_again(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    whole = together(study, [one], (0, 1, 2), 0, 1)
    counter.add(whole)
    divide(study.storage, whole, (small := together(study, [one], (0, 1), 0, 1), last := whole.in_turn()[2]))
    divide(study.storage, small, small.in_turn())
    went = [segment for taken in counter.train_all() for segment in taken.segments]
    assert went == [*small.in_turn(), last]
    assert owed_lanes(study.storage, whole) == []


@pytest.mark.usefixtures("later")
def test_a_lost_end_state_is_made_again(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    first, longer = together(study, [one], REPEATS, 0, 1), together(study, [one], REPEATS, 1, 2)
    study.train_segment(first)
    drop_states(study.storage, first)
    assert counter.add(first, longer) == [longer]
    restoring = counter.take()
    assert (restoring.segments, restoring.restores) == ((first,), True)
    assert counter.queue.take() is None
    time.sleep(BUSY_RETRY_S)
    assert counter.queue.take() is None, "it is out, and does not go out again"
    counter.train(restoring)
    last = counter.take()
    assert (last.segments, last.restores) == ((longer,), False)
    counter.train(last)
    assert stored_states(study.storage, first) == [], "all its lanes have gone on"
    assert counter.queue.waiting == ()


def test_a_state_is_made_again_through_all_that_it_goes_on_from(
    study: TinyStudy, counter: Counter, one: Configuration
) -> None:
    first, second, third = (together(study, [one], REPEATS, start, start + 1) for start in range(3))
    for segment in (first, second):
        study.train_segment(segment)
    drop_states(study.storage, second)
    assert stored_states(study.storage, first) == []
    counter.add(third)
    went = []
    while counter.queue.waiting:
        went += [(taken.segments, taken.restores) for taken in counter.train_all()]
    assert went == [((first,), True), ((second,), True), ((third,), False)]


def test_a_state_of_more_than_this_search_is_about(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    """Lanes of an earlier search lie in it too, and the features are asked for under the name of the first of them."""
    before, longer = together(study, [other, one], REPEATS, 0, 1), together(study, [one], REPEATS, 1, 2)
    study.train_segment(before)
    drop_states(study.storage, before)
    counter.queue.know([before])
    assert counter.add(longer) == [longer]
    restoring = counter.take()
    assert (restoring.segments, restoring.restores) == ((before,), True)
    assert restoring.key in counter.features.told
    counter.train(restoring)
    assert outs(counter.train_all()) == [(longer,)]


@pytest.mark.usefixtures("later")
def test_a_state_that_cannot_be_made_again_does_not_keep_the_search_going(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    before, longer = together(study, [one, other], REPEATS, 0, 1), together(study, [one], REPEATS, 1, 2)
    study.train_segment(before)
    drop_states(study.storage, before)
    counter.queue.know([before])
    counter.add(longer)
    tries = 0
    while counter.queue.waiting and tries < 20:
        time.sleep(BUSY_RETRY_S)
        taken = counter.queue.take()
        if taken is not None:
            assert (taken.segments, taken.restores) == ((before,), True)
            tries += 1
            counter.fail(taken)
    assert tries == RULES[Kind.EXCEPTION].retries + 1
    assert (counter.tally.finished, counter.tally.failed) == (0, len(REPEATS))


@pytest.mark.usefixtures("later")
def test_the_state_of_what_was_divided_meanwhile_is_not_waited_for(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    """Its parts have states of their own, which are not what the records of the whole name."""
    before, longer = together(study, [one, other], REPEATS, 0, 1), together(study, [one], REPEATS, 1, 2)
    study.train_segment(before)
    drop_states(study.storage, before)
    divide(study.storage, before, before.alone())
    counter.add(before, longer)
    for _ in range(3):
        assert counter.queue.take() is None
        time.sleep(BUSY_RETRY_S)
    assert counter.queue.waiting == ()
    assert counter.tally.failed == len(REPEATS)


@pytest.mark.usefixtures("later")
def test_what_fails_for_good_takes_with_it_what_would_go_on_from_it(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    chain = [together(study, [one], REPEATS, start, start + 1) for start in range(3)]
    others = together(study, [other], REPEATS, 0, 1)
    counter.add(*chain, others)
    tries = 0
    while counter.queue.waiting:
        time.sleep(BUSY_RETRY_S)
        taken = counter.queue.take()
        if taken is None:
            continue
        if taken.segments == (others,):
            counter.train(taken)
        else:
            assert taken.segments == (chain[0],)
            tries += 1
            counter.fail(taken)
    assert tries == RULES[Kind.EXCEPTION].retries + 1
    assert (counter.tally.finished, counter.tally.failed) == (2, 2), "each repeat once, however far it was to go"
    later = together(study, [one], REPEATS, 3, 4)
    counter.add(later)
    assert counter.queue.take() is None
    assert counter.queue.waiting == (), "nor does what is decided later wait for ever"


@pytest.mark.usefixtures("later")
def test_one_that_fails_for_good_does_not_take_its_later_stack_with_it(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    bad, good = together(study, [one], REPEATS, 0, 1), together(study, [other], REPEATS, 0, 1)
    longer = together(study, [one, other], REPEATS, 1, 2)
    counter.add(bad, good, longer)
    went = []
    while counter.queue.waiting:
        time.sleep(BUSY_RETRY_S)
        taken = counter.queue.take()
        if taken is None:
            continue
        if taken.segments == (bad,):
            counter.fail(taken)
        else:
            went.append(taken.segments)
            counter.train(taken)
    assert went == [(good,), (longer.alone()[1],)]
    assert (counter.tally.finished, counter.tally.failed) == (4, 2)


def test_features_that_cannot_be_had_cost_their_own_segments_only(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    error = OrchError("the image a.png changed", "Put it back.")
    counter.features.broken[ConfigurationKey(study.partition, one.id)] = error
    first, more = together(study, [one], REPEATS, 0, 1), together(study, [one], (2,), 0, 1)
    good = together(study, [other], REPEATS, 0, 1)
    counter.add(first, more, good)
    assert outs(counter.train_all()) == [(good,)]
    assert counter.queue.waiting == ()
    assert counter.queue.errors == [error], "once"
    assert (counter.tally.finished, counter.tally.failed) == (2, 3)
    assert [failure.kind for failure in failures_of(study.storage, first)] == [Kind.FEATURES]


def lanes(study: TinyStudy, configuration: Configuration, count: int) -> tuple[Segment, ...]:
    return together(study, [configuration], range(count), 0, 1).in_turn()


def test_single_lanes_go_out_several_at_a_time_while_many_wait(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    mine, theirs = lanes(study, one, 30), lanes(study, other, 4)
    counter.workers = 2
    counter.add(*mine[:20], *theirs, *mine[20:])
    went = []
    while (taken := counter.queue.take()) is not None:
        went.append(taken)
    assert all(len({segment.configurations for segment in taken.segments}) == 1 for taken in went)
    widths = [len(taken.segments) for taken in went if taken.segments[0] in mine]
    assert max(widths) == widths[0] > 1
    assert max(widths) <= MOST_IN_TURN
    assert widths == sorted(widths, reverse=True)
    assert widths[-2:] == [1, 1], "at the end each worker has one"
    assert sorted(segment.repeats[0] for taken in went for segment in taken.segments if segment in mine) == [*range(30)]
    counter = Counter(study)
    counter.add(*lanes(study, one, 60))
    assert len(counter.take().segments) == MOST_IN_TURN
    few = Counter(study, workers=4)
    few.add(*theirs)
    assert [len(few.take().segments) for _ in theirs] == [1] * 4
    stacks = [together(study, [one], (first, first + 1), 0, 1) for first in range(0, 60, 2)]
    wide = Counter(study)
    wide.add(*stacks)
    assert len(wide.take().segments) == 1, "a stack is enough by itself"


def test_of_several_lanes_those_wait_again_that_were_not_begun(
    study: TinyStudy, counter: Counter, one: Configuration
) -> None:
    several = lanes(study, one, 6)
    counter.add(*several)
    taken = counter.take()
    assert taken.segments == several[:3]
    study.train_segment(several[0])
    counter.queue.ended(taken, "failed", Kind.EXCEPTION, 1)
    assert counter.queue.waiting == (several[2], several[1], *several[3:])
    assert (counter.tally.finished, counter.tally.failed) == (1, 0)


def test_what_goes_on_from_a_lost_decision_begins_anew(study: TinyStudy, counter: Counter, one: Configuration) -> None:
    """Nobody knows any more how its lanes were divided: each is trained by itself up to there."""
    later = together(study, [one], REPEATS, 1, 2)
    counter.add(later)
    *before, last = [segment for segments in outs(counter.train_all()) for segment in segments]
    assert set(before) == set(together(study, [one], REPEATS, 0, 1).in_turn())
    assert last == later
    assert owed_lanes(study.storage, later) == []


@pytest.mark.parametrize("kind", ["itself", "less", "twice", "other epochs", "none"])
def test_a_division_into_something_else_is_none(study: TinyStudy, one: Configuration, kind: str) -> None:
    whole = together(study, [one], (0, 1), 0, 1)
    first, second = whole.in_turn()
    into = {
        "itself": (whole,),
        "less": (first,),
        "twice": (first, first),
        "other epochs": (first, together(study, [one], (1,), 0, 2)),
        "none": (),
    }[kind]
    study.storage.create(whole.divided, Divided(parts=into).to_toml())
    assert parts(study.storage, whole) == (whole,)
    divide(study.storage, whole, (first, second))
    assert parts(study.storage, whole) == (first, second), "it is written anew"


def test_only_what_is_kept_goes_out(
    study: TinyStudy, counter: Counter, one: Configuration, other: Configuration
) -> None:
    first, second = together(study, [one], REPEATS, 0, 1), together(study, [other], REPEATS, 0, 1)
    counter.add(first, second)
    taken = counter.take()
    counter.queue.keep([])
    assert counter.queue.take() is None
    counter.train(taken)
    assert counter.tally.finished == 2, "what was begun is ended"
    assert counter.queue.waiting == ()

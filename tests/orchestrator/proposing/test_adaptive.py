"""What an adaptive search asks for, by results that are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from orchestrator.proposing.adaptive import Adaptive
from orchestrator.proposing.deciding import pending
from orchestrator.proposing.proposer import View, check_settings, written_out
from orchestrator.store.errors import InputError
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import Budget, Decision, Narrowing, SearchRecord, Told, allowances, asked_of_lanes
from orchestrator.store.segments import LaneKey

Value = Callable[[int, LaneKey, int], float]
"""Of a configuration by its place, a lane and its epochs."""
NAMES = tuple(f"{place:012x}" for place in range(40))


class Played:
    """A search whose results come at once, one decision after the other."""

    def __init__(
        self,
        value: Value,
        settings: Mapping[str, Any],
        *,
        count: int = 16,
        repeats: int = 20,
        epochs: int = 40,
        partitions: tuple[str, ...] = ("a" * 12,),
        diverges: Callable[[int, LaneKey], bool] = lambda place, lane: False,
    ) -> None:
        self.search = SearchRecord(
            proposer="adaptive", settings=settings, partitions=partitions, configurations=NAMES[:count], seed=3
        )
        self.budget = Budget(number=1, allowances=allowances(dict.fromkeys(NAMES[:count], (repeats, epochs))))
        self.value, self.diverges = value, diverges
        self.decisions: list[Decision] = []
        self.results: list[Told] = []
        while self.step():
            pass

    def view(self) -> View:
        asked = asked_of_lanes(self.decisions)
        return View(self.search, self.budget, self.decisions, self.results, pending(asked, self.results), 2)

    def step(self) -> bool:
        proposal = Adaptive(self.search).propose(self.view())
        if proposal is None:
            return False
        decision = Decision(
            number=len(self.decisions) + 1,
            budget=1,
            reason=proposal.reason,
            asks=proposal.asks,
            stacks=(),
            stopped=proposal.stopped,
            narrowed=proposal.narrowed,
        )
        self.decisions.append(decision)
        waiting = Adaptive(self.search).propose(self.view())
        assert waiting is None or proposal.reason.endswith("as a check"), "it waits for results"
        for ask in decision.asks:
            for lane in ask.lanes():
                place = NAMES.index(lane.configuration)
                lost = self.diverges(place, lane)
                state = RepeatState.DIVERGED if lost else RepeatState.FINISHED
                told = -9.0 if lost else self.value(place, lane, ask.epochs)
                self.results.append(Told(lane, 1 if lost else ask.epochs, state.value, told))
        return True

    @property
    def reasons(self) -> list[str]:
        return [decision.reason for decision in self.decisions]

    def epochs_of(self, place: int) -> list[int]:
        """Of its repeats on the first partition, in order."""
        lanes = asked_of_lanes(self.decisions)
        return [epochs for lane, epochs in sorted(lanes.items()) if lane.configuration == NAMES[place]]

    @property
    def spent(self) -> int:
        return sum(asked_of_lanes(self.decisions).values())


def clearly(place: int, lane: LaneKey, epochs: int) -> float:
    """The later the better, whatever the epochs and the repeat."""
    return place + 0.01 * lane.repeat


def test_halving_lets_the_better_half_go_on_at_each_rung() -> None:
    played = Played(clearly, {"epochs": "halving"}, repeats=3)
    assert [reason for reason in played.reasons if reason.startswith("rung") and "check" not in reason] == [
        "rung 1 of 4: all 16 configurations up to 15% of their epochs",
        "rung 2 of 4: the best 8 of 16 after 3 repeats go on to 30%",
        "rung 3 of 4: the best 4 of 8 after 3 repeats go on to 60%",
        "rung 4 of 4: the best 2 of 4 after 3 repeats go on to 100%",
    ]
    assert [played.epochs_of(place) for place in (15, 14)] == [[40] * 3] * 2
    ends = {place: max(played.epochs_of(place)) for place in range(16)}
    audited = [place for place, epochs in ends.items() if epochs == 40 and place < 14]
    assert len(audited) == 6, "two of those that stop at each of three rungs"
    assert {ends[place] for place in range(8) if place not in audited} == {6}
    assert {ends[place] for place in (12, 13) if place not in audited} <= {24}
    many = Played(clearly, {"epochs": "halving"}, repeats=3, count=40)
    assert many.spent < 0.5 * 40 * 3 * 40


def test_a_constant_first_rung_lets_the_best_go_to_the_end() -> None:
    played = Played(clearly, {"epochs": "constant", "best": 3, "first": 0.25}, repeats=2)
    whole = [place for place in range(16) if max(played.epochs_of(place)) == 40]
    assert {13, 14, 15} <= set(whole)
    assert len(whole) == 5
    assert max(played.epochs_of(0)) in (10, 40)


def test_a_rung_that_gives_nobody_more_epochs_is_left_out() -> None:
    played = Played(clearly, {"epochs": "halving"}, repeats=2, epochs=8)
    assert [reason.partition(":")[0] for reason in played.reasons if "check" not in reason and "rung" in reason] == [
        "rung 1 of 3",
        "rung 2 of 3",
        "rung 3 of 3",
    ]
    assert sorted({epochs for place in range(16) for epochs in played.epochs_of(place)}) == [4, 5, 8]


def test_the_first_rung_has_four_epochs_at_least() -> None:
    played = Played(clearly, {"epochs": "halving"}, repeats=2, epochs=10)
    assert min(played.epochs_of(0)) in (4, 10)
    assert all(min(played.epochs_of(place)) >= 4 for place in range(16))


def test_a_screen_keeps_the_best_quarter_but_eight_at_least() -> None:
    played = Played(clearly, {"repeats": "screen"}, count=40, repeats=12)
    assert played.reasons == [
        "screen: 5 repeats of 40 configurations",
        "screen: the best 10 of 40 after 5 repeats go on",
    ]
    assert [len(played.epochs_of(place)) for place in (0, 29, 30, 39)] == [5, 5, 12, 12]
    assert [len(Played(clearly, {"repeats": "screen"}).epochs_of(place)) for place in (7, 8)] == [5, 20]


def test_a_race_excludes_what_is_clearly_worse_and_ends_with_one() -> None:
    played = Played(clearly, {"repeats": "race"})
    assert played.reasons == [
        "race, look 1: 8 repeats of 16 configurations, on this partition",
        "race, after look 1 of 3: 1 of 16 configurations left, 15 excluded on this partition",
    ]
    last = played.decisions[-1]
    assert (last.asks, last.stopped) == ((), NAMES[:15]), "what the last look excluded is on record too"
    assert last.narrowed == (Narrowing(by="race", of=16, left=1, blocks=8),)


def test_a_race_goes_on_with_those_that_are_alike() -> None:
    noise = np.random.default_rng(5).normal(size=(16, 20))

    def value(place: int, lane: LaneKey, epochs: int) -> float:
        return float((2.0 if place >= 13 else -3.0) + 0.5 * noise[place, lane.repeat])

    played = Played(value, {"repeats": "race"})
    assert played.reasons[1:] == [
        "race, look 2: 12 repeats of 3 configurations, on this partition; 13 excluded before",
        "race, look 3: 20 repeats of 3 configurations, on this partition; 13 excluded before",
        "race, after look 3 of 3: 3 of 16 configurations left, 13 excluded on this partition",
    ]
    assert [(one.of, one.left, one.blocks) for one in played.decisions[-1].narrowed] == [
        (16, 3, 8),
        (3, 3, 12),
        (3, 3, 20),
    ]
    assert [len(played.epochs_of(place)) for place in (0, 13, 14, 15)] == [8, 20, 20, 20]


def test_what_trails_by_less_than_the_margin_is_not_excluded() -> None:
    def value(place: int, lane: LaneKey, epochs: int) -> float:
        return {0: -0.5, 1: -2.0}.get(place, 0.0) + 0.001 * lane.repeat

    played = Played(value, {"repeats": "race", "margin": 1.0})
    assert played.decisions[-1].stopped == NAMES[1:2]


def test_blocks_go_through_the_partitions_in_turn() -> None:
    partitions = tuple(letter * 12 for letter in "abc")
    played = Played(clearly, {"repeats": "race"}, partitions=partitions, repeats=7)
    asked = asked_of_lanes(played.decisions)
    count = {name: sum(lane.partition == name for lane in asked) for name in partitions}
    assert count == {"a" * 12: 3 * 16, "b" * 12: 3 * 16, "c" * 12: 2 * 16}
    assert played.reasons[0] == "race, look 1: 8 blocks of 16 configurations, on 3 partitions"
    assert played.reasons[-1].endswith("15 excluded on 3 partitions")


def test_what_was_stopped_stays_stopped_when_a_larger_budget_buys_nothing() -> None:
    """Former failure: the decision on it stopped nobody."""
    played = Played(clearly, {"repeats": "race"}, repeats=10)
    played.budget = Budget(number=2, allowances=allowances(dict.fromkeys(NAMES[:16], (11, 40))))
    nothing = Adaptive(played.search).propose(played.view())
    assert nothing is not None
    assert (nothing.reason, nothing.asks) == ("nothing more to train within this budget", ())
    assert nothing.stopped == NAMES[:15]
    assert nothing.narrowed == played.decisions[-1].narrowed


def test_a_race_that_ended_goes_on_with_a_larger_budget() -> None:
    noise = np.random.default_rng(5).normal(size=(16, 20))
    played = Played(lambda place, lane, _: float(noise[place, lane.repeat]), {"repeats": "race"}, repeats=10)
    assert played.reasons[-1] == "race, after look 1 of 3: 16 of 16 configurations left, 0 excluded on this partition"
    played.budget = Budget(number=2, allowances=allowances(dict.fromkeys(NAMES[:16], (12, 40))))
    more = Adaptive(played.search).propose(played.view())
    assert more is not None
    assert more.reason.startswith("race, look 2: 12 repeats of 16 configurations")


def test_a_race_says_what_holds_where_repeats_diverged() -> None:
    """They are in no comparison: a configuration that is best where it does not diverge is not excluded for it."""
    played = Played(
        lambda place, lane, _: place + 0.01 * lane.repeat,
        {"repeats": "race"},
        diverges=lambda place, lane: place == 15 and lane.repeat == 0,
    )
    told = "; no guarantee for the mean including diverged repeats"
    assert played.reasons[0].endswith("on this partition")
    assert all(reason.endswith(told) for reason in played.reasons[1:])
    assert NAMES[15] not in played.decisions[-1].stopped


def test_a_race_ends_where_all_left_are_within_the_margin() -> None:
    noise = np.random.default_rng(1).normal(size=(16, 20))

    def value(place: int, lane: LaneKey, epochs: int) -> float:
        return float((0.0 if place >= 12 else -9.0) + 0.1 * noise[place, lane.repeat])

    wide, narrow = (Played(value, {"repeats": "race", "margin": margin}) for margin in (2.0, 0.01))
    assert wide.reasons[-1] == (
        "race, after look 1 of 3: 4 of 16 configurations left, 12 excluded on this partition; those left are within 2 "
        "of each other"
    )
    assert len(narrow.epochs_of(15)) == 20


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ((), "0 looks, expected 1 to 6"),
        (tuple((8 + n, 0.006) for n in range(7)), "7 looks, expected 1 to 6"),
        (((12, 0.02), (8, 0.02)), "at 12, 8 blocks, expected increasing numbers"),
        (((5, 0.04),), "a look at 5 blocks, expected at least 6"),
        (((8, 0.03), (12, 0.03)), "shares that add up to 0.06, expected at most 0.05"),
        (((6, 0.01),), "a share of 0.01 at 6 blocks, where the smallest possible p is 0.0156"),
        (((20, 0.00005),), "where the smallest possible p is 0.0001"),
    ],
)
def test_looks_that_promise_nothing_are_refused(looks: tuple[tuple[int, float], ...], told: str) -> None:
    with pytest.raises(InputError) as raised:
        check_settings("adaptive", {"repeats": "race", "looks": looks})
    assert told in str(raised.value)
    assert "Correct the table" in raised.value.advice


def test_all_that_is_wrong_with_looks_is_one_fault() -> None:
    with pytest.raises(InputError) as raised:
        check_settings("adaptive", {"repeats": "race", "looks": [[5, 0.04], [4, 0.04]]})
    assert raised.value.message == (
        "proposer adaptive: looks of a race: found at 5, 4 blocks, expected increasing numbers; a look "
        "at 4 blocks, expected at least 6; shares that add up to 0.08, expected at most 0.05"
    )


def test_six_looks_share_the_same_error() -> None:
    looks = [[8, 3 / 256], [12, 0.0082], [16, 0.0075], [20, 0.0075], [28, 0.0075], [40, 0.0075]]
    played = Played(lambda place, lane, _: float(lane.repeat % 3), {"repeats": "race", "looks": looks}, repeats=40)
    assert len(played.epochs_of(0)) == 40
    assert played.reasons[-1].startswith("race, after look 6 of 6: 16 of 16")


def test_nothing_is_excluded_before_eight_partitions_were_seen() -> None:
    looks = [[7, 0.02], [12, 0.03]]
    seven, eight = (tuple(f"{place:012x}" for place in range(k)) for k in (7, 8))
    Played(clearly, {"repeats": "race", "looks": looks}, partitions=seven, repeats=2)
    with pytest.raises(InputError, match="one on each of 7 partitions, expected at least 8"):
        Played(clearly, {"repeats": "race", "looks": looks}, partitions=eight, repeats=2)


def test_a_margin_without_a_race_is_refused() -> None:
    with pytest.raises(InputError, match="a margin is of a race"):
        check_settings("adaptive", {"margin": 0.01})


def test_what_a_race_promises_is_written_out() -> None:
    said = written_out("adaptive", {"repeats": "race", "margin": 0.1})
    assert said == {"looks": [[8, 3 / 256], [12, 0.0132], [20, 0.025]], "repeats": "race", "margin": 0.1}
    assert written_out("adaptive", {"repeats": "race", "looks": [[9, 0.05]]})["looks"] == [[9, 0.05]]
    assert written_out("adaptive", {"repeats": "screen"}) == {"repeats": "screen"}
    assert written_out("grid", {}) == {}


def test_a_repeat_that_diverged_is_told_for_every_rung() -> None:
    played = Played(clearly, {"epochs": "halving"}, repeats=2, diverges=lambda place, lane: place == 15)
    assert 15 not in [place for place in range(16) if played.epochs_of(place) == [40, 40] and place < 14]
    assert played.reasons[-1] == "all repeats of 2 configurations" or played.reasons[-1].startswith("rung 4")


def test_the_same_view_gives_the_same_answer_and_the_whole_is_done_in_the_end() -> None:
    first, second = (Played(clearly, {"epochs": "halving", "repeats": "screen"}, count=40) for _ in range(2))
    assert first.decisions == second.decisions
    assert Adaptive(first.search).propose(first.view()) is None


def test_bad_settings_are_refused_together() -> None:
    with pytest.raises(InputError) as raised:
        check_settings("adaptive", {"eta": 1, "repeats": "some", "colour": "red"})
    assert all(word in str(raised.value) for word in ("eta", "repeats", "colour"))


def test_a_race_with_too_few_repeats_is_refused() -> None:
    with pytest.raises(InputError, match="expected at least 8 repeats"):
        Played(clearly, {"repeats": "race"}, repeats=5)

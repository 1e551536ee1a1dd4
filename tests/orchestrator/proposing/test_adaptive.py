"""What an adaptive search asks for, by results that are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from orchestrator.proposing.adaptive import Adaptive
from orchestrator.proposing.deciding import pending
from orchestrator.proposing.proposer import View, check_settings
from orchestrator.store.errors import InputError
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import Budget, Decision, SearchRecord, Told, allowances, asked_of_lanes
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
            number=len(self.decisions) + 1, budget=1, reason=proposal.reason, asks=proposal.asks, stacks=()
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
    assert played.reasons == ["race, look 1: 8 repeats of 16 configurations"]


def test_a_race_goes_on_with_those_that_are_alike() -> None:
    noise = np.random.default_rng(5).normal(size=(16, 20))

    def value(place: int, lane: LaneKey, epochs: int) -> float:
        return float((2.0 if place >= 13 else -3.0) + 0.5 * noise[place, lane.repeat])

    played = Played(value, {"repeats": "race"})
    assert played.reasons[1:] == [
        "race, look 2: 12 repeats of 3 configurations, 13 excluded before",
        "race, look 3: 20 repeats of 3 configurations, 13 excluded before",
    ]
    assert [len(played.epochs_of(place)) for place in (0, 13, 14, 15)] == [8, 20, 20, 20]


def test_what_trails_by_less_than_the_margin_is_not_excluded() -> None:
    def value(place: int, lane: LaneKey, epochs: int) -> float:
        return {0: -0.5, 1: -2.0}.get(place, 0.0) + 0.001 * lane.repeat

    lengths = [len(Played(value, {"repeats": "race", "margin": 1.0}).epochs_of(place)) for place in (0, 1)]
    assert lengths == [20, 8]


def test_blocks_go_through_the_partitions_in_turn() -> None:
    partitions = tuple(letter * 12 for letter in "abc")
    played = Played(clearly, {"repeats": "race"}, partitions=partitions, repeats=7)
    asked = asked_of_lanes(played.decisions)
    count = {name: sum(lane.partition == name for lane in asked) for name in partitions}
    assert count == {"a" * 12: 3 * 16, "b" * 12: 3 * 16, "c" * 12: 2 * 16}


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

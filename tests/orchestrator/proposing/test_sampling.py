"""What a search with a sampler tries, by results that are made up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from orchestrator.proposing.adaptive import Adaptive
from orchestrator.proposing.blocks import Blocks
from orchestrator.proposing.deciding import pending, suggestions_of
from orchestrator.proposing.dimensions import Dimensions
from orchestrator.proposing.proposer import Proposal, View
from orchestrator.proposing.sampling import Learnt
from orchestrator.store.errors import InputError
from orchestrator.store.searches import (
    Budget,
    Decision,
    Distribution,
    SearchRecord,
    Told,
    allowances,
    asked_of_lanes,
    bases_of,
)
from orchestrator.store.segments import LaneKey
from search_spaces.configuration import Configuration
from tests.support.configurations import configured

Value = Callable[[Configuration], float]
LRS = (1e-4, 1e-3, 1e-2, 1e-1)
RULES = ("sgd", "adamw")
GRID = [configured(lr=lr, batch_size=size, optimiser=rule) for lr in LRS for size in (8, 16) for rule in RULES]
BASES = GRID[:4]
RACE = {"sampler": "tpe", "repeats": "race"}
HALVED = {"sampler": "random", "epochs": "halving"}


def rate(*configurations: Configuration, low: float = 1e-5, high: float = 1.0) -> Distribution:
    return Distribution(
        path="optimiser.lr", low=low, high=high, log=True, configurations=tuple(c.id for c in configurations)
    )


def best_at(lr: float) -> Value:
    return lambda c: -abs(math.log10(c.optimiser.lr / lr))


class Played:
    """A search whose results come at once, one decision after the other."""

    def __init__(
        self,
        value: Value,
        bases: Sequence[Configuration],
        distributions: tuple[Distribution, ...] = (),
        *,
        goal: Value = lambda c: math.nan,
        suggestions: int | None = None,
        repeats: int = 3,
        epochs: int = 20,
        workers: int = 4,
        settings: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """settings, more: of the proposer; those that are called as something else here stand in `settings`."""
        names = tuple(c.id for c in bases)
        self.known = {c.id: c for c in bases}
        self.search = SearchRecord(
            proposer="adaptive",
            settings={**(settings or {}), **more},
            partitions=("a" * 12,),
            configurations=names,
            distributions=distributions,
            seed=3,
        )
        allowed = allowances(dict.fromkeys(names, (repeats, epochs)))
        self.budget = Budget(number=1, allowances=allowed, suggestions=suggestions)
        self.value, self.second, self.workers = value, goal, workers
        self.decisions: list[Decision] = []
        self.results: list[Told] = []

    def whole(self) -> Played:
        while self.step():
            pass
        return self

    @property
    def view(self) -> View:
        waiting = pending(asked_of_lanes(self.decisions), self.results)
        known = self.known.__getitem__
        return View(self.search, self.budget, self.decisions, self.results, waiting, self.workers, known)

    def proposed(self) -> Proposal | None:
        return Adaptive(self.search).propose(self.view)

    def step(self, told: int | None = None) -> bool:
        """One decision, and the results of its first `told` configurations."""
        proposal = self.proposed()
        if proposal is None:
            return False
        self.known |= {one.configuration.id: one.configuration for one in proposal.suggested}
        self.decisions.append(
            Decision(
                number=len(self.decisions) + 1,
                budget=self.budget.number,
                reason=proposal.reason,
                asks=proposal.asks,
                suggestions=suggestions_of(proposal),
                narrowed=proposal.narrowed,
                stacks=(),
            )
        )
        for ask in proposal.asks:
            for name in ask.configurations[:told]:
                for lane in ask.lanes():
                    if lane.configuration == name:
                        self.results.append(self._result(lane, ask.epochs))
        return True

    def _result(self, lane: LaneKey, epochs: int) -> Told:
        known = self.known[lane.configuration]
        return Told(lane, epochs, "finished", self.value(known), self.second(known))

    @property
    def tried(self) -> list[Configuration]:
        return [self.known[name] for name in bases_of(self.decisions)]


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "auto"])
def test_as_many_are_tried_as_the_budget_allows(sampler: str) -> None:
    base = configured()
    found = Played(best_at(1e-2), [base], (rate(base),), suggestions=13, sampler=sampler).whole()
    assert len({c.id for c in found.tried}) == len(found.tried) == 13
    assert all(1e-5 <= c.optimiser.lr <= 1 for c in found.tried)
    assert {(r.lane.configuration, r.lane.repeat) for r in found.results} == {
        (c.id, repeat) for c in found.tried for repeat in range(3)
    }


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_sampler_comes_closer_than_points_spread_evenly(sampler: str) -> None:
    base, best = configured(), 3.3e-3

    def close(sampler: str) -> int:
        found = Played(best_at(best), [base], (rate(base),), suggestions=24, sampler=sampler).whole()
        return sum(abs(math.log10(c.optimiser.lr / best)) < 0.1 for c in found.tried)

    assert close(sampler) > 2 * close("random")


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_list_is_tried_to_its_end_and_nothing_twice(sampler: str) -> None:
    found = Played(best_at(1e-2), GRID, suggestions=100, sampler=sampler).whole()
    assert len(found.tried) == len(GRID)
    assert {c.id for c in found.tried} == {c.id for c in GRID}


def test_answers_follow_from_what_is_told_alone() -> None:
    """As `orch decisions --check` makes them again."""
    found = Played(best_at(1e-2), BASES, (rate(*BASES),), suggestions=20, sampler="tpe").whole()
    again = Played(best_at(1e-2), BASES, (rate(*BASES),), suggestions=20, sampler="tpe").whole()
    assert found.decisions == again.decisions
    other = Played(best_at(1e-3), BASES, (rate(*BASES),), suggestions=20, sampler="tpe").whole()
    assert other.decisions[0] == found.decisions[0]
    assert [c.id for c in other.tried] != [c.id for c in found.tried]


def test_the_first_wave_covers_every_dimension() -> None:
    found = Played(best_at(1e-2), BASES, (rate(*BASES),), suggestions=20, sampler="tpe")
    found.step()
    assert len(found.tried) >= 8
    assert {c.optimiser.name for c in found.tried} == set(RULES)
    assert {c.optimiser.batch_size for c in found.tried} == {8, 16}
    assert min(c.optimiser.lr for c in found.tried) < 1e-3 < 1e-1 < max(c.optimiser.lr for c in found.tried)
    assert "spread over the space" in found.decisions[0].reason


def test_more_are_tried_before_all_have_their_results() -> None:
    base = configured()
    found = Played(best_at(1e-2), [base], (rate(base),), suggestions=30, sampler="tpe", workers=4)
    found.step(told=5)
    assert found.proposed() is None  # three of eight are waited for
    lanes = found.decisions[0].asks[0]
    for lane in lanes.lanes():
        if lane.configuration == lanes.configurations[5]:
            found.results.append(Told(lane, 20, "finished", 0.0))
    proposal = found.proposed()
    assert proposal is not None
    assert len(proposal.suggested) == 4


def test_a_larger_budget_goes_on() -> None:
    base = configured()
    found = Played(best_at(1e-2), [base], (rate(base),), suggestions=9, sampler="tpe").whole()
    before = [c.id for c in found.tried]
    found.budget = found.budget.model_copy(update={"number": 2, "suggestions": 14})
    found.whole()
    assert [c.id for c in found.tried][:9] == before
    assert len(found.tried) == 14


def test_repeats_are_raised_for_what_was_suggested() -> None:
    base = configured()
    found = Played(best_at(1e-2), [base], (rate(base),), suggestions=9, repeats=3, sampler="tpe").whole()
    more = allowances({base.id: (5, 20)})
    found.budget = found.budget.model_copy(update={"number": 2, "allowances": more})
    found.whole()
    assert len(found.tried) == 9
    assert len({(r.lane.configuration, r.lane.repeat) for r in found.results}) == 9 * 5


def test_what_is_sampled_races_afterwards() -> None:
    base = configured()
    value = best_at(1e-2)
    found = Played(value, [base], (rate(base),), suggestions=12, repeats=20, settings=RACE).whole()
    count = {c.id: len({r.lane.repeat for r in found.results if r.lane.configuration == c.id}) for c in found.tried}
    assert min(count.values()) == 8
    best = max(found.tried, key=value)
    assert count[best.id] == max(count.values())
    first, *looks = found.decisions[-1].narrowed
    assert (first.by, first.left, first.blocks) == ("sampler", 12, 3), "so that no error rate is promised"
    assert {look.by for look in looks} == {"race"}


def test_points_spread_evenly_are_halved() -> None:
    base = configured()
    found = Played(best_at(1e-2), [base], (rate(base),), suggestions=16, repeats=3, epochs=40, settings=HALVED).whole()
    most = {c.id: max(r.epochs for r in found.results if r.lane.configuration == c.id) for c in found.tried}
    assert sorted(most.values())[:4] == [6] * 4
    assert most[max(found.tried, key=best_at(1e-2)).id] == 40


@pytest.mark.parametrize("rule", ["tpe", "gp"])
def test_a_sampler_learns_at_the_first_rung(rule: str) -> None:
    """The last wave of what it suggests is near the best, although nothing was trained to the end before."""
    base, best = configured(), 3.3e-3
    settings = {"sampler": rule, "epochs": "halving"}
    found = Played(best_at(best), [base], (rate(base),), suggestions=40, epochs=40, settings=settings).whole()
    sampled = [decision for decision in found.decisions if decision.suggestions]
    assert len(sampled) > 2
    assert {ask.epochs for decision in sampled for ask in decision.asks} == {6}
    assert "means of 8 over 3 repeats at the first rung" in sampled[1].reason
    assert sum(abs(math.log10(c.optimiser.lr / best)) < 0.5 for c in found.tried[8:]) > 10, "6 by chance"
    most = {c.id: max(r.epochs for r in found.results if r.lane.configuration == c.id) for c in found.tried}
    assert sorted(most.values())[:18] == [6] * 18, "half of them stop there but for the checks"
    assert most[max(found.tried, key=best_at(best)).id] == 40
    assert [one.by for one in found.decisions[-1].narrowed] == ["sampler", "rung", "rung", "rung"]


def test_more_is_suggested_after_the_rungs_where_the_budget_grows() -> None:
    base = configured()
    settings = {"sampler": "tpe", "epochs": "halving"}
    found = Played(best_at(1e-2), [base], (rate(base),), suggestions=9, epochs=40, settings=settings).whole()
    before = len(found.decisions)
    found.budget = found.budget.model_copy(update={"number": 2, "suggestions": 14})
    found.whole()
    assert len(found.tried) == 14
    (new,) = found.decisions[before].asks
    assert new.epochs == 6
    best = max(found.tried, key=best_at(1e-2))
    assert max(r.epochs for r in found.results if r.lane.configuration == best.id) == 40


def test_a_second_goal_is_weighed_against_the_score() -> None:
    """What is best lies between the two: the sampler tries both ends of it and what is between, and nothing beyond."""
    base, settings = configured(), {"sampler": "tpe", "goal": "hours"}
    found = Played(best_at(1e-2), [base], (rate(base),), goal=best_at(1e-4), suggestions=60, settings=settings).whole()
    tried = [c.optimiser.lr for c in found.tried[8:]]
    alone = Played(best_at(1e-2), [base], (rate(base),), suggestions=60, sampler="tpe").whole()
    assert sum(3e-5 < lr < 3e-2 for lr in tried) > 0.8 * len(tried), "60 % of the range"
    assert sum(lr < 1e-3 for lr in tried) > 3 * sum(c.optimiser.lr < 1e-3 for c in alone.tried[8:])
    assert "by the means of 8 of the score and hours per repeat over 3 repeats" in found.decisions[1].reason


def test_what_a_diverged_repeat_would_have_taken_counts_as_the_worst() -> None:
    base, settings = configured(), {"sampler": "tpe", "goal": "hours"}
    found = Played(
        lambda c: -1.0, [base], (rate(base),), goal=best_at(1e-4), suggestions=20, repeats=2, settings=settings
    )
    found.step()
    first, second = (found.results[place].lane for place in (0, 2))
    found.results = [
        one._replace(state="diverged", goal=math.nan) if one.lane in (first, second) else one for one in found.results
    ]
    blocks = Blocks(found.view)
    means = Learnt(blocks, 2, 1.0, 4, "hours").means([c.id for c in found.tried])
    worst = min(one.goal for one in found.results if one.state != "diverged")
    own = next(one.goal for one in found.results if one.lane == LaneKey(*first[:2], 1))
    assert means[first.configuration] == (-1.0, pytest.approx((worst + own) / 2))


def test_points_that_are_given_come_first() -> None:
    start = [{"lr": 2e-3, "batch_size": 16}, {"optimiser.name": "adamw"}]
    found = Played(best_at(1e-2), BASES, (rate(*BASES),), suggestions=12, sampler="tpe", start=start)
    found.step()
    first, second = found.tried[:2]
    assert (first.optimiser.lr, first.optimiser.batch_size) == (2e-3, 16)
    assert second.optimiser.name == "adamw"
    assert "2 of them given" in found.decisions[0].reason


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ({"lr": 2.0}, "start: expected points of the space of the search, found optimiser.lr 2.0"),
        ({"batch_size": 9}, "start: expected points of the space of the search, found optimiser.batch_size 9"),
        ({"lrr": 1e-3}, "start.0: expected names of settings, found lrr; did you mean 'lr'"),
    ],
    ids=str,
)
def test_points_that_the_space_has_not_are_refused(point: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Played(best_at(1e-2), BASES, (rate(*BASES),), sampler="tpe", start=[point]).step()


def test_a_setting_that_cannot_matter_is_no_dimension() -> None:
    sgd = [configured(momentum=momentum) for momentum in (0.5, 0.9)]
    adam = [configured(optimiser="adam", lr=1e-3)]
    search = Played(best_at(1), [*sgd, *adam]).search
    dimensions = Dimensions(search, {c.id: c for c in (*sgd, *adam)}.__getitem__)
    asked: list[str] = []

    def choose(name: str) -> Callable[[Any], Any]:
        def chosen(one: Any) -> Any:
            asked.append(one.path)
            return name if one.path == "optimiser.name" else one.values[-1]

        return chosen

    assert dimensions.made(choose("adam")).configuration == adam[0]
    assert "optimiser.momentum" not in asked
    assert dimensions.made(choose("sgd")).configuration == sgd[1]
    assert "optimiser.momentum" in asked
    assert not dimensions.are_common


def test_a_choice_makes_its_configuration_again() -> None:
    found = Played(best_at(1e-2), BASES, (rate(*BASES),), suggestions=16, sampler="random").whole()
    dimensions = Dimensions(found.search, found.known.__getitem__)
    for decision in found.decisions:
        for one in decision.suggestions:
            suggested = dimensions.made(lambda d, c=found.known[one.configuration]: c.value(d.path))
            assert (suggested.configuration.id, suggested.base) == (one.configuration, one.base)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"sampler": "gp"},
            "expected up to 6 settings to search, all of them numbers, found 3 settings, of which optimiser.name",
        ),
        ({"sampler": "random", "goal": "hours"}, 'expected sampler "tpe" beside a second goal'),
        ({"sampler": "tpe", "goal": "hours", "repeats": "race"}, "whole epochs and all repeats beside a second goal"),
        ({"sampler": "tpe", "goal": "ours"}, "goal 'ours': expected one of hours, parameters, .*did you mean 'hours'"),
        ({"sampler": "tpf"}, "sampler: expected grid or random or tpe or gp or auto, found tpf"),
        ({"start": [{}]}, "expected a sampler beside start"),
    ],
    ids=str,
)
def test_a_sampler_that_cannot_do_it_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Played(best_at(1e-2), BASES, (rate(*BASES),), settings=settings).step()

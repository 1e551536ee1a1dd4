"""A search that tries what is promising, and stops what is hopeless: over epochs first, then over repeats.

What is tried: every configuration of the space (`grid`), or what a sampler suggests (see `sampling`), which learns from
whole trainings, or from what the first rung saw of them.
Over epochs: all at once (`whole`), `halving` (see `rungs`), or `constant`: all for one number of epochs, then the best
go to the end. Over repeats: `all`; `screen`: the best quarter after a few blocks go on, without any promise; `race`: a
configuration is excluded where a look of fixed size shows that another is better (`statistics.confidence_set`), so that
in 19 of 20 searches the best of those raced is never excluded.

Nothing is remembered: every answer follows from the decisions and the results that they cite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError, model_validator

from orchestrator.proposing.blocks import Blocks, Wanted
from orchestrator.proposing.proposer import Proposal, View, refuse_distributions
from orchestrator.proposing.rungs import at_rung, distinct, halved, ranked, shares
from orchestrator.proposing.sampling import Learnt, Sampling
from orchestrator.results.goals import check_goal
from orchestrator.results.names import counted
from orchestrator.statistics.confidence_set import race_leaves
from orchestrator.statistics.divergence import NO_GUARANTEE
from orchestrator.statistics.looks import LOOKS, Look, faults_of
from orchestrator.statistics.within import within_p
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.searches import Ask, Narrowing, SearchRecord, asks_of
from search_spaces.faults import did_you_mean, nearest
from search_spaces.proposers import SAMPLERS
from search_spaces.tables import by_name, fault

CORRECT = "Correct the table [search] of the study's file, or the options."
SCREENED_AFTER = 5
"""Blocks after which a screen looks."""
LEAST_KEPT = 8
"""Configurations that a screen keeps at least."""


def _by_path(point: Mapping[str, Any]) -> dict[str, Any]:
    known = by_name()
    for name in point:
        if name not in known:
            raise fault("names of settings", f"{name}{did_you_mean(nearest(name, known))}")
    return {known[name].path: tuple(value) if isinstance(value, list) else value for name, value in point.items()}


class Settings(BaseModel):
    """Of the proposer; part of the search's identity, so that other rules are another search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: Annotated[str, AfterValidator(SAMPLERS.known)] = "grid"
    start: tuple[Annotated[Mapping[str, Any], AfterValidator(_by_path)], ...] = ()
    """Points that a sampler tries first, by path or short name."""
    goal: str = ""
    """What the sampler weighs against the score: hours, parameters, or a second metric."""
    epochs: Literal["whole", "halving", "constant"] = "whole"
    repeats: Literal["all", "screen", "race"] = "all"
    ranked_on: Annotated[int, Strict(), Field(ge=2, le=100)] = 3
    """Blocks that a rung ranks on, and a sampler learns from: at the first rung, or where there are none at the end."""
    eta: Annotated[int, Strict(), Field(ge=2, le=8)] = 2
    """One of so many goes on from rung to rung."""
    first: Annotated[float, Field(ge=0.05, le=1.0)] = 0.15
    """Share of the epochs at the first rung."""
    least: Annotated[int, Strict(), Field(ge=1)] = 4
    """Epochs at the first rung at least."""
    best: Annotated[int, Strict(), Field(ge=1)] = LEAST_KEPT
    """How many go on where `epochs` is constant."""
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """What a race excludes trails by at least so much on average; it ends where all left are shown to be nearer."""
    looks: tuple[tuple[int, float], ...] = tuple((look.repeats, look.level) for look in LOOKS)
    """Blocks and share of the error of each look of a race."""

    @model_validator(mode="after")
    def _together(self) -> Settings:
        if self.start and self.sampler == "grid":
            raise fault("a sampler beside start", '"grid", which tries everything')
        if self.goal and self.sampler not in ("tpe", "auto"):
            raise fault('sampler "tpe" beside a second goal (--sampler tpe)', f'"{self.sampler}"')
        if self.goal and (self.epochs, self.repeats) != ("whole", "all"):
            raise fault("whole epochs and all repeats beside a second goal, as all else ranks by one score", "others")
        return self


class Step(NamedTuple):
    """What is wanted next of those that are left, and why. decides: whether what comes after hangs on its results.
    narrowed: how they came to be left; closes: whether it is said where nothing is wanted any more."""

    wanted: Wanted
    reason: str
    left: Sequence[str]
    decides: bool = True
    narrowed: tuple[Narrowing, ...] = ()
    closes: bool = False


class Adaptive:
    listens: ClassVar[bool] = True

    def __init__(self, search: SearchRecord) -> None:
        faults = Faults("proposer adaptive")
        try:
            self.settings = Settings.model_validate(dict(search.settings))
        except ValidationError as error:
            for one in error.errors():
                key = ".".join(map(str, one["loc"]))
                if one["type"] == "extra_forbidden":
                    known = list(Settings.model_fields)
                    faults.add(f"{key}: expected one of {', '.join(known)}{did_you_mean(nearest(key, known))}")
                    continue
                faults.add(f"{key}: {one['msg'][:1].lower()}{one['msg'][1:]}" if key else one["msg"])
            faults.raise_if_any(CORRECT)
        if self.settings.margin and self.settings.repeats != "race":
            faults.add("a margin is of a race: expected repeats = race (--repeats race) beside it")
        self.looks = [Look(count, level) for count, level in self.settings.looks]
        if wrong := list(faults_of(self.looks, len(search.partitions))):
            faults.add(f"looks of a race: found {'; '.join(wrong)}")
        faults.raise_if_any(CORRECT)
        if self.settings.sampler == "grid":
            refuse_distributions(search)
        self.search = search

    @staticmethod
    def written(settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """A race's looks are in the record of its search: they are what it promises."""
        is_race = settings.get("repeats") == "race"
        return {**({"looks": [[look.repeats, look.level] for look in LOOKS]} if is_race else {}), **settings}

    def propose(self, view: View) -> Proposal | None:
        blocks = Blocks(view)
        self._check(blocks)
        names: Sequence[str] = self.search.configurations
        if self.settings.sampler != "grid":
            count = min(self.settings.ranked_on, blocks.count)
            share = 1.0 if self.settings.epochs == "whole" else self.settings.first
            learnt = Learnt(blocks, count, share, self.settings.least, self._goal(view))
            sampling = Sampling(view, self.settings.sampler, self.settings.start, learnt)
            suggested, reason = sampling.next()
            blocks.know(suggested)
            new = [one.configuration.id for one in suggested]
            names = [*sampling.names, *new]
            if not sampling.at_once:
                wanted = blocks.unasked(learnt.wanted(names))
                if wanted:
                    said = reason or f"more of {self._counted(names)}"
                    return Proposal(asks_of(wanted), said, suggested=tuple(suggested))
                if not blocks.are_told(learnt.wanted(names)):
                    return None
            elif suggested:
                first = next(self._steps(blocks, names))
                asks = asks_of(blocks.unasked(first.wanted))
                return Proposal(asks, f"{reason}; {first.reason}", suggested=tuple(suggested))
        step: Step | None = None
        for step in self._steps(blocks, names):
            unasked = blocks.unasked(step.wanted)
            if unasked:
                return self._proposal(step, names, asks_of(unasked))
            if step.decides and not blocks.are_told(step.wanted):
                return None
        assert step is not None
        if step.closes and view.decisions[-1].asks:
            return self._proposal(step, names, ())
        nothing = step._replace(reason="nothing more to train within this budget")
        return self._proposal(nothing, names, ()) if view.is_budget_new else None

    def _proposal(self, step: Step, names: Sequence[str], asks: tuple[Ask, ...]) -> Proposal:
        stopped = tuple(name for name in names if name not in step.left)
        return Proposal(asks, step.reason, stopped, step.narrowed)

    def _check(self, blocks: Blocks) -> None:
        first = self.looks[0].repeats
        if self.settings.repeats == "race" and blocks.count < first:
            raise InputError(
                f"a race: expected at least {first} repeats of each configuration, those of its first look, found "
                f"{blocks.count}",
                "Ask for as many as its looks have: --repeats race",
            )

    def _goal(self, view: View) -> str:
        if self.settings.goal:
            first = view.configuration(self.search.configurations[0])
            check_goal(self.settings.goal, first.data.task, first.selection.metric)
        return self.settings.goal

    def _steps(self, blocks: Blocks, names: Sequence[str]) -> Iterator[Step]:
        """In order; each may be computed only once all before it are told. names: that are tried."""
        left, narrowed = list(names), tuple[Narrowing, ...]()
        if self.settings.sampler not in ("grid", "random"):
            learnt = min(self.settings.ranked_on, blocks.count)
            narrowed = (Narrowing(by="sampler", of=len(left), left=len(left), blocks=learnt),)
        if self.settings.epochs != "whole":
            for step in self._rungs(blocks, left, narrowed):
                yield step
                left, narrowed = list(step.left), step.narrowed
        match self.settings.repeats:
            case "all":
                wanted = blocks.lanes(left, range(blocks.count))
                yield Step(wanted, f"all repeats of {self._counted(left)}", left, narrowed=narrowed)
            case "screen":
                yield from self._screen(blocks, left, narrowed)
            case "race":
                yield from self._race(blocks, left, narrowed)

    def _rungs(self, blocks: Blocks, every: list[str], narrowed: tuple[Narrowing, ...]) -> Iterator[Step]:
        """The last rung is the end of the epochs."""
        s, left = self.settings, every
        count = min(s.ranked_on, blocks.count)
        every_share = shares(s.first, s.eta) if s.epochs == "halving" else (s.first, 1.0)
        rungs = distinct(every_share, [blocks.epochs(name) for name in every], s.least)
        reason = f"rung 1 of {len(rungs)}: all {self._counted(left)} up to {rungs[0]:.0%} of their epochs"
        for number, share in enumerate(rungs[:-1], 1):
            yield Step(at_rung(blocks, left, count, share, s.least), reason, left, narrowed=narrowed)
            order = ranked(blocks, left, count, share, s.least)
            keep = math.ceil(len(left) / s.eta) if s.epochs == "halving" else min(s.best, len(left))
            rung = halved(order, left, share, keep, f"{self.search.seed}:{number}")
            left = list(rung.kept)
            narrowed += (Narrowing(by="rung", of=len(rung.entrants), left=len(left), blocks=count),)
            reason = (
                f"rung {number + 1} of {len(rungs)}: the best {len(rung.kept)} of {len(rung.entrants)} after "
                f"{counted(count, 'repeat')} go on to {rungs[number]:.0%}"
            )
            if rung.audited:
                told = f"rung {number}: {self._counted(rung.audited)} of those that stopped, to the end as a check"
                audits = blocks.lanes(rung.audited, range(count))
                yield Step(audits, told, left, decides=False, narrowed=narrowed)
        yield Step(at_rung(blocks, left, count, 1.0, s.least), reason, left, narrowed=narrowed)

    def _screen(self, blocks: Blocks, names: Sequence[str], narrowed: tuple[Narrowing, ...]) -> Iterator[Step]:
        first = min(SCREENED_AFTER, blocks.count)
        reason = f"screen: {counted(first, 'repeat')} of {self._counted(names)}"
        yield Step(blocks.lanes(names, range(first)), reason, names, narrowed=narrowed)
        order = ranked(blocks, names, first, 1.0, self.settings.least)
        kept = order[: max(LEAST_KEPT, math.ceil(len(names) / 4))]
        reason = f"screen: the best {len(kept)} of {len(names)} after {counted(first, 'repeat')} go on"
        if blocks.count > first:
            if len(kept) < len(names):
                narrowed += (Narrowing(by="screen", of=len(names), left=len(kept), blocks=first),)
            yield Step(blocks.lanes(kept, range(first, blocks.count)), reason, kept, narrowed=narrowed)

    def _race(self, blocks: Blocks, names: Sequence[str], narrowed: tuple[Narrowing, ...]) -> Iterator[Step]:
        """Each look's exclusions are decided when the next one is asked for, those of the last one by themselves."""
        left, lost, where, margin = list(names), "", blocks.where, self.settings.margin
        looks = [look for look in self.looks if look.repeats <= blocks.count]
        for number, look in enumerate(looks, 1):
            reason = f"race, look {number}: {blocks.counted(look.repeats)} of {self._counted(left)}, {where}"
            if number > 1:
                reason += f"; {len(names) - len(left)} excluded before{lost}"
            yield Step(blocks.lanes(left, range(look.repeats)), reason, left, narrowed=narrowed)
            before = left
            left = survivors(blocks, names, looks[:number], margin, self.search.seed)
            narrowed += (Narrowing(by="race", of=len(before), left=len(left), blocks=look.repeats),)
            lost = f"; {NO_GUARANTEE}" if blocks.diverged(names, range(look.repeats)).any() else ""
            reason = (
                f"race, after look {number} of {len(self.looks)}: {len(left)} of {self._counted(names)} left, "
                f"{len(names) - len(left)} excluded {where}{lost}"
            )
            if len(left) == 1:
                break
            if margin > 0 and are_alike(blocks, left, look, margin, self.search.seed):
                reason += f"; those left are within {margin:g} of each other"
                break
        yield Step([], reason, left, narrowed=narrowed, closes=True)

    def _counted(self, names: Sequence[Any]) -> str:
        return counted(len(names), "configuration")


def survivors(blocks: Blocks, names: Sequence[str], looks: Sequence[Look], margin: float, seed: int) -> list[str]:
    """Those that no look excluded, in the order given; who trails the best by less than the margin stays too."""
    several = range(looks[-1].repeats)
    scores, diverged = blocks.scores(names, several), blocks.diverged(names, several)
    stays = race_leaves(scores, diverged, looks, margin, seed)
    return [name for name, stay in zip(names, stays, strict=True) if stay]


def are_alike(blocks: Blocks, names: Sequence[str], look: Look, margin: float, seed: int) -> bool:
    """Whether a look shows that none of these trails another by the margin or more."""
    several = range(look.repeats)
    values = np.where(blocks.diverged(names, several), np.nan, blocks.scores(names, several))
    return within_p(values, margin, seed) <= look.level

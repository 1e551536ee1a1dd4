"""A search that stops what is hopeless: over epochs first, then over repeats.

Over epochs: all at once (`whole`), `halving` (see `rungs`), or `constant`: all for one number of epochs, then the best
go to the end. Over repeats: `all`; `screen`: the best quarter after a few blocks go on, without any promise; `race`: a
configuration is excluded where a look of fixed size shows that another is better (`statistics.confidence_set`), so that
in 19 of 20 searches the best of those raced is never excluded.

Nothing is remembered: every answer follows from the decisions and the results that they cite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError

from orchestrator.proposing.blocks import Blocks, Wanted
from orchestrator.proposing.proposer import Proposal, View
from orchestrator.proposing.rungs import at_rung, distinct, halved, ranked, shares
from orchestrator.results.names import counted
from orchestrator.statistics.confidence_set import confidence_set
from orchestrator.statistics.looks import LOOKS, Look
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.searches import SearchRecord, asks_of

SCREENED_AFTER = 5
"""Blocks after which a screen looks."""
LEAST_KEPT = 8
"""Configurations that a screen keeps at least."""


class Settings(BaseModel):
    """Of the proposer; part of the search's identity, so that other rules are another search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Literal["whole", "halving", "constant"] = "whole"
    repeats: Literal["all", "screen", "race"] = "all"
    ranked_on: Annotated[int, Strict(), Field(ge=2, le=100)] = 3
    """Blocks that a rung ranks on."""
    eta: Annotated[int, Strict(), Field(ge=2, le=8)] = 2
    """One of so many goes on from rung to rung."""
    first: Annotated[float, Field(ge=0.05, le=1.0)] = 0.15
    """Share of the epochs at the first rung."""
    least: Annotated[int, Strict(), Field(ge=1)] = 4
    """Epochs at the first rung at least."""
    best: Annotated[int, Strict(), Field(ge=1)] = LEAST_KEPT
    """How many go on where `epochs` is constant."""
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """What a race excludes trails by at least so much on average."""
    looks: tuple[tuple[int, float], ...] = tuple((look.repeats, look.level) for look in LOOKS)
    """Blocks and share of the error of each look of a race."""


class Step(NamedTuple):
    """What is wanted next of those that are left, and why. decides: whether what comes after hangs on its results."""

    wanted: Wanted
    reason: str
    left: Sequence[str]
    decides: bool = True


class Adaptive:
    listens: ClassVar[bool] = True

    def __init__(self, search: SearchRecord) -> None:
        try:
            self.settings = Settings.model_validate(dict(search.settings))
        except ValidationError as error:
            faults = Faults("proposer adaptive")
            for one in error.errors():
                faults.add(f"{'.'.join(map(str, one['loc']))}: {one['msg'][:1].lower()}{one['msg'][1:]}")
            faults.raise_if_any("Correct the table [proposer] of the study's file.")
        self.search = search

    def propose(self, view: View) -> Proposal | None:
        blocks = Blocks(view)
        self._check(blocks)
        for step in self._steps(blocks):
            unasked = blocks.unasked(step.wanted)
            if unasked:
                stopped = tuple(name for name in self.search.configurations if name not in step.left)
                return Proposal(asks_of(unasked), step.reason, stopped)
            if step.decides and not blocks.are_told(step.wanted):
                return None
        return Proposal((), "nothing more to train within this budget") if view.is_budget_new else None

    def _check(self, blocks: Blocks) -> None:
        first = self.settings.looks[0][0] if self.settings.looks else 0
        if self.settings.repeats == "race" and blocks.count < first:
            raise InputError(
                f"a race: expected at least {first} repeats of each configuration, those of its first look, found "
                f"{blocks.count}",
                "Ask for as many as its looks have: --repeats race",
            )

    def _steps(self, blocks: Blocks) -> Iterator[Step]:
        """In order; each may be computed only once all before it are told."""
        left: Sequence[str] = self.search.configurations
        every = list(left)
        if self.settings.epochs != "whole":
            for step in self._rungs(blocks, every):
                yield step
                left = step.left
        match self.settings.repeats:
            case "all":
                yield Step(blocks.lanes(left, range(blocks.count)), f"all repeats of {self._counted(left)}", left)
            case "screen":
                yield from self._screen(blocks, left)
            case "race":
                yield from self._race(blocks, left)

    def _rungs(self, blocks: Blocks, every: list[str]) -> Iterator[Step]:
        """The last rung is the end of the epochs."""
        s, left = self.settings, every
        count = min(s.ranked_on, blocks.count)
        every_share = shares(s.first, s.eta) if s.epochs == "halving" else (s.first, 1.0)
        rungs = distinct(every_share, [blocks.epochs(name) for name in every], s.least)
        reason = f"rung 1 of {len(rungs)}: all {self._counted(left)} up to {rungs[0]:.0%} of their epochs"
        for number, share in enumerate(rungs[:-1], 1):
            yield Step(at_rung(blocks, left, count, share, s.least), reason, left)
            order = ranked(blocks, left, count, share, s.least)
            keep = math.ceil(len(left) / s.eta) if s.epochs == "halving" else min(s.best, len(left))
            rung = halved(order, left, share, keep, f"{self.search.seed}:{number}")
            left = list(rung.kept)
            reason = (
                f"rung {number + 1} of {len(rungs)}: the best {len(rung.kept)} of {len(rung.entrants)} after "
                f"{counted(count, 'repeat')} go on to {rungs[number]:.0%}"
            )
            if rung.audited:
                told = f"rung {number}: {self._counted(rung.audited)} of those that stopped, to the end as a check"
                yield Step(blocks.lanes(rung.audited, range(count)), told, left, decides=False)
        yield Step(at_rung(blocks, left, count, 1.0, s.least), reason, left)

    def _screen(self, blocks: Blocks, names: Sequence[str]) -> Iterator[Step]:
        first = min(SCREENED_AFTER, blocks.count)
        yield Step(
            blocks.lanes(names, range(first)), f"screen: {counted(first, 'repeat')} of {self._counted(names)}", names
        )
        order = ranked(blocks, names, first, 1.0, self.settings.least)
        kept = order[: max(LEAST_KEPT, math.ceil(len(names) / 4))]
        reason = f"screen: the best {len(kept)} of {len(names)} after {counted(first, 'repeat')} go on"
        yield Step(blocks.lanes(kept, range(first, blocks.count)), reason, kept)

    def _race(self, blocks: Blocks, names: Sequence[str]) -> Iterator[Step]:
        left = list(names)
        looks = [Look(count, level) for count, level in self.settings.looks if count <= blocks.count]
        for number, look in enumerate(looks, 1):
            reason = f"race, look {number}: {counted(look.repeats, 'repeat')} of {self._counted(left)}"
            if number > 1:
                reason += f", {len(names) - len(left)} excluded before"
            yield Step(blocks.lanes(left, range(look.repeats)), reason, left)
            left = survivors(blocks, names, looks[:number], self.settings.margin, self.search.seed)
            if len(left) == 1:
                return

    def _counted(self, names: Sequence[Any]) -> str:
        return counted(len(names), "configuration")


def survivors(blocks: Blocks, names: Sequence[str], looks: Sequence[Look], margin: float, seed: int) -> list[str]:
    """Those that no look excluded, in the order given; who trails the best by less than the margin stays too."""
    several = range(looks[-1].repeats)
    scores, diverged = blocks.scores(names, several), blocks.diverged(names, several)
    found = confidence_set(scores, True, diverged, looks, seed)
    stays = {*found.members, *found.uncompared}
    return [
        name for place, name in enumerate(names) if place in stays or (margin > 0 and found.difference[place] > -margin)
    ]

"""Searches, their budgets and their decisions: what was asked, by whom, and why. All immutable once written.

`searches/<id>/search.toml` says what may be tried and who proposes; `budget-<n>.toml` how much of it, the last one
counting; `<k>.toml` is decision k, one answer of the proposer with all that it had seen. What a study owes is the union
of all decisions minus final records.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from orchestrator.store.layout import SEARCHES
from orchestrator.store.record import short_hash
from orchestrator.store.schema import MOST, MOST_REPEATS, Epochs, Identity, Record, RepeatNumber
from orchestrator.store.segments import LaneKey, Segment

_DECISION = re.compile(r"(\d{1,6})\.toml")
_BUDGET = re.compile(r"budget-(\d{1,6})\.toml")


class Distribution(Record):
    """Values from which a sampler draws one setting of some configurations, which hold one of them in its place."""

    path: str
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    """Both ends included."""
    log: bool = False
    """Equal shares of the logarithm are equally likely."""
    step: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Distance of values from `low` on; None: any."""
    configurations: tuple[Identity, ...]

    @property
    def name(self) -> str:
        """The same for equal distributions of a setting alone."""
        return f"{self.path} {self.low:g} to {self.high:g}"


class SearchRecord(Record):
    """`searches/<id>/search.toml`: what may be tried, and who says what of it to train."""

    proposer: str
    """Name of a variant of `search_spaces.proposers.PROPOSERS`."""
    settings: Mapping[str, Any] = Field(default_factory=dict)
    """Of the proposer."""
    seed: int = 0
    partitions: tuple[Identity, ...]
    configurations: tuple[Identity, ...]
    """Ids of all that may be tried, in the order of the space; where there are distributions, of what suggestions are
    made from."""
    distributions: tuple[Distribution, ...] = ()
    space: str = ""
    """Name of the space that they come from."""
    stage: str = ""
    """Of which it is, and what that begins from, in words; "" where it is of none."""
    command: str = ""
    who: str = ""
    created: str = ""
    """UTC, ISO 8601."""
    versions: Mapping[str, str] = Field(default_factory=dict)
    revision: str = ""
    weights: Mapping[str, str] = Field(default_factory=dict)
    """Per backbone where its weights came from: repository and revision, address or file; for the record."""
    weights_places: Mapping[str, str] = Field(default_factory=dict)
    """Per identity of weights where they lay on the machine that asked: "hub" or a path; a hint for `resume`."""

    @property
    def id(self) -> str:
        """Of what it is, not of who asked for it: the same search asked again is the same one."""
        what = [self.proposer, dict(self.settings), self.seed, self.partitions, sorted(self.configurations)]
        drawn = [one.model_dump() | {"configurations": sorted(one.configurations)} for one in self.distributions]
        return short_hash([*what, drawn] if drawn else what)


class Allowance(Record):
    """At most so many repeats and epochs of each of these configurations."""

    configurations: tuple[Identity, ...]
    repeats: int = Field(ge=1, le=MOST)
    epochs: Epochs


class Budget(Record):
    """`searches/<id>/budget-<n>.toml`: how much a search may train; a later one takes the place of the one before."""

    number: int = Field(ge=1)
    allowances: tuple[Allowance, ...]
    """Every configuration of the search in one of them; what is suggested has that of the one it is made from."""
    suggestions: int | None = Field(default=None, ge=1, le=MOST)
    """At most so many configurations that a sampler suggests."""
    hours: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Of training, of all drivers together: once they are spent nothing more is begun or decided."""
    command: str = ""
    who: str = ""
    created: str = ""

    @model_validator(mode="after")
    def _bounded(self) -> Budget:
        _check_count(sum(len(one.configurations) * one.repeats for one in self.allowances))
        return self

    def of_each(self) -> dict[str, tuple[int, int]]:
        """Configuration → (repeats, epochs)."""
        return {name: (one.repeats, one.epochs) for one in self.allowances for name in one.configurations}


def allowances(each: Mapping[str, tuple[int, int]]) -> tuple[Allowance, ...]:
    """From configuration → (repeats, epochs), those that are alike together."""
    alike: dict[tuple[int, int], list[str]] = {}
    for name, most in each.items():
        alike.setdefault(most, []).append(name)
    return tuple(Allowance(configurations=tuple(names), repeats=r, epochs=e) for (r, e), names in alike.items())


class Ask(Record):
    """So many epochs of each of these repeats of each of these configurations."""

    partition: Identity
    configurations: tuple[Identity, ...]
    repeats: tuple[RepeatNumber, ...]
    epochs: Epochs

    @property
    def count(self) -> int:
        """Of its lanes."""
        return len(self.configurations) * len(self.repeats)

    def lanes(self) -> Iterator[LaneKey]:
        for configuration in self.configurations:
            for repeat in self.repeats:
                yield LaneKey(self.partition, configuration, repeat)


class Stack(Record):
    """How a part of what was asked is trained: together from `start` on, or each lane in its turn."""

    partition: Identity
    configurations: tuple[Identity, ...]
    repeats: tuple[RepeatNumber, ...]
    start: Epochs
    epochs: Epochs
    in_turn: bool = False

    def segments(self) -> tuple[Segment, ...]:
        whole = Segment(self.partition, self.configurations, self.repeats, self.start, self.epochs)
        return whole.in_turn() if self.in_turn else (whole,)


class Suggestion(Record):
    """A configuration that a sampler made from one of the search's, with other values of what has a distribution."""

    configuration: Identity
    base: Identity


class News(Record):
    """Results that a decision saw and the one before had not: of one configuration, sorted by repeat."""

    partition: Identity
    configuration: Identity
    epochs: Epochs
    """Asked of them."""
    repeats: tuple[RepeatNumber, ...]
    states: tuple[str, ...]
    """How each ended, see `RepeatState`."""
    values: tuple[float, ...]
    """What selection compares, at the selected epoch of each: larger is better. A repeat that diverged counts with that
    of epoch 0."""
    goals: tuple[float, ...] = ()
    """Where the search has a second goal: larger is better, NaN where it is not known."""
    digests: tuple[str, ...]
    """Of each final record's bytes: the first 16 hexadecimal digits of their SHA-256."""
    longer: tuple[str, ...] = ()
    """Names of the final records, where these are of more epochs than were asked, of which the first count alone."""


class Narrowing(Record):
    """A search went on with `left` of `of` configurations, by what it saw of the first so many blocks of each; with all
    of them after a sampler, which had chosen them by these.

    A block is one repeat on one partition: with k partitions block i is repeat i // k on partition i mod k.
    """

    by: Literal["sampler", "rung", "screen", "race"]
    of: int = Field(ge=1)
    left: int = Field(ge=1)
    blocks: int = Field(ge=1)


class Decision(Record):
    """`searches/<id>/<k>.toml`: one answer of a proposer, and everything that it follows from."""

    number: int = Field(ge=1)
    budget: int
    """Number of the budget that it answers."""
    reason: str
    asks: tuple[Ask, ...]
    suggestions: tuple[Suggestion, ...] = ()
    """That it tries from now on, those of the search's own configurations too; none of a proposer that samples none."""
    stacks: tuple[Stack, ...]
    """What of it nobody had asked for before, in the order in which it is trained."""
    news: tuple[News, ...] = ()
    """In order of partition, configuration and epochs."""
    stopped: tuple[Identity, ...] = ()
    """Configurations of which this search asks no more, by this decision and all before it: their final scores are not
    known. A later budget, or another search, may go on with them."""
    narrowed: tuple[Narrowing, ...] = ()
    """How the others came to be left, by this decision and all before it, in order."""
    pending: tuple[Ask, ...] = ()
    """What this search asked for before and has no result yet."""
    spent_epochs: int = 0
    """Epochs of all results told so far, these included."""
    workers: int = 1
    """How many trials there was room for."""
    device: str = ""
    """Kind of device that it was divided for."""
    versions: Mapping[str, str] = Field(default_factory=dict)
    created: str = ""
    who: str = ""

    @model_validator(mode="after")
    def _bounded(self) -> Decision:
        for several in (self.asks, self.pending, self.stacks):
            _check_count(sum(len(one.configurations) * len(one.repeats) for one in several))
        return self

    def segments(self) -> tuple[Segment, ...]:
        return tuple(segment for stack in self.stacks for segment in stack.segments())


class Told(NamedTuple):
    """One result as proposers know it."""

    lane: LaneKey
    epochs: int
    state: str
    value: float
    goal: float = math.nan


def told(several: Iterable[News]) -> list[Told]:
    """Every result that is cited, in order."""
    return [
        Told(LaneKey(one.partition, one.configuration, repeat), one.epochs, state, value, goal)
        for one in several
        for repeat, state, value, goal in zip(
            one.repeats, one.states, one.values, one.goals or (math.nan,) * len(one.repeats), strict=True
        )
    ]


def bases_of(decisions: Iterable[Decision]) -> dict[str, str]:
    """Of each suggested configuration the one that it was made from, in the order in which they were suggested."""
    return {one.configuration: one.base for decision in decisions for one in decision.suggestions}


def asks_of(lanes: Iterable[tuple[LaneKey, int]]) -> tuple[Ask, ...]:
    """Lanes with the epochs asked of each as few asks; configurations in the order in which they come."""
    repeats: dict[tuple[str, int, str], list[int]] = {}
    for lane, epochs in lanes:
        repeats.setdefault((lane.partition, epochs, lane.configuration), []).append(lane.repeat)
    alike: dict[tuple[str, int, tuple[int, ...]], list[str]] = {}
    for (partition, epochs, configuration), numbers in repeats.items():
        alike.setdefault((partition, epochs, tuple(sorted(numbers))), []).append(configuration)
    return tuple(
        Ask(partition=partition, configurations=tuple(names), repeats=numbers, epochs=epochs)
        for (partition, epochs, numbers), names in alike.items()
    )


def asked_of_lanes(decisions: Iterable[Decision]) -> dict[LaneKey, int]:
    """Epochs asked of each."""
    asked: dict[LaneKey, int] = {}
    for decision in decisions:
        for ask in decision.asks:
            for lane in ask.lanes():
                asked[lane] = max(ask.epochs, asked.get(lane, 0))
    return asked


def _check_count(repeats: int) -> None:
    if repeats > MOST_REPEATS:
        raise ValueError(f"expected at most {MOST_REPEATS:,} repeats in all, found {repeats:,}")


def search_folder(search: str) -> str:
    return f"{SEARCHES}/{search}"


def search_file(search: str) -> str:
    return f"{SEARCHES}/{search}/search.toml"


def budget_file(search: str, number: int) -> str:
    return f"{SEARCHES}/{search}/budget-{number}.toml"


def decision_file(search: str, number: int) -> str:
    return f"{SEARCHES}/{search}/{number}.toml"


def parse_decision(name: str) -> int | None:
    match = _DECISION.fullmatch(name)
    return int(match[1]) if match else None


def parse_budget(name: str) -> int | None:
    match = _BUDGET.fullmatch(name)
    return int(match[1]) if match else None

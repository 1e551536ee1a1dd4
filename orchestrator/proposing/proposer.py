"""The contract of a proposer: what it sees, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

from orchestrator.store.errors import InputError
from orchestrator.store.searches import Ask, Budget, Decision, Narrowing, SearchRecord, Told, asked_of_lanes, bases_of
from orchestrator.store.segments import LaneKey
from search_spaces.configuration import Configuration
from search_spaces.proposers import PROPOSERS


def _unknown(name: str) -> Configuration:
    raise KeyError(name)


@dataclass(frozen=True)
class View:
    """All that a proposer may know; equal views give equal proposals.

    results: everything told so far, in the order in which decisions cite it; of a lane that went on it has several.
    pending: what the search asked for and has no result yet. workers: how many trials there is room for. configuration:
    reads one by its id.
    """

    search: SearchRecord
    budget: Budget
    decisions: Sequence[Decision]
    results: Sequence[Told]
    pending: Sequence[Ask]
    workers: int
    configuration: Callable[[str], Configuration] = _unknown

    @cached_property
    def most(self) -> dict[str, tuple[int, int]]:
        """Configuration → (repeats, epochs) that the budget allows, of what was suggested too."""
        each = self.budget.of_each()
        return {**each, **{name: each[base] for name, base in bases_of(self.decisions).items()}}

    @cached_property
    def asked(self) -> dict[LaneKey, int]:
        """Epochs asked of each lane by this search."""
        return asked_of_lanes(self.decisions)

    @property
    def is_budget_new(self) -> bool:
        """Whether no decision has answered it yet."""
        return not self.decisions or self.decisions[-1].budget != self.budget.number


class Suggested(NamedTuple):
    """A configuration to try, made from one of the search's (its id) by other values of what has a distribution."""

    configuration: Configuration
    base: str


@dataclass(frozen=True)
class Proposal:
    """One answer. reason: a sentence for the reader of `orch decisions`. stopped: configurations that will be asked no
    more of, by this answer and all before it. narrowed: how the others came to be left; without it they are said to be
    those that went on. suggested: configurations that are tried from now on."""

    asks: tuple[Ask, ...]
    reason: str
    stopped: tuple[str, ...] = ()
    narrowed: tuple[Narrowing, ...] = ()
    suggested: tuple[Suggested, ...] = ()


class Proposer(Protocol):
    """Says what to train next. Remembers nothing: it is made anew for every answer, from the search alone."""

    listens: ClassVar[bool]
    """Whether it waits for results; else it is asked once for each budget."""

    def __init__(self, search: SearchRecord) -> None:
        """Raises InputError for settings that it does not know."""

    def propose(self, view: View) -> Proposal | None:
        """What else to train, within the budget; None where it has nothing to say before there are more results.

        With nothing pending None is the end of the search, until its budget is raised.
        """


def check_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Raise InputError where a proposer does not take these settings."""
    proposer_of(SearchRecord(proposer=name, settings=settings, partitions=(), configurations=()))


def refuse_distributions(search: SearchRecord) -> None:
    """Raise InputError where there are some: of a proposer that tries every configuration."""
    if search.distributions:
        told = ", ".join(dict.fromkeys(one.path for one in search.distributions))
        raise InputError(
            f"{told}: expected lists of values where every configuration is tried, found a distribution",
            "Have a sampler draw from it: --sampler auto",
        )


def written_out(name: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings as the record of a search has them: with those defaults that say what the search promises.

    A proposer that has such defaults has a static method `written` from settings to settings.
    """
    written: Callable[[Mapping[str, Any]], Mapping[str, Any]] = getattr(PROPOSERS.load(name), "written", dict)
    return written(settings)


def proposer_of(search: SearchRecord) -> Proposer:
    """The one that a search names. Raises InputError where this version does not know it."""
    if search.proposer not in PROPOSERS.names:
        raise InputError(
            f"search {search.id} is by the proposer {search.proposer!r}: expected {' or '.join(PROPOSERS.names)}",
            "Go on with the version of orch that began it.",
        )
    kind: type[Proposer] = PROPOSERS.load(search.proposer)
    return kind(search)

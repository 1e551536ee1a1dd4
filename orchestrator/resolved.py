"""A search that is resolved: what its decisions and those that are due ask for, and what of it is owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from orchestrator.proposing.deciding import Deciding, Machine, spent_hours
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.searches import Decision, asked_of_lanes
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import Storage
from orchestrator.study.asked import Asked
from orchestrator.study.owed import Chain, owed, serving
from orchestrator.study.preparation import Prepared
from orchestrator.study.studies import Study
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from trainables.bundles.work import Finals
from trainables.bundles.workbench import Workbench, open_bench
from trainables.machine.places import Places

KEPT_BYTES = 1e9
"""What end states may take in a study by default."""
NOBODY = Machine(1, "", lambda wanted: [])
"""Divides nothing: for what is asked, whoever trains it."""


@dataclass(frozen=True)
class Search:
    """A search that is resolved but not run: what `plan` describes and `run` trains. It may be several of a study.

    decided: what the study holds, or, of a plan, what it would hold. searches: ids of those that are run.
    ahead: decisions that are due and not made yet, undivided. only: see `Job`.
    """

    prepared: Prepared
    asked: Asked
    decided: Decided
    searches: tuple[str, ...]
    ahead: tuple[Decision, ...]
    places: Places
    only: frozenset[Segment] | None = None

    @property
    def study(self) -> Study:
        return self.prepared.study

    @cached_property
    def epochs(self) -> dict[ConfigurationKey, dict[int, int]]:
        """Epochs that these searches ask of each repeat, by decisions so far and by those that are due."""
        asked = {key: dict(epochs) for key, epochs in self.decided.asked(self.searches).items() if self._is_mine(key)}
        for lane, epochs in asked_of_lanes(self.ahead).items():
            of = asked.setdefault(ConfigurationKey(lane.partition, lane.configuration), {})
            of[lane.repeat] = max(epochs, of.get(lane.repeat, 0))
        return {key: asked[key] for key in self.keys if key in asked}

    @cached_property
    def keys(self) -> tuple[ConfigurationKey, ...]:
        """Everything that may be trained, partition by partition, in the order of the space."""
        searches = [self.decided.searches[name] for name in self.searches]
        suggested = [one.configuration for decision in self.ahead for one in decision.suggestions]
        keys = (
            ConfigurationKey(p, name)
            for search in searches
            for p in search.partitions
            for name in (*self.decided.bases(search.id), *suggested)
        )
        return tuple(dict.fromkeys(key for key in keys if self._is_mine(key)))

    def _is_mine(self, key: ConfigurationKey) -> bool:
        return key.configuration in self.asked.configurations

    def owed_lanes(self) -> list[LaneKey]:
        """Lanes that are asked for and lack a result, partition by partition."""
        asked = {LaneKey(*key, repeat): n for key, epochs in self.epochs.items() for repeat, n in epochs.items()}
        finals = Finals(self.study.storage)
        finals.look(lane.bundle for lane in asked)
        return [lane for lane, epochs in asked.items() if not finals.are_enough(lane, epochs)]

    def segments(self, machine: Machine) -> list[Segment]:
        """What is to be trained: what decisions have divided, then what those that are due would be divided into."""
        decided = serving(self.decided, self.searches, frozenset(self.keys))
        chain = Chain()
        chain.add(self.decided.segments())
        segments = owed(self.study.storage, chain.with_all_before(decided))
        for decision in due(
            self.study.storage, self.decided, self.searches, machine, self.asked.configurations
        ).decisions:
            segments += decision.segments()
        return list(dict.fromkeys(segments))

    @property
    def has_work(self) -> bool:
        """Whether a cluster is needed."""
        owes = bool(self.owed_lanes() if self.only is None else self.only)
        return owes and len(self.spent()) < len(self.searches)

    def spent(self) -> list[str]:
        """Of each search whose hours are used up, a sentence on how to go on."""
        sentences, reader = [], NewsReader(self.study.storage)
        for search in self.searches:
            budget = self.decided.budget(search)
            spent = spent_hours(budget, reader, self.decided.decisions[search])
            if budget is not None and budget.hours is not None and spent is not None:
                sentences.append(
                    f"The budget of {budget.hours:g} h of training is used up ({spent:.2f} h). "
                    f"To train the rest, give a larger one: --budget {2 * budget.hours:g}gpuh"
                )
        return sentences

    def now(self) -> Search:
        """With what was decided meanwhile; what is known stays known, whatever a listing shows."""
        self.decided.read()
        now = searched(self.prepared, self.asked, self.decided, self.searches, self.places)
        return replace(now, only=self.only)

    def settled(self) -> Search:
        """With all decisions written that are due and for which nothing is to be trained."""
        search, storage = self, self.study.storage
        while search.ahead and not search.owed_lanes():
            for name in search.searches:
                Deciding(storage, search.decided, name, NewsReader(storage), NOBODY).decide()
            search = search.now()
        return search

    def bench(self) -> Workbench:
        """A workbench of the driver, for the device that trials will have: it decides, it does not train."""
        bench = open_bench(self.study.storage, self.places)
        bench.remember(self.asked.configurations.values(), self.study.partitions)
        return bench


def searched(prepared: Prepared, asked: Asked, decided: Decided, searches: tuple[str, ...], places: Places) -> Search:
    """With what is due to be decided, as far as it can be said without dividing it."""
    storage = prepared.study.storage
    ahead = due(storage, decided, searches, NOBODY, asked.configurations)
    bases = decided.bases(*searches)
    suggested = {
        name: read_configuration(storage, name)
        for name, base in bases.items()
        if name != base and base in asked.configurations
    }
    asked = replace(asked, configurations={**asked.configurations, **suggested, **ahead.suggested})
    return Search(prepared, asked, decided, searches, ahead.decisions, places)


class Due(NamedTuple):
    decisions: tuple[Decision, ...]
    suggested: Mapping[str, Configuration]
    """By them; not stored yet."""


def due(
    storage: Storage,
    decided: Decided,
    searches: Iterable[str],
    machine: Machine,
    known: Mapping[str, Configuration],
) -> Due:
    """What proposers say now and nobody has written yet. known: configurations that need not be stored."""
    reader = NewsReader(storage)
    deciding = [Deciding(storage, decided, search, reader, machine, known) for search in searches]
    decisions = [one.next() for one in deciding]
    suggested = {name: c for one in deciding for name, c in one.suggested.items()}
    return Due(tuple(decision for decision in decisions if decision is not None), suggested)

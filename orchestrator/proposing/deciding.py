"""From a proposer's answer to a decision on disk: what is new since the one before, and how the work is divided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.proposing.proposer import Proposal, View, proposer_of
from orchestrator.proposing.sharing import shared_out
from orchestrator.results.comparing import compared_by_valid
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.store import layout
from orchestrator.store.errors import OrchError
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import (
    Ask,
    Budget,
    Decision,
    News,
    Stack,
    Suggestion,
    Told,
    asked_of_lanes,
    asks_of,
    decision_file,
    told,
)
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import Storage
from orchestrator.study.studies import now, versions, who
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from trainables.bundles.work import Finals

Divide = Callable[[Sequence[Segment]], list[Stack]]
"""Segments of one configuration each → how they are trained, in order."""


@dataclass(frozen=True)
class Machine:
    """What a division follows from: how many trials there is room for, on which kind of device."""

    workers: int
    device: str
    divide: Divide
    remember: Callable[[Iterable[Configuration]], None] = lambda suggested: None
    """Told of configurations that are not stored yet, before their segments are divided."""


class Deciding:
    """The decisions of one search: what the next one would be, and writing it. `decided` is of the whole study."""

    def __init__(
        self,
        storage: Storage,
        decided: Decided,
        search: str,
        reader: NewsReader,
        machine: Machine,
        known: Mapping[str, Configuration] | None = None,
    ) -> None:
        """known: configurations by id that need not be read."""
        self.storage = storage
        self.decided = decided
        self.search = search
        self.reader = reader
        self.machine = machine
        self.known = known or {}
        self.suggested: dict[str, Configuration] = {}
        """By `next`, whether or not they are stored."""
        self._has_decided = False
        """Here, just now: there may be more to say before there is news, such as the next rung beside its checks."""

    def next(self) -> Decision | None:
        """What the proposer says now, as the decision that it would be; None where it has nothing to say."""
        search, budget = self.decided.searches[self.search], self.decided.budget(self.search)
        decisions = self.decided.decisions[self.search]
        proposer = proposer_of(search)
        if budget is None or (not proposer.listens and self.decided.is_answered(self.search)):
            return None
        cited = [one for decision in decisions for one in decision.news]
        asked = asked_of_lanes(decisions)
        if spent_hours(budget, self.reader, decisions) is not None:
            return None
        known = {(result.lane, result.epochs) for result in told(cited)}
        goal = str(search.settings.get("goal", ""))
        news = self.reader.news(asked, known, self._by_valid(), goal) if asked else ()
        is_same = bool(decisions) and not news and decisions[-1].budget == budget.number
        is_same &= not self.decided.has_lost(self.search)
        if is_same and not self._has_decided:
            return None
        results = told([*cited, *news])
        waiting = pending(asked, results)
        view = View(search, budget, decisions, results, waiting, self.machine.workers, self._configuration)
        proposal = proposer.propose(view)
        if proposal is None or (is_same and not _asks_more(proposal, asked)):
            return None
        self.suggested |= {one.configuration.id: one.configuration for one in proposal.suggested}
        self._check(proposal, view)
        return self._decision(view, proposal, news)

    def _configuration(self, name: str) -> Configuration:
        return self.known.get(name) or self.suggested.get(name) or read_configuration(self.storage, name)

    def decide(self) -> Decision | None:
        """`next`, written; None where there is nothing to say, or somebody else has just said it."""
        decision = self.next()
        if decision is None:
            return None
        for one in decision.suggestions:
            if one.configuration != one.base:
                content = self.suggested[one.configuration].to_toml()
                self.storage.create(layout.configuration(one.configuration), content)
        path = decision_file(self.search, decision.number)
        is_first = self.storage.create(path, decision.to_toml())
        self.decided.read([path])
        self._has_decided = is_first
        return decision if is_first else None

    def _decision(self, view: View, proposal: Proposal, news: tuple[News, ...]) -> Decision:
        self.machine.remember([one.configuration for one in proposal.suggested])
        return Decision(
            number=self.decided.last_number.get(self.search, 0) + 1,
            budget=view.budget.number,
            reason=proposal.reason,
            asks=proposal.asks,
            suggestions=suggestions_of(proposal),
            stacks=tuple(self._divided(view, proposal)),
            news=news,
            stopped=proposal.stopped,
            narrowed=proposal.narrowed,
            pending=tuple(view.pending),
            spent_epochs=spent_epochs(view.results),
            workers=self.machine.workers,
            device=self.machine.device,
            versions=versions(),
            created=now(),
            who=who(),
        )

    def _divided(self, view: View, proposal: Proposal) -> list[Stack]:
        """No core waits while another trains a stack that nothing else is asked for beside."""
        stacks = self.machine.divide(self._fresh(proposal.asks))
        is_alone = self.machine.device == "cpu" and not view.pending
        return shared_out(stacks, self.machine.workers) if is_alone else stacks

    def _by_valid(self) -> frozenset[str]:
        """Metrics by which the search's configurations are compared on valid alone."""
        return compared_by_valid(
            read_configuration(self.storage, name) for name in self.decided.searches[self.search].configurations
        )

    def _check(self, proposal: Proposal, view: View) -> None:
        """A proposer keeps to the search and its budget."""
        search, most, each = view.search, dict(view.most), view.budget.of_each()
        most |= {one.configuration: each.get(one.base, (0, 0)) for one in suggestions_of(proposal)}
        for ask in proposal.asks:
            beyond = [
                name
                for name in ask.configurations
                if name not in most or ask.epochs > most[name][1] or max(ask.repeats, default=0) >= most[name][0]
            ]
            if beyond or ask.partition not in search.partitions:
                raise OrchError(
                    f"proposer {search.proposer} asked for more than search {search.id} may train: "
                    f"{', '.join(beyond[:3]) or ask.partition}",
                    "This is a fault of the proposer. Nothing was written; what was decided before can go on.",
                )

    def _fresh(self, asks: Iterable[Ask]) -> list[Segment]:
        """What no decision of the study has asked for and no result covers, each from the epochs that were asked so
        far: of one configuration and one bundle each."""
        before = asked_of_lanes(self.decided.every())
        there = Finals(self.storage)
        there.look(lane.bundle for ask in asks for lane in ask.lanes())
        alike: dict[tuple[BundleKey, int, int], list[int]] = {}
        for ask in asks:
            for lane in ask.lanes():
                start = before.get(lane, -1)
                if start < ask.epochs and not there.are_enough(lane, ask.epochs):
                    alike.setdefault((lane.bundle, max(0, start), ask.epochs), []).append(lane.repeat)
        return [
            Segment(bundle.partition, (bundle.configuration,), tuple(sorted(repeats)), start, epochs)
            for (bundle, start, epochs), repeats in alike.items()
        ]


def spent_hours(budget: Budget | None, reader: NewsReader, decisions: Iterable[Decision]) -> float | None:
    """Hours of the results of what a search asked for, where these have used up its budget; else None."""
    if budget is None or budget.hours is None:
        return None
    hours = reader.hours(asked_of_lanes(decisions))
    return hours if hours >= budget.hours else None


def _asks_more(proposal: Proposal, asked: Mapping[LaneKey, int]) -> bool:
    return any(ask.epochs > asked.get(lane, -1) for ask in proposal.asks for lane in ask.lanes())


def suggestions_of(proposal: Proposal) -> tuple[Suggestion, ...]:
    return tuple(Suggestion(configuration=one.configuration.id, base=one.base) for one in proposal.suggested)


def pending(asked: Mapping[LaneKey, int], results: Iterable[Told]) -> tuple[Ask, ...]:
    """What of it has no result that is enough, lanes in their order."""
    several = list(results)
    most, ended = _reached(several), {one.lane for one in several if RepeatState(one.state).ended_by_itself()}
    left = [(lane, epochs) for lane, epochs in asked.items() if lane not in ended and most.get(lane, -1) < epochs]
    return asks_of(sorted(left))


def spent_epochs(results: Iterable[Told]) -> int:
    """Epochs of all lanes that have a result."""
    return sum(_reached(results).values())


def _reached(results: Iterable[Told]) -> dict[LaneKey, int]:
    """The most epochs of each lane that has a result."""
    most: dict[LaneKey, int] = {}
    for result in results:
        most[result.lane] = max(result.epochs, most.get(result.lane, 0))
    return most

"""Decisions made again from what they cite: whoever doubts one can see that nothing but that went into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from orchestrator.proposing.deciding import pending, spent_epochs, suggestions_of
from orchestrator.proposing.proposer import View, proposer_of
from orchestrator.results.decided import Decided
from orchestrator.results.finals import digest_of
from orchestrator.store.errors import OrchError
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import Decision, News, asked_of_lanes, told
from orchestrator.store.segments import LaneKey
from orchestrator.store.storage import Storage
from orchestrator.study.studies import versions
from search_spaces.stored import read_configuration

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Checked:
    """faults: in words, none where the decision is what its proposer says of what it cites. differing: packages whose
    versions are others than when it was made, "torch 2.13.0, then 2.12.1"."""

    search: str
    number: int
    faults: tuple[str, ...]
    differing: tuple[str, ...]


def check(storage: Storage, decided: Decided, progress: Progress = lambda done, total: None) -> list[Checked]:
    """Make every decision of a study again; progress(done, total) counts them."""
    total, answers = sum(map(len, decided.decisions.values())), list[Checked]()
    for search in decided.searches:
        for place, decision in enumerate(decided.decisions[search]):
            faults = (*_recomputed(storage, decided, search, place), *_cited(storage, decision))
            answers.append(Checked(search, decision.number, faults, _differing(decision)))
            progress(len(answers), total)
    return answers


def _recomputed(storage: Storage, decided: Decided, search: str, place: int) -> Iterator[str]:
    """What of a decision does not follow from the search, its budget, the decisions before and what it cites."""
    record, decisions = decided.searches[search], decided.decisions[search]
    decision, before = decisions[place], decisions[:place]
    due = before[-1].number + 1 if before else 1
    if decision.number != due:
        yield f"it should be number {due}: a decision before it is missing"
    budget = next((one for one in decided.budgets[search] if one.number == decision.budget), None)
    if budget is None:
        yield f"its budget {decision.budget} is missing"
        return
    results = told(news for one in (*before, decision) for news in one.news)
    waiting = pending(asked_of_lanes(before), results)
    view = View(record, budget, before, results, waiting, decision.workers, partial(read_configuration, storage))
    try:
        proposal = proposer_of(record).propose(view)
    except OrchError as error:
        yield str(error)
        return
    if proposal is None:
        yield f"the proposer {record.proposer} says nothing here"
    elif proposal.asks != decision.asks:
        yield f"the proposer {record.proposer} asks for something else"
    elif suggestions_of(proposal) != decision.suggestions:
        yield f"the proposer {record.proposer} suggests others"
    elif proposal.stopped != decision.stopped:
        yield f"the proposer {record.proposer} stops others"
    elif proposal.narrowed != decision.narrowed:
        yield f"the proposer {record.proposer} says otherwise how those were chosen that it goes on with"
    elif proposal.reason != decision.reason:
        yield f"the proposer {record.proposer} gives another reason: {proposal.reason}"
    if waiting != decision.pending:
        yield "what was pending is not what earlier decisions asked for without a result"
    if spent_epochs(results) != decision.spent_epochs:
        yield f"the epochs spent were {spent_epochs(results)}, not {decision.spent_epochs}"
    order = [(one.partition, one.configuration, one.epochs) for one in decision.news]
    if order != sorted(order) or any(list(one.repeats) != sorted(one.repeats) for one in decision.news):
        yield "what it cites is not sorted"
    yield from _divided(decision)


def _divided(decision: Decision) -> Iterator[str]:
    """What is trained must have been asked, and no lane twice."""
    asked = asked_of_lanes([decision])
    lanes = [(lane, segment.epochs) for segment in decision.segments() for lane in segment.lanes]
    foreign = sum(asked.get(lane) != epochs for lane, epochs in lanes)
    if foreign:
        yield f"{foreign} of the repeats that it divides were not asked for"
    if len(lanes) != len(set(lanes)):
        yield "it trains a repeat twice"


def _cited(storage: Storage, decision: Decision) -> Iterator[str]:
    """Records that are not as they were when the decision saw them."""
    gone = [path for one in decision.news for path in _changed(storage, one)]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        yield f"a record that it cites has changed or is gone: {gone[0]}{more}"


def _changed(storage: Storage, news: News) -> Iterator[str]:
    for place, (repeat, state, digest) in enumerate(zip(news.repeats, news.states, news.digests, strict=True)):
        lane = LaneKey(news.partition, news.configuration, repeat)
        path = lane.bundle.final(repeat, news.epochs, RepeatState(state))
        if news.longer:
            path = f"{path.rpartition('/')[0]}/{news.longer[place]}"
        try:
            is_same = digest_of(storage.read(path)) == digest
        except FileNotFoundError:
            is_same = False
        if not is_same:
            yield path


def _differing(decision: Decision) -> tuple[str, ...]:
    here = versions()
    return tuple(
        f"{name} {here.get(name, 'none')}, then {version}"
        for name, version in sorted(decision.versions.items())
        if here.get(name) != version
    )


def faulty(checked: Sequence[Checked]) -> list[Checked]:
    """Those that cannot be made again."""
    return [one for one in checked if one.faults]

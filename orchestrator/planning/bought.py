"""What a budget buys of a search: configurations that are not known yet, and hours of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.proposing.sampling import most_suggested
from orchestrator.resolved import Search
from orchestrator.results.names import counted
from orchestrator.results.news import NewsReader
from orchestrator.store.searches import asked_of_lanes, bases_of
from orchestrator.store.segments import Segment
from search_spaces.proposers import AT_ONCE


def budget_notes(search: Search, seconds: Mapping[Segment, float]) -> Iterator[str]:
    """seconds: of training that each segment takes which is owed."""
    for name in search.searches:
        yield from _sampler_notes(search, name)
        yield from _hours_notes(search, name, seconds)


def _sampler_notes(search: Search, name: str) -> Iterator[str]:
    """What is not known before there are results."""
    budget = search.decided.budget(name)
    most = most_suggested(search.decided.searches[name], budget) if budget is not None else None
    known = len(bases_of([*search.decided.decisions[name], *search.ahead])) if most is not None else 0
    if most is not None and known < most:
        yield (
            f"This is for {known} of up to {most} configurations: the sampler chooses the others from results. All "
            f"of them take about {most / max(1, known):.1f} times as long."
        )


def _hours_notes(search: Search, name: str, seconds: Mapping[Segment, float]) -> Iterator[str]:
    budget, record = search.decided.budget(name), search.decided.searches[name]
    if budget is None or budget.hours is None:
        return
    mine = {*record.configurations, *search.decided.bases(name)}
    mine |= {one for one, base in bases_of(search.ahead).items() if base in mine}
    here = {segment: taken for segment, taken in seconds.items() if mine.intersection(segment.configurations)}
    hours = sum(here.values()) / 3600
    spent = NewsReader(search.study.storage).hours(asked_of_lanes(search.decided.decisions[name]))
    left = budget.hours - spent
    if hours <= 0 or left <= 0:
        return
    of = f"{left:.2g} of {budget.hours:g} hours" if spent else f"{budget.hours:g} hours"
    if left < hours:
        repeats = sum(len(segment.configurations) * len(segment.repeats) for segment in here)
        yield (
            f"The budget of {of} of training is enough for about {left / hours:.0%} of this: some "
            f"{left / hours * repeats:.0f} of {counted(repeats, 'repeat')}, in the order of the search. All of it "
            f"takes about {hours:.2g} hours of training."
        )
    else:
        yield (
            f"The budget of {of} of training is enough for {left / hours:.1f} times as much"
            + (", so also for what the results will decide." if record.proposer not in AT_ONCE else ".")
        )

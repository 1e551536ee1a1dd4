"""Where searches that decide what to train next stand, in a line, for whoever watches one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.proposing.sampling import most_suggested
from orchestrator.store.searches import Budget, Decision, SearchRecord, bases_of
from search_spaces.proposers import AT_ONCE


def standing(
    searches: Iterable[SearchRecord],
    budgets: Mapping[str, Sequence[Budget]],
    decisions: Mapping[str, Sequence[Decision]],
    hours: Mapping[str, float] | None = None,
) -> str:
    """What the last of them said last, how much it has tried, stopped and spent: "race, look 2: 12 repeats of 5
    configurations, on this partition; 11 stopped; 0.40 of 2 h spent". "" where none decides by results.

    budgets, decisions: by id of their search. hours: of training by now, of those that have a limit.
    """
    for search in reversed([one for one in searches if one.proposer not in AT_ONCE]):
        said, allowed = decisions.get(search.id, ()), budgets.get(search.id, ())
        if not said or not allowed:
            continue
        most, limit = most_suggested(search, allowed[-1]), allowed[-1].hours
        spent = (hours or {}).get(search.id)
        parts = [
            said[-1].reason,
            f"{len(bases_of(said))} of up to {most} configurations tried" if most is not None else "",
            f"{len(said[-1].stopped)} stopped" if said[-1].stopped else "",
            f"{spent:.2f} of {limit:g} h spent" if limit is not None and spent is not None else "",
        ]
        return "; ".join(part for part in parts if part)
    return ""

"""What a search that chooses by results lets be said of those that it left: by which repeats, and among whom.

A screen keeps the best of a few blocks, so these blocks flatter whom it kept: survivors are compared on later ones. And
whatever stops configurations says nothing of those: all that is said is among the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.decided import Asked, Decided
from orchestrator.results.names import counted
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.searches import Narrowing, SearchRecord
from search_spaces.proposers import AT_ONCE


class Left(NamedTuple):
    """How a configuration came to be left. first: number of its first repeat that had no part in a screening."""

    narrowed: tuple[Narrowing, ...]
    first: int


def asked_at_once(decided: Decided, asked: Mapping[ConfigurationKey, Asked]) -> frozenset[ConfigurationKey]:
    """Those of which all was asked by searches that ask for everything at once, whatever comes of it."""
    of_grids = decided.asked([name for name, one in decided.searches.items() if one.proposer in AT_ONCE])
    return frozenset(key for key, epochs in asked.items() if of_grids.get(key) == epochs)


def left_by_search(decided: Decided, at_once: Collection[ConfigurationKey]) -> dict[ConfigurationKey, Left]:
    """Of each that its search went on with when it stopped others, or that a race looked at; not of those that were
    asked for at once."""
    left: dict[ConfigurationKey, Left] = {}
    for search in decided.searches.values():
        decisions = decided.decisions[search.id]
        narrowed = decisions[-1].narrowed if decisions else ()
        if not any(one.left < one.of or one.by == "race" for one in narrowed):
            continue
        going = decided.going(search.id)
        keys = [ConfigurationKey(partition, name) for partition in search.partitions for name in going]
        left |= {key: Left(narrowed, _first(search, narrowed, key.partition)) for key in keys if key not in at_once}
    return left


def _first(search: SearchRecord, narrowed: Sequence[Narrowing], partition: str) -> int:
    """Blocks that rungs before a screen ranked by are gone with it."""
    if not any(one.by == "screen" and one.left < one.of for one in narrowed):
        return 0
    place, every = search.partitions.index(partition), len(search.partitions)
    return max(0, -(-(max(one.blocks for one in narrowed) - place) // every))


def chosen_by_results(members: Iterable[ConfigurationSummary]) -> bool:
    """Whether what there is of any of these hangs on results: then no figure is corrected for the choosing."""
    return any(not member.is_asked_at_once for member in members)


def first_counting(members: Iterable[ConfigurationSummary]) -> int:
    """Number of the first repeat by which these are compared: none before it, where it had a part in a screening."""
    return max((min(member.with_result) for member in members if member.screened and member.n), default=0)


def raced(members: Sequence[ConfigurationSummary]) -> tuple[Narrowing, ...]:
    """The looks of the one race that left all of these; () where they came otherwise, or from several searches."""
    kinds = {member.narrowed for member in members}
    return tuple(one for one in next(iter(kinds)) if one.by == "race") if len(kinds) == 1 else ()


def no_correction(study: str) -> str:
    """Why no figure is corrected for the choosing, and what there is in its place."""
    return (
        "results decided what was trained, and a correction among those that remain would leave about half of the "
        f"optimism; orch evaluate {study} --nested 5 estimates what the whole search is worth on new groups"
    )


def among_words(members: Sequence[ConfigurationSummary]) -> str:
    """Of ranked ones what a choice is among: "6 configurations", "the 8 kept by screening", "2 of the 3 that reached
    the last rung" where these are not all of them."""
    if not any(member.narrowed for member in members):
        return counted(len(members), "configuration")
    kinds = {member.narrowed for member in members}
    if len(kinds) > 1:
        return f"the {len(members)} that searches continued with"
    (narrowed,) = kinds
    by = {one.by: one for one in narrowed}
    last = narrowed[-1]
    of = f", of {by['rung'].left} that reached the last rung" if "rung" in by and last.by != "rung" else ""
    some = f"{len(members)} of " if len(members) != last.left else ""
    match last.by:
        case "rung":
            return f"{some}the {last.left} that reached the last rung"
        case "screen":
            return f"{some}the {last.left} kept by screening{of}"
        case "race":
            raced = next(one for one in narrowed if one.by == "race")
            return f"{some}the {last.left} that the race kept of {raced.of}{of and ' that reached the last rung'}"
        case "sampler":
            return f"{some}the {last.left} that the sampler tried"


def selected_of(members: Sequence[ConfigurationSummary]) -> str:
    """ "of 6 configurations", or "among the 8 kept by screening"."""
    return f"{'among' if any(member.narrowed for member in members) else 'of'} {among_words(members)}"


def went_on(members: Sequence[ConfigurationSummary]) -> str:
    """Of ranked ones, where others were stopped: as `among_words`, or "the 3 that went on"."""
    is_told = any(member.narrowed for member in members)
    return among_words(members) if is_told else f"the {len(members)} that went on"


def compared_words(members: Sequence[ConfigurationSummary]) -> str:
    """On which repeats survivors of a screening are compared; "" where nothing was screened."""
    screened = max((member.screened for member in members), default=0)
    if not screened:
        return ""
    first = "the first one" if screened == 1 else f"the first {screened}"
    return (
        f"Everything here rests on repeats made after the screening; {first} of each configuration decided which were "
        "kept, and count in no mean, difference or rank."
    )

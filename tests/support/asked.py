"""Writes into a study what a search asks for, as `orch search` leaves it: a search, its budget, its first decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orchestrator.store.schema import BUNDLE_SIZE, parse_toml
from orchestrator.store.searches import (
    Ask,
    Budget,
    Decision,
    SearchRecord,
    Stack,
    allowances,
    budget_file,
    decision_file,
    search_file,
)
from orchestrator.store.segments import Segment
from orchestrator.store.storage import Storage


class Item(NamedTuple):
    """So many repeats and epochs of a configuration."""

    configuration: str
    repeats: int
    epochs: int


def ask(
    storage: Storage,
    partitions: Sequence[str],
    items: Iterable[Item],
    *,
    in_turn: bool = False,
    **about: object,
) -> SearchRecord:
    """Each item on each partition; ten repeats of a configuration are a segment, or each by itself with in_turn.

    about: other fields of the search, such as command, who, created. Asked again with more, it is a further decision.
    """
    wanted = list(items)
    search = SearchRecord(
        proposer="grid",
        partitions=tuple(partitions),
        configurations=tuple(item.configuration for item in wanted),
        **about,  # type: ignore[arg-type]
    )
    storage.create(search_file(search.id), search.to_toml())
    number = 1
    most = {item.configuration: (item.repeats, item.epochs) for item in wanted}
    while not storage.create(
        budget_file(search.id, number), Budget(number=number, allowances=allowances(most)).to_toml()
    ):
        number += 1
    asks, stacks = [], []
    for partition in partitions:
        for item in wanted:
            asks.append(
                Ask(
                    partition=partition,
                    configurations=(item.configuration,),
                    repeats=tuple(range(item.repeats)),
                    epochs=item.epochs,
                )
            )
            for first in range(0, item.repeats, BUNDLE_SIZE):
                repeats = tuple(range(first, min(first + BUNDLE_SIZE, item.repeats)))
                stacks.append(
                    Stack(
                        partition=partition,
                        configurations=(item.configuration,),
                        repeats=repeats,
                        start=0,
                        epochs=item.epochs,
                        in_turn=in_turn,
                    )
                )
    decision = Decision(number=number, budget=number, reason="the whole grid", asks=tuple(asks), stacks=tuple(stacks))
    storage.create(decision_file(search.id, number), decision.to_toml())
    return search


def segments_of(storage: Storage, search: SearchRecord, number: int = 1) -> tuple[Segment, ...]:
    """Of one of its decisions, in order."""
    path = decision_file(search.id, number)
    return parse_toml(Decision, storage.read(path), path).segments()

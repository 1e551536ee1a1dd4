"""The grid: everything that may be tried, said once for each budget."""

from __future__ import annotations

from orchestrator.proposing.proposer import Proposal, View, refuse_distributions
from orchestrator.store.errors import InputError
from orchestrator.store.searches import SearchRecord, asks_of
from orchestrator.store.segments import LaneKey


class Grid:
    listens = False

    def __init__(self, search: SearchRecord) -> None:
        if search.settings:
            raise InputError(
                f"proposer grid: expected no settings, found {', '.join(sorted(search.settings))}",
                "Remove them from the table [search] of the study's file.",
            )
        refuse_distributions(search)

    def propose(self, view: View) -> Proposal | None:
        most = view.most
        wanted = [
            (LaneKey(partition, name, repeat), most[name][1])
            for partition in view.search.partitions
            for name in view.search.configurations
            for repeat in range(most[name][0])
        ]
        missing = [(lane, epochs) for lane, epochs in wanted if epochs > view.asked.get(lane, -1)]
        if not missing and not view.is_budget_new:
            return None
        return Proposal(asks_of(missing), "the whole grid" if not view.decisions else "more of the whole grid")

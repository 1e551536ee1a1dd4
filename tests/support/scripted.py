"""A proposer that follows a script: what the study's file says, one step after the other, each once all is told."""

from __future__ import annotations

from typing import Any

from orchestrator.proposing.proposer import Proposal, View
from orchestrator.store.searches import Ask, SearchRecord
from search_spaces.proposers import PROPOSERS
from search_spaces.settings.choice import Variant

SCRIPTED = Variant("scripted", f"{__name__}:Scripted", "What a list says, step by step.")


def register() -> None:
    """As an entry in `search_spaces/proposers.py` would."""
    PROPOSERS.variants[SCRIPTED.name] = SCRIPTED


class Scripted:
    listens = True

    def __init__(self, search: SearchRecord) -> None:
        self.steps: list[dict[str, Any]] = search.settings["steps"]

    def propose(self, view: View) -> Proposal | None:
        number = len(view.decisions)
        if view.pending or number >= len(self.steps):
            return None
        step = self.steps[number]
        names = tuple(view.search.configurations[place] for place in step["configurations"])
        best = max((result.value for result in view.results), default=0.0)
        ask = Ask(
            partition=view.search.partitions[0],
            configurations=names,
            repeats=tuple(step["repeats"]),
            epochs=step["epochs"],
        )
        return Proposal((ask,), f"step {number + 1} of {len(self.steps)}; the best so far is {best:.3f}")

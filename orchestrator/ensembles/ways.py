"""The ways to combine members and to weigh them, by name; a new one is a file or a function, and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search_spaces.settings.choice import imported


@dataclass(frozen=True)
class Way:
    """target: dotted path of what runs, imported where it runs. words: as a reader meets it."""

    name: str
    target: str
    words: str

    def load(self) -> Any:
        return imported(self.target)


_COMBINING = "orchestrator.ensembles.combining"
_WEIGHING = "orchestrator.ensembles.weighing"

COMBININGS = {
    way.name: way
    for way in (
        Way("probabilities", f"{_COMBINING}:PROBABILITIES", "mean of probabilities"),
        Way("logits", f"{_COMBINING}:LOGITS", "mean of logits"),
        Way("votes", f"{_COMBINING}:VOTES", "share of votes"),
    )
}
"""Each is a `combining.Combining`."""

WEIGHINGS = {
    way.name: way
    for way in (
        Way("greedy", f"{_WEIGHING}.greedy:greedy", "greedy selection with replacement"),
        Way("equal", f"{_WEIGHING}.equal:equal", "equal weights"),
        Way("grid", f"{_WEIGHING}.grid:grid", "all weights in steps of 0.05"),
        Way("genetic", f"{_WEIGHING}.genetic:genetic", "a genetic algorithm in steps of 0.05"),
        Way("loss", f"{_WEIGHING}.least_loss:least_loss", "least log loss"),
    )
}
"""Each is a function of a `problem.Problem` that returns weights, float64 [members], none negative, of sum 1."""

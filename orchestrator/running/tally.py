"""What the driver of a search saw so far; the study's files are the truth, this is for the display."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.running.pace import Pace


@dataclass
class Tally:
    """Counts of repeats whose segments ended, and epochs that trials told of while they ran."""

    finished: int = 0
    failed: int = 0
    running: dict[str, int] = field(default_factory=dict)
    """Epochs of all repeats trained so far by each trial, by its first segment."""
    epochs: int = 0
    """Epochs of all repeats trained by trials that ended."""
    pace: Pace = field(default_factory=Pace)

    @property
    def has_trained(self) -> bool:
        return bool(self.epochs or any(self.running.values()))

    def epochs_per_second(self) -> float:
        """Of about the last minute; NaN before anything was trained."""
        return self.pace.per_second(self.epochs + sum(self.running.values()))

    def ended(self, trial: str) -> None:
        """The epochs of a trial that runs no more stay counted."""
        self.epochs += self.running.pop(trial, 0)

"""The same trainings scored at other epochs than the selected ones, to show what choosing epochs is worth.

The largest of many noisy values grows with their number, so picking each repeat's best epoch favours long trainings.
Beside it stand two scores that do not: at the last epoch, and at one epoch for all repeats, where their mean curve is
best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.flat_scores import FlatScores
from orchestrator.results.statistic import Statistic
from orchestrator.results.summary import Summary
from orchestrator.store.schema import Metric


@dataclass(frozen=True)
class EpochChoices:
    """Validation scores over a configuration's repeats; a diverged one counts with epoch 0 in each of them, one
    that stopped early with its last."""

    by_rule: Statistic
    """At each repeat's own selected epoch."""
    at_last: Statistic
    at_mean_best: Statistic
    last_epoch: int
    mean_best_epoch: int


def epoch_choices(summary: Summary, member: ConfigurationSummary, metric: Metric) -> EpochChoices | None:
    """Of a member of the summary; None where it has no result."""
    return EpochScores(summary).choices(member, metric)


class EpochScores:
    """Scores of all epochs of a study, computed once for several configurations."""

    def __init__(self, summary: Summary) -> None:
        self._flat = FlatScores(summary.repeats, summary.study.task)
        table = summary.repeats.table
        self._row: dict[tuple[str, str], int] = {}
        for row, key in enumerate(zip(table["partition"].tolist(), table["configuration"].tolist(), strict=True)):
            self._row.setdefault(key, row)
        self._valid = summary.splits.index("valid")

    def choices(self, member: ConfigurationSummary, metric: Metric) -> EpochChoices | None:
        first, by_rule = self._row.get((member.partition, member.id)), member.score(metric, "valid")
        if first is None or by_rule is None:
            return None
        rows = slice(first + member.screened, first + member.screened + member.n)
        start, diverged = self._flat.repeats.start[rows], self._flat.diverged[rows]
        settings = member.configuration
        looked_at = self._flat.selection(settings.selection.metric, settings.selects_by_valid_alone)
        trained = self._flat.trained[rows]
        along = start[~diverged][:, None] + np.minimum(np.arange(member.epochs + 1), trained[~diverged][:, None])
        last = best = 0
        if len(along):
            last, best = member.epochs, int(np.argmax(looked_at[along].mean(axis=0)))
        values = self._flat.metrics[metric][:, self._valid]
        at = [Statistic.of(values[start + np.where(diverged, 0, np.minimum(epoch, trained))]) for epoch in (last, best)]
        return EpochChoices(by_rule, at[0], at[1], last, best)

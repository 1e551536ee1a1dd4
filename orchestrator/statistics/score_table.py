"""Scores of a study's ranked configurations, repeat by repeat: what every comparison starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.narrowed import first_counting, raced
from orchestrator.results.summary import Summary
from orchestrator.statistics.confidence_set import ConfidenceSet, confidence_set
from orchestrator.statistics.looks import LOOKS
from orchestrator.store.schema import Metric
from trainables.learning import metrics

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreTable:
    """One partition's configurations, best mean first.

    scores: float64 [configurations, repeats], column r is repeat number r, NaN where it was not asked for, and where it
    had a part in a screening (`results.narrowed`). diverged: bool of that shape, which repeats did. metric: its unit
    and direction.
    """

    partition: str
    metric: Metric
    members: tuple[ConfigurationSummary, ...]
    scores: Floats
    diverged: NDArray[np.bool_]

    @property
    def higher_is_better(self) -> bool:
        return not metrics.is_loss(self.metric)

    def confidence_set(self) -> ConfidenceSet:
        """Of the members; their order is that of every array in it. Raises ValueError where there are none."""
        return set_of(self.members, self.scores, self.higher_is_better, self.diverged)


def set_of(
    members: Sequence[ConfigurationSummary], scores: Floats, higher_is_better: bool, diverged: NDArray[np.bool_]
) -> ConfidenceSet:
    """The confidence set of these; column r of scores is repeat number r.

    Repeats that screened them are left out. A race has spent what may be spent: it excludes no more of those it left.
    """
    first = first_counting(members)
    looks = () if raced(members) else LOOKS
    return confidence_set(scores[:, first:], higher_is_better, diverged[:, first:], looks)


def selection_metrics(summary: Summary) -> tuple[Metric, ...]:
    """Every metric that selects epochs in this study, the study's own first."""
    selecting = dict.fromkeys(member.configuration.selection.metric for member in summary.configurations)
    return tuple(sorted(selecting, key=lambda metric: (metric != summary.study.selection, metric)))


def ranked_table(summary: Summary, partition: str, metric: Metric) -> ScoreTable:
    """The value that ranks, of every configuration that is ranked and selects by `metric`.

    It is of the selected epoch, and of the same split in all (`ConfigurationSummary.by_valid`). Configurations without
    all repeats asked, and those with a value that is not finite, are left out. A diverged repeat counts with its value
    at epoch 0.
    """
    members = [
        m for m in summary.configurations if m.partition == partition and m.configuration.selection.metric == metric
    ]
    values = [m.selection.values if m.selection is not None and m.may_rank else None for m in members]
    return _table(partition, metric, members, values)


def valid_table(members: Sequence[ConfigurationSummary], partition: str, metric: Metric) -> ScoreTable:
    """`metric` of the validation split at the selected epoch, of these configurations."""
    scores = [m.score(metric, "valid") for m in members]
    return _table(partition, metric, members, [None if score is None else score.values for score in scores])


def _table(
    partition: str, metric: Metric, members: Sequence[ConfigurationSummary], values: Sequence[Floats | None]
) -> ScoreTable:
    first = first_counting(members)
    kept: list[tuple[ConfigurationSummary, Floats, NDArray[np.bool_]]] = []
    for member, value in zip(members, values, strict=True):
        counts = np.array(member.with_result, dtype=np.int64) >= first
        if value is not None and counts.any() and np.isfinite(value).all():
            kept.append((member, value, counts))
    sign = -1.0 if metrics.is_loss(metric) else 1.0
    kept.sort(key=lambda entry: (-sign * float(entry[1][entry[2]].mean()), entry[0].id))
    width = max((max(m.with_result) + 1 for m, *_ in kept), default=0)
    scores, diverged = np.full((len(kept), width), np.nan), np.zeros((len(kept), width), dtype=bool)
    for row, (member, own, counts) in enumerate(kept):
        numbers = np.array(member.with_result, dtype=np.int64)[counts]
        scores[row, numbers], diverged[row, numbers] = own[counts], member.did_diverge[counts]
    return ScoreTable(partition, metric, tuple(m for m, *_ in kept), scores, diverged)

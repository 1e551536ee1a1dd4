"""Scores of a study over several partitions: repeats averaged within each, then compared over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from orchestrator.statistics.partitions import partitions_of
from orchestrator.statistics.resampled import Components, Resampled, components, corrected_test
from orchestrator.statistics.score_table import ScoreTable, ranked_table
from orchestrator.store.schema import Metric
from trainables.learning import metrics

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PartitionTable:
    """Configurations that are ranked on every partition, best mean over the partitions first.

    members: per configuration its summary on each partition. means: float64 [configurations, k], over the repeats of a
    partition. repeats: float64 [configurations, k, repeats], NaN where one was not asked for. diverged: bool of that
    shape, which of them did. ratio: scored images divided by training images, the mean over the partitions. incomplete:
    configurations that lack a partition.
    """

    partitions: tuple[str, ...]
    metric: Metric
    members: tuple[tuple[ConfigurationSummary, ...], ...]
    means: Floats
    repeats: Floats
    diverged: NDArray[np.bool_]
    ratio: float
    incomplete: int

    @property
    def higher_is_better(self) -> bool:
        return not metrics.is_loss(self.metric)

    def selected_on(self, partition: str) -> ConfigurationSummary:
        """The configuration with the best mean over all partitions, as it was trained on this one."""
        return self.members[0][self.partitions.index(partition)]

    def against(self, reference: int) -> Resampled:
        """Every configuration against the one in this row, by the corrected resampled t-test over the repeats that
        diverged in neither of the two."""
        pairs = np.where(self.diverged, np.nan, self.repeats)
        return corrected_test(pairs, reference, self.higher_is_better, self.ratio)

    def components(self, row: int) -> Components | None:
        return components(self.repeats[row])


def over_partitions(summary: Summary, metric: Metric) -> PartitionTable | None:
    """What a study with several partitions selects by; None with one, or where no configuration is whole on all."""
    partitions = partitions_of(summary)
    if len(partitions) < 2:
        return None
    table = partition_table(summary, [ranked_table(summary, name, metric) for name in partitions])
    return table if table.members else None


def partition_table(summary: Summary, tables: Sequence[ScoreTable]) -> PartitionTable:
    """Join one table per partition, all of one metric."""
    places = [{member.id: row for row, member in enumerate(table.members)} for table in tables]
    every = dict.fromkeys(name for place in places for name in place)
    kept = [name for name in every if all(name in place for place in places)]
    rows = {name: [place[name] for place in places] for name in kept}
    width = max((table.scores.shape[1] for table in tables), default=0)
    metric = tables[0].metric
    sign = 1.0 if metrics.is_loss(metric) else -1.0
    means = {
        name: np.array([np.nanmean(table.scores[row]) for table, row in zip(tables, rows[name], strict=True)])
        for name in kept
    }
    kept.sort(key=lambda name: (sign * float(means[name].mean()), name))
    repeats = np.full((len(kept), len(tables), width), np.nan)
    diverged = np.zeros(repeats.shape, dtype=bool)
    for place, name in enumerate(kept):
        for k, (table, row) in enumerate(zip(tables, rows[name], strict=True)):
            repeats[place, k, : table.scores.shape[1]] = table.scores[row]
            diverged[place, k, : table.scores.shape[1]] = table.diverged[row]
    return PartitionTable(
        tuple(table.partition for table in tables),
        metric,
        tuple(tuple(table.members[row] for table, row in zip(tables, rows[name], strict=True)) for name in kept),
        np.array([means[name] for name in kept]).reshape(len(kept), len(tables)),
        repeats,
        diverged,
        image_ratio(summary, [table.partition for table in tables]),
        len(every) - len(kept),
    )


def image_ratio(summary: Summary, partitions: Sequence[str]) -> float:
    """Validation images divided by training images, the mean over partitions; NaN where nothing is trained yet."""
    table = summary.repeats.table
    columns = [summary.splits.index(name) for name in ("valid", "train")]
    ratios = []
    for partition in partitions:
        rows = np.flatnonzero((table["partition"] == partition).to_numpy())
        if len(rows):
            counts = metrics.images(
                summary.study.task, summary.repeats.statistics[summary.repeats.start[rows[0]], columns]
            )
            ratios.append(float(counts[0] / counts[1]))
    return float(np.mean(ratios)) if ratios else float("nan")

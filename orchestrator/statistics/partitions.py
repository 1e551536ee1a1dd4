"""The partitions of a study in the order in which they are shown."""

from __future__ import annotations

from orchestrator.results.summary import Summary


def partitions_of(summary: Summary) -> tuple[str, ...]:
    """Ids of all partitions that were asked for, the study's own first."""
    partitions = dict.fromkeys(member.partition for member in summary.configurations)
    return tuple(sorted(partitions, key=lambda partition: (partition != summary.study.partition, partition)))

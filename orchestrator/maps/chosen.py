"""Which configurations are explained: the best ones, or named ones, on one partition."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.choosing.selection import named_id, selecting_metric
from orchestrator.evaluation.choice import Choice, choose, on_partition
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import over_partitions
from orchestrator.store.errors import Faults
from orchestrator.store.schema import Metric


def choices(summary: Summary, top: int, named: Sequence[str], partition: str | None) -> list[Choice]:
    """The best `top` configurations, or the named ones in the order of the names (the first digits of their ids), on
    the study's own partition or the one whose id begins with `partition`.

    Of a study with several partitions the best over all of them. Raises InputError where nothing is ranked yet, and for
    names that fit no configuration, or one without all its repeats (all at once).
    """
    if named:
        return _named(summary, named, partition)
    first = choose(summary, None, partition)
    if top == 1:
        return [first]
    metric = selecting_metric(summary, None)
    ranked = _ranked(summary, metric, partition, first.entry.partition)
    places = list(enumerate(ranked, 1))[1:top]
    return [first, *(Choice(one, f"place {place} of {len(ranked)} by mean {metric}") for place, one in places)]


def _ranked(summary: Summary, metric: Metric, partition: str | None, here: str) -> list[ConfigurationSummary]:
    """In the order that `choose` takes the first of."""
    table = over_partitions(summary, metric) if partition is None else None
    if table is not None:
        return [members[table.partitions.index(here)] for members in table.members]
    there = on_partition(summary, partition)
    return [entry for entry in there if entry.rank is not None and entry.configuration.selection.metric == metric]


def _named(summary: Summary, named: Sequence[str], partition: str | None) -> list[Choice]:
    study, faults = summary.study.name, Faults("orch maps")
    there = {entry.id: entry for entry in on_partition(summary, partition)}
    chosen: dict[str, Choice] = {}
    for name in named:
        fit = named_id(name, there, faults)
        if fit is None:
            continue
        entry = there[fit]
        if entry.rank is None:
            faults.add(f"--of {name}: expected results of all {entry.asked} repeats, found {entry.n}")
        else:
            chosen[fit] = choose(summary, fit, entry.partition)
    faults.raise_if_any(f"orch table {study} lists the configurations; orch resume {study} trains what is missing")
    return list(chosen.values())

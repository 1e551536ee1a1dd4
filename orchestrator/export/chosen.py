"""Which model of a study is exported: the selected configuration, and one of its repeats taken without looking."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.choosing.partitions_report import partitions_report
from orchestrator.choosing.selection import chosen_partitions, select, selecting_metric
from orchestrator.choosing.selection_report import selection_report
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import over_partitions
from orchestrator.store.errors import InputError
from orchestrator.store.storage import Storage


@dataclass(frozen=True)
class Chosen:
    """A repeat of a configuration on a partition. selection: what `orch best` says; "" where nothing is ranked."""

    member: ConfigurationSummary
    repeat: int
    selection: str
    was_selected: bool
    """Whether the configuration is the one with the best mean, not one that was named."""
    repeat_was_named: bool = False


def choose(
    storage: Storage,
    summary: Summary,
    configuration: str | None = None,
    repeat: int | None = None,
    partition: str | None = None,
) -> Chosen:
    """The configuration with the best mean over all repeats asked, or the one whose id begins with `configuration`.

    Of a study with several partitions the best over all of them, as it was trained on the study's own.
    The lowest repeat number that finished is taken unless one is given: its expected score is the mean over repeats,
    which is what the study reports, while the best of several repeats is better by luck. Raises InputError.
    """
    name = summary.study.name
    where = chosen_partitions(summary, partition)
    if not where:
        raise InputError(
            f"study {name!r}: nothing has been searched yet, so there is no model", f"orch search {name} resnet18"
        )
    winner, said = _selected(storage, summary, partition, where[0])
    if configuration is not None:
        member = _named(summary, where[0], configuration)
    elif winner is not None:
        member = winner
    else:
        raise InputError(
            f"study {name!r}: no configuration has finished all its repeats yet, so none is selected",
            f"orch resume {name}   or name one that has a result: orch export {name} --output DIR --configuration ID",
        )
    was_selected = winner is not None and member.id == winner.id
    return Chosen(member, _repeat(summary, member, repeat), said, was_selected, repeat is not None)


def _selected(
    storage: Storage, summary: Summary, asked: str | None, partition: str
) -> tuple[ConfigurationSummary | None, str]:
    """The selected configuration on `partition`, and what `orch best` says of the selection."""
    metric = selecting_metric(summary, None)
    table = over_partitions(summary, metric) if asked is None else None
    if table is not None:
        return table.selected_on(partition), partitions_report(summary, table).as_text()
    selection = select(storage, summary, partition, metric)
    return (selection.winner, selection_report(summary, selection).as_text()) if selection else (None, "")


def _named(summary: Summary, partition: str, asked: str) -> ConfigurationSummary:
    here = [member for member in summary.configurations if member.partition == partition]
    fits = [member for member in here if member.id.startswith(asked)]
    if len(fits) != 1:
        known = ", ".join(member.id for member in (fits or here)[:6])
        raise InputError(
            f"configuration {asked[:40]!r} of study {summary.study.name!r}: expected the beginning of exactly one id, "
            f"{len(fits)} match{'' if fits else '; there are'} {known}",
            f"orch table {summary.study.name} lists the ids",
        )
    return fits[0]


def _repeat(summary: Summary, member: ConfigurationSummary, asked: int | None) -> int:
    table = summary.repeats.table
    rows = table[(table["partition"] == member.partition) & (table["configuration"] == member.id)]
    states = dict(zip(rows["repeat"].astype(int), rows["state"], strict=True))
    finished = sorted(number for number, state in states.items() if state != "diverged")
    if asked is None and finished:
        return finished[0]
    if asked in finished:
        return int(asked)
    shown = ", ".join(map(str, finished)) or "none"
    state = "diverged" if asked is not None and states.get(asked) == "diverged" else "has not"
    named = "none" if asked is None else f"repeat {asked}, which {state}"
    raise InputError(
        f"configuration {member.id} of study {summary.study.name!r}: expected a repeat that has finished, found "
        f"{named}; finished: {shown}",
        f"orch export {summary.study.name} --output DIR --repeat {finished[0]}"
        if finished
        else f"orch resume {summary.study.name}",
    )

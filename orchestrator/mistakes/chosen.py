"""The configurations whose mistakes are looked at, and the repeats that all of them have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.choosing.selection import chosen_partitions, named_id, selecting_metric
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from orchestrator.statistics.partition_table import over_partitions
from orchestrator.statistics.score_table import ranked_table
from orchestrator.store.errors import Faults, InputError
from search_spaces.settings.data import TASKS


@dataclass(frozen=True)
class Chosen:
    """members: per configuration its summary on each of `partitions`. is_named: by the user, else the best.

    among: how many were ranked, 0 where they are named.
    """

    partitions: tuple[str, ...]
    members: tuple[tuple[ConfigurationSummary, ...], ...]
    is_named: bool
    among: int

    def repeats(self, place: int) -> list[int]:
        """Numbers of the repeats on one partition that all configurations have a result of and none diverged in."""
        return sorted(set.intersection(*(sound(member[place]) for member in self.members)))


def choose(summary: Summary, top: int, named: Sequence[str], partition: str | None) -> Chosen:
    """The best `top` configurations, or the named ones in the order of the names (the first digits of their ids).

    On every partition that was asked for, or the one whose id begins with `partition`. Raises InputError for tasks
    without classes, where nothing is ranked yet, and for names that fit no configuration with results (all at once).
    """
    study = summary.study
    if not TASKS.variants[study.task].has_confusion:
        raise InputError(
            f"study {study.name!r}, task {study.task}: expected a task with classes, whose predictions are right or "
            "wrong",
            f"Its scores are in: orch best {study.name}",
        )
    with _advised(f"Leave out --partition to take all of them: orch mistakes {study.name}"):
        partitions = chosen_partitions(summary, partition)
    if named:
        return Chosen(partitions, _named(summary, named, partitions), True, 0)
    with _advised(f"Name configurations: orch mistakes {study.name} --of ID,ID"):
        metric = selecting_metric(summary, None)
    if len(partitions) > 1:
        table = over_partitions(summary, metric)
        members = () if table is None else table.members
        partitions = partitions if table is None else table.partitions
    else:
        members = tuple((one,) for name in partitions for one in ranked_table(summary, name, metric).members)
    if not members:
        raise InputError(
            f"study {study.name!r} has no configuration with all its repeats yet, so none can be called the best",
            f"orch status {study.name} says what is missing; orch resume {study.name} trains it",
        )
    return Chosen(partitions, members[:top], False, len(members))


@contextmanager
def _advised(advice: str) -> Iterator[None]:
    """What is refused for other commands, too, is followed by what can be done here."""
    try:
        yield
    except InputError as error:
        raise InputError(error.message, advice) from error


def sound(member: ConfigurationSummary) -> set[int]:
    """Repeats with a result that did not diverge."""
    pairs = zip(member.with_result, member.did_diverge.tolist(), strict=True)
    return {repeat for repeat, diverged in pairs if not diverged}


def _named(
    summary: Summary, named: Sequence[str], partitions: Sequence[str]
) -> tuple[tuple[ConfigurationSummary, ...], ...]:
    study, faults = summary.study.name, Faults("orch mistakes")
    of = {(one.id, one.partition): one for one in summary.configurations}
    ids = sorted({name for name, _ in of})
    chosen: dict[str, tuple[ConfigurationSummary, ...]] = {}
    for name in named:
        fit = named_id(name, ids, faults)
        if fit is None:
            continue
        members = tuple(of[fit, partition] for partition in partitions if (fit, partition) in of)
        lacking = len(partitions) - sum(bool(sound(member)) for member in members)
        if lacking:
            where = f" on {lacking} of {len(partitions)} partitions" if len(partitions) > 1 else ""
            faults.add(f"--of {name}: expected a repeat that was trained and did not diverge, found none{where}")
            continue
        chosen[fit] = members
    faults.raise_if_any(f"orch table {study} lists the configurations; orch status {study} says what was trained")
    return tuple(chosen.values())

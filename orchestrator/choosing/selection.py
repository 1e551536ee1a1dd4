"""The selection of a study: which configuration, how sure that is, and what its score is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orchestrator.choosing.kept_predictions import read_predictions
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.goals import check_goal
from orchestrator.results.names import counted, counted_who
from orchestrator.results.narrowed import chosen_by_results, no_correction
from orchestrator.results.summary import Summary
from orchestrator.statistics.bias_corrected import ROUNDS, BiasCorrected, bias_corrected
from orchestrator.statistics.confidence_set import ConfidenceSet
from orchestrator.statistics.epoch_choices import EpochChoices, EpochScores
from orchestrator.statistics.equivalence import MARGIN, cheapest_equal, cost_of
from orchestrator.statistics.front import Front, front, goal_of_searches
from orchestrator.statistics.partitions import partitions_of
from orchestrator.statistics.score_table import ScoreTable, ranked_table, selection_metrics
from orchestrator.store.errors import Faults, InputError
from orchestrator.store.schema import Metric
from orchestrator.store.storage import Storage
from search_spaces.settings.data import TASKS
from trainables.learning.metrics import is_measured

LEAST_ID = 4
"""A configuration may be named by so many first digits of its id, or more."""


@dataclass(frozen=True)
class Selection:
    """On one partition. `table` holds every ranked configuration, best mean first; row 0 is the selected one.

    bias: none with the reason in `no_bias`. cheaper: row of a cheaper configuration within the margin of the best.
    incomplete: configurations without all repeats asked. other_metric: those that select by another metric.
    """

    table: ScoreTable
    best_set: ConfidenceSet
    choices: dict[Metric, EpochChoices]
    margin: float
    cheaper: int | None
    bias: BiasCorrected | None
    no_bias: str = ""
    notes: tuple[str, ...] = field(default=())
    incomplete: int = 0
    stopped: int = 0
    """Configurations that the search stopped: what is said is among those that it did not."""
    other_metric: int = 0
    front: Front | None = None
    """What nothing beats in score and another goal, where one was asked for."""

    @property
    def winner(self) -> ConfigurationSummary:
        return self.table.members[self.best_set.best]


def selecting_metric(summary: Summary, asked: Metric | None) -> Metric:
    """As asked, else the only one there is, else the study's own. Raises InputError where none of them says it."""
    there = selection_metrics(summary)
    if asked is not None:
        if there and asked not in there:
            raise InputError(
                f"study {summary.study.name!r} has no configuration that selects by {asked}: found {', '.join(there)}",
                f"orch best {summary.study.name} --selection {there[0]}",
            )
        return asked
    if len(there) > 1 and summary.study.selection not in there:
        name = summary.study.name
        raise InputError(
            f"configurations of study {name!r} select by {' and '.join(there)}: expected one metric to rank by",
            f"orch best {name} --selection {there[0]}   or name one: orch evaluate {name} --configuration ID",
        )
    return there[0] if there else summary.study.selection


def chosen_partitions(summary: Summary, asked: str | None) -> tuple[str, ...]:
    """Every partition of the study, or the one whose id begins with `asked`. Raises InputError."""
    there = partitions_of(summary)
    if asked is None:
        return there
    fit = [partition for partition in there if partition.startswith(asked)]
    if len(fit) != 1:
        raise InputError(
            f"study {summary.study.name!r}, partition {asked!r}: expected the beginning of one of "
            f"{', '.join(there) or 'none, nothing was asked for yet'}",
            f"orch best {summary.study.name} --partition {there[0]}" if there else "",
        )
    return tuple(fit)


def named_id(name: str, ids: Iterable[str], faults: Faults) -> str | None:
    """Which configuration an option --of names by the first digits of its id; None with a fault where it is not one."""
    fit = [one for one in ids if one.startswith(name)] if len(name) >= LEAST_ID else []
    if len(fit) == 1:
        return fit[0]
    faults.add(
        f"--of {name}: expected at least the first {LEAST_ID} digits of one configuration's id, "
        f"found {counted(len(fit), 'configuration')} whose ids begin so"
    )
    return None


def select(
    storage: Storage,
    summary: Summary,
    partition: str,
    metric: Metric,
    margin: float = MARGIN,
    rounds: int = ROUNDS,
    goal: str | None = None,
) -> Selection | None:
    """Select on one partition; None where no configuration has all its repeats yet.

    margin: in the unit of the metric, ≥ 0. rounds: of resampling for the bias-corrected figure, 0 leaves it out (and
    the kept predictions unread). goal: weighed against the metric; None: as the study's searches did, if any.
    """
    goal = goal_of_searches(summary) if goal is None else goal
    if goal:
        check_goal(goal, summary.study.task, metric)
    table = ranked_table(summary, partition, metric)
    here = [member for member in summary.configurations if member.partition == partition]
    if not table.members:
        return None
    best_set = table.confidence_set()
    scores = EpochScores(summary)
    winner = table.members[best_set.best]
    task = TASKS.variants[summary.study.task]
    names = dict.fromkeys(("loss", task.score, *task.metrics))
    choices = {name: c for name in names if (c := scores.choices(winner, name)) is not None}
    cheaper = cheapest_equal([cost_of(m) for m in table.members], best_set.best, best_set.differences, margin)
    bias, reason, notes = _bias(storage, summary, partition, table, best_set.best, rounds)
    return Selection(
        table,
        best_set,
        choices,
        margin,
        cheaper,
        bias,
        reason,
        (*notes, *_not_finite(here, table)),
        incomplete=sum(not member.is_whole for member in here),
        stopped=sum(bool(member.stopped_by_search) for member in here),
        other_metric=sum(member.configuration.selection.metric != metric for member in here),
        front=front(summary, table.members, metric, goal) if goal else None,
    )


def _bias(
    storage: Storage, summary: Summary, partition: str, table: ScoreTable, best: int, rounds: int
) -> tuple[BiasCorrected | None, str, tuple[str, ...]]:
    """The bias-corrected figure, or why there is none, and what a reader must know of it."""
    if rounds < 1:
        return None, "it was not asked for", ()
    here = [member for member in summary.configurations if member.partition == partition]
    if chosen_by_results([member for member in here if member.stopped_by_search or member in table.members]):
        return None, no_correction(summary.study.name), ()
    if not TASKS.variants[summary.study.task].has_confusion:
        return None, "it is computed from confusion counts, which this task does not have", ()
    if is_measured(table.metric):
        return None, f"it needs a metric that all configurations have, not {table.metric}", ()
    kept = read_predictions(storage, summary, table)
    if kept is None or best not in kept.members:
        return None, "its validation predictions cannot be read", ()
    if kept.predictions.groups < 2:
        return None, "the validation split has one group, and at least two are needed to resample", ()
    bias = bias_corrected(kept.predictions, kept.members.index(best), table.metric, rounds)
    notes = []
    lost = len(table.members) - len(kept.members)
    if lost:
        notes.append(
            f"Predictions of {counted(lost, 'configuration')} cannot be read, so the bias-corrected figure leaves "
            f"{'it' if lost == 1 else 'them'} out."
        )
    if kept.other_epochs:
        notes.append(
            f"{counted_who(kept.other_epochs, 'repeat', 'was', 'were')} trained for more epochs than others of the "
            "same configuration; the predictions come from the epoch selected among all of them."
        )
    return bias, "", tuple(notes)


def _not_finite(here: Sequence[ConfigurationSummary], table: ScoreTable) -> tuple[str, ...]:
    shown = {member.id for member in table.members}
    broken = [
        member.id
        for member in here
        if member.may_rank and member.id not in shown and member.configuration.selection.metric == table.metric
    ]
    return (f"Left out because their {table.metric} is not finite: {', '.join(broken)}.",) if broken else ()

"""One ensemble from what was asked to its record.

candidates with predictions → members and weights on all of them → the same again in every bag → record
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from orchestrator.choosing.selection import selecting_metric
from orchestrator.energy.passes import count_passes
from orchestrator.ensembles.bags import ROUNDS, Honest, honest, in_sample
from orchestrator.ensembles.candidates import Candidates, named, partition_asked, read_candidates
from orchestrator.ensembles.choosing import (
    Chooser,
    Chosen,
    Rule,
    UsedRepeats,
    all_once,
    check_rule,
    rows_counting,
)
from orchestrator.ensembles.cost import ensemble_cost
from orchestrator.ensembles.diversity import diversity
from orchestrator.ensembles.record import (
    Ahead,
    Cost,
    EnsembleRecord,
    Member,
    OutOfBag,
    Scores,
    write_ensemble,
)
from orchestrator.ensembles.target import Target, target_of
from orchestrator.results.names import counted, names_of
from orchestrator.results.narrowed import chosen_by_results
from orchestrator.results.summary import Summary, summarise
from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from orchestrator.store.schema import Metric
from orchestrator.study.studies import Study, now, versions
from search_spaces.classes import check_confusion

DIGITS = 6
"""Of a weight."""
FEW_GROUPS = 20
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class EnsembleOptions:
    """What `orch ensemble` takes. of: beginnings of ids, () for the best `top`."""

    top: int = 5
    of: tuple[str, ...] = ()
    repeats: UsedRepeats = "all"
    combine: str = "probabilities"
    weigh: str = "greedy"
    metric: Metric | None = None
    of_class: str | None = None
    precision: float | None = None
    partition: str | None = None
    rounds: int = ROUNDS
    seed: int = 0


def make_ensemble(study: Study, options: EnsembleOptions, progress: Progress | None = None) -> EnsembleRecord:
    """Choose, judge and store. Raises InputError for whatever is missing or wrong, before anything is computed."""
    check_confusion(study.record.task, f"study {study.name}, ensemble")
    summary = summarise(study.storage)
    partition = partition_asked(summary, options.partition)
    target = _target(summary, partition, options)
    candidates = read_candidates(study.storage, summary, partition, target)
    rows = named(candidates, summary, options.of)
    rule = Rule(options.top, rows, options.repeats, options.combine, options.weigh, options.seed)
    check_rule(rule, candidates, target, study.name)
    chooser = Chooser(candidates, target, rule)
    once = all_once(candidates)
    chosen = _rounded(chooser.choose(once[0][candidates.group], chooser.singles(once)[0]))
    judged = honest(chooser, chosen, options.rounds, options.seed, progress)
    record = _record(study, summary, chooser, chosen, judged, options)
    write_ensemble(study.storage, record)
    return record


def _target(summary: Summary, partition: str, options: EnsembleOptions) -> Target:
    """Like the best configuration that selects by the metric, if one does."""
    metric = options.metric or _selecting(summary)
    here = [member.configuration for member in summary.configurations if member.partition == partition]
    like = next((c for c in here if c.selection.metric == metric), here[0])
    return target_of(like, metric, options.of_class, options.precision, summary.study.name)


def _selecting(summary: Summary) -> Metric:
    try:
        return selecting_metric(summary, None)
    except InputError as error:
        raise InputError(error.message, f"orch ensemble {summary.study.name} --metric NAME") from error


def _rounded(chosen: Chosen) -> Chosen:
    """With weights that are the same in the record."""
    return Chosen(chosen.single, chosen.rows, np.round(chosen.weights, DIGITS))


def _record(
    study: Study, summary: Summary, chooser: Chooser, chosen: Chosen, judged: Honest | None, options: EnsembleOptions
) -> EnsembleRecord:
    of, target, rule = chooser.of, chooser.target, chooser.rule
    names = names_of(of.members[row].configuration for row in dict.fromkeys([*chosen.rows, chosen.single]))
    members = tuple(
        _member(of, row, chooser.used[row], float(weight), chooser.scored_alone(row), names[of.members[row].id])
        for row, weight in zip(chosen.rows, chosen.weights, strict=True)
    )
    counting = rows_counting(chosen)
    predicted = chooser.combining.chances(chooser.together[counting]).argmax(axis=-1)
    differ = diversity(predicted, of.truth)
    timed = count_passes(study.storage)
    single = of.members[chosen.single]
    how = [
        *([m.configuration, list(m.repeats), list(m.epochs), m.weight] for m in members),
        [of.partition, rule.combine, rule.weigh, target.words, rule.repeats, sorted(options.of), rule.top],
        [options.rounds, options.seed, [member.id for member in of.members]],
    ]
    return EnsembleRecord(
        id=short_hash(how),
        study=study.name,
        synthetic=study.record.synthetic,
        group_meaning=study.record.group_meaning,
        partition=of.partition,
        images=len(of.truth),
        groups=of.groups,
        classes=summary.study.classes,
        metric=target.metric,
        metric_words=target.words,
        of_class=target.configuration.selection.of_class,
        is_loss=target.is_loss,
        combine=rule.combine,
        weigh=rule.weigh,
        chosen=_chosen_words(chooser, target),
        members=members,
        single=single.id,
        single_name=names[single.id],
        single_repeats=of.counts[chosen.single],
        rival_models=chooser.rivals(chosen),
        in_sample=Scores(**asdict(in_sample(chooser, chosen))),
        out_of_bag=None if judged is None else _out_of_bag(judged),
        no_out_of_bag="" if judged is not None else _no_bags(of, options.rounds),
        disagreement=tuple(map(tuple, differ.disagreement.tolist())),
        correlation=tuple(tuple(v if np.isfinite(v) else None for v in row) for row in differ.correlation.tolist()),
        cost=Cost(**asdict(ensemble_cost([(of.members[r].configuration, chooser.used[r]) for r in counting], timed))),
        single_cost=Cost(**asdict(ensemble_cost([(single.configuration, 1)], timed))),
        seed=options.seed,
        notes=_notes(chooser, options),
        created=now(),
        versions=versions(),
    )


def _member(of: Candidates, row: int, used: int, weight: float, alone: float, name: str) -> Member:
    member = of.members[row]
    assert member.selected_epochs is not None  # it has results
    epochs = dict(zip(member.with_result, member.selected_epochs.values.tolist(), strict=True))
    repeats = of.repeats[row][:used]
    return Member(
        configuration=member.id,
        name=name,
        repeats=repeats,
        epochs=tuple(int(epochs[repeat]) for repeat in repeats),
        weight=weight,
        alone=alone,
    )


def _out_of_bag(judged: Honest) -> OutOfBag:
    return OutOfBag(
        scores=Scores(**asdict(judged.out)),
        over_single=Ahead(**asdict(judged.over_single)),
        over_rival=Ahead(**asdict(judged.over_rival)),
        chose_single=judged.chose_single,
        models=judged.models,
        rounds=judged.rounds,
    )


def _no_bags(of: Candidates, rounds: int) -> str:
    if of.groups < 2:
        return "validation has only one group, and choosing again takes at least two"
    return "none were asked for" if not rounds else "no bag left a group out"


def _chosen_words(chooser: Chooser, target: Target) -> str:
    count, every = len(chooser.rule.rows), len(chooser.of.members)
    if count:
        return f"{counted(count, 'configuration')} that were named"
    return f"the best {min(chooser.rule.top, every)} of {counted(every, 'configuration')} by mean {target.words}"


def _notes(chooser: Chooser, options: EnsembleOptions) -> tuple[str, ...]:
    of, notes = chooser.of, []
    if chooser.rule.rows:
        notes.append(
            "The members were named, so each bag chooses weights again, but not members. If they were named for their "
            "scores on these images, out-of-bag scores are too good."
        )
    if chosen_by_results(of.members):
        notes.append(
            "Results decided what was trained, and bags choose only among what is left, so all scores keep part of "
            "that optimism."
        )
    if of.diverged:
        are = "is" if of.diverged == 1 else "are"
        notes.append(f"{counted(of.diverged, 'repeat')} diverged and {are} left out everywhere here.")
    if of.unread:
        notes.append(f"Left out, because their stored predictions cannot be read: {', '.join(of.unread)}.")
    if 1 < of.groups < FEW_GROUPS:
        notes.append(f"There are only {of.groups} validation groups, so each weighs heavily in every figure.")
    if options.repeats == "one":
        notes.append("Only the first repeat of each member is used, whatever its score.")
    return tuple(notes)

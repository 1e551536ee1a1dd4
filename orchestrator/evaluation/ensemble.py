"""An ensemble of `orch ensemble` on the test images, beside the configuration that was the best alone.

record → checks → the single configuration, as `orch evaluate` does it → look written → predictions of each member →
scores. The single configuration is the primary estimate; the ensemble is a look of its own, and is counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.ensembles.combining import Combining, wide
from orchestrator.ensembles.record import EnsembleRecord, Member, read_ensemble
from orchestrator.ensembles.ways import COMBININGS
from orchestrator.evaluation.choice import choose
from orchestrator.evaluation.ensemble_record import (
    Difference,
    EnsembleEvaluation,
    read_ensemble_evaluation,
    write_ensemble_evaluation,
)
from orchestrator.evaluation.ensemble_text import verdict
from orchestrator.evaluation.estimates import Scored, ensemble_estimate
from orchestrator.evaluation.looks import note_look, standing_of
from orchestrator.evaluation.paired import compared_by, paired_differences
from orchestrator.evaluation.plan import EvaluationOptions, Plan, make_plan
from orchestrator.evaluation.predicting import AS_THEY_ARE, Needed, cost_in_words, make, needed, stored
from orchestrator.evaluation.record import EvaluationRecord, Look, predictions_of
from orchestrator.evaluation.run import evaluate, looking, models_of
from orchestrator.evaluation.samples import Units
from orchestrator.results.summary import Summary, summarise
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.open import open_storage
from orchestrator.store.record import short_hash
from orchestrator.study.studies import Study, now, versions

Floats = NDArray[np.float64]
Show = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Part:
    """One member: what is predicted with it, and where its predictions lie."""

    member: Member
    plan: Plan
    needed: Needed


def evaluate_ensemble(
    study: Study, asked: str, options: EvaluationOptions, cache: Path, show: Show, progress: Progress
) -> EnsembleEvaluation:
    """asked: the beginning of the ensemble's id. options: which images, and where they and the weights lie here.

    Raises InputError before anything is opened, where something is missing or wrong: a repeat that is gone or goes on.
    """
    ensemble = read_ensemble(study.storage, study.name, asked)
    plain = replace(options, partition=ensemble.partition, tta=None)
    summary = summarise(study.storage)
    parts = _parts(study, summary, ensemble, plain)
    is_selected = choose(summary, None, ensemble.partition).entry.id == ensemble.single
    alone = replace(plain, configuration=None if is_selected else ensemble.single)
    single = evaluate(study, alone, cache, show, progress)
    look = parts[0].plan.look.model_copy(update={"time": datetime.now(UTC).isoformat(timespec="microseconds")})
    beside, earlier = open_storage(study.place.parent), _earlier(study, look.id)
    there = {part.member.configuration: stored(study.storage, part.plan, part.needed) for part in parts}
    deviation = earlier.deviation if earlier is not None else None
    if earlier is None or any(found is None for found in there.values()):
        ready = [(part, *models_of(study, part.plan, plain, cache, show, progress)) for part in parts]
        largest = max(model.deviation for _, _, models in ready for model in models)
        deviation = largest if np.isfinite(largest) else None
        note_look(study.storage, beside, look)
        show(looking(study, beside, replace(parts[0].plan, look=look)))
        for part, bench, models in ready:
            entry = part.plan.choice.entry
            show(cost_in_words(part.plan, {AS_THEY_ARE: part.needed}))
            frontier = str(next(iter(part.plan.finals.values())).meta["recipe"]["frontier"])
            frozen = bench.frozen_ready(entry.configuration, entry.partition, frontier)
            done = partial(progress, "test images predicted")
            there[entry.id] = make(study.storage, part.plan, part.needed, bench, frozen, models, done)
    else:
        show("This ensemble was evaluated on these images before: its stored predictions are scored, no further look.")
    logits = {name: found.logits[:, :, 0] for name, found in there.items() if found is not None}
    record = _scored(study, ensemble, parts, look, single, logits, deviation)
    record = record.model_copy(update={"said": verdict(record)})
    write_ensemble_evaluation(study.storage, record)
    return record


def averaged(ensemble: EnsembleRecord, logits: Mapping[str, np.ndarray]) -> Floats:
    """Its probabilities float64 [N, K] of logits [repeats, N, outputs] by configuration, the repeats that are used."""
    combining: Combining = COMBININGS[ensemble.combine].load()
    total = sum(member.weight for member in ensemble.counting)
    parts = [
        member.weight / total * combining.values(wide(logits[member.configuration])).mean(axis=0)
        for member in ensemble.counting
    ]
    return combining.chances(np.sum(parts, axis=0))


def _parts(study: Study, summary: Summary, ensemble: EnsembleRecord, options: EvaluationOptions) -> list[_Part]:
    """Every member with its plan, whose look is that of the ensemble; nothing is written yet."""
    plans = [make_plan(study, replace(options, configuration=m.configuration), summary) for m in ensemble.counting]
    for member, plan in zip(ensemble.counting, plans, strict=True):
        _check(study.name, ensemble, member, plan)
    same = {
        "id": short_hash([plans[0].look.test_set, ensemble.model_key]),
        "configuration": ensemble.id,
        "name": ensemble.name,
        "repeats": (),
        "epochs": max(plan.look.epochs for plan in plans),
    }
    look, found = plans[0].look.model_copy(update=same), []
    for member, plan in zip(ensemble.counting, plans, strict=True):
        finals = {repeat: plan.finals[repeat] for repeat in member.repeats}
        choice = replace(plan.choice, how=f"a member of ensemble {ensemble.id}")
        its = replace(plan, choice=choice, look=look, finals=finals, tta=None)
        found.append(_Part(member, its, Needed(predictions_of(look.id, member.configuration), (0,))))
    return found


def _check(study: str, ensemble: EnsembleRecord, member: Member, plan: Plan) -> None:
    """Raise InputError where the repeats that were weighed are not those that the study has now."""
    now_selected = {repeat: int(record.meta["selected_epoch"]) for repeat, record in plan.finals.items()}
    then = dict(zip(member.repeats, member.epochs, strict=True))
    other = [repeat for repeat, epoch in then.items() if now_selected.get(repeat) != epoch]
    if other:
        raise InputError(
            f"ensemble {ensemble.id}: configuration {member.configuration} was weighed with repeats "
            f"{', '.join(map(str, other))} at other epochs than the study has now",
            f"It was trained on; orch ensemble {study} chooses anew.",
        )


def _earlier(study: Study, look: str) -> EnsembleEvaluation | None:
    with contextlib.suppress(FileNotFoundError, DamagedRecordError):  # it is written again
        return read_ensemble_evaluation(study.storage, look)
    return None


def _scored(
    study: Study,
    ensemble: EnsembleRecord,
    parts: list[_Part],
    look: Look,
    single: EvaluationRecord,
    logits: Mapping[str, np.ndarray],
    deviation: float | None,
) -> EnsembleEvaluation:
    plan, seed = parts[0].plan, int(look.test_set[:8], 16)
    own_logits = _of_single(study, plan, single)
    test = Scored.of(plan.split.test, own_logits)
    kept = {part.member.configuration: _kept(part.plan) for part in parts}
    valid = Scored.of(plan.split.valid, next(iter(kept.values()))[:, :, None])
    chances = averaged(ensemble, logits)
    estimate = ensemble_estimate(
        f"{ensemble.name}, {COMBININGS[ensemble.combine].words}",
        chances,
        test,
        averaged(ensemble, kept),
        valid,
        ensemble.classes,
        seed,
    )
    target = compared_by(ensemble.metric, ensemble.of_class, ensemble.classes)
    alone = test.units()
    together = Units(chances[None], test.truth, test.group, test.groups)
    own = next((one for one in single.estimates if one.ensemble and one.tta is None and one.augmented is None), None)
    over_own: tuple[Difference, ...] = ()
    if own is not None:
        over_own = paired_differences(together, alone.ensemble(), ensemble.classes, seed, target)
    standing = standing_of(study.storage, open_storage(study.place.parent), look)
    return EnsembleEvaluation(
        look=look.id,
        ensemble=ensemble.id,
        study=study.name,
        synthetic=plan.tested.synthetic,
        group_meaning=plan.tested.group_meaning,
        external=plan.tested.name,
        classes=ensemble.classes,
        partition=ensemble.partition,
        name=ensemble.name,
        members=tuple(member.configuration for member in ensemble.counting),
        models=ensemble.cost.models,
        test_set=look.test_set,
        images=len(test.truth),
        groups=test.groups,
        **standing._asdict(),
        deviation=deviation,
        estimate=estimate,
        single=single.primary,
        own=own,
        single_configuration=single.configuration,
        single_name=single.name,
        single_look=single.look,
        differences=paired_differences(together, alone, ensemble.classes, seed, target),
        target=target,
        over_own=over_own,
        notes=_notes(plan, deviation, single),
        created=now(),
        versions=versions(),
    )


def _kept(plan: Plan) -> np.ndarray:
    """Logits of the valid images, float16 [repeats, N, outputs]."""
    return np.stack([record.logits for record in plan.finals.values()])


def _of_single(study: Study, plan: Plan, single: EvaluationRecord) -> np.ndarray:
    """Logits that the single configuration's look stored, [repeats, N, 1, outputs]."""
    finals = dict.fromkeys(single.repeats, next(iter(plan.finals.values())))
    its = replace(plan, look=plan.look.model_copy(update={"id": single.look}), finals=finals)
    found = stored(study.storage, its, needed(its)[AS_THEY_ARE])
    if found is None:
        raise DamagedRecordError(f"{single.predictions} cannot be read", "The same `orch evaluate` makes it again.")
    return np.take(found.logits, [found.views.index(0)], axis=2)


def _notes(plan: Plan, deviation: float | None, single: EvaluationRecord) -> tuple[str, ...]:
    notes = [*plan.tested.notes]
    if single.diverged:
        notes.append(
            f"{len(single.diverged)} repeats of the single configuration diverged and count in its estimate, untrained."
        )
    if deviation is None:
        notes.append("Trained again with other bits than in the search: another epoch would be selected now.")
    elif deviation > 0:
        notes.append(
            f"Trained again with other bits than in the search: logits of valid images differ by up to {deviation:.2g}."
        )
    return tuple(notes)

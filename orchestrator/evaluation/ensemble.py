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
from orchestrator.evaluation.beside import Beside, beside
from orchestrator.evaluation.choice import choose
from orchestrator.evaluation.ensemble_record import (
    Difference,
    EnsembleEvaluation,
    read_ensemble_evaluation,
    write_ensemble_evaluation,
)
from orchestrator.evaluation.ensemble_text import verdict
from orchestrator.evaluation.estimates import Scored, ensemble_estimates
from orchestrator.evaluation.looks import note_look, standing_of
from orchestrator.evaluation.paired import compared_by, paired_differences
from orchestrator.evaluation.plan import EvaluationOptions, Plan, make_plan
from orchestrator.evaluation.predicting import (
    AS_THEY_ARE,
    Needed,
    Predicted,
    augmented_seen,
    cost_in_words,
    make,
    missing_of,
    needed,
    stored,
    tta_seen,
)
from orchestrator.evaluation.record import EvaluationRecord, Look
from orchestrator.evaluation.run import evaluate, looking, models_of
from orchestrator.evaluation.samples import Units
from orchestrator.results.names import counted
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
    """One member: what is predicted with it, by what it is of, and where its predictions lie."""

    member: Member
    plan: Plan
    needed: dict[str, Needed]


@dataclass(frozen=True)
class _Predicted:
    """An ensemble with the predictions of its members, by configuration and by what they are of."""

    ensemble: EnsembleRecord
    parts: list[_Part]
    there: Mapping[str, Mapping[str, Predicted]]
    truth: Scored
    """Of the test images; the predictions in it are not used."""

    def units(self, what: str, views: tuple[int, ...]) -> Units:
        """One model: the mean over the views of the ensemble's probabilities of each."""
        sets = {name: own[what] for name, own in self.there.items()}
        seen = [
            averaged(self.ensemble, {name: one.logits[:, :, one.views.index(view)] for name, one in sets.items()})
            for view in views
        ]
        return _as_units(np.mean(seen, axis=0), self.truth)


def evaluate_ensemble(
    study: Study, asked: str, options: EvaluationOptions, cache: Path, show: Show, progress: Progress
) -> EnsembleEvaluation:
    """asked: the beginning of the ensemble's id. options: which images, and where they and the weights lie here.

    Raises InputError before anything is opened, where something is missing or wrong: a repeat that is gone or goes on.
    """
    ensemble = read_ensemble(study.storage, study.name, asked)
    plain = replace(options, partition=ensemble.partition)
    summary = summarise(study.storage)
    parts = _parts(study, summary, ensemble, plain)
    is_selected = choose(summary, None, ensemble.partition).entry.id == ensemble.single
    alone = replace(plain, configuration=None if is_selected else ensemble.single)
    single = evaluate(study, alone, cache, show, progress)
    look = parts[0].plan.look.model_copy(update={"time": datetime.now(UTC).isoformat(timespec="microseconds")})
    near, earlier = open_storage(study.place.parent), _earlier(study, look.id)
    there = {part.member.configuration: _there(study, part) for part in parts}
    deviation = earlier.deviation if earlier is not None else None
    lacking = [
        missing_of(part.needed, there[part.member.configuration] if earlier is not None else {}) for part in parts
    ]
    if any(lacking):
        ready = [(part, *models_of(study, part.plan, plain, cache, show, progress)) for part in parts]
        largest = max(model.deviation for _, _, models in ready for model in models)
        deviation = largest if np.isfinite(largest) else None
        note_look(study.storage, near, look)
        show(looking(study, near, replace(parts[0].plan, look=look)))
        for (part, bench, models), missing in zip(ready, lacking, strict=True):
            if not missing:
                continue
            entry = part.plan.choice.entry
            show(cost_in_words(part.plan, missing))
            frontier = str(next(iter(part.plan.finals.values())).meta["recipe"]["frontier"])
            frozen = bench.frozen_ready(entry.configuration, entry.partition, frontier)
            for what, one in missing.items():
                done = partial(progress, f"{what} predicted")
                there[entry.id][what] = make(study.storage, part.plan, one, bench, frozen, models, done)
    else:
        show(
            "This ensemble was evaluated on these images before. Its stored predictions are scored; "
            "this is no further look."
        )
    truth = Scored.of(parts[0].plan.split.test, _of_single(study, parts[0].plan, single))
    record = _scored(study, _Predicted(ensemble, parts, there, truth), look, single, deviation, earlier)
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
    look, parts = plans[0].look.model_copy(update=same), []
    for member, plan in zip(ensemble.counting, plans, strict=True):
        finals = {repeat: plan.finals[repeat] for repeat in member.repeats}
        choice = replace(plan.choice, how=f"a member of ensemble {ensemble.id}")
        its = replace(plan, choice=choice, look=look, finals=finals)
        parts.append(_Part(member, its, needed(its, member.configuration)))
    return parts


def _there(study: Study, part: _Part) -> dict[str, Predicted]:
    """Predictions of a member that are stored."""
    read = {what: stored(study.storage, part.plan, one) for what, one in part.needed.items()}
    return {what: predicted for what, predicted in read.items() if predicted is not None}


def _check(study: str, ensemble: EnsembleRecord, member: Member, plan: Plan) -> None:
    """Raise InputError where the repeats that were weighed are not those that the study has now."""
    now_selected = {repeat: int(record.meta["selected_epoch"]) for repeat, record in plan.finals.items()}
    then = dict(zip(member.repeats, member.epochs, strict=True))
    other = [repeat for repeat, epoch in then.items() if now_selected.get(repeat) != epoch]
    if other:
        raise InputError(
            f"ensemble {ensemble.id}: configuration {member.configuration} got its weight from other epochs of repeats "
            f"{', '.join(map(str, other))} than the study selects now",
            f"It was trained further since. Choose an ensemble again: orch ensemble {study}",
        )


def _earlier(study: Study, look: str) -> EnsembleEvaluation | None:
    with contextlib.suppress(FileNotFoundError, DamagedRecordError):  # it is written again
        return read_ensemble_evaluation(study.storage, look)
    return None


def _scored(
    study: Study,
    predicted: _Predicted,
    look: Look,
    single: EvaluationRecord,
    deviation: float | None,
    earlier: EnsembleEvaluation | None,
) -> EnsembleEvaluation:
    ensemble, plan, seed = predicted.ensemble, predicted.parts[0].plan, int(look.test_set[:8], 16)
    kept = {part.member.configuration: _kept(part.plan) for part in predicted.parts}
    valid = Scored.of(plan.split.valid, next(iter(kept.values()))[:, :, None])
    on_valid = _as_units(averaged(ensemble, kept), valid)
    together, alone = predicted.units(AS_THEY_ARE, (0,)), predicted.truth.units()
    name = f"{ensemble.name}, {COMBININGS[ensemble.combine].words}"
    paths = dict.fromkeys(predicted.parts[0].needed, "")
    seen = tta_seen(plan, predicted.units, paths), augmented_seen(plan, predicted.units, paths)
    estimated = ensemble_estimates(name, together, on_valid, ensemble.classes, seed, *seen)
    scored = beside(plan, estimated, together, on_valid)
    if earlier is not None:
        before = (earlier.estimate, *earlier.others), earlier.operating_points, earlier.subgroups
        scored = scored.joined_to(Beside(*before))
    of_single = Beside(single.estimates, single.operating_points, single.subgroups).like(scored)
    target = compared_by(ensemble.metric, ensemble.of_class, ensemble.classes)
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
        images=len(together.truth),
        groups=together.groups,
        **standing._asdict(),
        deviation=deviation,
        estimate=scored.estimates[0],
        others=scored.estimates[1:],
        operating_points=scored.points,
        subgroups=scored.subgroups,
        single=single.primary,
        own=own,
        single_configuration=single.configuration,
        single_name=single.name,
        single_look=single.look,
        single_others=tuple(one for one in of_single.estimates if one.tta or one.augmented),
        single_operating_points=of_single.points,
        single_subgroups=of_single.subgroups,
        differences=paired_differences(together, alone, ensemble.classes, seed, target),
        target=target,
        over_own=over_own,
        notes=_notes(plan, deviation, single),
        created=now(),
        versions=versions(),
    )


def _as_units(chances: Floats, truth: Scored) -> Units:
    """One model, of probabilities [N, K]."""
    return Units(chances[None], truth.truth, truth.group, truth.groups)


def _kept(plan: Plan) -> np.ndarray:
    """Logits of the valid images, float16 [repeats, N, outputs]."""
    return np.stack([record.logits for record in plan.finals.values()])


def _of_single(study: Study, plan: Plan, single: EvaluationRecord) -> np.ndarray:
    """Logits that the single configuration's look stored, [repeats, N, 1, outputs]."""
    finals = dict.fromkeys(single.repeats, next(iter(plan.finals.values())))
    its = replace(plan, look=plan.look.model_copy(update={"id": single.look}), finals=finals)
    predicted = stored(study.storage, its, needed(its)[AS_THEY_ARE])
    if predicted is None:
        raise DamagedRecordError(
            f"{single.predictions} cannot be read", "Run the same `orch evaluate` again: it writes the file anew."
        )
    return np.take(predicted.logits, [predicted.views.index(0)], axis=2)


def _notes(plan: Plan, deviation: float | None, single: EvaluationRecord) -> tuple[str, ...]:
    notes = [*plan.tested.notes]
    if single.diverged:
        notes.append(
            f"{counted(len(single.diverged), 'repeat')} of the single configuration diverged. Its estimate "
            "includes diverged repeats, with their untrained network."
        )
    if deviation is None:
        notes.append("Training again did not reproduce the search exactly: another epoch would be selected now.")
    elif deviation > 0:
        notes.append(
            "Training again did not reproduce the search exactly: logits of valid images differ by up to "
            f"{deviation:.2g}."
        )
    return tuple(notes)

"""One evaluation from the selected configuration to its record: everything is decided before test images are opened.

choice → weights → look written → test images opened → predictions stored → scores
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from orchestrator.evaluation.again import AGAIN, telling
from orchestrator.evaluation.beside import Beside, beside
from orchestrator.evaluation.estimates import PRIMARY, Scored, estimates
from orchestrator.evaluation.keeping import parents_needed
from orchestrator.evaluation.looks import looks_at, note_look, standing_of
from orchestrator.evaluation.plan import EvaluationOptions, Plan, make_plan
from orchestrator.evaluation.predicting import (
    AS_THEY_ARE,
    Predicted,
    augmented_seen,
    cost_in_words,
    make,
    missing_of,
    needed,
    stored,
    tta_seen,
    units_of,
)
from orchestrator.evaluation.record import (
    EvaluationRecord,
    predictions_of,
    read_evaluation,
    write_evaluation,
)
from orchestrator.results.names import counted
from orchestrator.results.reference_mode import reference_note
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.open import open_storage
from orchestrator.store.storage import Storage
from orchestrator.study.asked import find_weights
from orchestrator.study.data_root import root_of
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study, now, versions
from trainables.bundles.kept_weights import retain
from trainables.bundles.trained import Trained, keep_trained, trained
from trainables.bundles.workbench import Workbench, open_bench
from trainables.machine.places import Places

Show = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def evaluate(study: Study, options: EvaluationOptions, cache: Path, show: Show, progress: Progress) -> EvaluationRecord:
    """Evaluate the selected configuration on the test images and store the record.

    The same model on the same images is predicted once: a further call scores the stored predictions. progress(act,
    done, total). Raises InputError before anything is opened, where something is missing or wrong.
    """
    plan = make_plan(study, options)
    for told in plan.tested.told:
        show(told)
    near = open_storage(study.place.parent)
    deviation: float | None
    wanted, earlier = needed(plan), _earlier(study, plan)
    there = {what: kept for what, one in wanted.items() if (kept := stored(study.storage, plan, one)) is not None}
    if missing := missing_of(wanted, there if earlier is not None else {}):
        bench, models = models_of(study, plan, options, cache, show, progress)
        largest = max(model.deviation for model in models)
        deviation = largest if np.isfinite(largest) else None
        show(cost_in_words(plan, missing))
        note_look(study.storage, near, plan.look)
        show(looking(study, near, plan))
        frozen = bench.frozen_ready(
            plan.choice.entry.configuration,
            plan.choice.entry.partition,
            str(next(iter(plan.finals.values())).meta["recipe"]["frontier"]),
        )
        for what, one in missing.items():
            done = partial(progress, f"{what} predicted")
            there[what] = make(study.storage, plan, one, bench, frozen, models, done)
    else:
        assert earlier is not None
        deviation = earlier.deviation
        show(
            "These models were evaluated on these images before. Their stored predictions are scored; "
            "this is no further look."
        )
    record = _scored(study, near, plan, there, deviation, earlier)
    write_evaluation(study.storage, record)
    return record


def models_of(
    study: Study, plan: Plan, options: EvaluationOptions, cache: Path, show: Show, progress: Progress
) -> tuple[Workbench, list[Trained]]:
    """The trained repeats, and the bench that they can predict on; the test images must be there, but stay closed."""
    entry = plan.choice.entry
    prepared = reopen(study, root_of(study, options.data_root, cache, show), cache)
    if not prepared.data_root.is_dir() and plan.tested.root is None:
        raise InputError(
            f"the images of study {study.name!r} are not on this machine: expected a folder {prepared.data_root}",
            f"orch evaluate {study.name} --data-root DIR",
        )
    weights = find_weights([entry.configuration], plan.summary.searches, options.weights)
    bench = open_bench(study.storage, Places.here(prepared.data_root, cache, weights))
    show(f"{plan.choice.name} ({entry.id}), {plan.choice.how}: {counted(len(plan.repeats), 'repeat')}.")
    models = trained(
        bench,
        entry.partition,
        entry.id,
        plan.repeats,
        None,
        partial(progress, AGAIN),
        telling(show, bench.device),
    )
    if options.keep_bytes:
        for repeat, model in models.items():
            keep_trained(bench, entry.partition, entry.id, [model], int(plan.finals[repeat].meta["epochs"]))
        order = [*parents_needed(plan.summary), entry.id, *(one.id for one in plan.summary.configurations)]
        retain(study.storage, entry.partition, list(dict.fromkeys(order)), options.keep_bytes)
    return bench, list(models.values())


def looking(study: Study, beside: Storage, plan: Plan) -> str:
    """What is said in the moment before the images are opened."""
    looks = looks_at(study.storage, beside, plan.look.images)
    number = [look.id for look in looks].index(plan.look.id) + 1
    count = f"{len(plan.split.test)} test images"
    if number == 1:
        return f"First look at {count}. The estimate that counts is fixed now: {PRIMARY}."
    return f"Look {number} at {count}. The first one evaluated {looks[0].name} of study {looks[0].study}."


def _earlier(study: Study, plan: Plan) -> EvaluationRecord | None:
    with contextlib.suppress(FileNotFoundError, DamagedRecordError):  # it is written again
        return read_evaluation(study.storage, plan.look.id)
    return None


def _scored(
    study: Study,
    near: Storage,
    plan: Plan,
    predicted: Mapping[str, Predicted],
    deviation: float | None,
    earlier: EvaluationRecord | None,
) -> EvaluationRecord:
    entry = plan.choice.entry
    test = Scored.of(plan.split.test, *predicted[AS_THEY_ARE])
    valid = Scored.of(plan.split.valid, np.stack([record.logits for record in plan.finals.values()])[:, :, None])
    seed, mean = int(plan.look.test_set[:8], 16), units_of(plan, predicted)
    paths = {what: one.path for what, one in needed(plan).items()}
    seen = tta_seen(plan, mean, paths), augmented_seen(plan, mean, paths)
    scored = beside(plan, estimates(test, valid, plan.classes, seed, *seen), test.units(), valid.units())
    if earlier is not None:
        scored = scored.joined_to(Beside(earlier.estimates, earlier.operating_points, earlier.subgroups))
    standing = standing_of(study.storage, near, plan.look)
    diverged = tuple(r for r, record in plan.finals.items() if record.meta["state"] == "diverged")
    separated = int((valid.units().predicted == valid.truth).all(axis=1).sum())
    return EvaluationRecord(
        look=plan.look.id,
        study=study.name,
        synthetic=plan.tested.synthetic,
        group_meaning=plan.tested.group_meaning,
        external=plan.tested.name,
        classes=plan.classes,
        partition=entry.partition,
        configuration=entry.id,
        name=plan.choice.name,
        chosen=plan.choice.how,
        selection=entry.configuration.selection.metric,
        repeats=plan.repeats,
        diverged=diverged,
        epochs=plan.look.epochs,
        selected_epochs=tuple(int(record.meta["selected_epoch"]) for record in plan.finals.values()),
        test_set=plan.look.test_set,
        images=len(test.truth),
        groups=test.groups,
        **standing._asdict(),
        deviation=deviation,
        estimates=scored.estimates,
        operating_points=scored.points,
        subgroups=scored.subgroups,
        notes=_notes(plan, diverged, deviation, separated),
        predictions=predictions_of(plan.look.id),
        created=now(),
        versions=versions(),
    )


def _notes(plan: Plan, diverged: tuple[int, ...], deviation: float | None, separated: int) -> tuple[str, ...]:
    notes = [*plan.choice.notes, *plan.tested.notes]
    if said := reference_note([plan.choice.entry.configuration]):
        notes.append(f"{said[0].upper()}{said[1:]}.")
    if diverged:
        of = counted(len(plan.repeats), "repeat")
        notes.append(
            f"{len(diverged)} of {of} diverged. The score includes diverged repeats, with their untrained network."
        )
    if deviation is None:
        notes.append("Training again did not reproduce the search exactly: another epoch would be selected now.")
    elif deviation > 0:
        notes.append(
            "Training again did not reproduce the search exactly: logits of valid images differ by up to "
            f"{deviation:.2g}."
        )
    if separated:
        notes.append(
            f"{separated} of {counted(len(plan.repeats), 'repeat')} classified every valid image correctly, so no "
            "temperature can be fitted: do not rely on these scores after temperature scaling."
        )
    return tuple(notes)

"""A nested evaluation: in every outer fold the whole selection is repeated without it, and what it selects is tested.

candidates → outer folds → looks written → features → per fold: train, select, test → pooled scores

Where results decided what the study trained, each fold repeats the searches themselves (`nested_search`).

It estimates what a search and its selection are worth on new groups, of data with too few groups for one test split
(Varma and Simon 2006, Bias in error estimation when using cross-validation for model selection).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.evaluation.estimates import Scored, nested_estimates
from orchestrator.evaluation.looks import count_looks, note_look, short_hashes
from orchestrator.evaluation.nested_features import FeatureTable, View, feature_table, frozen_part, views_of
from orchestrator.evaluation.nested_plan import NESTED, NestedOptions, NestedPlan, make_nested_plan
from orchestrator.evaluation.nested_record import (
    FinishedFold,
    FoldResult,
    NestedRecord,
    predictions_of,
    read_fold,
    write_fold,
    write_nested,
)
from orchestrator.evaluation.nested_search import FoldSearch
from orchestrator.evaluation.nested_training import FoldTraining, outer_views, samples_of
from orchestrator.evaluation.predictions import predictions_bytes
from orchestrator.results.names import counted_who, describe_configuration
from orchestrator.store.errors import InputError
from orchestrator.store.open import open_storage
from orchestrator.store.storage import Storage
from orchestrator.study.asked import find_weights
from orchestrator.study.data_root import root_of
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study, now, versions
from trainables.bundles.workbench import Workbench, open_bench
from trainables.learning.metrics import is_loss
from trainables.learning.tasks.confusion import accuracy, balanced_accuracy
from trainables.machine.places import Places

Show = Callable[[str], None]
Progress = Callable[[str, int, int], None]


def evaluate_nested(study: Study, options: NestedOptions, cache: Path, show: Show, progress: Progress) -> NestedRecord:
    """Train the folds that are not finished and store the record; progress(act, done, total) counts epochs.

    Raises InputError before anything is opened, where something is missing or wrong.
    """
    plan = make_nested_plan(study, options)
    beside = open_storage(study.place.parent)
    finished = {n: read_fold(study.storage, plan.key, n + 1, fold.id) for n, fold in enumerate(plan.folds)}
    missing = [n for n, fold in finished.items() if fold is None]
    if missing:
        for note in plan.notes:
            show(f"Note: {note}")
        places = _places(study, plan, options, cache, show)
        show(plan.cost(len(missing)))
        for n in missing:
            note_look(study.storage, beside, plan.looks[n])
        show(_looking(study, beside, plan, len(missing)))
        epochs = _Epochs(progress, len(missing) * plan.work)
        if plan.searches:
            folder = places.cache / "nested" / plan.key
            for n in missing:
                finished[n] = _repeat(study, plan, n, places, folder, epochs)
            shutil.rmtree(folder, ignore_errors=True)
        else:
            bench = open_bench(study.storage, places)
            tables = _tables(bench, plan, missing)
            for n in missing:
                finished[n] = _train(study, bench, plan, tables, n, epochs)
    else:
        show("Every outer fold is finished. The stored predictions are scored; this is no further look.")
    record = _scored(study, beside, plan, [fold for fold in finished.values() if fold is not None])
    write_nested(study.storage, record)
    return record


def _places(study: Study, plan: NestedPlan, options: NestedOptions, cache: Path, show: Show) -> Places:
    root = reopen(study, root_of(study, options.data_root, cache, show), cache).data_root
    if not root.is_dir():
        raise InputError(
            f"the images of study {study.name!r} are not on this machine: expected a folder {root}",
            f"orch evaluate {study.name} --nested {len(plan.folds)} --data-root DIR",
        )
    configurations = [candidate.configuration for candidate in plan.candidates]
    weights = find_weights(configurations, plan.summary.searches, options.weights)
    return Places.here(root, cache, weights)


def _looking(study: Study, beside: Storage, plan: NestedPlan, count: int) -> str:
    """What is said in the moment before images are opened."""
    folds = counted_who(count, "outer fold", "is", "are")
    told = f"{folds} opened, each a look at its images. The estimate is fixed now: {NESTED}."
    if not len(plan.sealed):
        return told
    looks = count_looks(study.storage, beside, short_hashes(plan.sealed["content"]))
    return f"{told} With these, the study's {len(plan.sealed)} test images have been looked at {_times(looks)}."


def _tables(bench: Workbench, plan: NestedPlan, missing: list[int]) -> dict[str, FeatureTable]:
    """Features of every view that the missing folds need, by `frozen_part`."""
    tables = {}
    for candidate in plan.candidates:
        configuration = candidate.configuration
        part = frozen_part(configuration)
        if part in tables:
            continue
        needed: set[View] = set()
        for n in missing:
            needed.update(outer_views(plan.manifest, plan.folds[n]))
            needed.update(views_of(samples_of(plan.manifest, plan.folds[n], configuration)))
        partition = plan.partition.id
        tables[part] = feature_table(bench, configuration, partition, plan.manifest, needed)
    return tables


def _train(
    study: Study,
    bench: Workbench,
    plan: NestedPlan,
    tables: dict[str, FeatureTable],
    n: int,
    epochs: _Epochs,
) -> FinishedFold:
    training = FoldTraining(bench, plan.manifest, plan.folds[n], plan.candidates, tables, epochs, plan.by_valid)
    outcome = training.run()
    winner = plan.candidates[outcome.selected]
    fold = FinishedFold(
        plan.folds[n].id,
        winner.configuration.id,
        winner.repeats,
        outcome.epochs,
        {c.configuration.id: float(score) for c, score in zip(plan.candidates, outcome.scores, strict=True)},
        outcome.logits,
    )
    write_fold(study.storage, plan.key, n + 1, fold)
    return fold


def _repeat(study: Study, plan: NestedPlan, n: int, places: Places, folder: Path, epochs: _Epochs) -> FinishedFold:
    """The searches once more on one fold."""
    again = FoldSearch(study, plan.searches, plan.folds[n], places, folder, epochs)
    fold = again.run(plan.selection, plan.outer(n))
    write_fold(study.storage, plan.key, n + 1, fold)
    again.forget()
    return fold


class _Epochs:
    """Epochs trained so far over all folds."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.progress = progress
        self.total = total
        self.done = 0
        self(0)

    def __call__(self, count: int) -> None:
        self.done += count
        self.progress("epochs of nested training", self.done, self.total)


def _scored(study: Study, beside: Storage, plan: NestedPlan, finished: list[FinishedFold]) -> NestedRecord:
    record = plan.summary.study
    repeats = min(len(fold.repeats) for fold in finished)
    images = pd.concat([plan.outer(n) for n in range(len(finished))], ignore_index=True)
    logits = np.concatenate([fold.logits[:repeats] for fold in finished], axis=1)[:, :, None]
    test = Scored.of(images, logits)
    notes = plan.notes
    if any(len(fold.repeats) > repeats for fold in finished):
        told = counted_who(repeats, "repeat", "counts", "count")
        notes = (*notes, f"The selected configurations have different numbers of repeats: {told} of each.")
    path = predictions_of(plan.key)
    content = predictions_bytes(plan.key, images, logits, range(repeats), (0,), record.classes)
    study.storage.replace(path, content)
    looks = count_looks(study.storage, beside, short_hashes(plan.sealed["content"])) if len(plan.sealed) else 0
    return NestedRecord(
        key=plan.key,
        study=study.name,
        synthetic=record.synthetic,
        group_meaning=record.group_meaning,
        classes=record.classes,
        partition=plan.partition.id,
        selection=plan.selection,
        looked_at=plan.looked_at,
        candidates=len(plan.candidates),
        searches=tuple(search.words for search in plan.searches),
        repeats=repeats,
        folds=tuple(_result(plan, n, fold) for n, fold in enumerate(finished)),
        images=len(images),
        groups=test.groups,
        estimates=nested_estimates(NESTED, test, record.classes, int(plan.key[:8], 16)),
        test_looks=looks,
        notes=notes,
        predictions=path,
        created=now(),
        versions=versions(),
    )


def _result(plan: NestedPlan, n: int, fold: FinishedFold) -> FoldResult:
    rows = plan.outer(n)
    units = Scored.of(rows, fold.logits[:, :, None]).units()
    counts = np.zeros((len(units.predicted), units.classes, units.classes), dtype=np.int64)
    for model, predicted in enumerate(units.predicted):
        np.add.at(counts[model], (units.truth, predicted), 1)
    inner = fold.scores[fold.configuration] * (-1 if is_loss(plan.selection) else 1)
    names = {c.configuration.id: describe_configuration(c.configuration) for c in plan.candidates}
    return FoldResult(
        number=n + 1,
        partition=fold.partition,
        images=len(rows),
        groups=units.groups,
        configuration=fold.configuration,
        name=names.get(fold.configuration) or fold.name,
        inner=float(inner) if np.isfinite(inner) else None,
        accuracy=float(accuracy(counts).mean()),
        balanced_accuracy=float(balanced_accuracy(counts).mean()),
        selected_epochs=fold.epochs,
        decisions=fold.decisions,
        epochs_trained=fold.epochs_trained,
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"

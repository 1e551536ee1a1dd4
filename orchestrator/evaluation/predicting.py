"""The sets of predictions that an evaluation needs: read where they lie in the study, else made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from orchestrator.evaluation.changed import in_words, strengths_of
from orchestrator.evaluation.estimates import Scored, Seen
from orchestrator.evaluation.plan import Plan
from orchestrator.evaluation.predictions import predictions_bytes, read_predictions
from orchestrator.evaluation.record import Changes, predictions_of
from orchestrator.evaluation.samples import Units
from orchestrator.results.names import counted
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.record import short_hash
from orchestrator.store.storage import Storage
from search_spaces.settings.augmentation import Augmentation
from trainables.bundles.prediction import predict
from trainables.bundles.trained import Trained
from trainables.bundles.workbench import Workbench
from trainables.features.frozen import Frozen
from trainables.learning.augmentations.redrawn import Redrawn

AS_THEY_ARE, TTA, AUGMENTED = "test images", "test-time views", "augmented test images"
"""What a set is of; of those that are drawn also the purpose that their draws have."""


@dataclass(frozen=True)
class Needed:
    """Predictions of these views of each test image; with `redrawn`, of these draws."""

    path: str
    views: tuple[int, ...]
    redrawn: Redrawn | None = None


class Predicted(NamedTuple):
    """logits: float32 [repeats, images, views, outputs]."""

    logits: np.ndarray
    views: tuple[int, ...]


def needed(plan: Plan, member: str = "") -> dict[str, Needed]:
    """By what they are of. Views that are no draws are of the images as they are, view 0 among them.

    member: id of the plan's configuration where the look is that of an ensemble, whose members have files of their own.
    """
    exact = plan.tta.exact if plan.tta is not None else ()
    sets = {AS_THEY_ARE: Needed(predictions_of(plan.look.id, member), tuple(sorted({0, *exact})))}
    of = f"{member}-" if member else ""
    if plan.tta is not None and not exact:
        sets[TTA] = _drawn(plan, TTA, f"{of}tta", plan.tta.same, plan.tta.count)
    if plan.augmented is not None:
        sets[AUGMENTED] = _drawn(plan, AUGMENTED, f"{of}augmented", plan.augmented, 1)
    return sets


def missing_of(wanted: Mapping[str, Needed], there: Mapping[str, Predicted]) -> dict[str, Needed]:
    """What is to be predicted; views that a set has already stay in it."""
    missing = {}
    for what, one in wanted.items():
        seen = there[what].views if what in there else ()
        if not set(one.views) <= set(seen):
            missing[what] = replace(one, views=tuple(sorted({*one.views, *seen})))
    return missing


def _drawn(plan: Plan, purpose: str, name: str, same: Augmentation, count: int) -> Needed:
    path = predictions_of(plan.look.id, f"{name}-{short_hash([same.names, strengths_of(same)])}")
    return Needed(path, tuple(range(count)), Redrawn(same, plan.choice.entry.configuration.data.seed, purpose))


def cost_in_words(plan: Plan, missing: Mapping[str, Needed]) -> str:
    """What goes through the network."""
    versions = {what: len(one.views) for what, one in missing.items()}
    upright = "1 upright" if versions.get(AS_THEY_ARE) == 1 else f"{versions.get(AS_THEY_ARE)} flips and rotations"
    said = {AS_THEY_ARE: upright, TTA: f"{versions.get(TTA)} random views", AUGMENTED: "1 augmented"}
    told = ", ".join(said[what] for what in versions)
    images, count, repeats = (len(plan.split.test), sum(versions.values()), len(plan.repeats))
    return f"To predict: {images * count:,} images ({images:,} × {count}: {told}), by {counted(repeats, 'repeat')}."


def stored(storage: Storage, plan: Plan, one: Needed) -> Predicted | None:
    with contextlib.suppress(FileNotFoundError, DamagedRecordError):  # they are made again
        content, task = storage.read(one.path), plan.choice.entry.configuration.data.task
        read = read_predictions(content, one.path, plan.look.id, plan.split.test, plan.repeats, plan.classes, task)
        return Predicted(*read)
    return None


def make(
    storage: Storage,
    plan: Plan,
    one: Needed,
    bench: Workbench,
    frozen: Frozen,
    models: Sequence[Trained],
    progress: Callable[[int, int], None],
) -> Predicted:
    """Predict and store. Raises InputError for predictions that are no numbers, which no metric can count."""
    logits = predict(
        bench,
        frozen,
        plan.split.test,
        plan.tested.root or bench.places.data_root,
        [model.weights for model in models],
        one.views,
        progress,
        one.redrawn,
    )
    odd = ~np.isfinite(logits).all(axis=(0, 2, 3))
    if odd.any():
        files = plan.split.test["file"].to_numpy()[odd]
        raise InputError(
            f"the network's outputs are not finite for {len(files)} of {counted(len(odd), 'test image')}, for instance "
            f"{files[0]}: expected finite outputs of every repeat",
            "Look at these files. If it is all of them, the weights have exploded: evaluate another configuration with "
            "--configuration ID.",
        )
    content = predictions_bytes(plan.look.id, plan.split.test, logits, plan.repeats, one.views, plan.classes)
    storage.replace(one.path, content)
    return Predicted(logits, one.views)


Mean = Callable[[str, tuple[int, ...]], Units]
"""Units of a set of predictions, with the mean of their probabilities over these views."""


def units_of(plan: Plan, sets: Mapping[str, Predicted]) -> Mean:
    return lambda what, views: Scored.of(plan.split.test, *sets[what]).units(views)


def tta_seen(plan: Plan, mean: Mean, paths: Mapping[str, str]) -> Seen | None:
    """paths: of the files of predictions."""
    if plan.tta is None:
        return None
    what = AS_THEY_ARE if plan.tta.exact else TTA
    strengths = strengths_of(plan.tta)
    changes = Changes(names=plan.tta.same.names, strengths=strengths, predictions=paths[what])
    return Seen(mean(what, plan.tta.numbers), plan.tta.count, changes, plan.tta.words)


def augmented_seen(plan: Plan, mean: Mean, paths: Mapping[str, str]) -> Seen | None:
    if plan.augmented is None:
        return None
    names, strengths = plan.augmented.names, strengths_of(plan.augmented)
    changes = Changes(names=names, strengths=strengths, predictions=paths[AUGMENTED])
    return Seen(mean(AUGMENTED, (0,)), 1, changes, in_words(names, strengths))

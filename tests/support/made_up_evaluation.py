"""Adds a made-up evaluation of the test split to a generated study: predictions, scores by the real code, a record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from orchestrator.evaluation.levels import Asked, level
from orchestrator.evaluation.predictions import predictions_bytes
from orchestrator.evaluation.record import (
    Changes,
    Estimate,
    EvaluationRecord,
    Interval,
    OperatingPoint,
    Score,
    Subgroup,
    predictions_of,
    write_evaluation,
)
from orchestrator.evaluation.samples import Units
from orchestrator.results.summary import summarise
from orchestrator.store.storage import LocalStorage

LOOK = "0123456789ab"


def add_evaluation(
    storage: LocalStorage,
    images: int = 60,
    groups: int = 12,
    repeats: int = 3,
    looks: int = 1,
    certainty: float = 1.0,
) -> EvaluationRecord:
    """Evaluate the best-ranked configuration: `images` test images of `groups` groups, all classes in turn.

    certainty: what the logits are multiplied by.
    """
    summary = summarise(storage)
    best, classes = summary.configurations[0], summary.study.classes
    draw = np.random.default_rng(0)
    truth = np.arange(images) % len(classes)
    group = np.arange(images) // len(classes) % groups
    logits = draw.normal(size=(repeats, images, 1, len(classes)))
    logits[:, np.arange(images), 0, truth] += 1.6
    logits *= certainty
    above = np.exp(logits[:, :, 0] - logits[:, :, 0].max(axis=-1, keepdims=True))
    chances = above / above.sum(axis=-1, keepdims=True)
    units = Units(chances, truth, group, groups)
    asked = Asked(classes, draws=100)
    numbers = tuple(range(repeats))
    primary = Estimate(
        name="single models",
        is_primary=True,
        views=1,
        ensemble=False,
        image=level(units, asked),
        even=level(units, replace(asked, mean_over="groups")),
    )
    whole = Estimate(name="ensemble", is_primary=False, views=1, ensemble=True, image=level(units.ensemble(), asked))
    noisy = Units(chances[:, np.r_[1:images, 0]] * 0.3 + chances * 0.7, truth, group, groups)
    changes = Changes(names=("brightness", "noise"), strengths={"brightness": 0.2, "noise": 0.1}, predictions="p")
    changed = [
        Estimate(name=name, is_primary=False, views=views, ensemble=False, image=level(noisy, asked), **{what: changes})
        for name, views, what in (
            ("single models, mean over 8 views (brightness 0.2, noise 0.1)", 8, "tta"),
            ("single models, augmented test images (brightness 0.2, noise 0.1)", 1, "augmented"),
        )
    ]
    score = Score(value=0.8, std=0.02, repeats=repeats, interval=Interval(low=0.7, high=0.9, method="t", groups=groups))
    point = OperatingPoint(
        asked="specificity=0.95",
        target="specificity",
        share=0.95,
        name=classes[-1],
        thresholds=(0.5,) * repeats,
        valid={"sensitivity": 0.8, "specificity": 0.95},
        scores={"sensitivity": score, "specificity": score, "ppv": score, "npv": score},
    )
    subgroup = Subgroup(
        column="site",
        value="north",
        images=images // 2,
        groups=groups // 2,
        overall=primary.image.overall,
        classes=primary.image.classes,
    )
    names = [f"secret {number}" for number in range(images)]
    frame = pd.DataFrame({"file": names, "content": names, "group": names, "label": np.array(classes)[truth]})
    columns = logits[..., -1:] - logits[..., :1] if len(classes) == 2 else logits
    storage.replace(predictions_of(LOOK), predictions_bytes(LOOK, frame, columns, numbers, (0,), classes))
    record = EvaluationRecord(
        look=LOOK,
        study=summary.study.name,
        synthetic=summary.study.synthetic,
        group_meaning=summary.study.group_meaning,
        classes=classes,
        partition=best.partition,
        configuration=best.id,
        name="the best configuration",
        chosen="best mean on validation",
        selection=summary.study.selection,
        repeats=numbers,
        diverged=(),
        epochs=best.epochs,
        selected_epochs=(1,) * repeats,
        test_set="f" * 64,
        images=images,
        groups=groups,
        number=looks,
        looks=looks,
        deviation=0.0,
        estimates=(primary, whole, *changed),
        operating_points=(point,),
        subgroups=(subgroup,),
        notes=("A note.",),
        predictions=predictions_of(LOOK),
        draws=0,
        created="2026-03-02T10:00:00+00:00",
    )
    write_evaluation(storage, record)
    return record

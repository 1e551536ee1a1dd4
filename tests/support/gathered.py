"""Predictions of made-up networks, gathered as `orch mistakes` has them, without a study."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.mistakes.gathered import Gathered, counted_votes


def gathered_of(logits: np.ndarray, truth: np.ndarray, group: np.ndarray, **changes: Any) -> Gathered:
    """logits: float [C, R, N, K] on one partition. truth: int [N]. group: int [N], every number up to the largest."""
    members, repeats, images, classes = logits.shape
    votes, sums = zip(*(counted_votes(one, classes) for one in logits), strict=True)
    chance = np.stack(sums) / repeats
    labels = np.array([f"class {k}" for k in range(classes)], dtype=object)
    groups = tuple(f"group {g:03d}" for g in range(int(group.max()) + 1))
    frame = pd.DataFrame(
        {
            "file": [f"{i:04d}.png" for i in range(images)],
            "label": labels[truth],
            "group": np.array(groups, dtype=object)[group],
            "width": 8,
            "height": 8,
        }
    )
    made: dict[str, Any] = {
        "study": "made",
        "seed": 3,
        "classes": tuple(labels.tolist()),
        "images": frame,
        "truth": np.asarray(truth, dtype=np.int64),
        "group": np.asarray(group, dtype=np.int64),
        "groups": groups,
        "members": tuple(SimpleNamespace(id=f"{c:012x}") for c in range(members)),
        "names": {f"{c:012x}": f"configuration {c}" for c in range(members)},
        "trials": np.full(images, repeats, dtype=np.int64),
        "called": np.stack(votes),
        "chance": np.take_along_axis(chance, np.broadcast_to(truth, (members, images))[..., None], 2)[..., 0],
        "probability": chance.mean(axis=0),
        "manifest": frame,
        "split_of": {"p0": np.array(["valid"] * images, dtype=object)},
        "repeats": (repeats,),
    }
    return Gathered(**{**made, **changes})


def random_gathered(seed: int, members: int = 3, repeats: int = 4, images: int = 60, classes: int = 3) -> Gathered:
    """Labels that predictions know something of; groups of one class and about six images."""
    draw = np.random.default_rng(seed)
    groups = max(1, images // 6)
    group = np.sort(np.concatenate([np.arange(groups), draw.integers(0, groups, images - groups)]))
    truth = draw.integers(0, classes, groups)[group]
    shared = 1.5 * np.eye(classes)[truth] + draw.normal(size=(images, classes))
    return gathered_of(shared + 0.7 * draw.normal(size=(members, repeats, images, classes)), truth, group)

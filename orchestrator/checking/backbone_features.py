"""A backbone's features of all images, with the code and the cache of a search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from orchestrator.checking.material import Features
from orchestrator.study.asked import weights_place
from search_spaces.backbones import settled_name
from search_spaces.loader import default_space
from search_spaces.points import Point, points
from search_spaces.resolve import BackboneFacts, resolve
from trainables.data.dataset import Dataset, fingerprint
from trainables.features.frozen import FrozenParts
from trainables.features.samples import Samples
from trainables.features.store import StoredInputs
from trainables.machine.allocation import cpus
from trainables.machine.arithmetic import settle_arithmetic
from trainables.machine.places import Places, weights_choice
from trainables.network.backbone import architecture_of, facts_of, weights_origin
from trainables.network.opened import Networks

Progress = Callable[[str, int, int], None]


def backbone_features(name: str, weights: str, cache: Path, progress: Progress) -> Callable[[Dataset], Features]:
    """Opens what the name and the weights mean before any image is read; raises InputError. weights: hub, none, FILE.

    What it returns gives float32 [images, D], D the width of the pooled features, and says of which network they are.
    """
    space = default_space("check")
    point = points(space, name, small=False)[0]
    known = architecture_of(point.form(settled_name(space, name)))
    choice = weights_choice(weights)
    facts = facts_of(known, choice, 0)
    origin = weights_origin(known, choice, 0)
    told = f"features of {facts.name}, weights {origin}"

    def of(dataset: Dataset) -> Features:
        return Features(_computed(dataset, point, facts, weights, cache, progress), told)

    return of


def _computed(
    dataset: Dataset, point: Point, facts: BackboneFacts, weights: str, cache: Path, progress: Progress
) -> np.ndarray:
    manifest = dataset.manifest
    classes = tuple(sorted(set(manifest["label"])))
    configuration = resolve(
        point,
        facts,
        task="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        data_fingerprint=fingerprint(manifest),
        study_seed=0,
        precision="fp32",
    )
    settle_arithmetic(cpus())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    places = Places.here(dataset.root, cache, {} if weights == "none" else {facts.weights: weights_place(weights)})
    # Test images of a later study are among them: a folder of their own, which no learner opens
    parts = FrozenParts(places, Networks(places, device), device, purpose="check")
    samples = _upright(dataset, classes)
    squares = parts.pixels(configuration, samples)
    for chunk in squares.missing():
        parts.write_pixels(configuration, samples, chunk, cpus())
    frozen = parts.decide(configuration, samples)
    assert frozen.features is not None  # the first point of a backbone is a head on its pooled features
    parts.reserve([frozen])
    missing = frozen.features.missing()
    for done, part in enumerate(missing, 1):
        parts.compute([frozen], part)
        progress("parts of the features computed", done, len(missing))
    values = StoredInputs(frozen.features, configuration.network.precision, torch.device("cpu")).everything()
    return np.array(values.numpy(), dtype=np.float32)


def _upright(dataset: Dataset, classes: tuple[str, ...]) -> Samples:
    """View 0 of every image, those that would be the test split among them: nothing is trained or scored here."""
    images = dataset.manifest
    rows = np.arange(len(images), dtype=np.int64)
    views = np.stack([rows, np.zeros_like(rows)], axis=1).astype(np.int32)
    labels = images["label"].map({name: number for number, name in enumerate(classes)}).to_numpy(dtype=np.int64)
    return Samples(images, views, labels, rows, {"train": rows}, None)

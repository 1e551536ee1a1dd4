"""What each setting changes: said by hand here, from what the code reads, and shown on a study of real images."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search_spaces.configuration import FROZEN_PART, Configuration, by_path
from search_spaces.settings.declaration import Touch
from tests.support.configurations import configured
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.features.samples import samples_key
from trainables.features.store import StoredInputs

PIXELS, SAMPLES, NETWORK, FEATURES, STEP, SELECTION = Touch
TOUCHES: dict[str, set[Touch]] = {
    "data.task": {STEP, SELECTION},
    "data.classes": {SAMPLES, STEP},
    "data.content": {SAMPLES},
    "data.seed": {SAMPLES, STEP},
    "network.backbone": {NETWORK, FEATURES},
    "network.weights": {NETWORK, FEATURES},
    "network.ends_at": {NETWORK, FEATURES},
    "network.pooling": {NETWORK, FEATURES},
    "network.joined": {NETWORK, FEATURES},
    "network.precision": {FEATURES},
    "adaptation.name": {STEP},
    "adaptation.unfrozen": {STEP},
    "adaptation.layers": {STEP},
    "adaptation.start": {STEP},
    "adaptation.norms": {STEP},
    "adaptation.rank": {STEP},
    "adaptation.alpha": {STEP},
    "adaptation.lr_decay": {STEP},
    "adaptation.arithmetic": {STEP},
    "image.size": {NETWORK, FEATURES},
    "image.store_size": {PIXELS},
    "image.crops": {SAMPLES},
    "image.interpolation": {PIXELS},
    "image.borders": {PIXELS},
    "image.fit": {PIXELS},
    "image.standardisation": {FEATURES},
    "image.mean": {FEATURES},
    "image.std": {FEATURES},
    "image.views": {SAMPLES},
    "balance.name": {SAMPLES, STEP},
    "balance.count": {SAMPLES},
    "balance.score_augmented": {SAMPLES},
    "augmentation.names": {STEP},
    "augmentation.chance": {STEP},
    "augmentation.alpha": {STEP},
    "augmentation.cutmix_alpha": {STEP},
    "augmentation.scale": {STEP},
    "augmentation.ratio": {STEP},
    "augmentation.brightness": {STEP},
    "augmentation.contrast": {STEP},
    "augmentation.saturation": {STEP},
    "augmentation.hue": {STEP},
    "augmentation.stain": {STEP},
    "augmentation.blur": {STEP},
    "augmentation.noise": {STEP},
    "augmentation.erasing": {STEP},
    "augmentation.erased": {STEP},
    "augmentation.operations": {STEP},
    "augmentation.magnitude": {STEP},
    "augmentation.severity": {STEP},
    "head.name": {STEP},
    "head.non_linearities": {STEP},
    "head.widths": {STEP},
    "head.batch_norm": {STEP},
    "head.activation": {STEP},
    "head.negative_slope": {STEP},
    "head.dropout": {STEP},
    "head.input_norm": {STEP},
    "head.excitation": {STEP},
    "head.reduction": {STEP},
    "head.penalty": {STEP},
    "loss.name": {STEP},
    "loss.smoothing": {STEP},
    "loss.gamma": {STEP},
    "loss.tau": {STEP},
    "optimiser.name": {STEP},
    "optimiser.lr": {STEP},
    "optimiser.batch_size": {STEP},
    "optimiser.momentum": {STEP},
    "optimiser.betas": {STEP},
    "optimiser.weight_decay": {STEP},
    "optimiser.decay_on": {STEP},
    "optimiser.clip": {STEP},
    "optimiser.average": {STEP},
    "schedule.name": {STEP},
    "schedule.length": {STEP},
    "schedule.warm_up": {STEP},
    "schedule.factor": {STEP},
    "schedule.stretches": {STEP},
    "ending.name": {STEP},
    "ending.patience": {STEP},
    "ending.min_gain": {STEP},
    "selection.metric": {SELECTION},
    "selection.of_class": {SELECTION},
    "selection.precision": {SELECTION},
    "selection.rule": {SELECTION},
}
"""The stored squares lie under their key, which is part of the features'; the views of the samples are too."""
STACKABLE = {"optimiser.lr", "optimiser.momentum", "optimiser.weight_decay", "optimiser.decay_on"}
BASE: dict[str, Any] = {
    "store_size": 40,
    "crops": 2,
    "views": 2,
    "standardisation": "weights",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.25, 0.25, 0.25),
}


@pytest.mark.parametrize("path", by_path())
def test_a_setting_touches_what_the_code_reads(path: str) -> None:
    setting = by_path()[path].setting
    assert set(setting.touches) == TOUCHES[path]
    assert setting.stackable == (path in STACKABLE)


def test_every_setting_is_in_the_table() -> None:
    assert [*TOUCHES] == [*by_path()]


def test_one_pass_serves_what_the_frozen_part_does_not_depend_on() -> None:
    free = {path for path, touches in TOUCHES.items() if touches <= {STEP, SELECTION}}
    assert set(configured().key(*FROZEN_PART)) == {*by_path()} - free


@dataclasses.dataclass(frozen=True)
class Seen:
    """Keys of one configuration's squares, samples and features, contents of the first two, and features by row."""

    keys: tuple[str, str, str]
    contents: tuple[str, str]
    rows: dict[str, str]


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(f"{a.dtype}{a.shape}".encode() + a.tobytes() for a in arrays)).hexdigest()


@pytest.fixture(scope="module")
def see(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Computes a configuration's squares, samples and features, each time in a cache of its own."""
    study = make_tiny_study(tmp_path_factory.mktemp("study"), border=4)

    @functools.cache
    def seen(configuration: Configuration) -> Seen:
        return computed(study, configuration, tmp_path_factory.mktemp("cache"))

    def of(**changes: Any) -> Seen:
        return seen(study.configuration(**{**BASE, **changes}))

    return of


def computed(study: TinyStudy, configuration: Configuration, cache: Path) -> Seen:
    bench = dataclasses.replace(study, cache=cache).bench()
    samples = bench.samples(configuration, study.partition)
    frozen = bench.frozen_ready(configuration, study.partition)
    assert frozen.features is not None
    bench.compute_missing(frozen)
    stored = StoredInputs(frozen.features, configuration.network.precision, bench.device)
    gathered = stored.gather(torch.arange(samples.rows))
    weights = np.zeros(0) if samples.weights is None else samples.weights
    parts = [samples.views, samples.labels, samples.training, weights]
    parts += [rows for _, rows in sorted(samples.scoring.items())]
    return Seen(
        (frozen.pixels.folder.name, samples_key(configuration, study.partition), frozen.features.key),
        (digest(*held(frozen.pixels.open())), digest(*parts)),
        {name: digest(*(each[n].numpy() for each in gathered)) for n, name in enumerate(frozen.features.names)},
    )


def held(arrays: Any) -> Iterator[np.ndarray]:
    return (np.asarray(arrays[name]) for name in sorted(arrays))


NGCA = {"balance": "ngca"}
VIT = {"backbone": "timm:test_vit.r160_in1k"}
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "image.size": ({}, {"image_size": 36}, "features"),
    "image.store_size": ({}, {"store_size": 44}, "pixels features"),
    "image.crops": ({}, {"crops": 3}, "samples"),
    "image.interpolation": ({}, {"interpolation": "lanczos"}, "pixels features"),
    "image.borders": ({}, {"borders": "cropped"}, "pixels features"),
    "image.fit": ({}, {"fit": "pad"}, "pixels features"),
    "image.standardisation": ({}, {"standardisation": "train"}, "features"),
    "image.standardisation, half": ({}, {"standardisation": "half"}, "features"),
    "image.standardisation, each split": ({"standardisation": "train"}, {"standardisation": "each_split"}, "features"),
    "image.mean": ({}, {"mean": (0.5, 0.4, 0.4)}, "features"),
    "image.std": ({}, {"std": (0.25, 0.25, 0.3)}, "features"),
    "image.views": ({}, {"views": 3}, "samples"),
    "balance.name": ({}, NGCA, "samples"),
    "balance.name, weights": ({}, {"balance": "class_weights"}, "samples"),
    "balance.name, fewer": ({}, {"balance": "subsample"}, "samples"),
    "balance.name, so many": ({}, {"balance": "count", "count": 20}, "samples"),
    "balance.count": ({"balance": "count", "count": 20}, {"balance": "count", "count": 21}, "samples"),
    "balance.score_augmented": (NGCA, {**NGCA, "score_augmented": True}, "samples"),
    "network.backbone": ({}, {"backbone": "timm:test_efficientnet.r160_in1k"}, "features"),
    "network.ends_at": ({}, {"ends_at": "layer2"}, "features"),
    "network.pooling": (VIT, {**VIT, "pooling": "both"}, "features"),
    "network.joined": ({}, {"joined": 2}, "features"),
    "network.precision": ({}, {"precision": "bf16"}, "features"),
    "network.weights, data.seed": ({}, {"weights": "init:6", "study_seed": 6}, "samples features"),
    "data.classes": ({}, {"classes": ("many", "few")}, "samples"),
    "head.non_linearities": ({}, {"non_linearities": 1}, ""),
    "head.excitation": ({}, {"input_norm": True, "excitation": "after_pooling"}, ""),
    "optimiser.lr": ({}, {"lr": 0.5}, ""),
    "optimiser.name": ({}, {"optimiser": "adam"}, ""),
    "selection.metric": ({}, {"selection": "accuracy"}, ""),
    "selection.of_class": (
        {"selection": "class_recall", "of_class": "few"},
        {"selection": "class_recall", "of_class": "many"},
        "",
    ),
    "selection.rule": ({}, {"rule": "worse_of_both"}, ""),
}


@pytest.mark.parametrize("name", PAIRS)
def test_keys_differ_exactly_where_what_lies_under_them_does(see: Any, name: str) -> None:
    one, other, moved = PAIRS[name]
    left, right = see(**one), see(**other)
    kinds = ("pixels", "samples", "features")
    differ = [kind for kind, a, b in zip(kinds, left.contents, right.contents, strict=False) if a != b]
    common = left.rows.keys() & right.rows.keys()
    if not common or any(left.rows[name] != right.rows[name] for name in common):
        differ.append("features")
    assert differ == moved.split()
    assert [kind for kind, a, b in zip(kinds, left.keys, right.keys, strict=True) if a != b] == differ


def test_what_a_pass_can_change_is_shown_for_every_setting_that_says_so() -> None:
    shown = {path for name in PAIRS for path in name.split(", ") if "." in path}
    seen = {PIXELS, SAMPLES, FEATURES}
    assert {path for path, touches in TOUCHES.items() if touches & seen} - shown == {"data.content"}

"""Rows → inputs → augmentation → body → head → loss → rule: what each declared kind learns, beside plain torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces.configuration import Configuration
from search_spaces.settings.head import HEADS
from tests.support import plain_network
from tests.support.groups import done, group_of_lanes, saved
from tests.support.plain_augmentations import changed, mixed
from tests.support.plain_network import GivenMask
from tests.support.tiny_study import TinyStudy, assert_same_result, make_tiny_study
from trainables.bundles.prediction import Models
from trainables.bundles.trained import trained
from trainables.learning.augmentations.augmentation import Batch
from trainables.learning.group import Group, batches
from trainables.learning.learner import Lane, lanes_of

CPU = torch.device("cpu")
EPOCHS, REPEAT = 3, 1
WIDTHS: dict[str, Any] = {"head": "widths", "widths": (24, 8), "batch_norm": True, "dropout": 0.25}
SCRATCH: dict[str, Any] = {"adaptation": "whole", "start": "drawn", "norms": "moving"}
CASES: dict[str, dict[str, Any]] = {
    "batch norm in the head": {**WIDTHS, "lr": 0.05, "momentum": 0.9},
    "given widths alone": {**WIDTHS, "batch_norm": False, "lr": 0.05},
    "gelu": {**WIDTHS, "batch_norm": False, "activation": "gelu", "lr": 0.2, "momentum": 0.9},
    "gelu, batch norm": {**WIDTHS, "activation": "gelu", "lr": 0.05, "momentum": 0.9},
    "gate": {"excitation": "after_pooling", "reduction": 8, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "input norm": {"input_norm": True, "lr": 0.05, "momentum": 0.9},
    "input norm, gate, widths": {
        **WIDTHS,
        "input_norm": True,
        "excitation": "after_pooling",
        "lr": 0.05,
        "weight_decay": 0.2,
        "decay_on": "weights",
    },
    "gate, body, batch norm": {**WIDTHS, "excitation": "after_pooling", "unfrozen": 1, "lr": 0.02, "average": 0.7},
    "batch norm in head and body": {**WIDTHS, "unfrozen": 2, "norms": "moving", "lr": 0.01},
    "moving norms": {"unfrozen": 3, "norms": "moving", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.01},
    "decay on weights, batch norm": {
        **WIDTHS,
        "unfrozen": 3,
        "norms": "moving",
        "lr": 0.01,
        "weight_decay": 0.9,
        "decay_on": "weights",
    },
    "decay on weights of a vision transformer": {
        "backbone": "timm:test_vit.r160_in1k",
        "unfrozen": 3,
        "lr": 0.005,
        "weight_decay": 0.9,
        "decay_on": "weights",
    },
    "drawn anew, moving norms": {"unfrozen": 3, "start": "drawn", "norms": "moving", "lr": 0.01, "momentum": 0.9},
    "whole": {"adaptation": "whole", "lr": 0.001},
    "whole, moving norms": {"adaptation": "whole", "norms": "moving", "lr": 0.0005},
    "scratch, moving norms": {**SCRATCH, "lr": 0.005, "weight_decay": 0.01},
    "whole vision transformer, flips": {
        "backbone": "timm:test_vit.r160_in1k",
        "adaptation": "whole",
        "augmentation": "flips",
        "lr": 0.005,
    },
    "layers of the front, moving norms": {
        "adaptation": "layers",
        "adaptation.layers": ("conv1", "layer1", "bn1"),
        "norms": "moving",
        "lr": 0.01,
    },
    "a layer of the end": {"adaptation": "layers", "adaptation.layers": ("layer4",), "lr": 0.01},
    "biases": {"adaptation": "bias", "lr": 0.005},
    "scales and shifts": {"adaptation": "scale_and_shift", "lr": 0.005},
    "scales and shifts of a vision transformer, decay on weights": {
        "backbone": "timm:test_vit.r160_in1k",
        "adaptation": "scale_and_shift",
        "lr": 0.01,
        "weight_decay": 0.9,
        "decay_on": "weights",
    },
    "low-rank updates": {
        "backbone": "timm:test_vit.r160_in1k",
        "adaptation": "lora",
        "rank": 4,
        "adaptation.alpha": 8.0,
        "lr": 0.01,
        "momentum": 0.9,
    },
    "decaying rates": {"unfrozen": 3, "lr_decay": 0.5, "lr": 0.02, "momentum": 0.9, "weight_decay": 0.01},
    "decaying rates of a whole vision transformer": {
        "backbone": "timm:test_vit.r160_in1k",
        "adaptation": "whole",
        "lr_decay": 0.8,
        "lr": 0.02,
    },
    "whole, bfloat16": {"adaptation": "whole", "arithmetic": "bf16", "lr": 0.002, "momentum": 0.9},
    "scratch, moving norms, bfloat16": {**SCRATCH, "arithmetic": "bf16", "lr": 0.005, "average": 0.7},
    "a layer of the end, bfloat16": {
        "adaptation": "layers",
        "adaptation.layers": ("layer4",),
        "arithmetic": "bf16",
        "lr": 0.01,
        "clip": 0.5,
    },
    "flips, frozen": {"augmentation": "flips", "chance": 0.4, "lr": 0.05},
    "flips, unfrozen": {"augmentation": "flips", "unfrozen": 1, "lr": 0.01},
    "several, frozen": {"augmentation": ("flips", "crop", "contrast", "colour", "erasing"), "lr": 0.05},
    "others, unfrozen": {"augmentation": ("dihedral", "brightness", "blur", "noise"), "unfrozen": 1, "lr": 0.01},
    "stain, frozen": {"augmentation": "stain", "stain": 0.2, "lr": 0.01},
    "randaugment, cutmix": {"augmentation": ("randaugment", "cutmix"), "magnitude": 12, "lr": 0.05},
    "augmix, feature mixup": {"augmentation": ("augmix", "feature_mixup"), "alpha": 0.8, "lr": 0.05},
    "feature mixup, cached": {"augmentation": "feature_mixup", "alpha": 0.8, "lr": 0.05},
    "mixup or cutmix": {"augmentation": ("mixup", "cutmix"), "alpha": 0.8, "unfrozen": 1, "lr": 0.01},
    "mixup, frozen": {"augmentation": "mixup", "alpha": 0.8, "lr": 0.05},
    "mixup, focal loss": {"augmentation": "mixup", "alpha": 0.8, "lr": 0.05, "loss.name": "focal", "loss.gamma": 1.5},
    "mixup, adjusted logits": {"augmentation": "mixup", "alpha": 0.8, "lr": 0.05, "loss.name": "logit_adjusted"},
    "focal loss, unfrozen": {"unfrozen": 1, "lr": 0.01, "loss.name": "focal"},
    "clipped, given widths": {**WIDTHS, "batch_norm": False, "lr": 0.5, "momentum": 0.9, "clip": 0.2},
    "clipped, moving norms": {"unfrozen": 2, "lr": 0.1, "norms": "moving", "weight_decay": 0.01, "clip": 0.5},
    "averaged, given widths": {**WIDTHS, "batch_norm": False, "lr": 0.2, "momentum": 0.9, "average": 0.8},
    "averaged, batch norm in head and body": {
        **WIDTHS,
        "unfrozen": 2,
        "norms": "moving",
        "lr": 0.02,
        "momentum": 0.9,
        "average": 0.7,
    },
    "mixup, batch norm": {**WIDTHS, "augmentation": "mixup", "unfrozen": 1, "norms": "moving", "lr": 0.01},
}


WITHIN = {"fp32": 1e-5, "bf16": 2e-4}
"""Of losses. In bfloat16 a difference in the last bit of a float32 now and then becomes one of 0.4 % of a value."""
LONG = (
    "whole vision transformer, flips",
    "decay on weights of a vision transformer",
    "scales and shifts of a vision transformer, decay on weights",
    "decaying rates of a whole vision transformer",
    *("a layer of the end", "decaying rates", "biases", "whole", "gate, body, batch norm"),
    *("scratch, moving norms, bfloat16", "whole, bfloat16", "others, unfrozen", "focal loss, unfrozen"),
    *("mixup, batch norm", "mixup, frozen", "clipped, moving norms", "decay on weights, batch norm"),
    *("flips, frozen", "stain, frozen"),
)
"""Of the cases, those that take long; low-rank updates stand for transformers, others for whole networks and for
two settings that each have a case of their own."""


@pytest.fixture(params=[("few", "many"), ("few", "many", "some")], ids=["binary", "multiclass"], scope="module")
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("path"), request.param)


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("path"))


def begun(study: TinyStudy, c: Configuration, repeats: tuple[int, ...] = (REPEAT,)) -> Group:
    lanes = [Lane(c, repeat) for repeat in repeats]
    return group_of_lanes(study, lanes, EPOCHS)


class Gate(nn.Sequential):
    """Squeeze and excitation, the squeeze done."""

    def __init__(self, width: int, few: int) -> None:
        super().__init__(nn.Linear(width, few), nn.ReLU(), nn.Linear(few, width), nn.Sigmoid())

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        gates: torch.Tensor = super().forward(features)
        return gates * features


def plain_head(c: Configuration, width: int) -> nn.Sequential:
    """The same layers as a reader of the help would write them."""
    parts: list[nn.Module] = [nn.BatchNorm1d(width)] if c.head.input_norm else []
    if c.head.excitation == "after_pooling":
        parts.append(Gate(width, width // c.head.reduction))
    for wide in c.head.widths if c.head.name == "widths" else ():
        parts.append(nn.Linear(width, wide))
        if c.head.batch_norm:
            parts.append(nn.BatchNorm1d(wide))
        bend = nn.GELU() if c.head.activation == "gelu" else nn.LeakyReLU(c.head.negative_slope)
        parts += [bend, GivenMask(c.head.dropout)]
        width = wide
    return nn.Sequential(*parts, nn.Linear(width, c.outputs))


@pytest.mark.parametrize("name", CASES)
def test_three_epochs_equal_torch(study: TinyStudy, name: str) -> None:
    c = study.configuration(**CASES[name])
    group = done(begun(study, c))
    head = plain_head(c, study.bench().facts(c).feature_width)

    def change(epoch: int, first: int, images: torch.Tensor, targets: torch.Tensor) -> Any:
        return changed(c, Batch(c.data.seed, (REPEAT,), epoch, first, len(images)), images, targets)

    def mix(epoch: int, first: int, features: torch.Tensor, targets: torch.Tensor) -> Any:
        return mixed("mixup", c, Batch(c.data.seed, (REPEAT,), epoch, first, len(features)), features, targets)

    mixes = "feature_mixup" in c.augmentation.names
    expected = plain_network.losses(
        study, c, REPEAT, EPOCHS, head, change if c.augmentation.from_pixels else None, mix if mixes else None
    )
    found = group.history(0).loss
    assert found == pytest.approx(expected, abs=WITHIN[c.adaptation.arithmetic])
    assert np.ptp(found[:, 0]) > 0.01, "something was learned, so that something was compared"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in CASES]
)
def test_going_on_is_never_having_stopped(two_classes: TinyStudy, name: str) -> None:
    c = two_classes.configuration(**CASES[name])
    whole, cut = done(begun(two_classes, c)), begun(two_classes, c)
    while not cut.is_done:
        cut.advance(0.0)  # one step or one scoring
        state = saved(cut)
        cut = begun(two_classes, c)
        cut.load(state)
    assert np.array_equal(whole.history(0).loss, cut.history(0).loss)
    for part, values in whole.learner.state().items():
        assert np.array_equal(values, cut.learner.state()[part]), part


@pytest.mark.parametrize("name", CASES)
def test_statistics_are_kept_with_the_weights(two_classes: TinyStudy, name: str) -> None:
    """Trained, trained again from the seed, and predicted from images alone: the same logits."""
    c = two_classes.configuration(**CASES[name])
    finals = two_classes.train(c, (0, 3), EPOCHS)
    bench = two_classes.bench()
    again = trained(bench, two_classes.partition, c.id, [0, 3])
    assert [one.deviation for one in again.values()] == [0.0, 0.0]
    frozen = bench.frozen_ready(c, two_classes.partition, str(finals[0].meta["recipe"]["frontier"]))
    rows = frozen.samples.scoring["valid"]
    models = Models(bench, frozen, [again[0].weights, again[3].weights])
    logits = models.logits([frozen.reader(CPU).batch(rows)])
    for found, repeat in zip(logits, (0, 3), strict=True):
        assert found == pytest.approx(finals[repeat].logits.astype(np.float32), rel=1e-3, abs=1e-3)
    assert any("running_mean" in part for part in again[0].weights) == ("norm" in name)


@pytest.mark.parametrize("settings", [{}, {"unfrozen": 2}], ids=["frozen", "unfrozen"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_scores_read_what_is_kept_whatever_is_trained_on(
    two_classes: TinyStudy, settings: dict[str, Any], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that configurations differ in what they are trained on alone, and nothing frozen is computed to score."""
    settings = {**settings, "precision": precision, "lr": 0.01}
    plain, flipped = (two_classes.configuration(**settings, augmentation=name) for name in ("none", "flips"))
    study, bench = two_classes, two_classes.bench()
    frozen = [bench.frozen_ready(c, study.partition).features for c in (plain, flipped)]
    assert frozen[0] is not None
    assert frozen[1] is not None
    assert frozen[0].folder == frozen[1].folder
    one, other = begun(study, plain), begun(study, flipped)
    images = other.learner.images
    assert images is not None
    computed = list[int]()
    real = images.frozen

    def counted(batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        computed.append(len(batch[0]))
        return real(batch)

    monkeypatch.setattr(images, "frozen", counted)
    done(one)
    done(other)
    assert np.array_equal(one.history(0).loss[0], other.history(0).loss[0]), "untrained they are the same"
    assert not np.array_equal(one.history(0).loss[1], other.history(0).loss[1])
    assert sum(computed) == EPOCHS * len(other.samples.training)


def test_each_repeat_draws_layers_of_its_own(two_classes: TinyStudy) -> None:
    c = two_classes.configuration(**CASES["drawn anew, moving norms"])
    one, other = (begun(two_classes, c, (repeat,)).learner.weights_of(0) for repeat in (0, 1))
    kept = begun(two_classes, two_classes.configuration(unfrozen=3, norms="moving")).learner.weights_of(0)
    layers = [name for name in one if name.startswith("body.") and one[name].ndim == 4]
    assert layers
    for name in layers:
        assert not np.array_equal(one[name], other[name])
        assert not np.array_equal(one[name], kept[name])


def test_a_stack_that_is_not_written_out_is_trained_in_turn(two_classes: TinyStudy) -> None:
    c = two_classes.configuration(**CASES["batch norm in the head"])
    with pytest.raises(ValueError, match='the lanes of a head "widths" are trained in turn'):
        begun(two_classes, c, (0, 1))
    alone = two_classes.train(c, (2,), EPOCHS)[2]
    beside = make_other(two_classes, c)
    assert alone.meta["recipe"]["segment"]["repeats"] == [2]
    assert_same_result(alone, beside)


def make_other(study: TinyStudy, c: Configuration) -> Any:
    """Repeat 2 trained after others in a study of its own."""
    folder = study.folder.parent / "beside"
    other = make_tiny_study(folder)
    assert other.configuration(**CASES["batch norm in the head"]).id == c.id
    return other.train(c, (0, 1, 2), EPOCHS)[2]


@pytest.mark.parametrize(
    ("rows", "size", "joins", "ends"),
    [
        (25, 8, False, [8, 16, 24, 25]),
        (25, 8, True, [8, 16, 25]),
        (26, 8, True, [8, 16, 24, 26]),
        (24, 8, True, [8, 16, 24]),
        (1, 8, True, [1]),
        (9, 8, True, [9]),
        (3, 1, False, [1, 2, 3]),
    ],
)
def test_where_batches_end(rows: int, size: int, joins: bool, ends: list[int]) -> None:
    assert batches(rows, size, joins_one=joins) == ends


@pytest.mark.parametrize("name", HEADS.names)
def test_what_a_stacked_head_is_made_of(name: str, two_classes: TinyStudy, tmp_path: Path) -> None:
    """Whoever says that its products are written out has linear layers with one activation and one dropout between."""
    from trainables.learning.heads.head import head_of, layers_of

    for changes in ({}, {"batch_norm": True}, {"input_norm": True}, {"excitation": "after_pooling"}):
        for activation, kind in (("leaky_relu", "LeakyReLU"), ("gelu", "GELU")):
            settings: dict[str, Any] = {"batch_norm": False, "activation": activation, **changes}
            c = two_classes.configuration(head=name, non_linearities=2, widths=(16, 4), **settings)
            kinds = [layer.kind for layer in layers_of(c, 32)]
            written_out = ["Linear", *[kind, "Dropout", "Linear"] * 2]
            assert (kinds == written_out) == head_of(c.head).is_written_out


def test_features_are_mixed_within_each_lane_of_a_stack(two_classes: TinyStudy) -> None:
    """Mixed features keep what is cached, so that lanes are stacked; each learns what it would alone."""
    settings: dict[str, Any] = {"augmentation": "feature_mixup", "alpha": 0.8}
    slow, fast = (two_classes.configuration(**settings, lr=lr) for lr in (0.01, 0.05))
    assert slow.live.has_features
    group = done(group_of_lanes(two_classes, lanes_of([slow, fast], [0, 3]), EPOCHS))
    for place, (c, repeat) in enumerate([(slow, 0), (fast, 0), (slow, 3), (fast, 3)]):
        alone = done(begun(two_classes, c, (repeat,))).history(0).loss
        assert group.history(place).loss == pytest.approx(alone, abs=1e-5)
    assert not np.array_equal(group.history(0).loss, group.history(2).loss)


def test_rates_decay_with_the_distance_from_the_head_and_scale_together(two_classes: TinyStudy) -> None:
    """Every layer of a small transformer by hand: patches, then in each block qkv, proj, fc1 and fc2."""
    c = two_classes.configuration(backbone="timm:test_vit.r160_in1k", adaptation="whole", lr_decay=0.5, lr=0.1)
    learner = begun(two_classes, c).learner
    body, frozen = learner.body, two_classes.bench().frozen_ready(c, two_classes.partition)
    names = list(body.state())
    blocks = len(two_classes.bench().network(frozen).blocks)
    rates = dict(zip(names, learner.optimiser.every_rate("lr")[-len(names) :], strict=True))
    for name, place in (("attn.qkv", 4), ("attn.proj", 3), ("mlp.fc1", 2), ("mlp.fc2", 1)):
        for block in range(blocks):
            assert rates[f"blocks.{block}.{name}.weight"] == pytest.approx(
                0.1 * 0.5 ** (4 * (blocks - 1 - block) + place)
            )
    assert rates["patch_embed.proj.weight"] == pytest.approx(0.1 * 0.5 ** (4 * blocks + 1))
    assert learner.optimiser.every_rate("lr")[0] == pytest.approx(0.1)
    learner.scale_learning_rates(0.5)
    halved = learner.optimiser.every_rate("lr")
    assert float(halved[-1]) == pytest.approx(0.5 * rates[names[-1]])


def test_parameters_of_adapters_are_counted(two_classes: TinyStudy) -> None:
    probe, scaled, whole = (
        two_classes.train(two_classes.configuration(adaptation=name), (0,), 1)[0].meta
        for name in ("last", "scale_and_shift", "whole")
    )
    assert scaled["total_parameters"] > probe["total_parameters"] == whole["total_parameters"]
    assert whole["trainable_parameters"] == whole["total_parameters"]
    added = scaled["total_parameters"] - probe["total_parameters"]
    assert scaled["trainable_parameters"] == added + probe["trainable_parameters"]

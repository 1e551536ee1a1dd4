"""Lanes learn the same stacked, in turn, from the cache or through the whole network in plain torch."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.configuration import by_path
from tests.support.groups import done, group_of_lanes
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.workbench import Workbench
from trainables.features.samples import Samples
from trainables.learning.draws import dropout_masks, epoch_order, initial_layer, mask_keys
from trainables.learning.group import Group
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import linear as linear_layers
from trainables.learning.learner import Lane
from trainables.network.tracing import trace
from trainables.network.weight_layers import layers_of_trace

CPU = torch.device("cpu")
EPOCHS = 3


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(params=[("few", "many"), ("few", "many", "some")], ids=["binary", "multiclass"], scope="module")
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("learners"), request.param)


@pytest.fixture(scope="module")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("learners"))


def stacked(study: TinyStudy, bench: Workbench, lanes: list[Lane]) -> Group:
    return done(group_of_lanes(study, lanes, EPOCHS, bench))


ADAM = {"betas": (0.9, 0.999), "lr": 1e-3, "non_linearities": 2, "dropout": 0.3}
HEADS: list[dict[str, Any]] = [
    {"momentum": 0.9, "lr": 0.02},
    {**ADAM, "optimiser": "adam"},
    {**ADAM, "optimiser": "adamw", "weight_decay": 0.1, "balance": "class_weights"},
]


@pytest.mark.parametrize("settings", HEADS, ids=["linear", "adam", "weighted"])
def test_stacked_lanes_equal_lanes_in_turn(study: TinyStudy, settings: dict[str, Any]) -> None:
    bench = study.bench()
    lanes = [Lane(study.configuration(**settings), repeat) for repeat in (0, 1, 2, 7)]
    together = stacked(study, bench, lanes)
    for index, lane in enumerate(lanes):
        alone, again = stacked(study, bench, [lane]), stacked(study, bench, [lane])
        assert np.array_equal(alone.history(0).loss, again.history(0).loss), "in turn, every bit is the same"
        assert alone.history(0).loss == pytest.approx(together.history(index).loss, abs=1e-4)
        for name, values in alone.learner.state().items():
            assert np.array_equal(values, again.learner.state()[name]), name
            if name.startswith("parameter"):
                assert np.allclose(values[0], together.learner.state()[name][index], atol=1e-4), name


TWO_VALUES: dict[str, tuple[Any, Any]] = {
    "optimiser.lr": (0.1, 0.01),
    "optimiser.momentum": (0.0, 0.9),
    "optimiser.weight_decay": (0.0, 0.05),
    "optimiser.decay_on": ("all", "weights"),
}
BESIDE: dict[str, dict[str, float]] = {"optimiser.decay_on": {"weight_decay": 0.9}}
"""What makes a setting matter."""
STACKABLE = [one.path for one in by_path().values() if one.setting.stackable]


@pytest.mark.parametrize("path", STACKABLE)
def test_what_is_declared_stackable_is(two_classes: TinyStudy, path: str) -> None:
    """Lanes that differ in it learn in one product what each learns alone, and not the same."""
    bench = two_classes.bench()
    base = two_classes.configuration(lr=0.03, momentum=0.5, non_linearities=1, dropout=0.2, **BESIDE.get(path, {}))
    lanes = [Lane(base.with_values({path: value}), 3) for value in TWO_VALUES[path]]
    together = stacked(two_classes, bench, lanes)
    for index, lane in enumerate(lanes):
        alone = stacked(two_classes, bench, [lane])
        assert alone.history(0).loss == pytest.approx(together.history(index).loss, abs=1e-4)
    one, other = (together.history(index).loss for index in (0, 1))
    assert one[0] == pytest.approx(other[0]), "one repeat starts from one place"
    assert np.abs(one[-1] - other[-1]).max() > 1e-3


def plain_torch(bench: Workbench, study: TinyStudy, settings: dict[str, Any], repeat: int) -> tuple[list[float], ...]:
    """The same training as anyone would write it: images, the whole network, autograd, torch.optim."""
    c = study.configuration(**settings)
    frozen = bench.frozen_ready(c, study.partition)
    samples: Samples = frozen.samples
    reader = frozen.reader(bench.device)
    body = copy.deepcopy(bench.network(frozen)).eval()
    live = layers_of_trace(body, trace(body, c.image.size)).last(c.adaptation.unfrozen) if c.adaptation.unfrozen else ()
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(name in live)
    sizes = linear_layers(layers_of(c, bench.facts(c).feature_width))
    linears = []
    for layer, (inputs, outputs) in enumerate(sizes):
        weight, bias = initial_layer(c.data.seed, repeat, layer, inputs, outputs)
        linear = nn.Linear(inputs, outputs)
        linear.weight.data, linear.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias)
        linears.append(linear)
    trained = [p for linear in linears for p in linear.parameters()] + [p for p in body.parameters() if p.requires_grad]
    o = c.optimiser
    optimiser = torch.optim.SGD(trained, lr=o.lr, momentum=o.momentum, weight_decay=o.weight_decay)
    labels = torch.from_numpy(samples.labels)

    def logits_of(rows: np.ndarray, masks: list[torch.Tensor] | None) -> torch.Tensor:
        hidden = body(reader.batch(rows))
        for layer, linear in enumerate(linears[:-1]):
            hidden = functional.leaky_relu(linear(hidden), c.head.negative_slope)
            hidden = hidden if masks is None else hidden * masks[layer]
        return linears[-1](hidden)

    def each(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if c.outputs == 1:
            return functional.binary_cross_entropy_with_logits(logits[:, 0], targets.float(), reduction="none")
        return functional.cross_entropy(logits, targets, reduction="none")

    def scored(name: str) -> float:
        rows = samples.scoring[name]
        with torch.no_grad():
            return float(each(logits_of(rows, None), labels[rows]).mean())

    train, valid = [scored("train")], [scored("valid")]
    for epoch in range(1, EPOCHS + 1):
        order = samples.training[epoch_order(c.data.seed, repeat, epoch, len(samples.training))]
        for first in range(0, len(order), o.batch_size):
            rows = order[first : first + o.batch_size]
            masks = [
                dropout_masks(
                    mask_keys(c.data.seed, (repeat,), epoch, layer), first, len(rows), outputs, c.head.dropout
                )[0]
                for layer, (_, outputs) in enumerate(sizes[:-1])
            ]
            loss = each(logits_of(rows, masks), labels[rows])
            if samples.weights is not None:
                loss = loss * torch.from_numpy(samples.weights)[labels[rows]]
            optimiser.zero_grad()
            (loss.sum() / len(rows)).backward()
            optimiser.step()
        train.append(scored("train"))
        valid.append(scored("valid"))
    return train, valid


@pytest.mark.parametrize("unfrozen", [0, 1, 3])
@pytest.mark.parametrize("backbone", ["timm:test_resnet.r160_in1k", "timm:test_vit.r160_in1k"])
def test_training_from_the_cache_is_training_the_whole_network(study: TinyStudy, unfrozen: int, backbone: str) -> None:
    settings: dict[str, Any] = {
        "backbone": backbone,
        "unfrozen": unfrozen,
        "non_linearities": 1,
        "dropout": 0.25,
        "lr": 0.005,
        "weight_decay": 0.01,
        "balance": "class_weights",
        "views": 2,
    }
    bench = study.bench()
    train, valid = plain_torch(bench, study, settings, repeat=1)
    result = study.train(study.configuration(**settings), (1,), EPOCHS, bench)[1]
    assert result.history.loss[:, 0] == pytest.approx(train, abs=2e-4)
    assert result.history.loss[:, 1] == pytest.approx(valid, abs=2e-4)
    assert max(train) - min(train) > 0.01, "something was learned, so that something was compared"
    if unfrozen:
        assert result.meta["recipe"]["frontier"] != "the pixels"


def test_repeats_leave_the_frozen_network_alone(two_classes: TinyStudy) -> None:
    bench = two_classes.bench()
    configuration = two_classes.configuration(unfrozen=1, lr=0.02)
    material = bench.material(configuration, two_classes.partition)
    assert material.suffix is not None
    before = {name: value.clone() for name, value in material.suffix.state_dict().items()}
    two_classes.train(configuration, (0, 1), 2, bench)
    assert bench.material(configuration, two_classes.partition).suffix is material.suffix
    assert all(torch.equal(value, before[name]) for name, value in material.suffix.state_dict().items())

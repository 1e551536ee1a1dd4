"""What identifies a configuration: every setting that says something, and nothing that cannot matter."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.store import layout
from orchestrator.store.schema import ENGINE, parse_toml
from orchestrator.store.storage import LocalStorage
from search_spaces import presets
from search_spaces.configuration import Configuration, by_path, differing
from search_spaces.loader import default_space
from search_spaces.points import points, settled
from search_spaces.presets import PRESETS
from search_spaces.settings.augmentation import AUGMENTATIONS
from search_spaces.stored import read_configuration
from tests.support.configurations import asked

BASE: dict[str, Any] = {
    "data.task": "binary",
    "data.classes": ("no", "yes"),
    "data.content": "d" * 64,
    "data.seed": 0,
    "network.backbone": "timm:resnet18.tv_in1k",
    "network.weights": "sha256:" + "1" * 64,
    "network.ends_at": "",
    "network.pooling": "own",
    "network.joined": 1,
    "network.precision": "fp32",
    "adaptation.name": "last",
    "adaptation.unfrozen": 0,
    "adaptation.layers": (),
    "adaptation.start": "weights",
    "adaptation.norms": "kept",
    "adaptation.rank": 1,
    "adaptation.alpha": 1.0,
    "adaptation.lr_decay": 1.0,
    "adaptation.arithmetic": "fp32",
    "image.size": 224,
    "image.store_size": 256,
    "image.crops": 3,
    "image.interpolation": "bilinear",
    "image.borders": "kept",
    "image.fit": "crop",
    "image.standardisation": "weights",
    "image.mean": (0.5, 0.5, 0.5),
    "image.std": (0.25, 0.25, 0.25),
    "image.views": 2,
    "balance.name": "none",
    "balance.count": 100,
    "balance.score_augmented": False,
    "augmentation.names": ("none",),
    "augmentation.chance": 0.5,
    "augmentation.alpha": 0.2,
    "augmentation.cutmix_alpha": 1.0,
    "augmentation.scale": (0.08, 1.0),
    "augmentation.ratio": (0.75, 1.25),
    "augmentation.brightness": 0.2,
    "augmentation.contrast": 0.2,
    "augmentation.saturation": 0.2,
    "augmentation.hue": 0.05,
    "augmentation.stain": 0.05,
    "augmentation.blur": 2.0,
    "augmentation.noise": 0.05,
    "augmentation.erasing": 0.5,
    "augmentation.erased": (0.02, 0.33),
    "augmentation.operations": 2,
    "augmentation.magnitude": 9,
    "augmentation.severity": 3,
    "head.name": "halving",
    "head.non_linearities": 1,
    "head.widths": (64, 16),
    "head.batch_norm": True,
    "head.activation": "leaky_relu",
    "head.negative_slope": 0.1,
    "head.dropout": 0.5,
    "head.input_norm": False,
    "head.excitation": "none",
    "head.reduction": 8,
    "head.penalty": 0.01,
    "loss.name": "cross_entropy",
    "loss.smoothing": 0.1,
    "loss.gamma": 2.0,
    "loss.tau": 1.0,
    "optimiser.name": "sgd",
    "optimiser.lr": 1e-3,
    "optimiser.batch_size": 16,
    "optimiser.momentum": 0.9,
    "optimiser.betas": (0.9, 0.999),
    "optimiser.weight_decay": 0.0,
    "optimiser.decay_on": "all",
    "optimiser.clip": 0.0,
    "optimiser.average": 0.0,
    "schedule.name": "constant",
    "schedule.length": 10,
    "schedule.warm_up": 0.1,
    "schedule.factor": 0.1,
    "schedule.stretches": 3,
    "ending.name": "complete",
    "ending.patience": 5,
    "ending.min_gain": 0.0,
    "selection.metric": "loss",
    "selection.of_class": "no",
    "selection.precision": 0.9,
    "selection.rule": "valid",
}
OTHER: dict[str, Any] = {
    "data.task": "multiclass",
    "data.classes": ("yes", "no"),
    "data.content": "e" * 64,
    "data.seed": 1,
    "network.backbone": "timm:resnet18.a1_in1k",
    "network.weights": "init:0",
    "network.ends_at": "layer3",
    "network.pooling": "mean",
    "network.joined": 2,
    "network.precision": "bf16",
    "adaptation.name": "whole",
    "adaptation.unfrozen": 1,
    "adaptation.layers": ("layer4",),
    "adaptation.start": "drawn",
    "adaptation.norms": "moving",
    "adaptation.rank": 4,
    "adaptation.alpha": 8.0,
    "adaptation.lr_decay": 0.5,
    "adaptation.arithmetic": "bf16",
    "image.size": 192,
    "image.store_size": 257,
    "image.crops": 4,
    "image.interpolation": "bicubic",
    "image.borders": "cropped",
    "image.fit": "pad",
    "image.standardisation": "train",
    "image.mean": (0.5, 0.5, 0.4),
    "image.std": (0.25, 0.25, 0.2),
    "image.views": 3,
    "balance.name": "ngca",
    "balance.count": 101,
    "balance.score_augmented": True,
    "augmentation.names": ("flips", "contrast"),
    "augmentation.chance": 0.25,
    "augmentation.alpha": 0.4,
    "augmentation.cutmix_alpha": 0.5,
    "augmentation.scale": (0.5, 1.0),
    "augmentation.ratio": (0.5, 2.0),
    "augmentation.brightness": 0.3,
    "augmentation.contrast": 0.3,
    "augmentation.saturation": 0.3,
    "augmentation.hue": 0.1,
    "augmentation.stain": 0.1,
    "augmentation.blur": 1.0,
    "augmentation.noise": 0.1,
    "augmentation.erasing": 0.25,
    "augmentation.erased": (0.02, 0.2),
    "augmentation.operations": 1,
    "augmentation.magnitude": 10,
    "augmentation.severity": 4,
    "head.name": "widths",
    "head.non_linearities": 2,
    "head.widths": (64, 17),
    "head.batch_norm": False,
    "head.activation": "gelu",
    "head.negative_slope": 0.2,
    "head.dropout": 0.4,
    "head.input_norm": True,
    "head.excitation": "after_pooling",
    "head.reduction": 4,
    "head.penalty": 0.02,
    "loss.name": "smoothed",
    "loss.smoothing": 0.2,
    "loss.gamma": 1.0,
    "loss.tau": 0.5,
    "optimiser.name": "adam",
    "optimiser.lr": 1.0000001e-3,
    "optimiser.batch_size": 17,
    "optimiser.momentum": 0.8,
    "optimiser.betas": (0.9, 0.9),
    "optimiser.weight_decay": 1e-9,
    "optimiser.decay_on": "weights",
    "optimiser.clip": 1.0,
    "optimiser.average": 0.9,
    "schedule.name": "linear",
    "schedule.length": 11,
    "schedule.warm_up": 0.2,
    "schedule.factor": 0.2,
    "schedule.stretches": 4,
    "ending.name": "patience",
    "ending.patience": 6,
    "ending.min_gain": 0.01,
    "selection.metric": "accuracy",
    "selection.of_class": "yes",
    "selection.precision": 0.8,
    "selection.rule": "worse_of_both",
}
WHERE_IT_MATTERS: dict[str, dict[str, Any]] = {
    "adaptation.layers": {"adaptation.name": "layers"},
    "adaptation.start": {"adaptation.unfrozen": 1},
    "adaptation.norms": {"adaptation.unfrozen": 1},
    "adaptation.rank": {"adaptation.name": "lora"},
    "adaptation.alpha": {"adaptation.name": "lora"},
    "adaptation.lr_decay": {"adaptation.unfrozen": 1},
    "adaptation.arithmetic": {"adaptation.unfrozen": 1},
    "balance.count": {"balance.name": "count"},
    "balance.score_augmented": {"balance.name": "ngca"},
    "augmentation.chance": {"augmentation.names": ("flips",)},
    "augmentation.alpha": {"augmentation.names": ("mixup",)},
    "augmentation.cutmix_alpha": {"augmentation.names": ("cutmix",)},
    "augmentation.scale": {"augmentation.names": ("crop",)},
    "augmentation.ratio": {"augmentation.names": ("crop",)},
    "augmentation.brightness": {"augmentation.names": ("brightness",)},
    "augmentation.contrast": {"augmentation.names": ("contrast",)},
    "augmentation.saturation": {"augmentation.names": ("colour",)},
    "augmentation.hue": {"augmentation.names": ("colour",)},
    "augmentation.stain": {"augmentation.names": ("stain",)},
    "augmentation.blur": {"augmentation.names": ("blur",)},
    "augmentation.noise": {"augmentation.names": ("noise",)},
    "augmentation.erasing": {"augmentation.names": ("erasing",)},
    "augmentation.erased": {"augmentation.names": ("erasing",)},
    "augmentation.operations": {"augmentation.names": ("randaugment",)},
    "augmentation.magnitude": {"augmentation.names": ("randaugment",)},
    "augmentation.severity": {"augmentation.names": ("augmix",)},
    "head.widths": {"head.name": "widths"},
    "head.batch_norm": {"head.name": "widths"},
    "head.reduction": {"head.excitation": "after_pooling"},
    "head.penalty": {"head.name": "logistic"},
    "optimiser.betas": {"optimiser.name": "adam"},
    "optimiser.decay_on": {"optimiser.weight_decay": 0.01},
    "schedule.length": {"schedule.name": "linear"},
    "schedule.warm_up": {"schedule.name": "cosine"},
    "schedule.factor": {"schedule.name": "step"},
    "schedule.stretches": {"schedule.name": "step"},
    "ending.patience": {"ending.name": "patience"},
    "ending.min_gain": {"ending.name": "patience"},
    "selection.of_class": {"selection.metric": "class_recall"},
    "selection.precision": {"selection.metric": "recall_at_precision"},
    "loss.smoothing": {"loss.name": "smoothed"},
    "loss.gamma": {"loss.name": "focal"},
    "loss.tau": {"loss.name": "logit_adjusted"},
}
"""What makes a setting matter that BASE leaves idle."""


def made(**parts: Any) -> Configuration:
    return Configuration.made({**BASE, **parts})


def test_every_setting_is_tried() -> None:
    assert [*BASE] == [*OTHER] == [*by_path()]
    idle = {path for path, one in by_path().items() if not made().matters(one)}
    assert idle == set(WHERE_IT_MATTERS)


@pytest.mark.parametrize("path", OTHER)
def test_every_setting_enters_the_identity(path: str) -> None:
    base = made(**WHERE_IT_MATTERS.get(path, {}))
    other = base.with_values({path: OTHER[path]})
    assert other.id != base.id
    assert path in [one.path for one in differing([base, other])] or path.startswith("data.")


@pytest.mark.parametrize("path", WHERE_IT_MATTERS)
def test_what_cannot_matter_enters_no_identity(path: str) -> None:
    assert made(**{path: OTHER[path]}) == made()


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ({"head.non_linearities": 0}, "head.dropout"),
        ({"head.non_linearities": 0}, "head.negative_slope"),
        ({"head.name": "widths"}, "head.non_linearities"),
        ({"optimiser.name": "adam"}, "optimiser.momentum"),
        ({"optimiser.name": "adamw"}, "optimiser.momentum"),
        ({"image.standardisation": "train"}, "image.mean"),
        ({"image.standardisation": "train"}, "image.std"),
        ({"image.standardisation": "half"}, "image.mean"),
        ({"image.standardisation": "each_split"}, "image.std"),
        ({"balance.name": "ngca"}, "image.views"),
        ({"balance.name": "count"}, "image.views"),
    ],
)
def test_where_it_does_not_matter_a_setting_is_neutral(condition: dict[str, Any], path: str) -> None:
    one, other = made(**condition), made(**{**condition, path: OTHER[path]})
    assert one.id == other.id
    assert one.value(path) == by_path()[path].setting.neutral != BASE[path]


IDLE_WITHOUT_STEPS = [
    path
    for path in OTHER
    if path.partition(".")[0] in ("augmentation", "head", "loss", "optimiser", "schedule", "ending")
    and path not in ("head.name", "head.penalty")
]


@pytest.mark.parametrize("path", IDLE_WITHOUT_STEPS)
def test_where_there_are_no_steps_their_settings_are_idle(path: str) -> None:
    fitted = made(**{"head.name": "logistic"})
    assert not fitted.matters(by_path()[path])
    other = made(**{"head.name": "logistic", **WHERE_IT_MATTERS.get(path, {}), path: OTHER[path]})
    if path not in ("head.widths", "head.batch_norm"):  # which matter with a head of another name
        assert other == fitted
        assert other.id == fitted.id
        assert other.value(path) == by_path()[path].setting.idle


def test_a_condition_on_what_cannot_matter_does_not_hold() -> None:
    """Two non-linearities make dropout matter, and a logistic head has none, whatever a grid gives."""
    assert made(**{"head.non_linearities": 2}).head.dropout == 0.5
    given = {**BASE, "head.name": "logistic", "head.non_linearities": 2, "schedule.name": "cosine"}
    found = Configuration.made(given)
    assert (found.head.dropout, found.head.negative_slope, found.schedule.length) == (0.0, 0.0, 1)
    from_file = {path: value for path, value in given.items() if by_path()[path].setting.from_file}
    values = settled({**from_file, "balance.name": found.balance.name})
    assert {path: found.value(path) for path in values} == values


def test_steps_keep_a_value_that_is_idle_elsewhere_in_their_identity() -> None:
    one, other = made(**{"optimiser.lr": 1.0, "optimiser.batch_size": 1}), made(**{"optimiser.lr": 1.0})
    assert one.id != other.id
    assert len({one.id, other.id, made(**{"optimiser.batch_size": 1}).id, made().id}) == 4


@pytest.mark.parametrize("rule", ["valid", "worse_of_both"])
def test_selection_follows_its_rule(rule: str) -> None:
    assert made(**{"selection.rule": rule}).selects_by_valid_alone == (rule == "valid")


@pytest.mark.parametrize("name", ["none", "ngca", "class_weights", "subsample", "count"])
def test_selection_looks_at_valid_alone_with_class_weights(name: str) -> None:
    found = made(**{"selection.rule": "worse_of_both", "balance.name": name})
    assert found.selects_by_valid_alone == (name == "class_weights")


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_selection_looks_at_valid_alone_where_images_are_mixed(name: str) -> None:
    found = made(**{"selection.rule": "worse_of_both", "augmentation.names": name})
    assert found.selects_by_valid_alone == AUGMENTATIONS.variants[name].mixes
    assert (found.id == made(**{"augmentation.names": name}).id) == AUGMENTATIONS.variants[name].mixes


def test_a_need_of_what_cannot_matter_is_none() -> None:
    """A logistic head has no steps in which images would be mixed."""
    found = made(**{"selection.rule": "worse_of_both", "augmentation.names": "mixup", "head.name": "logistic"})
    assert found.selection.rule == "worse_of_both"
    given = {one.path: found.value(one.path) for one in by_path().values() if one.setting.from_file}
    assert settled({**given, "augmentation.names": "mixup"})["selection.rule"] == "worse_of_both"


@pytest.mark.parametrize(("field", "value"), [("parent", "0123456789ab:5"), ("engine", ENGINE + 1)])
def test_parent_and_engine_enter_the_identity(field: str, value: object) -> None:
    assert made(**{field: value}).id != made().id
    assert made(**{field: value}).stack_key() != made().stack_key()


def test_neither_order_nor_a_written_default_changes_an_identity() -> None:
    assert Configuration.made(dict(reversed(BASE.items()))).id == made().id
    defaults = {path for path, value in BASE.items() if by_path()[path].field.default == value}
    assert len(defaults) >= 5
    assert Configuration.made({path: value for path, value in BASE.items() if path not in defaults}).id == made().id


@pytest.mark.parametrize(
    "changes", [{}, OTHER, {"image.standardisation": "train"}, {"parent": "0123456789ab:5"}, {"head.name": "logistic"}]
)
def test_a_configuration_keeps_its_identity_on_disk(changes: dict[str, Any]) -> None:
    one = made(**changes)
    back = parse_toml(Configuration, one.to_toml(), "x")
    assert back == one
    assert back.id == one.id


def test_the_same_layers_in_another_order_are_one_configuration() -> None:
    ids = {
        made(**{"adaptation.name": "layers", "adaptation.layers": layers}).id
        for layers in (("layer4", "conv1"), ("conv1", "layer4"), ("conv1", "layer4", "conv1"))
    }
    assert len(ids) == 1


def test_the_strategy_is_a_label() -> None:
    def strategy(n: int, u: int) -> str:
        return made(**{"head.non_linearities": n, "adaptation.unfrozen": u}).strategy

    assert [strategy(0, 0), strategy(2, 0), strategy(0, 1), strategy(2, 1)] == [
        "straightforward",
        "extension",
        "unfreezing",
        "unfreezing",
    ]


def test_a_strategy_may_hold_any_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = PRESETS["straightforward"]
    narrow = dataclasses.replace(probe, fixed={**probe.fixed, "optimiser.name": "sgd"})
    monkeypatch.setattr(presets, "PRESETS", {**PRESETS, "straightforward": narrow})
    names = {name: made(**{"head.non_linearities": 0, "optimiser.name": name}).strategy for name in ("sgd", "adam")}
    assert names == {"sgd": "straightforward", "adam": "extension"}
    found = points(default_space(), "x", asked(strategies=("straightforward",)), small=False)
    assert {(point.values["optimiser.name"], point.strategy) for point in found} == {("sgd", "straightforward")}


def test_presets_are_told_apart() -> None:
    last = list(PRESETS.values())[-1]
    assert not last.fixed, "there is a strategy for every configuration"
    assert len({preset.mark for preset in PRESETS.values()}) == len(PRESETS)
    assert len({preset.colour for preset in PRESETS.values()}) == len(PRESETS)
    paths = {path for preset in PRESETS.values() for path in (*preset.fixed, *preset.also, preset.axis) if path}
    assert paths <= by_path().keys()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("optimiser.lr", 0.0),
        ("optimiser.name", "rmsprop"),
        ("head.dropout", 1.0),
        ("image.views", 9),
        ("optimiser.batch_size", 0),
        ("optimiser.unknown", 1),
        ("unknown", 1),
        ("image.crops", 0),
    ],
)
def test_impossible_settings_are_refused(path: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=path.rpartition(".")[2]):
        made(**{path: value})


def test_a_file_that_is_older_than_a_setting_keeps_its_id(tmp_path: Path) -> None:
    one = made()
    older = b"\n".join(
        block for block in one.to_toml().split(b"\n\n") if not block.startswith((b"[loss]", b"[schedule]", b"[ending]"))
    ).partition(b"\n")[2]
    storage = LocalStorage(tmp_path)
    storage.create(layout.configuration(one.id), older)
    assert b"schedule" not in older
    assert read_configuration(storage, one.id) == one
    assert read_configuration(storage, one.id).id == one.id


def test_a_file_that_is_older_than_a_setting_of_a_part_keeps_its_id(tmp_path: Path) -> None:
    one = made(**{"adaptation.unfrozen": 2})
    older = b"\n".join(line for line in one.to_toml().split(b"\n") if not line.startswith(b"arithmetic")).partition(
        b"\n"
    )[2]
    storage = LocalStorage(tmp_path)
    storage.create(layout.configuration(one.id), older)
    assert b"arithmetic" in one.to_toml()
    assert read_configuration(storage, one.id) == one
    assert made(**{"adaptation.unfrozen": 2, "adaptation.arithmetic": "tf32"}).id != one.id

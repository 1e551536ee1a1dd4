"""Points and the facts of a network become configurations; equal trainings have equal ids."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from orchestrator.store.errors import InputError
from search_spaces.classes import settle_classes
from search_spaces.configuration import Configuration
from search_spaces.loader import default_space, load_space, parse_space
from search_spaces.points import Point, points
from search_spaces.resolve import BackboneFacts, check_points, deepest_extension, resolve
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS
from tests.support.configurations import asked, by_path, shown

RESNET = BackboneFacts(
    name="timm:resnet18.tv_in1k",
    weights="sha256:00",
    image_size=224,
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    feature_width=512,
    weight_layers=20,
    parameters=11_000_000,
    layers=("conv1", "layer1", "layer1.0", "layer2"),
    refused={"bias": 'adaptation "bias": this network has no biases'},
)
INCEPTION = dataclasses.replace(RESNET, name="timm:inception_v3.tv_in1k", image_size=299, interpolation="bicubic")
POINT = points(load_space("neuroblastoma"), "resnet18", small=False)[0]


def with_settings(point: Point, **settings: Any) -> Point:
    """The point with other values, those that cannot matter among them."""
    return dataclasses.replace(point, values={**point.values, **by_path(settings)})


def resolved(point: Point, facts: BackboneFacts = RESNET, **changes: Any) -> Configuration:
    given: dict[str, Any] = {
        "task": "binary",
        "classes": ("D", "PD"),
        "data_fingerprint": "d",
        "study_seed": 0,
        "precision": "fp32",
    }
    return resolve(point, facts, **{**given, **changes})


def test_every_field_of_the_point_arrives() -> None:
    found = resolved(POINT)
    assert shown(found, "lr", "batch_size", "optimiser", "momentum") == (5e-7, 16, "sgd", 0.9)
    assert shown(found, "balance", "score_augmented", "selection") == ("ngca", True, "loss")
    assert shown(found, "backbone", "weights", "image_size") == (RESNET.name, RESNET.weights, 224)
    assert shown(found, "mean", "std", "interpolation") == (RESNET.mean, RESNET.std, "bilinear")
    assert shown(found, "store_size", "crops") == (250, 8)
    assert found.data.classes == ("D", "PD")
    assert found.outputs == 1


def test_input_larger_than_the_stored_square_leaves_no_crops() -> None:
    found = resolved(POINT, INCEPTION)
    assert shown(found, "image_size", "store_size", "crops") == (299, 299, 1)


def test_one_crop_of_a_larger_square_is_the_centre() -> None:
    found = resolved(with_settings(POINT, crops=1))
    assert shown(found, "store_size", "crops") == (250, 1)
    found = resolved(with_settings(POINT, crops=1, store_size=None))
    assert shown(found, "store_size", "crops") == (224, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.7, "negative_slope": 0.1},
        {"betas": (0.5, 0.6)},
        {"views": 8},
    ],
)
def test_what_cannot_matter_changes_no_id(changes: dict[str, Any]) -> None:
    assert resolved(with_settings(POINT, **changes)).id == resolved(POINT).id


@pytest.mark.parametrize("changes", [{"epochs": 3}, {"repeats": 3}])
def test_how_much_is_trained_changes_no_id(changes: dict[str, int]) -> None:
    assert resolved(dataclasses.replace(POINT, **changes)).id == resolved(POINT).id


@pytest.mark.parametrize(
    "changes",
    [
        {"lr": 1e-3},
        {"batch_size": 8},
        {"non_linearities": 1},
        {"unfrozen": 1},
        {"momentum": 0.8},
        {"weight_decay": 0.1},
        {"optimiser": "adam"},
        {"balance": "none"},
        {"score_augmented": False},
        {"selection": "accuracy"},
        {"standardisation": "train"},
        {"interpolation": "lanczos"},
        {"crops": 4},
    ],
)
def test_what_matters_changes_the_id(changes: dict[str, Any]) -> None:
    assert resolved(with_settings(POINT, **changes)).id != resolved(POINT).id


def test_momentum_is_nothing_to_adam_and_dropout_counts_with_a_non_linearity() -> None:
    adam = with_settings(POINT, optimiser="adam", betas=(0.9, 0.999))
    assert resolved(adam).id == resolved(with_settings(adam, momentum=0.1)).id
    assert resolved(adam).optimiser.momentum == 0
    deep = with_settings(POINT, non_linearities=1, dropout=0.5)
    assert resolved(deep).id != resolved(with_settings(deep, dropout=0.1)).id


def test_mean_and_std_of_the_weights_are_left_out_with_those_of_the_training_split() -> None:
    found = resolved(with_settings(POINT, standardisation="train"))
    assert shown(found, "mean", "std") == (None, None)


def test_strategies_label_as_the_configuration_does() -> None:
    for point in points(load_space("c_nmc"), "vgg16", small=False):
        assert resolved(point).strategy == point.strategy


def test_impossible_depths_are_told_together() -> None:
    depths = asked(non_linearities=(1, 8, 12), unfrozen=(2, 20, 21, 99))
    found = points(default_space(), "resnet18", depths, small=False)
    with pytest.raises(InputError) as caught:
        check_points(found, RESNET, "mine.toml", task="binary", outputs=1)
    assert caught.value.message.split("\n") == [
        "mine.toml: 3 faults",
        "  - unfreezing.unfrozen: expected 20 or less (the weight layers of timm:resnet18.tv_in1k below its new head), "
        "found 21",
        "  - unfreezing.unfrozen: expected 20 or less (the weight layers of timm:resnet18.tv_in1k below its new head), "
        "found 99",
        "  - extension.non_linearities: expected 8 or less (the 512 features of timm:resnet18.tv_in1k are halved each "
        "time, down to 2 for 1 output), found 12",
    ]


def test_a_metric_that_the_task_has_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = dataclasses.replace(TASKS.variants["binary"], metrics=("loss", "accuracy"))
    monkeypatch.setitem(TASKS.variants, "binary", plain)
    found = points(default_space(), "resnet18", asked(selection=("accuracy", "macro_f1")), small=False)
    with pytest.raises(InputError) as caught:
        check_points(found, RESNET, "mine.toml", task="binary", outputs=1)
    assert caught.value.message == (
        'mine.toml: selection.metric: expected "loss" or "accuracy" with the task "binary", found "macro_f1"'
    )


def test_a_metric_of_one_class_is_of_the_positive_one_unless_another_is_named() -> None:
    point = with_settings(POINT, selection="class_recall")
    assert resolved(point).selection.of_class == resolved(point).data.classes[1]
    named = with_settings(point, of_class=resolved(point).data.classes[0])
    assert resolved(named).selection.of_class == resolved(point).data.classes[0]
    assert resolved(named).id != resolved(point).id
    assert resolved(with_settings(POINT, of_class="neither")).id == resolved(POINT).id, "it matters nowhere else"
    for selection in ("class_precision", "class_recall", "class_f1"):
        words = resolved(with_settings(point, selection=selection)).selection.words
        assert words == f"{METRICS.variants[selection].label} ({resolved(point).data.classes[1]})"


@pytest.mark.parametrize(
    ("task", "names", "told"),
    [
        ("binary", ("", "b", "c"), 'expected "a" or "b", found "c"'),
        ("multiclass", ("b", "e"), 'expected "a", "b" or "d", found "e"'),
        ("multiclass", ("",), 'expected "a", "b" or "d", found none, and the task has no positive class'),
    ],
)
def test_a_class_that_there_is_not_is_told(task: str, names: tuple[str, ...], told: str) -> None:
    classes = ("a", "b") if task == "binary" else ("a", "b", "d")
    found = points(default_space(), "resnet18", asked(selection="class_recall", of_class=names), small=False)
    with pytest.raises(InputError) as caught:
        check_points(found, RESNET, "mine.toml", task=task, outputs=1, classes=classes)
    assert caught.value.message == f"mine.toml: selection.of_class: {told}"


def test_mixing_needs_two_images() -> None:
    settings = {"augmentation": (("mixup", "cutmix"), ("flips",)), "batch_size": (1, 8)}
    found = points(default_space(), "resnet18", asked(("straightforward",), **settings), small=False)
    with pytest.raises(InputError) as caught:
        check_points(found, RESNET, "mine.toml", task="binary", outputs=1)
    assert caught.value.message.split("\n") == [
        "mine.toml: 2 faults",
        *(
            f'  - straightforward.batch_size: expected 2 or more with augmentation "{name}" (an image is mixed with '
            "another of its batch), found 1"
            for name in ("cutmix", "mixup")
        ),
    ]
    sound = asked(("straightforward",), augmentation=(("flips", "noise"),), batch_size=1)
    check_points(points(default_space(), "resnet18", sound, small=False), RESNET, "x", task="binary", outputs=1)


def test_batch_norm_that_moves_needs_two_images_and_statistics_of_its_own() -> None:
    settings = {"unfrozen": (1,), "start": ("weights", "drawn"), "norms": ("kept", "moving"), "batch_size": (1, 8)}
    found = points(default_space(), "resnet18", asked(("unfreezing",), **settings), small=False)
    with pytest.raises(InputError) as caught:
        check_points(found, RESNET, "mine.toml", task="binary", outputs=1)
    assert caught.value.message.split("\n") == [
        "mine.toml: 2 faults",
        "  - unfreezing.batch_size: expected 2 or more (batch norm cannot update its statistics from one image), "
        "found 1",
        '  - unfreezing.adaptation.norms: expected "moving" with adaptation.start "drawn" (the stored statistics are '
        'those of other weights), found "kept"',
    ]
    sound = asked(("unfreezing",), unfrozen=1, start="drawn", norms="moving", batch_size=2)
    check_points(points(default_space(), "resnet18", sound, small=False), RESNET, "x", task="binary", outputs=1)
    one_by_one = asked(("straightforward",), batch_size=1)
    check_points(points(default_space(), "resnet18", one_by_one, small=False), RESNET, "x", task="binary", outputs=1)


def test_layers_and_adaptations_that_a_network_has_not() -> None:
    several = (("layer1", "layer2"), ("layr1",))
    found = points(
        default_space(), "resnet18", asked(("unfreezing",), adaptation=("layers", "bias"), layers=several), small=False
    )
    with pytest.raises(InputError) as caught:
        check_points(found, RESNET, "mine.toml", task="binary", outputs=1)
    assert caught.value.message.split("\n") == [
        "mine.toml: 2 faults",
        '  - adapters.adaptation.name: adaptation "bias": this network has no biases; '
        "--adaptation scale_and_shift,lora leaves it out",
        "  - unfreezing.adaptation.layers: expected names of layers or blocks of timm:resnet18.tv_in1k, found 'layr1'; "
        "did you mean 'layer1' or 'layer1.0' or 'layer2'?",
    ]
    nothing = points(default_space(), "resnet18", asked(("unfreezing",), adaptation="layers"), small=False)
    with pytest.raises(InputError, match=r"expected names of layers or blocks of .*, such as 'conv1', .* found none"):
        check_points(nothing, RESNET, "mine.toml", task="binary", outputs=1)


def test_a_whole_network_that_moves_statistics_needs_two_images_too() -> None:
    found = points(default_space(), "resnet18", asked(adaptation="whole", norms="moving", batch_size=1), small=False)
    with pytest.raises(InputError, match="batch_size: expected 2 or more"):
        check_points(found, RESNET, "mine.toml", task="binary", outputs=1)
    fitted = points(default_space(), "resnet18", asked(adaptation="whole", head="logistic"), small=False)
    with pytest.raises(InputError, match=r'with unfrozen layers .they are trained in steps., found "logistic"'):
        check_points(fitted, RESNET, "mine.toml", task="binary", outputs=1)


def test_class_weights_need_targets_that_are_shares_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    graded = dataclasses.replace(TASKS.variants["binary"], name="graded", has_confusion=False)
    monkeypatch.setitem(TASKS.variants, "graded", graded)
    found = points(default_space(), "resnet18", asked(balance=("none", "class_weights")), small=False)
    with pytest.raises(InputError, match='expected no class weights with the task "graded"'):
        check_points(found, RESNET, "mine.toml", task="graded", outputs=1)


def test_a_head_that_is_fitted_needs_cached_features_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = points(default_space(), "resnet18", asked(head=("halving", "logistic")), small=False)
    with pytest.raises(InputError) as caught:
        check_points(everything, RESNET, "mine.toml", task="binary", outputs=1)
    assert caught.value.message == (
        'mine.toml: unfreezing.head.name: expected "halving" or "widths" with unfrozen layers (they are trained in '
        "steps), "
        'found "logistic"'
    )
    frozen = [point for point in everything if not point.unfrozen]
    assert {point.values["head.name"] for point in frozen} == {"halving", "logistic"}
    check_points(frozen, RESNET, "mine.toml", task="binary", outputs=1)
    plain = dataclasses.replace(TASKS.variants["binary"], has_confusion=False)
    monkeypatch.setitem(TASKS.variants, "binary", plain)
    with pytest.raises(InputError) as caught:
        check_points(frozen, RESNET, "mine.toml", task="binary", outputs=1)
    assert caught.value.message == (
        'mine.toml: head.name: expected "halving" or "widths" with the task "binary", found "logistic", '
        "which needs classes"
    )


def test_possible_depths_pass() -> None:
    check_points(points(load_space("neuroblastoma"), "resnet18", small=False), RESNET, "x", task="binary", outputs=1)


@pytest.mark.parametrize(("width", "outputs", "most"), [(512, 1, 8), (512, 8, 5), (2048, 1, 10), (3, 1, 0), (8, 8, 0)])
def test_deepest_extension(width: int, outputs: int, most: int) -> None:
    assert deepest_extension(width, outputs) == most
    assert most == 0 or width // 2**most >= 2 * outputs
    assert width // 2 ** (most + 1) < 2 * outputs


def test_classes_of_the_file_keep_their_order_and_the_positive_one_is_last() -> None:
    space = parse_space('name = "x"\nclasses = ["z", "a"]\npositive = "z"', "x.toml")
    assert settle_classes(space, ["a", "z", "a"], "") == ("binary", ("a", "z"))
    assert settle_classes(default_space("x"), ["b", "a"], "") == ("binary", ("a", "b"))
    assert settle_classes(default_space("x"), ["c", "b", "a"], "") == ("multiclass", ("a", "b", "c"))
    assert settle_classes(load_space("neuroblastoma"), ["PD", "D"], "") == ("binary", ("D", "PD"))


def test_classes_that_disagree_show_the_command_for_a_new_study() -> None:
    advice = "orch search other resnet18 --data DIR"
    with pytest.raises(InputError, match="expected the classes D, PD; found benign, malign in the data") as caught:
        settle_classes(load_space("neuroblastoma"), ["malign", "benign"], advice)
    assert caught.value.advice == advice
    with pytest.raises(InputError, match="at least two classes, found a"):
        settle_classes(default_space("x"), ["a"], "")
    with pytest.raises(InputError, match='expected two classes \\(task "binary"\\)'):
        settle_classes(parse_space('name = "x"\ntask = "binary"', "x"), ["a", "b", "c"], "")
    with pytest.raises(InputError, match='the positive class "q"'):
        settle_classes(parse_space('name = "x"\npositive = "q"', "x"), ["a", "b"], "")

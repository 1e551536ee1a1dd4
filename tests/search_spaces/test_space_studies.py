"""The studies that come with the program hold what the reports did."""

from __future__ import annotations

import pytest

from search_spaces.describe import describe
from search_spaces.loader import bundled, load_space, space_source
from search_spaces.points import Point, points
from search_spaces.presets import PRESETS
from search_spaces.schema import Space
from search_spaces.tables import values_of
from tests.support.configurations import shown


@pytest.fixture(scope="module")
def neuroblastoma() -> Space:
    return load_space("neuroblastoma")


def grid_of(several: tuple[Point, ...], n: int, u: int) -> set[tuple[float, int]]:
    own = [point for point in several if (point.non_linearities, point.unfrozen) == (n, u)]
    found = {(point.lr, point.batch_size) for point in own}
    assert len(found) == len(own)
    return found


def test_which_studies_there_are() -> None:
    assert bundled() == ["ana_artifacts", "blood_cells", "c_nmc", "default", "hep2", "neuroblastoma"]


@pytest.mark.parametrize("name", bundled())
@pytest.mark.parametrize("small", [False, True])
def test_every_study_expands_for_its_backbones_and_any_other(name: str, small: bool) -> None:
    space = load_space(name)
    assert space.name == name
    assert space_source(name).startswith("#")
    for backbone in [*(entry.name for entry in space.backbones), "resnet18d"]:
        found = points(space, backbone, small=small)
        assert found
        assert all(point.backbone == backbone and point.epochs >= 1 and point.repeats >= 1 for point in found)


def test_default_space_has_a_table_and_a_preset_of_each_strategy_that_it_runs() -> None:
    space = load_space("default")
    assert space.strategies == tuple(name for name, preset in PRESETS.items() if not preset.grid)
    assert space.small is not None
    assert tuple(space.small.grids) == space.strategies


def test_neuroblastoma_has_the_ten_backbones_with_the_weights_of_the_report(neuroblastoma: Space) -> None:
    networks = ["inception_v3", *(f"resnet{n}" for n in (18, 34, 50, 101, 152)), *(f"vgg{n}" for n in (11, 13, 16, 19))]
    assert [entry.name for entry in neuroblastoma.backbones] == [f"timm:{network}.tv_in1k" for network in networks]


def test_grid_b1(neuroblastoma: Space) -> None:
    found = points(neuroblastoma, "inception_v3", small=False)
    wanted = {(lr, size) for lr in (5e-7, 1e-6, 5e-6, 1e-5, 5e-5) for size in (16, 32, 64, 128)}
    assert grid_of(found, 0, 0) == wanted
    assert {(point.epochs, point.repeats) for point in found if point.strategy == "straightforward"} == {(100, 10)}


def test_grid_b2_is_a_lower_triangle_of_fifteen_with_the_best_of_the_report(neuroblastoma: Space) -> None:
    rates, sizes = (1e-5, 3e-5, 5e-5, 1e-4, 5e-4), (8, 16, 32, 64, 128)
    found = points(neuroblastoma, "inception_v3", small=False)
    wanted = {(lr, size) for row, lr in enumerate(rates) for column, size in enumerate(sizes) if column <= row}
    assert len(wanted) == 15
    assert (3e-5, 8) in wanted
    for n in range(1, 7):
        assert grid_of(found, n, 0) == wanted
    assert {(point.epochs, point.repeats) for point in found if point.strategy == "extension"} == {(100, 10)}


def test_grid_b3(neuroblastoma: Space) -> None:
    found = points(neuroblastoma, "vgg19", small=False)
    wanted = {(lr, size) for lr in (5e-6, 1e-5, 5e-5, 1e-4) for size in (8, 16, 32, 64)}
    for u in range(1, 11):
        assert grid_of(found, 0, u) == wanted
    assert {(point.epochs, point.repeats) for point in found if point.strategy == "unfreezing"} == {(25, 10)}


def test_neuroblastoma_trains_as_the_report_does(neuroblastoma: Space) -> None:
    assert neuroblastoma.ordered_classes == ("D", "PD")
    assert (neuroblastoma.partition.policy, neuroblastoma.partition.targets) == ("ifpo", (0.70, 0.15, 0.15))
    for point in points(neuroblastoma, "vgg19", small=False):
        assert shown(point, "optimiser", "momentum", "balance", "selection") == ("sgd", 0.9, "ngca", "loss")
        assert point.values["selection.rule"] == "worse_of_both"
        assert shown(point, "store_size", "crops", "standardisation") == (250, 8, "weights")
        assert shown(point, "score_augmented") == (True,)
        assert shown(point, "dropout", "negative_slope") == ((0.5, 0.2) if point.non_linearities else (0.0, 0.0))


def test_neuroblastoma_asks_for_about_the_sessions_of_the_report(neuroblastoma: Space) -> None:
    found = [point for entry in neuroblastoma.backbones for point in points(neuroblastoma, entry.name, small=False)]
    assert len(found) == 1200
    assert sum(point.repeats for point in found) == 12_000


def test_small_preset_leaves_every_figure(neuroblastoma: Space) -> None:
    found = points(neuroblastoma, "inception_v3", small=True)
    assert {(point.non_linearities, point.unfrozen) for point in found} == {(0, 0), (1, 0), (2, 0), (0, 1)}
    assert len(grid_of(found, 0, 0)) == 6
    assert all(point.repeats >= 2 for point in found)
    assert all(shown(point, "crops") == (1,) for point in found)
    assert sum(point.repeats * point.epochs for point in found) < 1000


@pytest.mark.parametrize("name", bundled())
def test_small_presets_are_few_epochs_of_strategies_that_the_file_has(name: str) -> None:
    space = load_space(name)
    assert space.small is not None
    assert space.small.grids.keys() <= set(space.strategies)
    for entry in space.backbones:
        found = points(space, entry.name, small=True)
        assert sum(point.repeats * point.epochs for point in found) < 500
        assert all(point.repeats >= 2 and point.unfrozen <= 3 for point in found)


def short(point: Point) -> str:
    """`resnet18` of `timm:resnet18.tv_in1k`."""
    return point.backbone.split(":")[1].split(".")[0]


def asked_of(name: str) -> list[Point]:
    space = load_space(name)
    return [point for entry in space.backbones for point in points(space, entry.name, small=False)]


def test_ana_artifacts_has_the_one_setting_of_each_of_the_eight_networks() -> None:
    found = asked_of("ana_artifacts")
    assert list(dict.fromkeys((short(point), point.strategy, point.batch_size, point.epochs) for point in found)) == [
        ("lenet5", "scratch", 32, 400),
        ("alexnet", "scratch", 32, 350),
        ("zfnet", "scratch", 32, 300),
        ("resnet18", "scratch", 32, 180),
        ("vgg16", "straightforward", 64, 75),
        ("resnet50", "straightforward", 32, 300),
        ("inception_v3", "straightforward", 32, 125),
        ("densenet121", "straightforward", 32, 50),
    ]
    assert {point.lr for point in found} == {1e-3}
    assert [shown(point, "balance") for point in found] == [("subsample",), ("class_weights",)] * 8


def test_hep2_searches_three_rates_by_three_batches_of_the_head_and_of_the_whole() -> None:
    found = points(load_space("hep2"), "alexnet", small=False)
    for strategy in ("straightforward", "finetune"):
        own = tuple(point for point in found if point.strategy == strategy)
        assert grid_of(own, 0, 0) == {(lr, size) for lr in (1e-4, 1e-3, 1e-2) for size in (4, 6, 8)}
    assert {point.epochs for point in found} == {15}
    assert {point.backbone for point in found} == {"torchvision:alexnet"}
    assert {shown(point, "augmentation", "chance", "standardisation") for point in found} == {(("flips",), 0.5, "half")}


def test_c_nmc_has_the_networks_from_scratch_of_the_report() -> None:
    heads = {
        (short(point), *shown(point, "head", "widths", "dropout"))
        for point in asked_of("c_nmc")
        if point.strategy == "scratch"
    }
    assert heads == {
        *(("cnn4", "widths", (width,), dropout) for width in (128, 256, 512) for dropout in (0.3, 0.5)),
        ("cnn5_256", "halving", (1,), 0.0),
        ("cnn5", "halving", (1,), 0.0),
        *(("cnn5", "widths", widths, 0.5) for widths in ((512,), (512, 512))),
        ("vit_p14", "widths", (2048, 1024), 0.5),
    }


def test_c_nmc_pools_the_convolutions_of_vgg_and_chops_resnet() -> None:
    space = load_space("c_nmc")
    ends = {name: {shown(point, "ends_at")[0] for point in points(space, name, small=False)} for name in NETWORKS}
    assert ends == {"vgg16": {"features"}, "resnet50": {"", "layer3", "layer4.1"}}
    found = [point for name in NETWORKS for point in points(space, name, small=False)]
    assert {point.unfrozen for point in found} == {0, 3}
    assert {shown(point, "balance", "count", "borders", "fit", "patience") for point in found} == {
        ("count", 3198, "cropped", "squash", 10)
    }


NETWORKS = ("vgg16", "resnet50")


def test_vision_transformer_of_c_nmc_has_little_dropout_or_none() -> None:
    found = points(load_space("c_nmc"), "vit_base_patch32_224", small=False)
    assert {shown(point, "widths", "dropout") for point in found} == {((256,), 0.0), ((256,), 0.3)}


def test_blood_cells_has_the_head_of_the_report() -> None:
    found = points(load_space("blood_cells"), "convnext_large", small=False)
    names = ("head", "batch_norm", "input_norm", "excitation", "activation", "optimiser", "augmentation")
    assert {shown(point, *names) for point in found} == {
        ("widths", True, True, "after_pooling", "leaky_relu", "lion", ("feature_mixup",))
    }


def taken(space: Space, name: str, *, small: bool = False) -> list[tuple[str, set[int]]]:
    """Stages of a backbone and their numbers of unfrozen layers."""
    return [
        (stage.name, {point.unfrozen for point in points(space, name, small=small, stage=stage)})
        for stage in space.stages
        if stage.backbones is None or name in stage.backbones
    ]


def test_stages_are_those_of_the_reports() -> None:
    blood, c_nmc = load_space("blood_cells"), load_space("c_nmc")
    for size in ("large", "base"):
        assert taken(blood, f"timm:convnext_{size}.fb_in1k") == [
            ("head", {0}),
            ("150 layers frozen", {54}),
            ("100 layers frozen", {73}),
            ("50 layers frozen", {92}),
            ("20 layers frozen", {104}),
        ]
    assert taken(c_nmc, "timm:vgg16.tv_in1k") == [
        ("head", {0}),
        ("last layer", {1}),
        ("last two layers", {2}),
        ("last block", {3}),
    ]
    assert taken(c_nmc, "timm:resnet50.tv_in1k") == [("head", {0}), ("last block", {3})]


@pytest.mark.parametrize("name", bundled())
def test_small_stages_are_short(name: str) -> None:
    space = load_space(name)
    for stage in space.stages:
        for backbone in stage.backbones or ():
            found = points(space, backbone, small=True, stage=stage)
            assert sum(point.repeats * point.epochs for point in found) <= 32


def test_only_the_reference_study_selects_by_the_worse_of_both() -> None:
    found = {name: values_of(load_space(name)).get("selection.rule", ("valid",)) for name in bundled()}
    assert found.pop("neuroblastoma") == ("worse_of_both",)
    assert set(found.values()) == {("valid",)}
    assert "selection   loss, of the worse of train and valid" in describe(load_space("neuroblastoma"))
    assert "selection   loss, of valid" in describe(load_space("default"))

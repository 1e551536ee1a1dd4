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


def test_ana_artifacts_has_the_one_setting_of_each_network() -> None:
    space = load_space("ana_artifacts")
    found = [point for entry in space.backbones for point in points(space, entry.name, small=False)]
    assert [(point.backbone.split(":")[1].split(".")[0], point.batch_size, point.epochs) for point in found] == [
        ("vgg16", 64, 75),
        ("inception_v3", 32, 125),
        ("resnet50", 32, 300),
        ("densenet121", 32, 50),
    ]
    assert {point.lr for point in found} == {1e-3}


def test_hep2_searches_three_rates_by_three_batches() -> None:
    found = points(load_space("hep2"), "alexnet", small=False)
    assert grid_of(found, 0, 0) == {(lr, size) for lr in (1e-4, 1e-3, 1e-2) for size in (4, 6, 8)}
    assert {point.epochs for point in found} == {15}
    assert {point.backbone for point in found} == {"torchvision:alexnet"}


def test_vision_transformer_of_c_nmc_has_no_dropout() -> None:
    found = points(load_space("c_nmc"), "vit_base_patch32_224", small=False)
    assert {shown(point, "dropout") for point in found} == {(0.0,)}
    assert {shown(point, "dropout") for point in points(load_space("c_nmc"), "resnet50", small=False)} == {
        (0.0,),
        (0.5,),
    }


def test_only_the_reference_study_selects_by_the_worse_of_both() -> None:
    found = {name: values_of(load_space(name)).get("selection.rule", ("valid",)) for name in bundled()}
    assert found.pop("neuroblastoma") == ("worse_of_both",)
    assert set(found.values()) == {("valid",)}
    assert "selection   loss, of the worse of train and valid" in describe(load_space("neuroblastoma"))
    assert "selection   loss, of valid" in describe(load_space("default"))

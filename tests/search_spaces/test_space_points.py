"""Grids become points: layers of tables, changes, and each training once."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.store.errors import InputError
from orchestrator.store.record import canonical_json
from search_spaces.backbones import find_backbone, settled_name
from search_spaces.describe import describe
from search_spaces.loader import default_space, load_space, parse_space
from search_spaces.points import Point, grid_axes, points, settled
from search_spaces.presets import PRESETS, Strategy
from tests.support.configurations import asked, shown

MINE = """
name = "mine"
selection = "accuracy"
[grid]
batch_size = [8]
repeats = 4
[straightforward]
lr = [0.2]
epochs = 7
[extension]
pairs = [[0.1, 8], [0.2, 8], [0.2, 16]]
[[backbones]]
name = "resnet50"
grid = { epochs = 9, balance = "ngca" }
extension = { batch_size = [2], optimiser = { name = "adam" } }
"""


def test_narrower_tables_stand_above_wider_ones() -> None:
    space = parse_space(MINE, "mine.toml")
    straight, *extended = points(space, "resnet50", small=False)
    assert (straight.lr, straight.batch_size, straight.epochs, straight.repeats) == (0.2, 8, 9, 4)
    assert shown(straight, "optimiser", "balance", "selection") == ("sgd", "ngca", "accuracy")
    # One axis given above pairs: all its values with all of the pairs' other axis; n is the default space's.
    assert {(p.non_linearities, p.lr, p.batch_size) for p in extended} == {
        (n, lr, 2) for n in (1, 2) for lr in (0.1, 0.2)
    }
    assert {shown(p, "optimiser", "momentum", "betas") for p in extended} == {("adam", 0.0, (0.9, 0.999))}


def test_backbone_that_the_file_does_not_list_gets_its_grids() -> None:
    space = parse_space(MINE, "mine.toml")
    found = points(space, "timm:densenet121", small=False)
    assert {p.strategy for p in found} == {"straightforward", "extension"}
    assert {p.backbone for p in found} == {"timm:densenet121"}
    assert {(p.lr, p.batch_size) for p in found if p.non_linearities == 2} == {(0.1, 8), (0.2, 8), (0.2, 16)}


def test_file_without_grids_gets_the_default_space() -> None:
    bare = parse_space('name = "mine"', "mine.toml")
    assert points(bare, "resnet18", small=False) == points(default_space(), "resnet18", small=False)
    assert points(bare, "resnet18", small=True) == points(default_space(), "resnet18", small=True)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("inception_v3", "timm:inception_v3.tv_in1k"),
        ("timm:inception_v3", "timm:inception_v3.tv_in1k"),
        ("inception_v3.tv_in1k", "timm:inception_v3.tv_in1k"),
        ("inception_v3.tf_in1k", "inception_v3.tf_in1k"),
        ("torchvision:inception_v3", "torchvision:inception_v3"),
        ("densenet121", "densenet121"),
    ],
)
def test_bare_name_means_the_weights_of_the_study(asked: str, name: str) -> None:
    assert settled_name(load_space("neuroblastoma"), asked) == name


def test_bare_name_that_fits_twice_is_asked_about() -> None:
    space = parse_space('name = "mine"\nbackbones = ["timm:vgg19.a", "timm:vgg19.b", "resnet18"]', "mine.toml")
    with pytest.raises(InputError, match=r"found timm:vgg19\.a, timm:vgg19\.b"):
        points(space, "vgg19", small=False)
    assert settled_name(space, "vgg19.b") == "timm:vgg19.b"
    # The file leaves the weights of resnet18 open: named ones are another backbone.
    assert find_backbone(space, "resnet18.tv_in1k") is None


def test_changes_replace_axes_and_leave_the_rest() -> None:
    space = load_space("neuroblastoma")
    changes = asked(strategies=("extension",), lr=(1e-5, 5e-4), non_linearities=(4,), epochs=3, repeats=2)
    found = points(space, "inception_v3", changes, small=False)
    # The space lists pairs: given rates are tried with every batch size.
    assert {(p.lr, p.batch_size) for p in found} == {(lr, size) for lr in (1e-5, 5e-4) for size in (8, 16, 32, 64, 128)}
    assert {(p.non_linearities, p.epochs, p.repeats) for p in found} == {(4, 3, 2)}


def test_changes_reach_a_strategy_that_the_backbone_leaves_out() -> None:
    space = load_space("neuroblastoma")
    found = points(space, "resnet34", asked(strategies=("unfreezing",), unfrozen=(3,)), small=False)
    assert {(p.strategy, p.unfrozen) for p in found} == {("unfreezing", 3)}
    assert len(found) == 16


def test_non_linearities_are_those_of_the_head_where_unfreezing_alone_is_asked() -> None:
    space = default_space()
    both = asked(non_linearities=(3,), unfrozen=(2,))
    assert {(p.non_linearities, p.unfrozen) for p in points(space, "x", both, small=False)} == {(0, 0), (3, 0), (0, 2)}
    alone = dataclasses.replace(both, strategies=("unfreezing",))
    assert {(p.non_linearities, p.unfrozen) for p in points(space, "x", alone, small=False)} == {(3, 2)}


def test_a_grid_of_steps_is_one_point_where_there_are_none() -> None:
    text = 'name = "x"\nhead = { name = "logistic", penalty = [0.1, 1.0] }\n'
    grid = "[extension]\nrepeats = 5\n"
    found = points(parse_space(text + grid, "x"), "y", small=False)
    assert [(p.values["head.penalty"], p.strategy, p.lr, p.batch_size) for p in found] == [
        (penalty, "extension", 1.0, 1) for penalty in (0.1, 1.0)
    ]
    assert [(tried.lr, tried.batch_size) for tried in grid_axes(found).values()] == [((), ())]
    assert "    fitted without steps: configurations 2, repeats 10, epochs 500" in describe(
        parse_space(text + grid, "x")
    )


def test_what_a_table_gives_of_steps_beside_such_a_head_is_a_fault() -> None:
    text = 'name = "x"\nhead = "logistic"\n[extension]\nhead = { name = "logistic" }\nlr = [0.1, 0.2]\n'
    with pytest.raises(InputError, match=r"extension.lr: expected nothing with head.name \"logistic\", found 0.1, 0.2"):
        parse_space(text.replace('head = "logistic"\n', ""), "x")
    text = 'name = "x"\nhead = { name = "logistic" }\noptimiser = { momentum = 0.5 }\n'
    with pytest.raises(
        InputError, match=r"optimiser.momentum: expected nothing with head.name \"logistic\", found 0.5"
    ):
        parse_space(text, "x")


def test_other_optimiser_drops_what_it_does_not_use() -> None:
    found = points(default_space(), "x", asked(optimiser="adamw", weight_decay=0.1), small=False)
    assert {shown(p, "optimiser", "momentum", "betas", "weight_decay") for p in found} == {
        ("adamw", 0, (0.9, 0.999), 0.1)
    }


def test_equal_trainings_are_kept_once_with_the_larger_demand() -> None:
    text = """
name = "mine"
[grid]
lr = [0.1]
batch_size = [8]
[straightforward]
epochs = 5
repeats = 9
[extension]
non_linearities = [0, 1]
epochs = 7
repeats = 3
[unfreezing]
unfrozen = [0]
epochs = 2
repeats = 2
"""
    found = points(parse_space(text, "mine.toml"), "x", small=False)
    assert [(p.strategy, p.non_linearities, p.epochs, p.repeats) for p in found] == [
        ("straightforward", 0, 7, 9),
        ("extension", 1, 7, 3),
    ]


def test_axes_are_per_strategy_and_depth() -> None:
    axes = grid_axes(points(load_space("neuroblastoma"), "inception_v3", small=False))
    assert len(axes) == 1 + 6 + 10
    assert axes["extension", 4, 0].batch_size == (8, 16, 32, 64, 128)
    assert axes["unfreezing", 0, 6].lr == (5e-6, 1e-5, 5e-5, 1e-4)


def test_small_is_changed_too() -> None:
    found = points(load_space("neuroblastoma"), "inception_v3", asked(epochs=1, unfrozen=(2,)), small=True)
    assert {p.epochs for p in found} == {1}
    assert {p.unfrozen for p in found} == {0, 2}


depths = st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True).map(tuple)
rates = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=3, unique=True).map(tuple)


def test_strategies_that_train_the_whole_backbone_run_where_they_are_asked_for() -> None:
    assert {p.strategy for p in points(default_space(), "x", small=False)} == {*default_space().strategies}
    found = points(default_space(), "x", asked(("finetune", "scratch"), norms=("kept", "moving")), small=False)
    tried = {(p.strategy, *(p.values[f"adaptation.{name}"] for name in ("name", "start", "norms"))) for p in found}
    assert tried == {
        ("finetune", "whole", "weights", "kept"),
        ("finetune", "whole", "weights", "moving"),
        ("scratch", "whole", "drawn", "moving"),
    }
    assert {p.epochs for p in found if p.strategy == "scratch"} == {100}
    own = parse_space('name = "x"\n[scratch]\nlr = 0.5\nepochs = 3', "x")
    assert {(p.strategy, p.lr, p.epochs) for p in points(own, "y", small=False)} == {("scratch", 0.5, 3)}


def test_adapters_take_adaptations_of_their_own_alone() -> None:
    every = PRESETS["adapters"].among["adaptation.name"]
    for text in ("", 'adaptation.name = "whole"', "[adapters]\nlr = 0.1"):
        space = parse_space(f'name = "x"\n{text}', "x")
        found = points(space, "x", asked(("adapters",)), small=False)
        assert {(p.strategy, p.values["adaptation.name"]) for p in found} == {("adapters", name) for name in every}
    one = points(default_space(), "x", asked(("adapters", "unfreezing"), adaptation="bias"), small=False)
    assert {p.values["adaptation.name"] for p in one if p.strategy == "adapters"} == {"bias"}
    with pytest.raises(InputError, match="--adaptation: expected --strategy unfreezing with it, found adapters"):
        points(default_space(), "x", asked(("adapters",), adaptation="whole"), small=False)


chosen = st.lists(st.sampled_from(tuple(PRESETS)), min_size=1, max_size=3, unique=True).map(tuple)


@given(chosen, depths, depths, rates)
def test_points_are_distinct_ordered_and_in_normal_form(
    strategies: tuple[Strategy, ...], n: tuple[int, ...], u: tuple[int, ...], lr: tuple[float, ...]
) -> None:
    depths: dict[str, tuple[int, ...]] = {}
    if strategies != ("straightforward",):
        depths["non_linearities"] = n
    if "unfreezing" in strategies:
        depths["unfrozen"] = u
    found = points(default_space(), "x", asked(strategies=strategies, lr=lr, **depths), small=False)
    assert found
    assert all(settled(point.values) == point.values for point in found)
    assert len({canonical_json(point.values) for point in found}) == len(found)
    assert list(found) == sorted(found, key=_place)


def _place(point: Point) -> tuple[float, ...]:
    rank = list(PRESETS).index(point.strategy)
    return rank, point.unfrozen, point.non_linearities, point.lr, point.batch_size

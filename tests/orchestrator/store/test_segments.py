"""Segments: what they are called follows from what they are, and dividing them loses no lane."""

from __future__ import annotations

import itertools

import pytest

from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import RepeatState, parse_toml
from orchestrator.store.segments import Divided, LaneKey, Recipe, Segment, parse_state

STACK = Segment("p", ("a", "b", "c"), (8, 11), 3, 9)


def test_lanes_come_repeat_by_repeat() -> None:
    assert STACK.lanes == tuple(LaneKey("p", name, repeat) for repeat in (8, 11) for name in ("a", "b", "c"))
    assert STACK.bundles == tuple(BundleKey("p", name, index) for index in (0, 1) for name in ("a", "b", "c"))
    assert STACK.final(STACK.lanes[-1], RepeatState.STOPPED) == "bundles/p/c/1/final/11.e9.stopped"


def test_another_segment_has_another_name() -> None:
    others = [
        STACK,
        Segment("q", ("a", "b", "c"), (8, 11), 3, 9),
        Segment("p", ("a", "c", "b"), (8, 11), 3, 9),
        Segment("p", ("a", "b"), (8, 11), 3, 9),
        Segment("p", ("a", "b", "c"), (8,), 3, 9),
        Segment("p", ("a", "b", "c"), (8, 11), 0, 9),
        Segment("p", ("a", "b", "c"), (8, 11), 3, 10),
    ]
    assert len({one.id for one in others}) == len(others)
    assert len({one.folder for one in others}) == len(others)
    assert Segment("p", ("a", "b", "c"), (8, 11), 3, 9).id == STACK.id


@pytest.mark.parametrize("parts", [STACK.alone(), STACK.in_turn(), STACK.halves(), STACK.alone()[0].halves()])
def test_parts_have_each_lane_once(parts: tuple[Segment, ...]) -> None:
    whole = {lane for lane in STACK.lanes if lane.configuration in {n for one in parts for n in one.configurations}}
    lanes = list(itertools.chain.from_iterable(one.lanes for one in parts))
    assert len(parts) > 1
    assert len(lanes) == len(set(lanes))
    assert set(lanes) == whole
    assert {(one.start, one.epochs) for one in parts} == {(3, 9)}


def test_names_in_a_folder_are_told_apart() -> None:
    digest = "0123456789abcdef" * 4
    state = STACK.state(digest, 123).rpartition("/")[2]
    assert parse_state(state) == (digest[:16], 123)
    attempt, lease = (path.rpartition("/")[2] for path in (STACK.attempt(12), layout.lease(STACK.folder, 3)))
    assert layout.parse_attempt(attempt) == 12
    assert layout.parse_lease(lease) == 3
    for name in (attempt, lease, "recipe.toml", "divided.toml", "failure-1.json", f"{state}x", f".tmp-{state}"):
        assert parse_state(name) is None


def test_records_of_segments_come_back() -> None:
    recipe = Recipe(segment=STACK, device="cpu", device_name="x", threads=1, scoring_batch=8)
    assert recipe.segment.id == STACK.id  # whatever was worked out once is no part of the record
    back = parse_toml(Recipe, recipe.to_toml(), "recipe.toml")
    assert back == recipe
    assert back.segment.id == STACK.id
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe
    divided = Divided(parts=STACK.alone())
    assert parse_toml(Divided, divided.to_toml(), "divided.toml").parts == STACK.alone()

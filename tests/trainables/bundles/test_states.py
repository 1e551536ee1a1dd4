"""States at the ends of segments: any lanes go on in any stacks, and what is gone is trained again to the same bits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.record import pack
from orchestrator.store.segments import LaneKey, Recipe, Segment
from search_spaces.configuration import Configuration
from tests.support.checkout import ROOT
from tests.support.tiny_study import TinyStudy, another, assert_same_learning, assert_same_result
from trainables.bundles.failures import SupersededError
from trainables.bundles.states import (
    Lacking,
    beginnings,
    drop_states,
    is_over,
    is_restored,
    keep_state,
    lacking,
    origins,
    read_state,
    stored_states,
)
from trainables.bundles.trained import trained
from trainables.bundles.work import owed_lanes
from trainables.learning.group_state import GroupState

REPEATS = (0, 1)
RATES = (0.02, 0.05, 0.1, 0.3)
HASTY: dict[str, Any] = {"momentum": 0.9, "ending": "patience", "ending.patience": 1}


def grid(study: TinyStudy, rates: Sequence[float] = RATES, **settings: Any) -> list[Configuration]:
    return [study.configuration(lr=lr, **settings) for lr in rates]


def stack(
    study: TinyStudy,
    configurations: Sequence[Configuration],
    start: int,
    epochs: int,
    repeats: tuple[int, ...] = REPEATS,
) -> Segment:
    return Segment(study.partition, tuple(c.id for c in configurations), repeats, start, epochs)


def train_what_lacks(study: TinyStudy, segment: Segment) -> None:
    """As the driver does."""
    for before in lacking(study.storage, segment).states:
        train_what_lacks(study, before)
        study.train_segment(before, restores=True)


def test_one_lane_of_a_stack_goes_on_in_others(study: TinyStudy, tmp_path: Path) -> None:
    """Four stacked configurations, of which one, then another two, go on; under equal decisions every bit is equal."""
    settings = {"non_linearities": 1, "dropout": 0.3, "momentum": 0.9}
    other = another(study, tmp_path / "other")
    for one in (study, other):
        a, b, c, d = grid(one, **settings)
        for segment in (
            stack(one, [a, b, c, d], 0, 2),
            stack(one, [c], 2, 4),
            stack(one, [d, a], 2, 4, repeats=(1,)),
            stack(one, [a, c, d], 4, 6, repeats=(1,)),
        ):
            if one is study:
                one.train_segment(segment)
                continue
            run = one.start(segment)
            for _ in range(7):
                run.advance(0.0)
            run.stop()
            one.train_segment(segment)
    for configuration in (a, c, d):
        found, again = study.finals(configuration, 6)[1], other.finals(configuration, 6)[1]
        assert_same_result(found, again)
        alone = another(study, tmp_path / configuration.id)
        alone.configuration(lr=configuration.optimiser.lr, **settings)
        unbroken = alone.train(configuration, (1,), 6)[1]
        assert found.history.loss == pytest.approx(unbroken.history.loss, abs=1e-4)
        assert found.history.epochs == 6
        assert found.meta["devices_mixed"] is False
    before = origins(study.storage, stack(study, [a, c], 4, 6, repeats=(1,)))
    assert [origin.segment for origin in before.values()] == [
        stack(study, [d, a], 2, 4, repeats=(1,)),
        stack(study, [c], 2, 4),
    ]


def test_states_that_nobody_needs_are_dropped(study: TinyStudy) -> None:
    a, b, *_ = grid(study)
    first = stack(study, [a, b], 0, 1)
    study.train_segment(first)
    study.train_segment(stack(study, [a], 1, 2))
    assert len(stored_states(study.storage, first)) == 1, "one of its lanes may go on from it"
    study.train_segment(stack(study, [b], 1, 3))
    assert stored_states(study.storage, first) == []
    assert len(stored_states(study.storage, stack(study, [a], 1, 2))) == 1


def test_what_takes_too_much_is_not_kept(study: TinyStudy) -> None:
    segment = stack(study, grid(study), 0, 1)
    study.train_segment(segment)
    (kept,) = stored_states(study.storage, segment)
    state = read_state(study.storage, segment)
    assert state is not None
    each = -(-state.size // len(segment.lanes))
    for keeps, count in ((each, 1), (each - 1, 0)):
        drop_states(study.storage, segment)
        for lane in segment.lanes:
            study.storage.delete(lane.bundle.final(lane.repeat, 1))
        study.train_segment(segment, keeps=keeps)
        assert len(stored_states(study.storage, segment)) == count
        name = segment.lanes[0].bundle.final(segment.lanes[0].repeat, 1)
        assert name, "its record names the state whether it is kept or not"
        c = study.bench().configuration(segment.configurations[0])
        assert study.finals(c, 1)[0].meta["end_state"][:16] == kept.digest


@pytest.mark.parametrize("settings", [{}, HASTY], ids=["finished", "some stopped"])
def test_what_is_gone_is_trained_again_to_the_same_bits(
    harder: TinyStudy, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Segment by segment, as far back as needed; lanes that stop on the way change nothing."""
    study, other = harder, another(harder, tmp_path / "other")
    configurations = grid(study, **settings)
    assert grid(other, **settings) == configurations
    segments = [stack(study, configurations, *ends) for ends in ((0, 2), (2, 4), (4, 6))]
    for segment in segments:
        study.train_segment(segment)
    last = segments[2]
    other.train_segment(segments[0])
    other.train_segment(segments[1], keeps=0)
    assert not any(is_restored(other.storage, segment) for segment in segments)
    before = {path: path.read_bytes() for path in other.folder.rglob("final/*")}
    assert lacking(other.storage, last) == Lacking(states=(segments[1],))
    assert lacking(other.storage, segments[1]) == Lacking(states=(segments[0],))
    with pytest.raises(SupersededError, match="the state at epoch 4 is not kept"):
        other.start(last).advance(60.0)
    train_what_lacks(other, last)
    assert {path: path.read_bytes() for path in before} == before, "the records that there are stay"
    assert not lacking(other.storage, last).anything
    assert is_restored(other.storage, segments[1])
    assert is_over(other.storage, segments[1], restores=True)
    assert stored_states(other.storage, segments[0]) == [], "and is dropped again"
    other.train_segment(last)
    states = set()
    for c in configurations:
        for epochs in (4, 6):
            left, right = study.finals(c, epochs), other.finals(c, epochs)
            assert left.keys() == right.keys()
            for repeat, final in left.items():
                assert_same_result(right[repeat], final)
                states.add(final.meta["state"])
    assert ("stopped" in states) == bool(settings), "choose settings that stop some and not all"


def test_a_lane_that_ended_keeps_its_place_and_has_no_further_record(study: TinyStudy, tmp_path: Path) -> None:
    calm, wild = grid(study, (0.02, 1e37))
    study.train_segment(stack(study, [calm, wild], 0, 2))
    segment = stack(study, [calm, wild], 2, 4)
    assert owed_lanes(study.storage, segment) == [LaneKey(study.partition, calm.id, repeat) for repeat in REPEATS]
    assert lacking(study.storage, segment) == Lacking()
    run = study.start(segment)
    while not run.advance(60.0):
        pass
    assert run.epochs_trained == 2 * len(REPEATS), "what ended does not count"
    assert study.storage.list(study.key(wild).finals) == ["0.e2.diverged", "1.e2.diverged"]
    unbroken = another(study, tmp_path / "other")
    grid(unbroken, (0.02, 1e37))
    unbroken.train_segment(stack(study, [calm, wild], 0, 4))
    for repeat, final in study.finals(calm, 4).items():
        assert_same_learning(final, unbroken.finals(calm, 4)[repeat])
    state = read_state(study.storage, segment)
    assert state is not None
    assert state.lane(wild.id, 0) is None
    assert state.lane(calm.id, 0) is not None


def test_what_a_segment_lacks_is_named(study: TinyStudy) -> None:
    a, b, c, _ = grid(study)
    ready, gone = stack(study, [a], 0, 1), stack(study, [b], 0, 1)
    study.train_segment(ready)
    study.train_segment(gone, keeps=0)
    study.train_segment(stack(study, [c], 0, 2))
    segment = stack(study, [a, b, c], 1, 3)
    assert lacking(study.storage, segment) == Lacking(stack(study, [c], 0, 1).lanes, (gone,))
    assert not lacking(study.storage, stack(study, [a], 1, 3)).anything
    assert not lacking(study.storage, stack(study, [a, b, c], 0, 3)).anything
    with pytest.raises(SupersededError, match="repeat 0 is not trained up to epoch 1"):
        beginnings(study.storage, stack(study, [c], 1, 3), "cpu")
    path = a_final = study.key(a).final(0, 1)
    study.storage.replace(a_final, study.storage.read(path)[:-1])
    assert lacking(study.storage, stack(study, [a], 1, 3)).lanes == (LaneKey(study.partition, a.id, 0),)


def test_records_that_are_gone_are_made_again(study: TinyStudy) -> None:
    """Of repeats that went on since, so that nothing is owed."""
    c = study.configuration(lr=0.1)
    study.train(c, REPEATS, 1)
    before = study.finals(c, 1)
    study.train(c, REPEATS, 3)
    segment = stack(study, [c], 0, 1)
    study.storage.delete(study.key(c).final(1, 1))
    assert is_over(study.storage, segment)
    assert not is_over(study.storage, segment, restores=True)
    study.train_segment(segment, restores=True)
    assert is_over(study.storage, segment, restores=True)
    for repeat, final in study.finals(c, 1).items():
        assert_same_result(final, before[repeat])
    study.storage.delete(study.key(c).final(1, 1))
    assert not is_restored(study.storage, segment), "the state alone is not enough"


@pytest.mark.parametrize("change", ["digest", "device"])
def test_who_goes_on_otherwise_is_marked(study: TinyStudy, change: str) -> None:
    a, b, *_ = grid(study)
    for one in (a, b):
        study.train_segment(stack(study, [one], 0, 1))
    first = stack(study, [a], 0, 1)
    if change == "digest":
        state = read_state(study.storage, first)
        assert state is not None
        state.arrays["parameter.0"][:] *= np.float32(1 + 1e-6)
        drop_states(study.storage, first)
        keep_state(study.storage, first, state.digest(), state.to_bytes())
    else:
        path = study.key(a).final(0, 1)
        final = study.finals(a, 1)[0]
        recipe = Recipe.model_validate(final.meta["recipe"]).model_copy(update={"device": "cuda"})
        final.meta["recipe"] = recipe.model_dump(mode="json")
        study.storage.replace(path, final.to_bytes())
    segment = stack(study, [a, b], 1, 2)
    run = study.start(segment)
    run.advance(0.0)
    run.stop()
    study.train_segment(segment)
    mixed = {c.id: [study.finals(c, 2)[repeat].meta["devices_mixed"] for repeat in REPEATS] for c in (a, b)}
    assert mixed == {a.id: [True, change == "digest"], b.id: [False, False]}
    study.train_segment(stack(study, [a], 2, 3))
    assert study.finals(a, 3)[0].meta["devices_mixed"] is True, "and stays so"


def test_of_several_states_the_one_that_is_named_is_read(study: TinyStudy) -> None:
    segment = Segment("p", ("c",), (0,), 0, 1)
    about = {"configurations": ["c"], "repeats": [0], "seconds": [1.0], "epoch": 1, "position": 0}
    absent = {"absent": np.zeros(1, dtype=bool)}
    contents = {letter * 64: pack({"group": about, "is": letter}, absent) for letter in "abc"}
    for digest, content in contents.items():
        keep_state(study.storage, segment, digest, content)
        keep_state(study.storage, segment, digest, content + b"longer")
    assert len(stored_states(study.storage, segment)) == 3
    for digest in contents:
        found = read_state(study.storage, segment, digest)
        assert found is not None
        assert found.meta["is"] == digest[0]
    study.storage.replace(segment.state("a" * 64, len(contents["a" * 64])), b"torn")
    study.storage.create(f"{segment.folder}/state-0.b1.bak", b"x")
    found = read_state(study.storage, segment, "a" * 64)
    assert found is not None
    assert found.meta["is"] == "b", "any other rather than none"
    assert len(stored_states(study.storage, segment)) == 2, "a damaged one is deleted"
    drop_states(study.storage, segment)
    assert read_state(study.storage, segment) is None


def test_the_size_of_a_state_does_not_hang_on_how_long_it_took(study: TinyStudy) -> None:
    """What is kept must be the same whoever trained."""
    segment = stack(study, grid(study), 0, 1)
    study.train_segment(segment)
    state = read_state(study.storage, segment)
    assert state is not None
    about = {**state.about, "seconds": [0.123456789012345] * len(segment.lanes)}
    longer = GroupState({**state.meta, "group": about}, state.arrays)
    shorter = GroupState({**state.meta, "group": {**about, "seconds": [1.0] * len(segment.lanes)}}, state.arrays)
    assert len(longer.to_bytes()) > len(shorter.to_bytes())
    assert (longer.size, longer.digest()) == (shorter.size, shorter.digest())


@pytest.mark.parametrize(
    "about",
    [None, [1], {"configurations": 1}, {"repeats": ["a", None]}, {"epoch": "x"}, {"position": -1}, {"seconds": [1]}],
)
def test_a_whole_record_that_is_no_state_is_deleted(study: TinyStudy, about: Any) -> None:
    segment = stack(study, grid(study, (0.1,)), 0, 1)
    study.train_segment(segment)
    state = read_state(study.storage, segment)
    assert state is not None
    group = {**state.about, **about} if isinstance(about, dict) else about
    drop_states(study.storage, segment)
    keep_state(study.storage, segment, state.digest(), pack({**state.meta, "group": group}, state.arrays))
    assert read_state(study.storage, segment) is None
    assert stored_states(study.storage, segment) == []


def test_a_state_without_a_lane_of_its_segment_is_refused(study: TinyStudy) -> None:
    a, b, *_ = grid(study)
    for one in (a, b):
        study.train_segment(stack(study, [one], 0, 1))
    (mine,), theirs = (
        stored_states(study.storage, stack(study, [a], 0, 1)),
        read_state(study.storage, stack(study, [b], 0, 1)),
    )
    assert theirs is not None
    study.storage.replace(stack(study, [a], 0, 1).state(mine.digest, mine.bytes), theirs.to_bytes())
    with pytest.raises(DamagedRecordError, match=f"lacks repeat 0 of {a.id}"):
        beginnings(study.storage, stack(study, [a], 1, 2), "cpu")


@pytest.mark.parametrize("kept", [True, False], ids=["from states", "from the beginning"])
def test_weights_of_any_segment_are_trained_again(harder: TinyStudy, kept: bool) -> None:
    """Of the one in which the selected epoch lies; those before it in memory, where their states are gone."""
    repeats = (0, 1, 2, 3)
    configurations = grid(harder, (0.02, 0.05), momentum=0.9)
    segments = [stack(harder, configurations, *ends, repeats=repeats) for ends in ((0, 3), (3, 6), (6, 9))]
    for segment in segments:
        harder.train_segment(segment)
    if kept:
        for segment in segments[:2]:
            train_what_lacks(harder, segment)
            harder.train_segment(segment, restores=True)
    lying, told = set(), list[tuple[int, int]]()
    for c in configurations:

        def progress(done: int, total: int) -> None:
            told.append((done, total))

        for found in trained(harder.bench(), harder.partition, c.id, repeats, progress=progress).values():
            assert found.deviation == 0.0
            assert found.epoch == harder.finals(c, 9)[found.repeat].meta["selected_epoch"]
            lying.add(-(-found.epoch // 3))
    assert lying == {1, 2, 3}, "choose settings whose selected epochs lie in all segments"
    assert all(0 <= done <= total for done, total in told)
    assert any(done > 0 for done, _ in told)


def test_no_torch_is_loaded_to_ask() -> None:
    probe = "import sys, trainables.bundles.states, trainables.bundles.failures; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr

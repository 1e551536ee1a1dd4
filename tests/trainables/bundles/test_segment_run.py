"""A segment from whatever is on disk to its final records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.store.errors import StorageError
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.schema import FinalRecord, parse_toml
from orchestrator.store.segments import Recipe, Segment
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.tiny_study import KEEPS, TinyStudy, another, assert_same_learning, assert_same_result
from trainables.bundles import attempts, checkpoints
from trainables.bundles.failures import SupersededError
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.states import stored_states
from trainables.bundles.work import owed_lanes
from trainables.bundles.workbench import Workbench
from trainables.learning.learner import Learner
from trainables.learning.metrics import selected_epoch

REPEATS = (0, 1, 3)
STACKED: dict[str, Any] = {"lr": 0.3, "non_linearities": 1, "dropout": 0.3}
UNFROZEN: dict[str, Any] = {"unfrozen": 1, "lr": 0.02}
both = pytest.mark.parametrize("settings", [STACKED, UNFROZEN], ids=["stacked", "unfrozen"])


def steps(run: SegmentRun, count: int) -> bool:
    return any(run.advance(0.0) for _ in range(count))


def whole(study: TinyStudy, c: Configuration, epochs: int, repeats: tuple[int, ...] = REPEATS) -> Segment:
    """From the beginning, as a stack, or the first repeat of those that are trained in turn."""
    segment = Segment(study.partition, (c.id,), repeats, 0, epochs)
    return segment if c.live.has_features else segment.in_turn()[0]


def fresh(study: TinyStudy, folder: Path, settings: dict[str, Any], epochs: int) -> dict[int, FinalRecord]:
    """What an unbroken run comes to in a study of its own."""
    other = another(study, folder)
    return other.train(other.configuration(**settings), REPEATS, epochs)


@both
def test_every_repeat_asked_gets_one_final_record(study: TinyStudy, settings: dict[str, Any]) -> None:
    c = study.configuration(**settings)
    segments = study.segments(c, REPEATS, 3)
    finals = study.train(c, REPEATS, 3)
    assert sorted(finals) == list(REPEATS)
    for repeat, final in finals.items():
        assert final.history.epochs == final.meta["epochs"] == 3
        assert final.meta["repeat"] == repeat
        assert final.meta["selected_epoch"] == selected_epoch("loss", final.history)
        assert final.meta["attempts"] == [1]
        assert final.meta["devices_mixed"] is False
        assert final.meta["trainable_parameters"] < final.meta["total_parameters"]
        assert final.logits.shape == (12, 1)
        assert final.logits.dtype == np.float16
    for segment in segments:
        assert owed_lanes(study.storage, segment) == []
        lease = current_lease(study.storage, segment.folder)
        assert lease is not None
        assert lease.is_released
        ended = json.loads(study.storage.read(f"{segment.attempt(1)}/ended.json"))
        assert ended["outcome"] == "finished"
        (state,) = stored_states(study.storage, segment)
        repeats = segment.repeats
        assert {finals[repeat].meta["end_state"][:16] for repeat in repeats} == {state.digest}
        assert {Recipe.model_validate(finals[repeat].meta["recipe"]).segment for repeat in repeats} == {segment}
        assert attempts.checkpoints(study.storage, segment) == []


def test_a_run_that_is_put_together_writes_nothing(study: TinyStudy) -> None:
    """Only its beginning does: the recipe first, then the attempt."""
    segment = whole(study, study.configuration(**STACKED), 3)
    run = study.start(segment)
    before = sorted(path for path in study.folder.rglob("*") if path.is_file())
    ours = [path.relative_to(study.folder).as_posix() for path in before if segment.id in path.parts]
    assert ours == [f"{segment.attempt(1)}/started.json", f"{segment.folder}/lease-1.json", segment.recipe]
    SegmentRun(run.bench, run.lease, run.recipe, run.material, run.attempt)
    assert sorted(path for path in study.folder.rglob("*") if path.is_file()) == before


@both
def test_stopped_anywhere_it_ends_in_the_same_bits(study: TinyStudy, tmp_path: Path, settings: dict[str, Any]) -> None:
    c = study.configuration(**settings)
    unbroken = study.train(c, REPEATS, 4)
    other = another(study, tmp_path / "other")
    other.configuration(**settings)
    generator, starts, bench = np.random.default_rng(3), 0, other.bench()
    segments = other.segments(c, REPEATS, 4, bench)
    for segment in segments:
        while True:
            run = other.start(segment, bench)
            starts += 1
            if steps(run, int(generator.integers(1, 9))):
                break
            run.stop()
    assert starts > 4
    finals = other.finals(c, 4)
    assert sorted(finals) == list(REPEATS)
    for repeat in REPEATS:
        assert_same_result(finals[repeat], unbroken[repeat])
    if settings is STACKED:
        worked = finals[0].meta["attempts"]
        assert worked == list(range(1, len(worked) + 1))
        assert len(worked) == starts


@both
def test_lost_at_once_it_ends_in_the_same_bits(
    study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Processes that vanish without a word, checkpoints after every epoch."""
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", float("inf"))
    c = study.configuration(**settings)
    unbroken = study.train(c, REPEATS, 4)
    other = another(study, tmp_path / "other")
    other.configuration(**settings)
    bench, generator, lost = other.bench(), np.random.default_rng(8), 0
    for segment in other.segments(c, REPEATS, 4, bench):
        lost += lost_until_it_is_done(other, segment, bench, generator)
    assert lost > 1
    finals = other.finals(c, 4)
    for repeat in REPEATS:
        assert_same_result(finals[repeat], unbroken[repeat])


def lost_until_it_is_done(study: TinyStudy, segment: Segment, bench: Workbench, generator: np.random.Generator) -> int:
    """How often a process vanished."""
    for over in range(100):
        lease = Lease.take(study.storage, segment.folder, over)
        assert lease is not None
        run = SegmentRun.begin(bench, segment, lease, keeps=KEEPS)
        if steps(run, int(generator.integers(4, 14))):
            return over
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("keeps", [0, KEEPS], ids=["state not kept", "state kept"])
@pytest.mark.parametrize("survivors", [0, 1, 2])
def test_lost_among_the_final_records(
    study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survivors: int, keeps: int
) -> None:
    """The repeats without a record go on with the lanes they had, and nothing is trained twice."""
    c = study.configuration(lr=0.3)
    unbroken = study.train(c, REPEATS, 3)
    other = another(study, tmp_path / "other")
    other.configuration(lr=0.3)
    real, written = LocalStorage.create, []

    def vanish(storage: LocalStorage, path: str, content: bytes) -> bool:
        if "/final/" in path:
            if len(written) == survivors:
                raise KeyboardInterrupt
            written.append(path)
        return real(storage, path, content)

    monkeypatch.setattr(LocalStorage, "create", vanish)
    segment = whole(other, c, 3)
    run = other.start(segment, keeps=keeps)
    with pytest.raises(KeyboardInterrupt):
        run.advance(60.0)
    monkeypatch.undo()
    widths: list[int] = []
    learn = Learner.__init__

    def noted(self: Learner, lanes: Sequence[Any], *rest: Any) -> None:
        widths.append(len(lanes))
        learn(self, lanes, *rest)

    monkeypatch.setattr(Learner, "__init__", noted)
    monkeypatch.setattr(Learner, "train", lambda *_: pytest.fail("was trained again"))
    run.lease.release()
    other.train_segment(segment, keeps=keeps)
    finals = other.finals(c, 3)
    assert widths == [3]
    for repeat in REPEATS:
        assert_same_result(finals[repeat], unbroken[repeat])
    assert len(stored_states(other.storage, segment)) == (keeps > 0)
    assert attempts.checkpoints(other.storage, segment) == []


@both
def test_more_epochs_are_another_segment_that_goes_on(
    study: TinyStudy, tmp_path: Path, settings: dict[str, Any]
) -> None:
    c = study.configuration(**settings)
    short = study.train(c, REPEATS, 2)
    longer = study.train(c, REPEATS, 5)
    unbroken = fresh(study, tmp_path / "other", settings, 5)
    for repeat in REPEATS:
        assert_same_learning(longer[repeat], unbroken[repeat])
        assert longer[repeat].meta["attempts"] == [1]
        assert longer[repeat].meta["recipe"]["segment"]["start"] == 2
        assert longer[repeat].meta["seconds"] > short[repeat].meta["seconds"]
        assert longer[repeat].meta["end_state"] == unbroken[repeat].meta["end_state"]
    assert sorted(study.finals(c, 2)) == list(REPEATS), "the shorter records stay"
    assert owed_lanes(study.storage, whole(study, c, 4)) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": 0.3, "momentum": 0.9, "schedule": "cosine", "schedule.length": 6, "warm_up": 0.2},
        {"lr": 0.02, "momentum": 0.9, "ending": "patience", "ending.patience": 1},
        {"lr": 0.01, "optimiser": "adam", "betas": (0.9, 0.99), "non_linearities": 2, "dropout": 0.4},
        {"lr": 0.05, "head": "widths", "widths": (8,), "batch_norm": True, "dropout": 0.2},
        {"lr": 0.02, "unfrozen": 2, "norms": "moving", "momentum": 0.9, "augmentation": "flips"},
    ],
    ids=["cosine", "patience", "adam", "batch norm", "unfrozen"],
)
def test_lost_anywhere_and_asked_for_bit_by_bit_it_is_as_if_asked_at_once(
    harder: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(checkpoints, "WRITING_SHARE", float("inf"))
    c = harder.configuration(**settings)
    generator, bench, found = np.random.default_rng(2), harder.bench(), dict[int, FinalRecord]()
    for epochs in (1, 4, 7):
        for segment in harder.segments(c, REPEATS, epochs, bench):
            lost_until_it_is_done(harder, segment, bench, generator)
        found |= harder.finals(c, epochs)
    unbroken = fresh(harder, tmp_path / "other", settings, 7)
    for repeat in REPEATS:
        assert_same_learning(found[repeat], unbroken[repeat])
    assert {final.history.epochs for final in found.values()} == ({7} if "ending" not in settings else {6, 7})


def test_a_shorter_segment_does_not_take_over_a_longer_ones_checkpoint(study: TinyStudy, tmp_path: Path) -> None:
    """Else its record would hold epochs that were not asked, and select among them."""
    c = study.configuration(lr=0.3)
    longer = whole(study, c, 50)
    run = study.start(longer)
    while run.group is None or run.group.epoch < 9:
        run.advance(0.0)
    run.stop()
    short = study.train(c, REPEATS, 3)
    for repeat, expected in fresh(study, tmp_path / "other", {"lr": 0.3}, 3).items():
        assert_same_result(short[repeat], expected)
    assert [found.epoch for found in attempts.checkpoints(study.storage, longer)] == [9], "the longer one waits"
    assert study.train(c, REPEATS[:2], 2) == {}, "three epochs are there already"


def test_a_damaged_newest_checkpoint_is_passed_over(study: TinyStudy, tmp_path: Path) -> None:
    c = study.configuration(**STACKED)
    segment = whole(study, c, 4)
    run = study.start(segment)
    for _ in range(2):
        steps(run, 9)
        assert run.group is not None
        run.checkpoints.write(run.group, run._worked_on)
    run.stop("failed")
    newest = attempts.checkpoints(study.storage, segment)
    assert len(newest) == 2
    content = bytearray(study.storage.read(newest[0].path))
    content[len(content) // 2] ^= 4
    study.storage.replace(newest[0].path, bytes(content))
    study.train_segment(segment)
    finals = study.finals(c, 4)
    for repeat, expected in fresh(study, tmp_path / "other", STACKED, 4).items():
        assert_same_result(finals[repeat], expected)
        assert finals[repeat].meta["attempts"] == [1, 2]


def test_a_checkpoint_that_does_not_fit_is_deleted(study: TinyStudy) -> None:
    c, other = study.configuration(**STACKED), study.configuration(lr=0.1)
    runs = [study.start(whole(study, one, 4)) for one in (c, other)]
    for run in runs:
        steps(run, 9)
        run.stop()
    mine, theirs = (attempts.checkpoints(study.storage, run.segment)[0].path for run in runs)
    study.storage.replace(mine, study.storage.read(theirs))
    assert sorted(study.train(c, REPEATS, 4)) == list(REPEATS)
    assert study.finals(c, 4)[0].meta["attempts"] == [2], "from the beginning"


def test_more_repeats_are_trained_beside_those_there(study: TinyStudy, tmp_path: Path) -> None:
    c = study.configuration(lr=0.3)
    first = study.train(c, (0, 1), 3)
    folder = study.key(c).finals
    kept = {name: study.storage.read(f"{folder}/{name}") for name in study.storage.list(folder)}
    finals = study.train(c, tuple(range(5)), 3)
    assert sorted(finals) == [0, 1, 2, 3, 4]
    for name, content in kept.items():
        assert study.storage.read(f"{folder}/{name}") == content
    other = another(study, tmp_path / "other")
    other.configuration(lr=0.3)
    for repeat, together in other.train(c, tuple(range(5)), 3).items():
        assert together.history.loss == pytest.approx(finals[repeat].history.loss, abs=1e-4)
    assert first[0].meta["repeat"] == 0


def test_diverged_repeats_are_results(study: TinyStudy) -> None:
    for settings in ({"lr": 1e37}, {"lr": 1e37, "unfrozen": 1}):
        c = study.configuration(**settings)
        finals = study.train(c, (0, 1), 5)
        for final in finals.values():
            assert final.meta["state"] == "diverged"
            assert final.state.has_result()
            assert 1 <= final.meta["diverged_epoch"] <= 2
            assert final.meta["selected_epoch"] == 0
            assert final.history.epochs == final.meta["diverged_epoch"] - 1
            assert np.isfinite(final.history.loss).all()
            assert np.isfinite(final.logits).all()
        assert study.storage.list(study.key(c).finals) == ["0.e5.diverged", "1.e5.diverged"]
        for epochs in (3, 5, 50):
            assert study.segments(c, (0, 1), epochs) == []


def test_the_first_record_of_a_repeat_wins(study: TinyStudy) -> None:
    """A process that wakes up late trains to the end and changes nothing."""
    c = study.configuration(lr=0.3)
    segment = whole(study, c, 3)
    late = study.start(segment)
    steps(late, 3)
    lease = Lease.take(study.storage, segment.folder, late.lease.number)
    assert lease is not None
    run = SegmentRun.begin(study.bench(), segment, lease)
    while not run.advance(60.0):
        pass
    names = study.storage.list(study.key(c).finals)
    before = {name: study.storage.read(f"{study.key(c).finals}/{name}") for name in names}
    late.lease._renewed_at = -1e9
    with pytest.raises(SupersededError, match="taken over"):
        late.advance(60.0)
    assert {name: study.storage.read(f"{study.key(c).finals}/{name}") for name in names} == before
    assert study.storage.list(study.key(c).finals) == names
    assert json.loads(study.storage.read(f"{segment.attempt(1)}/ended.json"))["outcome"] == "superseded"


def test_who_was_taken_over_leaves_a_checkpoint(study: TinyStudy) -> None:
    segment = whole(study, study.configuration(lr=0.3), 50)
    run = study.start(segment)
    steps(run, 3)
    assert Lease.take(study.storage, segment.folder, 1) is not None
    run.lease._renewed_at = -1e9
    with pytest.raises(SupersededError, match=f"segment {segment} was taken over"):
        run.advance(0.0)
    assert len(attempts.checkpoints(study.storage, segment)) == 1


def test_the_recipe_is_kept_by_whoever_goes_on(study: TinyStudy) -> None:
    c = study.configuration(lr=0.3)
    segment = whole(study, c, 3)
    study.start(segment).stop()
    stored = parse_toml(Recipe, study.storage.read(segment.recipe), "recipe")
    assert stored.segment == segment
    study.storage.replace(segment.recipe, stored.model_copy(update={"scoring_batch": 17}).to_toml())
    study.train_segment(segment)
    assert all(final.meta["recipe"]["scoring_batch"] == 17 for final in study.finals(c, 3).values())


def test_a_torn_recipe_is_made_again(study: TinyStudy) -> None:
    c = study.configuration(lr=0.3)
    segment = whole(study, c, 1)
    study.storage.replace(segment.recipe, b'device = "cp')
    study.train_segment(segment)
    assert parse_toml(Recipe, study.storage.read(segment.recipe), "recipe").device == "cpu"


def test_a_full_disk_loses_nothing(study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = study.configuration(**STACKED)
    segment = whole(study, c, 3)
    run = study.start(segment)
    steps(run, 6)
    run.stop()
    real = LocalStorage._written_beside

    def full(storage: LocalStorage, target: Path, content: bytes) -> Path:
        if target.suffix == ".checkpoint" or target.parent.name == "final" or target.name.startswith("state-"):
            raise StorageError("cannot write: no space left on the device", "Free some space")
        return real(storage, target, content)

    monkeypatch.setattr(LocalStorage, "_written_beside", full)
    again = study.start(segment)
    with pytest.raises(StorageError, match="no space left") as raised:
        again.advance(60.0)
    again.fail(raised.value)
    note = json.loads(study.storage.read(segment.failure(1)))
    assert "no space left" in note["cause"]
    assert "Traceback" in note["traceback"]
    monkeypatch.undo()
    finals = study.train(c, REPEATS, 3)
    for repeat, expected in fresh(study, tmp_path / "other", STACKED, 3).items():
        assert_same_result(finals[repeat], expected)

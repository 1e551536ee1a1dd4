"""A bundle from whatever is on disk to its final records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.store.errors import StorageError
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.schema import Recipe, parse_toml
from orchestrator.store.storage import LocalStorage
from tests.support.tiny_study import TinyStudy, another, assert_same_result
from trainables.bundles import attempts, checkpoints
from trainables.bundles.bundle import BundleRun
from trainables.bundles.failures import SupersededError
from trainables.bundles.work import Work, owed_repeats
from trainables.learning.learner import Learner
from trainables.learning.metrics import selected_epoch

REPEATS = (0, 1, 3)
STACKED: dict[str, Any] = {"lr": 0.3, "non_linearities": 1, "dropout": 0.3}
UNFROZEN: dict[str, Any] = {"unfrozen": 1, "lr": 0.02}
both = pytest.mark.parametrize("settings", [STACKED, UNFROZEN], ids=["stacked", "unfrozen"])


def steps(run: BundleRun, count: int) -> bool:
    return any(run.advance(0.0) for _ in range(count))


@both
def test_every_repeat_asked_gets_one_final_record(study: TinyStudy, settings: dict[str, Any]) -> None:
    c = study.configuration(**settings)
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
    lease = current_lease(study.storage, study.key(c))
    assert lease is not None
    assert lease.is_released
    assert lease.content["done"] == {str(repeat): 3 for repeat in REPEATS}
    ended = json.loads(study.storage.read(f"{study.key(c).attempt(1)}/ended.json"))
    assert ended["outcome"] == "finished"


def test_a_run_that_is_put_together_writes_nothing(study: TinyStudy) -> None:
    """Only its beginning does: the recipe first, then the attempt."""
    run = study.start(study.configuration(**STACKED), REPEATS, 3)
    before = sorted(path for path in study.folder.rglob("*") if path.is_file())
    assert [path.name for path in before if path.parent.name in ("0", "attempt-1")] == [
        "started.json",
        "lease-1.json",
        "recipe.toml",
    ]
    BundleRun(run.bench, run.held, run.recipe, run.configurations, run.material, run.attempt)
    assert sorted(path for path in study.folder.rglob("*") if path.is_file()) == before


@both
def test_stopped_anywhere_it_ends_in_the_same_bits(study: TinyStudy, tmp_path: Path, settings: dict[str, Any]) -> None:
    c = study.configuration(**settings)
    unbroken = study.train(c, REPEATS, 4)
    other = another(study, tmp_path / "other")
    other.configuration(**settings)
    generator, starts, bench = np.random.default_rng(3), 0, other.bench()
    while True:
        run = other.start(c, REPEATS, 4, bench)
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
        assert starts - 1 <= len(worked) <= starts, "the last may have found nothing left to do"


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
    bench, generator, over = other.bench(), np.random.default_rng(8), 0
    for _ in range(100):
        lease = Lease.take(other.storage, other.key(c), over, "cpu")
        assert lease is not None
        over = lease.number
        if steps(BundleRun.begin(bench, [Work(other.key(c), REPEATS, 4)], [lease]), int(generator.integers(4, 14))):
            break
    finals = other.finals(c, 4)
    assert over > 2
    for repeat in REPEATS:
        assert_same_result(finals[repeat], unbroken[repeat])


@pytest.mark.parametrize("survivors", [1, 2])
def test_lost_among_the_final_records(
    study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    """The repeats without a record go on with the lanes they had: a narrower stack has other last bits."""
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
    run = other.start(c, REPEATS, 3)
    with pytest.raises(KeyboardInterrupt):
        run.advance(60.0)
    monkeypatch.undo()
    widths: list[int] = []
    learn = Learner.__init__

    def noted(self: Learner, lanes: Sequence[Any], *rest: Any) -> None:
        widths.append(len(lanes))
        learn(self, lanes, *rest)

    monkeypatch.setattr(Learner, "__init__", noted)
    run.leases[0].release({}, 3)
    finals = other.train(c, REPEATS, 3)
    assert widths == [3]
    for repeat in REPEATS:
        assert_same_result(finals[repeat], unbroken[repeat])


@both
def test_more_epochs_extend_and_fewer_are_not_cut_from_more(
    study: TinyStudy, tmp_path: Path, settings: dict[str, Any]
) -> None:
    c = study.configuration(**settings)
    study.train(c, REPEATS, 2)
    longer = study.train(c, REPEATS, 5)
    other = another(study, tmp_path / "other")
    other.configuration(**settings)
    fresh = other.train(c, REPEATS, 5)
    for repeat in REPEATS:
        assert_same_result(longer[repeat], fresh[repeat])
        assert longer[repeat].meta["attempts"] == [1, 2]
    assert sorted(study.finals(c, 2)) == list(REPEATS), "the shorter records stay"
    assert owed_repeats(study.storage, Work(study.key(c), REPEATS, 4)) == []


def test_a_shorter_search_does_not_take_over_a_longer_ones_checkpoint(study: TinyStudy, tmp_path: Path) -> None:
    """Else its record would hold epochs that were not asked, and select among them."""
    c = study.configuration(lr=0.3)
    run = study.start(c, REPEATS, 50)
    while run.group is None or run.group.epoch < 9:
        run.advance(0.0)
    run.stop()
    short = study.train(c, REPEATS, 3)
    other = another(study, tmp_path / "other")
    other.configuration(lr=0.3)
    for repeat, expected in other.train(c, REPEATS, 3).items():
        assert_same_result(short[repeat], expected)
    assert any(found.epoch == 9 for found in attempts.checkpoints(study.storage, study.key(c))), "the longer one waits"
    assert sorted(study.train(c, REPEATS[:2], 2)) == [], "three epochs are there already"


def test_a_shorter_search_does_not_take_over_a_longer_ones_repeats(study: TinyStudy) -> None:
    c = study.configuration(lr=0.3)
    run = study.start(c, REPEATS, 50)
    while run.group is None or run.group.epoch < 9:
        run.advance(0.0)
    run.stop()
    assert sorted(study.train(c, REPEATS[:2], 3)) == [0, 1]


def test_a_damaged_newest_checkpoint_is_passed_over(study: TinyStudy, tmp_path: Path) -> None:
    c = study.configuration(**STACKED)
    run = study.start(c, REPEATS, 4)
    for _ in range(2):
        steps(run, 9)
        assert run.group is not None
        run._checkpoint(run.group)
    run.stop("failed")
    newest = attempts.checkpoints(study.storage, study.key(c))
    assert len(newest) == 2
    content = bytearray(study.storage.read(newest[0].path))
    content[len(content) // 2] ^= 4
    study.storage.replace(newest[0].path, bytes(content))
    finals = study.train(c, REPEATS, 4)
    other = another(study, tmp_path / "other")
    other.configuration(**STACKED)
    for repeat, expected in other.train(c, REPEATS, 4).items():
        assert_same_result(finals[repeat], expected)
        assert finals[repeat].meta["attempts"] == [1, 2]


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
            assert owed_repeats(study.storage, Work(study.key(c), (0, 1), epochs)) == []


def test_the_first_record_of_a_repeat_wins(study: TinyStudy) -> None:
    """A process that wakes up late trains to the end and changes nothing."""
    c = study.configuration(lr=0.3)
    late = study.start(c, REPEATS, 3)
    steps(late, 3)
    over = late.leases[0].number
    lease = Lease.take(study.storage, study.key(c), over, "cpu")
    assert lease is not None
    run = BundleRun.begin(study.bench(), [Work(study.key(c), REPEATS, 3)], [lease])
    while not run.advance(60.0):
        pass
    names = study.storage.list(study.key(c).finals)
    before = {name: study.storage.read(f"{study.key(c).finals}/{name}") for name in names}
    late.leases[0]._renewed_at = -1e9
    with pytest.raises(SupersededError, match="taken over"):
        late.advance(60.0)
    assert {name: study.storage.read(f"{study.key(c).finals}/{name}") for name in names} == before
    assert study.storage.list(study.key(c).finals) == names
    assert json.loads(study.storage.read(f"{study.key(c).attempt(1)}/ended.json"))["outcome"] == "superseded"


def test_the_recipe_is_kept_by_whoever_goes_on(study: TinyStudy) -> None:
    c = study.configuration(lr=0.3)
    run = study.start(c, REPEATS, 3)
    stored = parse_toml(Recipe, study.storage.read(study.key(c).recipe), "recipe")
    assert stored.stacked
    run.stop()
    study.storage.replace(
        study.key(c).recipe, stored.model_copy(update={"stacked": False, "scoring_batch": 17}).to_toml()
    )
    finals = study.train(c, REPEATS, 3)
    assert all(final.meta["recipe"]["scoring_batch"] == 17 for final in finals.values())


def test_a_torn_recipe_is_made_again(study: TinyStudy) -> None:
    c = study.configuration(lr=0.3)
    study.storage.replace(study.key(c).recipe, b'device = "cp')
    study.train(c, (0,), 1)
    assert parse_toml(Recipe, study.storage.read(study.key(c).recipe), "recipe").device == "cpu"


def test_a_full_disk_loses_nothing(study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = study.configuration(**STACKED)
    run = study.start(c, REPEATS, 3)
    steps(run, 6)
    run.stop()
    real = LocalStorage._written_beside

    def full(storage: LocalStorage, target: Path, content: bytes) -> Path:
        if target.suffix == ".checkpoint" or target.parent.name == "final":
            raise StorageError("cannot write: no space left on the device", "Free some space")
        return real(storage, target, content)

    monkeypatch.setattr(LocalStorage, "_written_beside", full)
    again = study.start(c, REPEATS, 3)
    with pytest.raises(StorageError, match="no space left") as raised:
        again.advance(60.0)
    again.fail(raised.value)
    note = json.loads(study.storage.read(study.key(c).failure(1)))
    assert "no space left" in note["cause"]
    assert "Traceback" in note["traceback"]
    monkeypatch.undo()
    finals = study.train(c, REPEATS, 3)
    other = another(study, tmp_path / "other")
    other.configuration(**STACKED)
    for repeat, expected in other.train(c, REPEATS, 3).items():
        assert_same_result(finals[repeat], expected)

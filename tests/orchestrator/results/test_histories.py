"""Parts are derived: whatever happens to them, the same rows come back, each once."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from orchestrator.results import histories
from orchestrator.results.at_work import SegmentsAtWork
from orchestrator.results.finals import FinalKey
from orchestrator.results.histories import Repeats, compact, list_finals, read_repeats
from orchestrator.results.standing import standings
from orchestrator.store.layout import HISTORIES, ConfigurationKey, FinalName, damaged
from orchestrator.store.schema import FinalRecord, RepeatState
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from tests.support.generated_study import PARTITION, GeneratedStudy, small_study
from trainables.bundles.work import owed_lanes


class CountingStorage(LocalStorage):
    """Remembers what was read and written."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_paths: list[str] = []
        self.created: list[str] = []

    def read(self, path: str) -> bytes:
        self.read_paths.append(path)
        return super().read(path)

    def create(self, path: str, content: bytes) -> bool:
        self.created.append(path)
        return super().create(path, content)


def assert_same(one: Repeats, other: Repeats) -> None:
    pd.testing.assert_frame_equal(one.table, other.table)
    assert one.splits == other.splits
    np.testing.assert_array_equal(one.loss, other.loss)
    np.testing.assert_array_equal(one.statistics, other.statistics)
    np.testing.assert_array_equal(one.start, other.start)


def test_histories_come_back_as_they_were_written(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, score_augmented=True)
    assert compact(storage).gathered == 2 * 2 * 2 * 3
    read = read_repeats(storage)
    assert read.splits == ("train", "valid", "valid_views")
    assert len(read) == 24
    for configuration in study.configurations():
        for repeat in range(study.repeats):
            rows = read.table.query("configuration == @configuration.id and repeat == @repeat").index
            assert len(rows) == 1
            history = study.final(configuration, repeat, study.epochs).history
            at = slice(read.start[rows[0]], read.start[rows[0] + 1])
            np.testing.assert_array_equal(read.loss[at], history.loss)
            np.testing.assert_array_equal(read.statistics[at], history.statistics)


def test_parts_and_final_records_give_the_same(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    loose = read_repeats(storage)
    assert storage.list(HISTORIES) == []
    compact(storage)
    assert_same(read_repeats(storage), loose)


def test_nothing_new_reads_no_final_record_and_writes_nothing(tmp_path: Path) -> None:
    small_study(tmp_path)
    compact(LocalStorage(tmp_path))
    storage = CountingStorage(tmp_path)
    assert compact(storage).gathered == 0
    read_repeats(storage)
    assert storage.created == []
    assert not [path for path in storage.read_paths if "/final/" in path]


def test_only_the_difference_is_gathered(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    compact(storage)
    study.write_final(storage, study.configurations()[0], 3, study.epochs)
    counting = CountingStorage(tmp_path)
    assert compact(counting).gathered == 1
    assert len([path for path in counting.read_paths if "/final/" in path]) == 1
    assert len(read_repeats(storage)) == 25


@pytest.mark.parametrize("kind", ["repeats", "epochs"])
@pytest.mark.parametrize("damage", ["torn", "flipped", "deleted"])
def test_damaged_parts_are_read_around_and_made_again(tmp_path: Path, kind: str, damage: str) -> None:
    storage, _ = small_study(tmp_path)
    expected = read_repeats(storage)
    compact(storage)
    name = next(name for name in storage.list(HISTORIES) if kind in name)
    path = tmp_path / HISTORIES / name
    content = bytearray(path.read_bytes())
    if damage == "deleted":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content) if damage == "flipped" else bytes(content[: len(content) // 2]))
    around = read_repeats(storage)
    assert_same(around, expected)
    assert bool(around.damaged) == (damage != "deleted")  # a missing half is what a merge beside us leaves
    assert compact(storage).gathered == 24
    assert_same(read_repeats(storage), expected)
    assert read_repeats(storage).damaged == ()


def test_overlapping_parts_of_two_compactors_give_each_row_once(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    finals = list_finals(storage)
    for chosen in (finals[:10], finals[5:], finals[:10]):
        part, _ = histories.gather(storage, chosen)
        assert part is not None
        histories._write_part(storage, part)
    assert len(storage.list(HISTORIES)) == 4
    read = read_repeats(storage)
    assert len(read) == len(finals)
    assert not read.table.duplicated(["partition", "configuration", "repeat"]).any()
    assert read.start[-1] == len(finals) * (study.epochs + 1)


def test_many_small_parts_are_merged_and_a_crash_between_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, study = small_study(tmp_path, repeats=1, depths=((0, 0),))
    configurations = itertools.cycle(study.configurations())
    for repeat in range(1, histories.MERGE_ABOVE + 1):
        study.write_final(storage, next(configurations), repeat, study.epochs)
        if repeat < histories.MERGE_ABOVE:
            compact(storage)
    expected = read_repeats(storage)
    (tmp_path / HISTORIES / "part-0123456789abcdef.epochs.parquet").write_bytes(b"left by a killed compactor")
    monkeypatch.setattr(LocalStorage, "delete", lambda self, path: None)
    compact(storage)
    assert_same(read_repeats(storage), expected)
    monkeypatch.undo()
    study.write_final(storage, next(configurations), 20, study.epochs)
    compact(storage)
    assert len(storage.list(HISTORIES)) == 2
    assert len(read_repeats(storage)) == len(expected) + 1


def test_more_epochs_supersede(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    compact(storage)
    configuration = study.configurations()[0]
    study.write_final(storage, configuration, 0, 9)
    for _ in range(2):
        read = read_repeats(storage)
        row = read.table.query("configuration == @configuration.id and repeat == 0")
        assert row["epochs"].tolist() == [9]
        assert len(read) == 24
        assert read.start[row.index[0] + 1] - read.start[row.index[0]] == 10
        compact(storage)


def test_damaged_final_records_are_listed_and_a_shorter_one_is_used(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    first, second = study.configurations()[:2]
    study.write_final(storage, first, 0, 9)
    longer = FinalKey(PARTITION, first.id, 0, 9).path
    only = FinalKey(PARTITION, second.id, 0, study.epochs).path
    for path in (longer, only):
        (tmp_path / path).write_bytes((tmp_path / path).read_bytes()[:-3])
    for expected in (sorted([longer, only]), []):
        read = read_repeats(storage)
        assert sorted(broken.path for broken in read.damaged) == expected
        assert len(read) == 23
        assert read.table.query("configuration == @first.id and repeat == 0")["epochs"].tolist() == [6]
        aside = compact(storage).set_aside
        assert sorted(broken.path for broken in aside) == expected


def test_a_damaged_final_record_is_owed_again_and_can_be_made_again(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    configuration = study.configurations()[0]
    key = FinalKey(PARTITION, configuration.id, 1, study.epochs)
    segment = Segment(PARTITION, (configuration.id,), (0, 1, 2), 0, study.epochs)
    torn = (tmp_path / key.path).read_bytes()[:-3]
    (tmp_path / key.path).write_bytes(torn)
    assert owed_lanes(storage, segment) == []
    compacted = compact(storage)
    assert compacted.gathered == 23
    assert [broken.path for broken in compacted.set_aside] == [key.path]
    assert owed_lanes(storage, segment) == [segment.lanes[1]]
    assert storage.read(damaged(key.path)) == torn
    study.write_final(storage, configuration, 1, study.epochs)
    assert owed_lanes(storage, segment) == []
    assert len(read_repeats(storage)) == 24
    again = compact(storage)
    assert (again.gathered, again.set_aside) == (1, ())


def test_a_record_that_was_made_again_beside_us_is_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another driver may have set it aside, and trained it anew, since this one read it."""
    storage, study = small_study(tmp_path)
    path = FinalKey(PARTITION, study.configurations()[0].id, 1, study.epochs).path
    whole = (tmp_path / path).read_bytes()
    (tmp_path / path).write_bytes(whole[:-3])
    gather = histories.gather

    def slow(*arguments):  # type: ignore[no-untyped-def]
        found = gather(*arguments)
        (tmp_path / path).write_bytes(whole)
        return found

    monkeypatch.setattr(histories, "gather", slow)
    assert compact(storage).set_aside == ()
    assert storage.read(path) == whole


def test_a_record_whose_name_says_another_state_is_damaged(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    key = FinalKey(PARTITION, study.configurations()[0].id, 1, study.epochs)
    (tmp_path / key.path).rename(tmp_path / replace(key, state=RepeatState.DIVERGED).path)
    assert [broken.path for broken in compact(storage).set_aside] == [replace(key, state=RepeatState.DIVERGED).path]


@pytest.mark.parametrize(
    ("finals", "counts"),
    [
        ([(5, True)], (5, "diverged")),
        ([(5, False), (9, True)], (9, "diverged")),
        ([(5, True), (9, False)], (9, "finished")),
        ([(9, True), (9, False)], (9, "finished")),
        ([(9, False), (10, True)], (10, "diverged")),
    ],
)
@pytest.mark.parametrize("gathered", [False, True])
def test_the_same_record_counts_for_the_table_and_for_what_is_owed(
    tmp_path: Path, finals: list[tuple[int, bool]], counts: tuple[int, str], gathered: bool
) -> None:
    storage, study = small_study(tmp_path, skip=lambda _configuration, _repeat: True)
    configuration = study.configurations()[0]
    for epochs, diverged in finals:
        study.diverges = lambda _configuration, _repeat, diverged=diverged: diverged  # type: ignore[misc]
        study.write_final(storage, configuration, 0, epochs)
    if gathered:
        assert compact(storage).gathered == len(finals)
    table = read_repeats(storage).table
    assert list(zip(table["epochs"], table["state"], strict=True)) == [counts]
    final = FinalName(0, counts[0], RepeatState(counts[1]))
    key, nobody = ConfigurationKey(PARTITION, configuration.id), SegmentsAtWork((), {})
    for asked in (5, 9, 10, 20):
        owed = owed_lanes(storage, Segment(PARTITION, (configuration.id,), (0,), 0, asked))
        (standing,) = standings(key, {0: asked}, {0: final}, nobody)
        assert bool(owed) == (standing.state not in (RepeatState.FINISHED, RepeatState.DIVERGED))
        assert bool(owed) == (counts[1] == "finished" and counts[0] < asked)


def test_a_row_without_its_final_record_is_not_returned(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    compact(storage)
    storage.delete(FinalKey(PARTITION, study.configurations()[0].id, 1, study.epochs).path)
    assert len(read_repeats(storage)) == 23


def test_other_files_among_the_records_are_ignored(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    folder = tmp_path / FinalKey(PARTITION, study.configurations()[0].id, 0, 6).path
    (folder.parent / "notes.txt").write_text("mine")
    (folder.parent / "77.e6").write_bytes(b"a repeat of another bundle")
    (tmp_path / "bundles" / "stray").write_text("")
    read = read_repeats(storage)
    assert len(read) == 24
    assert read.damaged == ()


def test_a_study_without_results_is_empty(tmp_path: Path) -> None:
    GeneratedStudy().write_frame(storage := LocalStorage(tmp_path))
    assert compact(storage).gathered == 0
    read = read_repeats(storage)
    assert len(read) == 0
    assert read.loss.shape == (0, 2)


def test_a_diverged_history_keeps_its_length(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, diverges=lambda _configuration, repeat: repeat == 1)
    compact(storage)
    read = read_repeats(storage)
    lengths = np.diff(read.start)
    diverged = (read.table["state"] == "diverged").to_numpy()
    assert set(lengths[diverged]) == {3}
    assert set(lengths[~diverged]) == {7}
    assert set(read.table.loc[diverged, "diverged_epoch"]) == {2}


@pytest.mark.parametrize("shape", [(), (2,), (3, 3), (2, 1, 4)])
def test_statistics_of_any_shape_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    storage, _ = small_study(tmp_path, repeats=1)
    drawn = np.random.default_rng(0)
    kept = {}
    for key in list_finals(storage):
        record = FinalRecord.from_bytes(storage.read(key.path), key.path)
        rows = record.history.loss.shape
        record.history.statistics = drawn.integers(0, 99, (*rows, *shape)).astype(np.int32)
        kept[key.configuration] = record.history.statistics
        storage.replace(key.path, record.to_bytes())
    loose = read_repeats(storage)
    compact(storage)
    read = read_repeats(storage)
    assert_same(read, loose)
    for place, name in enumerate(read.table["configuration"]):
        at = slice(read.start[place], read.start[place + 1])
        np.testing.assert_array_equal(read.statistics[at], kept[name])


def test_a_record_of_another_shape_than_those_beside_it_is_damaged(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, repeats=1)
    key = list_finals(storage)[-1]
    record = FinalRecord.from_bytes(storage.read(key.path), key.path)
    record.history.statistics = record.history.statistics[..., :1]
    storage.replace(key.path, record.to_bytes())
    (broken,) = read_repeats(storage).damaged
    assert broken.reason.startswith(f"{broken.path} has statistics of a different shape from ")

"""The summary against numbers worked out one record at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score

from orchestrator.export.tables import write_tables
from orchestrator.results.decided import Decided
from orchestrator.results.edges import edge_notes
from orchestrator.results.flat_scores import metrics_of
from orchestrator.results.histories import Repeats
from orchestrator.results.statistic import Statistic
from orchestrator.results.summary import Summary, summarise
from orchestrator.results.summary_table import build_table
from orchestrator.results.tried import tried_columns
from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.leases import Lease
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import Ask, Decision, Stack, decision_file
from orchestrator.store.segments import SEGMENTS, Segment
from orchestrator.store.storage import LocalStorage
from orchestrator.study.owed import owed
from search_spaces.configuration import Configuration, column_names
from tests.support.asked import Item, ask
from tests.support.configurations import changed, shown
from tests.support.generated_study import (
    NOW,
    PARTITION,
    GeneratedStudy,
    UnsyncedStorage,
    segment_of,
    small_study,
    write_failure,
    write_lease,
)
from trainables.bundles.work import divide, owed_lanes
from trainables.learning import metrics


def labels_of(confusion: np.ndarray) -> tuple[list[int], list[int]]:
    """Images behind confusion counts, for scikit-learn."""
    truth, predicted = np.indices(confusion.shape)
    times = confusion.ravel()
    return np.repeat(truth.ravel(), times).tolist(), np.repeat(predicted.ravel(), times).tolist()


@pytest.mark.parametrize("selection", ["loss", "accuracy", "balanced_accuracy", "macro_f1"])
@pytest.mark.parametrize("rule", ["valid", "worse_of_both"])
def test_statistics_equal_those_of_single_records(tmp_path: Path, selection: str, rule: str) -> None:
    storage, study = small_study(tmp_path, selection=selection, rule=rule, classes=("a", "b", "c"))
    summary = summarise(storage)
    for member in summary.configurations:
        records = [study.final(member.configuration, repeat, study.epochs) for repeat in range(3)]
        chosen = [
            metrics.selected_epoch(selection, record.history, rule == "valid")  # type: ignore[arg-type]
            for record in records
        ]
        assert member.selected_epochs is not None
        assert member.selected_epochs.values.tolist() == chosen
        assert chosen == [record.meta["selected_epoch"] for record in records]
        valid = [record.history.statistics[epoch, 1] for record, epoch in zip(records, chosen, strict=True)]
        losses = [record.history.loss[epoch, 1] for record, epoch in zip(records, chosen, strict=True)]
        score = member.score("loss", "valid")
        assert score is not None
        assert (score.mean, score.std, score.n) == pytest.approx((np.mean(losses), np.std(losses, ddof=1), 3))
        for metric, reference in (
            ("accuracy", accuracy_score),
            ("balanced_accuracy", balanced_accuracy_score),
            ("macro_f1", lambda truth, predicted: f1_score(truth, predicted, average="macro")),
        ):
            score = member.score(metric, "valid")  # type: ignore[arg-type]
            assert score is not None
            np.testing.assert_allclose(score.values, [reference(*labels_of(counts)) for counts in valid])
        curve, start = member.curve("loss", "train"), member.untrained("loss", "train")
        assert curve is not None
        assert start is not None
        table = np.array([record.history.loss[:, 0] for record in records])
        np.testing.assert_allclose(curve.mean, table.mean(axis=0))
        np.testing.assert_allclose(curve.std, table.std(axis=0, ddof=1))
        assert start.mean == pytest.approx(table[:, 0].mean())


def test_ranking_is_by_the_mean_of_all_repeats_asked(tmp_path: Path) -> None:
    storage, _ = small_study(
        tmp_path, skip=lambda configuration, repeat: configuration.optimiser.lr == 1e-2 and repeat == 2
    )
    summary = summarise(storage)
    ranked = [member for member in summary.configurations if member.rank is not None]
    assert [member.rank for member in ranked] == [1, 2, 3, 4]
    means = [member.selection.mean for member in ranked if member.selection]
    assert means == sorted(means)
    unranked = [member for member in summary.configurations if member.rank is None]
    assert {member.configuration.optimiser.lr for member in unranked} == {1e-2}
    assert [member.n for member in unranked] == [2] * 4
    assert summary.configurations[-4:] == tuple(unranked)


def test_configurations_without_a_result_stand_in_the_order_of_their_settings(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, depths=((0, 0), (1, 0), (0, 2)), skip=lambda *_: True)
    kept = [member.configuration for member in summarise(storage).configurations]
    settings = [shown(c, "unfrozen", "non_linearities", "lr", "batch_size") for c in kept]
    assert len(settings) == len(study.configurations()) > 8
    assert settings == sorted(settings)


def test_the_best_repeat_does_not_rank(tmp_path: Path) -> None:
    """A configuration with one lucky repeat stays behind one that is better on average."""
    study = GeneratedStudy(depths=((0, 0),), lrs=(1e-3, 1e-2), batch_sizes=(16,), repeats=3, epochs=2)
    storage = UnsyncedStorage(tmp_path)
    steady, lucky = study.configurations()
    values = {steady.id: (0.40, 0.41, 0.42), lucky.id: (0.10, 0.60, 0.61)}

    def final(configuration, repeat, epochs):  # type: ignore[no-untyped-def]
        record = GeneratedStudy.final(study, configuration, repeat, epochs)
        record.history.loss[:] = values[configuration.id][repeat]
        return record

    study.final = final  # type: ignore[method-assign]
    study.write(storage)
    summary = summarise(storage)
    assert [member.id for member in summary.configurations] == [steady.id, lucky.id]
    assert summary.configurations[1].best_repeat() == (0, 0)


def test_a_diverged_repeat_counts_with_its_epoch_0(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, diverges=lambda _configuration, repeat: repeat == 1)
    summary = summarise(storage)
    member = summary.configurations[0]
    score, start, curve = (
        member.score("loss", "valid"),
        member.untrained("loss", "valid"),
        member.curve("loss", "valid"),
    )
    assert score is not None
    assert start is not None
    assert curve is not None
    assert score.values[1] == start.values[1]
    assert np.isfinite(score.mean)
    assert (member.diverged, member.n, member.rank, set(curve.n.tolist())) == (1, 3, 1, {2})
    assert member.epochs == study.epochs
    assert summary.totals.diverged == 8
    assert summary.totals.owed == 0


def test_curves_thin_out_where_some_repeats_have_more_epochs(tmp_path: Path) -> None:
    """While a search goes on from 6 to 9 epochs: selection keeps to the six that all have, the curve shows all."""
    storage, study = small_study(tmp_path, diverges=lambda _configuration, repeat: repeat == 2, repeats=4)
    configuration = study.configurations()[0]
    longer = study.write_final(storage, configuration, 1, 9)
    records = [study.final(configuration, repeat, 6) for repeat in (0, 3)]
    member = next(m for m in summarise(storage).configurations if m.id == configuration.id)
    curve, score = member.curve("loss", "valid"), member.score("loss", "valid")
    assert curve is not None
    assert score is not None
    assert member.epochs == 6
    assert curve.n.tolist() == [3] * 7 + [1] * 3
    table = np.array([record.history.loss[:7, 1] for record in (longer, *records)])
    np.testing.assert_allclose(curve.mean, [*table.mean(axis=0), *longer.history.loss[7:, 1]])
    np.testing.assert_allclose(curve.std, [*table.std(axis=0, ddof=1), *[np.nan] * 3])
    assert member.selected_epochs is not None
    assert member.selected_epochs.values.max() <= 6


def test_all_repeats_diverged(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, diverges=lambda _configuration, _repeat: True)
    member = summarise(storage).configurations[0]
    assert member.curve("loss", "valid") is None
    assert member.rank == 1


def test_during_an_extension_the_common_epochs_are_used(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    configurations = study.configurations()
    study.ask(storage, [Item(c.id, 3, 12) for c in configurations])
    for repeat in range(3):
        study.write_final(storage, configurations[0], repeat, 12)
    study.write_final(storage, configurations[1], 0, 12)
    by_id = {member.id: member for member in summarise(storage).configurations}
    whole, part = by_id[configurations[0].id], by_id[configurations[1].id]
    assert (whole.epochs, part.epochs) == (12, 6)
    assert part.selected_epochs is not None
    assert part.selected_epochs.values.max() <= 6
    assert [standing.state for standing in part.standings] == [RepeatState.FINISHED] + [RepeatState.WAITING] * 2
    assert [standing.epochs_done for standing in part.standings] == [12, 6, 6]
    assert part.rank is not None
    assert summarise(storage).totals.owed == 2 + 3 * 6


def test_standings(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, skip=lambda _configuration, repeat: repeat > 0, in_turn=True)
    running, failed, silent, again = study.configurations()[:4]
    write_lease(storage, segment_of(storage, running, 1), 4, "2026-03-01T11:59:30+00:00", number=12)
    write_lease(storage, segment_of(storage, running, 1), 2, NOW, released=True, number=3)
    write_failure(storage, segment_of(storage, failed, 1), "ValueError: no\nsecond line")
    write_lease(storage, segment_of(storage, silent, 1), 5, "2026-03-01T09:00:00+00:00")
    write_lease(storage, segment_of(storage, silent, 2), 1, "2026-03-01T09:00:00+00:00")
    for repeat in (1, 2):
        write_failure(storage, segment_of(storage, again, repeat), "out of memory")
    study.write_final(storage, again, 1, study.epochs)
    summary = summarise(storage, NOW)
    states = {m.id: [(s.state.value, s.epochs_done) for s in m.standings] for m in summary.configurations}
    assert states[running.id] == [("finished", 6), ("running", 4), ("waiting", 0)]
    assert states[failed.id] == [("finished", 6), ("failed", 0), ("waiting", 0)]
    assert states[silent.id] == [("finished", 6), ("waiting", 5), ("waiting", 1)]
    assert states[again.id] == [("finished", 6), ("finished", 6), ("failed", 0)]
    causes = [s.cause for m in summary.configurations if m.id == failed.id for s in m.standings]
    assert causes == ["", "ValueError: no", ""]
    totals = summary.totals
    assert (totals.asked, totals.done, totals.owed, totals.running, totals.failed) == (24, 9, 15, 1, 2)
    assert totals.epochs_per_second == pytest.approx(1 / 0.4), "of results alone, as the seconds are"


def test_repeats_that_are_trained_together_stand_alike(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, skip=lambda _configuration, repeat: repeat > 0)
    running, failed = study.configurations()[:2]
    write_lease(storage, segment_of(storage, running, 0), 4, NOW)
    write_failure(storage, segment_of(storage, failed, 0), "ValueError: no")
    states = {
        m.id: [(s.state.value, s.epochs_done) for s in m.standings] for m in summarise(storage, NOW).configurations
    }
    assert states[running.id] == [("finished", 6), ("running", 4), ("running", 4)]
    assert states[failed.id] == [("finished", 6), ("failed", 0), ("failed", 0)]


def test_repeats_that_are_asked_need_not_follow_one_another(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, skip=lambda *_: True)
    chosen = study.configurations()[0]
    search = study.ask(storage, [Item(chosen.id, 1, 6)])
    ask = Ask(partition=PARTITION, configurations=(chosen.id,), repeats=(7, 23), epochs=9)
    decision = Decision(number=2, budget=1, reason="two more", asks=(ask,), stacks=())
    storage.create(decision_file(search.id, 2), decision.to_toml())
    study.write_final(storage, chosen, 23, 9)
    member = next(m for m in summarise(storage, NOW).configurations if m.id == chosen.id)
    assert [(s.repeat, s.state.value, s.epochs_asked) for s in member.standings] == [
        (0, "waiting", 6),
        (1, "waiting", 6),
        (2, "waiting", 6),
        (7, "waiting", 9),
        (23, "finished", 9),
    ]
    assert member.n == 1
    assert not member.is_whole


class LookedInto(UnsyncedStorage):
    """Remembers which segments were looked into, and which of their files were read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.listed: list[str] = []
        self.files: list[str] = []

    def list(self, folder: str) -> list[str]:
        if folder.startswith(SEGMENTS):
            self.listed.append(folder)
        return super().list(folder)

    def read(self, path: str) -> bytes:
        if path.startswith(SEGMENTS):
            self.files.append(path)
        return super().read(path)


def ask_together(storage: LocalStorage, study: GeneratedStudy) -> Segment:
    """All configurations, up to twelve epochs, from the six that they were asked for before."""
    names = tuple(c.id for c in study.configurations())
    search = study.ask(storage, [Item(name, 3, 6) for name in names])
    segment = Segment(PARTITION, names, (0, 1, 2), 6, 12)
    decision = Decision(
        number=9,
        budget=1,
        reason="all go on",
        asks=(Ask(partition=PARTITION, configurations=names, repeats=(0, 1, 2), epochs=12),),
        stacks=(Stack(partition=PARTITION, configurations=names, repeats=(0, 1, 2), start=6, epochs=12),),
    )
    storage.create(decision_file(search.id, 9), decision.to_toml())
    return segment


def test_a_stack_is_looked_into_once_and_what_is_done_never(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    for configuration in study.configurations():
        write_lease(storage, segment_of(storage, configuration, 0), 6, NOW, released=True)
    stack = ask_together(storage, study)
    write_lease(storage, stack, 9, NOW)
    looked = LookedInto(tmp_path)
    summary = summarise(looked, NOW)
    assert looked.listed == [SEGMENTS, stack.folder]
    assert looked.files == [f"{stack.folder}/lease-1.json"]
    standings = [standing for member in summary.configurations for standing in member.standings]
    assert {(s.state, s.epochs_done, s.epochs_asked) for s in standings} == {(RepeatState.RUNNING, 9, 12)}
    (at_work,) = summary.at_work
    assert (at_work.segment, len(at_work.lanes), at_work.epoch, at_work.is_live) == (stack, 24, 9, True)


def test_nothing_is_looked_into_where_nothing_is_owed(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    write_lease(storage, segment_of(storage, study.configurations()[0], 0), 6, NOW, released=True)
    looked = LookedInto(tmp_path)
    assert summarise(looked, NOW).at_work == ()
    assert looked.listed == []


def test_of_a_segment_that_was_divided_its_parts_count(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    stack = ask_together(storage, study)
    write_failure(storage, stack, "out of memory")
    one, two = stack.halves()
    divide(storage, stack, (one, two))
    divide(storage, two, two.alone())
    write_lease(storage, one, 8, NOW)
    write_failure(storage, two.alone()[0], "ValueError: no")
    looked = LookedInto(tmp_path)
    summary = summarise(looked, NOW)
    told = {m.id: {(s.state.value, s.epochs_done, s.cause) for s in m.standings} for m in summary.configurations}
    assert {name: told[name] for name in one.configurations} == {
        name: {("running", 8, "")} for name in one.configurations
    }
    failed, *others = two.configurations
    assert told[failed] == {("failed", 6, "ValueError: no")}
    assert all(told[name] == {("waiting", 6, "")} for name in others)
    assert len(looked.listed) == len(set(looked.listed))


def test_a_failure_counts_until_somebody_tries_again(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, skip=lambda _configuration, _repeat: True)
    configuration = study.configurations()[0]
    segment = segment_of(storage, configuration, 0)

    def states() -> list[str]:
        member = next(m for m in summarise(storage, NOW).configurations if m.id == configuration.id)
        return [standing.state.value for standing in member.standings]

    storage.create(f"{segment.attempt(2)}/started.json", b"{}")
    write_failure(storage, segment, "ValueError: no", attempt=2)
    assert states() == ["failed"] * 3
    write_lease(storage, segment, 2, NOW)
    assert states() == ["running"] * 3, "somebody tries again"
    assert [work.failure for work in summarise(storage, NOW).at_work] == [None]
    write_lease(storage, segment, 2, NOW, released=True)
    assert states() == ["failed"] * 3
    storage.create(f"{segment.attempt(3)}/started.json", b"{}")
    assert states() == ["waiting"] * 3, "attempt 3 was interrupted, it did not fail"
    write_failure(storage, segment, "ValueError: again", attempt=3)
    assert states() == ["failed"] * 3


def test_the_lease_of_a_process_that_died_here_is_not_running(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, skip=lambda _configuration, _repeat: True)
    configuration = study.configurations()[0]
    segment = segment_of(storage, configuration, 0)
    lease = Lease.take(storage, segment.folder, 0, "cpu")
    assert lease is not None
    now = datetime.now(UTC).isoformat()

    def states() -> list[str]:
        member = next(m for m in summarise(storage, now).configurations if m.id == configuration.id)
        return [standing.state.value for standing in member.standings]

    write_failure(storage, segment, "the worker process died")
    assert states() == ["running"] * 3
    path = layout.lease(segment.folder, 1)
    content = json.loads(storage.read(path))
    if not content["process"]["machine"]:
        pytest.skip("this system does not tell which machine it is")
    content["process"] |= {"pid": 2**22 + 1}
    storage.replace(path, json.dumps(content).encode())
    assert states() == ["failed"] * 3


def test_a_diverged_repeat_is_done_when_more_epochs_are_asked(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, diverges=lambda _configuration, repeat: repeat == 1)
    configurations = study.configurations()
    study.ask(storage, [Item(c.id, 3, 12) for c in configurations])
    summary = summarise(storage)
    lanes = {lane for segment in owed(storage, Decided.of(storage).segments()) for lane in owed_lanes(storage, segment)}
    assert len(lanes) == summary.totals.owed == 2 * 8


def test_damaged_leases_and_decisions_are_reported(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, skip=lambda _configuration, repeat: repeat > 0)
    segment = segment_of(storage, study.configurations()[0], 1)
    (search,) = Decided.of(storage).searches
    write_lease(storage, segment, 4, NOW)
    (tmp_path / layout.lease(segment.folder, 1)).write_text('{"owner": ')
    (tmp_path / decision_file(search, 7)).write_text("number = [")
    (tmp_path / layout.configuration(study.configurations()[1].id)).write_text("nonsense = 1")
    summary = summarise(storage)
    broken = layout.configuration(study.configurations()[1].id)
    lost = {broken, layout.lease(segment.folder, 1)}
    assert {one.path for one in summary.damaged} == lost, "all that the budget allows is asked for without decision 7"
    (tmp_path / decision_file(search, 1)).write_text("number = [")
    assert {one.path for one in summarise(storage).damaged} == {broken, *(decision_file(search, n) for n in (1, 7))}
    assert len(summary.configurations) == 7


def test_a_study_of_another_kind_is_an_error(tmp_path: Path) -> None:
    storage = UnsyncedStorage(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"study\.toml"):
        summarise(storage)
    storage.create(layout.STUDY, b"name = 3")
    with pytest.raises(DamagedRecordError, match="StudyRecord"):
        summarise(storage)


def test_searches_and_their_decisions_are_told(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    first = study.ask(storage, [Item(c.id, 5, 6) for c in study.configurations()])
    about = {"command": "orch search more", "created": "2026-02-01T12:00:00+00:00"}
    older = ask(storage, (PARTITION,), [Item(study.configurations()[0].id, 1, 9)], **about)
    summary = summarise(storage, NOW)
    assert [search.id for search in summary.searches] == [older.id, first.id]
    assert [d.number for d in summary.decisions[first.id]] == [1, 2]
    assert [d.number for d in summary.decisions[older.id]] == [1]


def test_statistic_of_one_and_of_none() -> None:
    assert np.isnan(Statistic.of(np.array([0.5])).std)
    assert Statistic.of(np.array([])).n == 0
    assert np.isnan(Statistic.of(np.array([])).mean)


def with_best_at(summary: Summary, lr: float, batch_size: int) -> Summary:
    """The summary with its ranks turned so that one grid point is the best."""
    ordered = sorted(
        summary.configurations,
        key=lambda m: (shown(m.configuration, "lr", "batch_size") != (lr, batch_size), m.id),
    )
    return replace(summary, configurations=tuple(replace(m, rank=r) for r, m in enumerate(ordered, 1)))


@pytest.mark.parametrize(
    ("lr", "batch", "options"),
    [
        (5e-5, 64, ["--lr 1e-4,5e-4"]),
        (5e-7, 16, ["--lr 5e-8,1e-7", "--batch-size 4,8"]),
        (1e-6, 128, ["--batch-size 256,512"]),
        (1e-6, 32, []),
    ],
)
def test_values_at_the_edge_of_their_grid(tmp_path: Path, lr: float, batch: int, options: list[str]) -> None:
    storage, _ = small_study(
        tmp_path,
        depths=((0, 0),),
        lrs=(5e-7, 1e-6, 5e-6, 1e-5, 5e-5),
        batch_sizes=(16, 32, 64, 128),
        repeats=1,
        epochs=1,
    )
    notes = edge_notes(with_best_at(summarise(storage), lr, batch).configurations, "loss")
    assert [note.option for note in notes] == options


class BatchNorm(GeneratedStudy):
    """Heads of given widths whose batch norm learns statistics."""

    moving: ClassVar[dict[str, object]] = {"head": "widths", "batch_norm": True}

    def configurations(self) -> list[Configuration]:
        return [changed(one, **self.moving) for one in super().configurations()]


class MovingBody(BatchNorm):
    moving: ClassVar[dict[str, object]] = {"norms": "moving"}


@pytest.mark.parametrize(
    ("kind", "batch_sizes", "options"),
    [
        (GeneratedStudy, (2, 4), ["--batch-size 1"]),
        (BatchNorm, (2, 4), []),
        (BatchNorm, (4, 8), ["--batch-size 2"]),
        (MovingBody, (2, 4), []),
    ],
)
def test_no_batch_is_proposed_that_a_search_refuses(
    tmp_path: Path, kind: type[GeneratedStudy], batch_sizes: tuple[int, ...], options: list[str]
) -> None:
    settings = {"depths": ((0, 2),), "lrs": (1e-3,), "batch_sizes": batch_sizes, "repeats": 1, "epochs": 1}
    storage, _ = small_study(tmp_path, study=kind, **settings)
    notes = edge_notes(with_best_at(summarise(storage), 1e-3, batch_sizes[0]).configurations, "loss")
    assert [note.option for note in notes] == options


def test_a_grid_of_one_value_has_no_edge(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, lrs=(1e-3,), batch_sizes=(16,))
    assert summarise(storage).edges == ()


def test_tables(tmp_path: Path) -> None:
    storage, study = small_study(
        tmp_path,
        score_augmented=True,
        skip=lambda configuration, repeat: configuration.optimiser.lr == 1e-2 and repeat == 2,
        diverges=lambda configuration, repeat: configuration.optimiser.lr == 1e-3 and repeat == 0,
    )
    summary = summarise(storage)
    epochs, repeats, configs = (build_table(summary, level) for level in ("epoch", "repeat", "config"))  # type: ignore[arg-type]
    assert len(epochs) == (4 * 2 * 7 + 4 * 3 + 4 * 2 * 7) * 3
    assert set(epochs["split"]) == {"train", "valid", "valid_views"}
    assert epochs.groupby(["configuration", "repeat", "split"])["is_selected"].sum().eq(1).all()
    chosen = epochs[epochs["is_selected"]].set_index(["configuration", "repeat", "split"])["loss"]
    there = repeats.dropna(subset="loss").set_index(["configuration", "repeat", "split"])["loss"]
    assert chosen.to_dict() == there.to_dict()
    assert (repeats["state"] == "waiting").sum() == 4 * 2
    member = summary.configurations[0]
    row = configs.query("configuration == @member.id and split == 'valid'").iloc[0]
    score = member.score("balanced_accuracy", "valid")
    assert score is not None
    assert row["balanced_accuracy_mean"] == pytest.approx(score.mean)
    assert row["balanced_accuracy_std"] == pytest.approx(score.std)
    assert row["rank"] == member.rank
    record = study.final(member.configuration, 1, study.epochs)
    truth, predicted = labels_of(record.history.statistics[record.meta["selected_epoch"], 1])
    named = repeats.query("configuration == @member.id and repeat == 1 and split == 'valid'").iloc[0]
    reference = precision_score(truth, predicted, average=None)
    assert [named[f"precision_{name}"] for name in study.classes] == pytest.approx(reference)


def test_tables_of_a_study_without_results(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, skip=lambda _configuration, _repeat: True)
    summary = summarise(storage)
    assert len(build_table(summary, "epoch")) == 0
    assert len(build_table(summary, "repeat")) == 8 * 3 * 2
    assert build_table(summary, "config")["n"].eq(0).all()


class Empty(GeneratedStudy):
    """Nothing was asked for."""

    def configurations(self) -> list[Configuration]:
        return []


class Mixed(GeneratedStudy):
    """Settings that only some configurations have: pairs, numbers and nothing in one column."""

    def configurations(self) -> list[Configuration]:
        one, two, *rest = super().configurations()
        adam = changed(one, optimiser="adam", betas=(0.9, 0.99), non_linearities=2)
        own = changed(two, standardisation="train", balance="ngca", score_augmented=True, precision="bf16")
        return [adam, own, *rest]


@pytest.mark.parametrize("level", ["epoch", "repeat", "config"])
@pytest.mark.parametrize("has_results", [True, False])
@pytest.mark.parametrize("kind", [Mixed, GeneratedStudy, Empty], ids=["mixed", "plain", "empty"])
def test_tables_can_be_written(
    tmp_path: Path, kind: type[GeneratedStudy], level: Literal["epoch", "repeat", "config"], has_results: bool
) -> None:
    """Every setting is a column, and a column can hold what it is of every configuration."""
    storage, study = small_study(tmp_path / "study", study=kind, skip=lambda *_: not has_results)
    table = build_table(summarise(storage), level)
    there = has_results or level != "epoch"
    assert set(table["configuration"]) == ({c.id for c in study.configurations()} if there else set())
    write_tables(tmp_path / "tables", {"table": table})
    again = pd.read_parquet(tmp_path / "tables" / "table.parquet")
    csv = pd.read_csv(tmp_path / "tables" / "table.csv", dtype={"configuration": str})
    rows = json.loads(table.to_json(orient="records"))
    assert list(again) == list(csv) == list(table)
    assert set(column_names()) < set(table)
    assert len(again) == len(csv) == len(rows) == len(table)
    known = {c.id: tried_columns(c) for c in study.configurations()}
    for found in (again.to_dict("records"), rows):
        for row in found:
            settings = known[row["configuration"]]
            assert {name: None if pd.isna(row[name]) else row[name] for name in settings} == settings


def test_a_summary_needs_neither_torch_nor_ray() -> None:
    import subprocess
    import sys

    loaded = "[name for name in ('torch', 'ray') if name in sys.modules]"
    code = f"import sys, json, orchestrator.results.summary; print(json.dumps({loaded}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


class TwoMetrics(GeneratedStudy):
    """Every configuration once for each of two metrics that select."""

    def configurations(self) -> list[Configuration]:
        every = super().configurations()
        return [changed(one, selection=metric) for one in every for metric in ("accuracy", "loss")]


def test_the_metric_of_the_study_ranks_before_others(tmp_path: Path) -> None:
    """A loss cannot be ranked among accuracies."""
    storage, _ = small_study(tmp_path, study=TwoMetrics)
    members = summarise(storage, NOW).configurations
    selecting = [member.configuration.selection.metric for member in members]
    half = len(members) // 2
    assert selecting == ["loss"] * half + ["accuracy"] * half
    assert [member.rank for member in members] == list(range(1, len(members) + 1))
    means = [member.selection.mean for member in members if member.selection]
    assert means[:half] == sorted(means[:half])
    assert means[half:] == sorted(means[half:], reverse=True)


def test_what_there_are_scores_by_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page asks for each choice of each figure."""
    asked: list[str] = []

    def counted(repeats: Repeats, task: str) -> tuple[str, ...]:
        asked.append(task)
        return metrics_of(repeats, task)

    monkeypatch.setattr("orchestrator.results.summary.metrics_of", counted)
    summary = summarise(small_study(tmp_path)[0], NOW)
    assert "loss" in summary.metrics
    assert summary.metrics == summary.metrics
    assert asked == [summary.study.task]

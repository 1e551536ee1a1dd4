"""Metrics that are measured when a split is scored, from a trained study to whatever shows and compares its results."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from dashboards.figures.choice import has_score
from dashboards.page.page import render
from orchestrator.choosing.comparison import compare
from orchestrator.choosing.selection import select
from orchestrator.choosing.selection_report import selection_report
from orchestrator.report import status_report
from orchestrator.results.comparing import check_comparable
from orchestrator.results.finals import FinalKey, read_final
from orchestrator.results.histories import compact
from orchestrator.results.news import NewsReader
from orchestrator.results.summary import Summary, summarise
from orchestrator.results.summary_table import build_table
from orchestrator.statistics.score_table import ranked_table
from orchestrator.store.errors import DamagedRecordError, InputError
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import LaneKey
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import open_study
from tests.support.configurations import configured
from tests.support.generated_study import NOW, small_study
from tests.support.trained_study import NAME, make_trained_study
from trainables.learning.tasks.confusion import recall

REPEATS, EPOCHS = 3, 4
SETTINGS: tuple[dict[str, object], ...] = (
    {"selection": "class_recall", "of_class": "few", "lr": 0.4},
    {"selection": "class_recall", "of_class": "few", "lr": 0.05},
    {"lr": 0.1},
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("measured")
    make_trained_study(root, ("few", "many", "some"), REPEATS, EPOCHS, SETTINGS)
    return root


@pytest.fixture
def storage(root: Path, tmp_path: Path) -> LocalStorage:
    shutil.copytree(root / "studies", tmp_path / "studies")
    return LocalStorage(tmp_path / "studies" / NAME)


def by_lr(summary: Summary) -> dict[float, str]:
    return {member.configuration.optimiser.lr: member.id for member in summary.configurations}


@pytest.mark.parametrize("compacted", [False, True])
def test_they_are_in_summary_ranking_and_tables(storage: LocalStorage, compacted: bool) -> None:
    if compacted:
        assert compact(storage).gathered == 9
    summary = summarise(storage, NOW)
    assert not summary.damaged
    assert summary.metrics == ("loss", "accuracy", "balanced_accuracy", "macro_f1", "class_recall")
    epochs = build_table(summary, "epoch")
    repeats = build_table(summary, "repeat")
    for member in summary.configurations:
        found = member.score("class_recall", "valid")
        mine = repeats[(repeats["configuration"] == member.id) & (repeats["split"] == "valid")]
        rows = epochs[epochs["configuration"] == member.id]
        if member.configuration.selection.metric == "loss":
            assert found is None
            assert mine["class_recall"].isna().all()
            assert rows["class_recall"].isna().all()
            continue
        assert found is not None
        assert member.selection is not None
        assert found.values.tolist() == member.selection.values.tolist() == mine["class_recall"].tolist()
        assert np.array_equal(rows["class_recall"], rows["recall_few"])
        valid = rows[rows["split"] == "valid"].pivot_table(index="repeat", columns="epoch", values="recall_few")
        assert found.values.tolist() == valid.max(axis=1).tolist(), "the best of all epochs"
        assert (mine["selected_epoch"].to_numpy() == valid.to_numpy().argmax(axis=1)).all()
        curve = member.curve("class_recall", "valid")
        assert curve is not None
        assert curve.mean == pytest.approx(valid.mean(axis=0).to_numpy())
    partition = summary.configurations[0].partition
    table = ranked_table(summary, partition, "class_recall")
    assert len(table.members) == 2
    assert table.scores[0].mean() >= table.scores[1].mean()
    wide = build_table(summary, "config")
    assert wide["class_recall_mean"].notna().sum() == 4, "train and valid of two configurations"


@pytest.mark.parametrize("compacted", [False, True])
def test_they_are_news_to_a_proposer(storage: LocalStorage, compacted: bool) -> None:
    if compacted:
        compact(storage)
    summary = summarise(storage, NOW)
    asked = {
        LaneKey(member.partition, member.id, repeat): EPOCHS
        for member in summary.configurations
        for repeat in range(REPEATS)
    }
    news = {one.configuration: one for one in NewsReader(storage).news(asked)}
    measured = [m for m in summary.configurations if m.configuration.selection.metric == "class_recall"]
    assert len(measured) == 2
    for member in measured:
        assert member.selection is not None
        assert list(news[member.id].values) == member.selection.values.tolist()


def test_they_are_chosen_and_shown(storage: LocalStorage) -> None:
    summary = summarise(storage, NOW)
    found = select(storage, summary, summary.configurations[0].partition, "class_recall")
    assert found is not None
    assert set(found.choices) == {"loss", "accuracy", "balanced_accuracy", "macro_f1", "class_recall"}
    assert found.choices["class_recall"].by_rule.values.tolist() == found.table.scores[0].tolist()
    told = "\n".join(selection_report(summary, found).lines)
    assert "Selected by the best mean class recall (few) of 2 configurations" in told
    assert "No bias-corrected figure: it needs a metric that all configurations have, not class_recall." in told
    assert has_score(summary, "class_recall")
    assert not has_score(summary, "class_precision")
    shown = render(storage, now=NOW)
    assert "Class recall" in shown
    assert "Class precision" not in shown
    assert "class recall (few)" not in shown, "the study's own metric is the loss"
    assert "valid_class_recall" in str(status_report(open_study(storage.root.parent, NAME)).data)


@pytest.mark.parametrize(("selection", "label"), [("macro_auc", "macro AUC"), ("recall_at_precision", "recall at")])
def test_they_may_be_the_studys_own(tmp_path: Path, selection: str, label: str) -> None:
    storage, _ = small_study(tmp_path, selection=selection)
    page = render(storage, now=NOW)
    assert f"Validation {label}" in page
    assert f"M{label[1:]}" in page or f"R{label[1:]}" in page, "of the table and the figures"
    best = summarise(storage, NOW).configurations[0]
    assert best.rank == 1
    assert best.selection is not None
    assert np.isfinite(best.selection.values).all()


def test_they_are_compared_where_all_have_them(storage: LocalStorage) -> None:
    summary, folder = summarise(storage, NOW), storage.root.parent
    ids = by_lr(summary)
    both = compare([ids[0.4], ids[0.05]], folder, NAME, None, None)
    assert both.metric == "class_recall"
    assert np.isfinite(both.scores).all()
    with pytest.raises(InputError) as caught:
        compare([ids[0.4], ids[0.1]], folder, NAME, "class_recall", None)
    assert caught.value.message == (
        "not every configuration selects by class_recall: expected a metric that all have scores for, found "
        "class_recall"
    )


def test_one_metric_is_of_one_class_among_all_that_are_compared() -> None:
    one = configured(selection="class_recall", of_class="few")
    others = [configured(selection="class_precision", of_class="many"), configured(of_class="many")]
    check_comparable([one, *others], "study x")
    with pytest.raises(InputError) as caught:
        check_comparable([one, *others, configured(selection="class_recall", of_class="many")], "study x")
    assert caught.value.message == (
        'study x: selection.of_class: expected one value for all that select by class_recall, found "few" and "many"'
    )


@pytest.mark.parametrize("broken", ["lacks it", "another length", "whole numbers", "one too many"])
def test_a_record_without_its_measured_values_is_damaged(storage: LocalStorage, broken: str) -> None:
    summary = summarise(storage, NOW)
    lr = 0.1 if broken == "one too many" else 0.4
    key = FinalKey(summary.configurations[0].partition, by_lr(summary)[lr], 0, EPOCHS)
    record = FinalRecord.from_bytes(storage.read(key.path), key.path)
    history = record.history
    assert read_final(key, record.to_bytes())[1].history.measured is None or lr == 0.4
    if broken == "lacks it":
        history.measured = None
    elif broken == "one too many":
        history.measured = history.loss
    elif history.measured is not None:
        assert np.array_equal(history.measured, recall(history.statistics)[..., 0])
        history.measured = history.measured[1:] if broken == "another length" else history.measured.astype(np.int64)
    with pytest.raises(DamagedRecordError):
        read_final(key, record.to_bytes())


def test_a_summary_without_results_has_what_is_counted(storage: LocalStorage) -> None:
    summary = summarise(storage, NOW)
    data = summary.repeats
    none = dataclasses.replace(data, table=data.table[:0], start=data.start[:1], measured=data.measured[:0])
    assert dataclasses.replace(summary, repeats=none).metrics == ("loss", "accuracy", "balanced_accuracy", "macro_f1")

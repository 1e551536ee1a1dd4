"""Configurations that select their epochs by different rules are ranked and compared by one value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dashboards.page.page import render
from orchestrator.choosing.kept_predictions import read_predictions
from orchestrator.choosing.selection import select
from orchestrator.choosing.selection_report import selection_report
from orchestrator.report import status_report
from orchestrator.results.summary import Summary, summarise
from orchestrator.statistics.score_table import ranked_table
from orchestrator.store.schema import FinalRecord, Metric
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import open_study
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.generated_study import NOW
from tests.support.predicted_study import PredictedStudy

FOR_ALL = "valid for all, because some select their epochs by valid alone"
LOSSES = {"none": (0.50, 0.40), "mixup": (0.60, 0.45)}
"""Of train and valid: by valid the plain one is ahead, by each one's own rule the mixed one (0.45 against 0.50)."""


class Two(PredictedStudy):
    """A configuration whose images are mixed, and one whose images are not."""

    augmentations: tuple[str, ...] = ("none", "mixup")

    def configurations(self) -> list[Configuration]:
        base = self.configuration(self.backbones[0], (0, 0), 1e-3, 16)
        return [changed(base, augmentation=name) for name in self.augmentations]

    def record(self, configuration: Configuration, repeat: int, epochs: int, number: int) -> FinalRecord:
        record = super().record(configuration, repeat, epochs, number)
        train, valid = LOSSES[configuration.augmentation.name]
        record.history.loss[:] = 1.0
        record.history.loss[epochs] = train + repeat / 100, valid + repeat / 100
        return record


class Plain(Two):
    augmentations = ("none",)


class Mixed(Two):
    augmentations = ("mixup",)


def written(folder: Path, kind: type[Two], selection: Metric = "loss") -> tuple[LocalStorage, Summary]:
    settings = {"name": "slides", "lrs": (1e-3,), "batch_sizes": (16,), "repeats": 6, "epochs": 4}
    study = kind(**settings, selection=selection)  # type: ignore[arg-type]
    storage = LocalStorage(folder / "slides")
    study.write(storage)
    return storage, summarise(storage, NOW)


def test_where_both_rules_select_all_are_ranked_and_compared_by_valid(tmp_path: Path) -> None:
    storage, summary = written(tmp_path, Two)
    partition = summary.configurations[0].partition
    assert [m.configuration.augmentation.name for m in summary.configurations] == ["none", "mixup"]
    for member in summary.configurations:
        valid = member.score("loss", "valid")
        assert member.by_valid
        assert member.selection is not None
        assert valid is not None
        assert member.selection.values == pytest.approx(valid.values)
    table = ranked_table(summary, partition, "loss")
    assert table.scores[1] - table.scores[0] == pytest.approx(np.full(6, 0.05))
    found = select(storage, summary, partition, "loss")
    assert found is not None
    assert found.winner.configuration.augmentation.name == "none"
    assert found.found.difference[1] == pytest.approx(-0.05)
    kept = read_predictions(storage, summary, table)
    assert kept is not None
    assert np.isnan(kept.predictions.train).all()


def test_reports_and_the_page_say_by_what_all_are_compared(tmp_path: Path) -> None:
    storage, summary = written(tmp_path, Two)
    found = select(storage, summary, summary.configurations[0].partition, "loss")
    assert found is not None
    said = selection_report(summary, found)
    assert f"at the selected epochs ({FOR_ALL})" in said.as_text()
    assert said.as_json()["looked_at"] == FOR_ALL
    assert f"loss ({FOR_ALL})" in status_report(open_study(tmp_path, "slides")).as_text()
    page = render(storage, now=NOW)
    assert f"of {FOR_ALL};" in page
    assert "where training images or their weights differ" in page


@pytest.mark.parametrize(
    ("kind", "value", "words"), [(Plain, 0.50, "the worse of train and valid"), (Mixed, 0.45, "valid")]
)
def test_where_all_are_of_one_kind_their_own_rule_ranks(
    tmp_path: Path, kind: type[Two], value: float, words: str
) -> None:
    storage, summary = written(tmp_path, kind)
    (member,) = summary.configurations
    assert member.selection is not None
    assert member.selection.values == pytest.approx(value + np.arange(6) / 100)
    found = select(storage, summary, member.partition, "loss", rounds=0)
    assert found is not None
    assert f"at the selected epochs ({words})" in selection_report(summary, found).as_text()


def test_another_metric_is_ranked_by_itself(tmp_path: Path) -> None:
    class Apart(Two):
        def configurations(self) -> list[Configuration]:
            plain, mixed = super().configurations()
            return [plain, changed(mixed, selection="accuracy")]

    _, summary = written(tmp_path, Apart)
    assert [member.by_valid for member in summary.configurations] == [False, True]

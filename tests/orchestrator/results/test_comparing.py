"""Configurations that select their epochs by different rules are ranked and compared by one value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dashboards.page.comparison import render_comparison
from dashboards.page.page import render
from orchestrator.choosing.comparison import compare
from orchestrator.choosing.comparison_report import comparison_report
from orchestrator.choosing.kept_predictions import read_predictions
from orchestrator.choosing.selection import select
from orchestrator.choosing.selection_report import selection_report
from orchestrator.evaluation.choice import choose
from orchestrator.evaluation.nested_plan import NestedOptions, make_nested_plan
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

WORSE = "the worse of train and valid"
FOR_ALL = "valid for all, because some select their epochs by valid alone"
LOSSES = {"worse_of_both": (0.50, 0.40), "valid": (0.55, 0.45)}
"""Of train and valid by rule: by valid the first is ahead, by each one's own rule the second (0.45 against 0.50)."""


class Two(PredictedStudy):
    """A configuration that selects by the worse of train and valid, and one that cannot, for its images are mixed."""

    changes: tuple[dict[str, str], ...] = ({}, {"augmentation": "mixup"})

    def configurations(self) -> list[Configuration]:
        base = self.configuration(self.backbones[0], (0, 0), 1e-3, 16)
        return [changed(base, **{"rule": "worse_of_both", **one}) for one in self.changes]

    def record(self, configuration: Configuration, repeat: int, epochs: int, number: int) -> FinalRecord:
        record = super().record(configuration, repeat, epochs, number)
        train, valid = LOSSES[configuration.selection.rule]
        record.history.loss[:] = 1.0
        record.history.loss[epochs] = train + repeat / 100, valid + repeat / 100
        return record


class Weighted(Two):
    changes = ({}, {"balance": "class_weights"})


class Ruled(Two):
    """Nothing but the rule differs."""

    changes = ({}, {"rule": "valid"})


class Plain(Two):
    changes = ({},)


class Mixed(Two):
    changes = ({"augmentation": "mixup"},)


class Valid(Two):
    changes = ({"rule": "valid"},)


def written(
    folder: Path, kind: type[Two], selection: Metric = "loss", name: str = "slides"
) -> tuple[LocalStorage, Summary]:
    settings = {"name": name, "lrs": (1e-3,), "batch_sizes": (16,), "repeats": 6, "epochs": 4}
    study = kind(**settings, selection=selection)  # type: ignore[arg-type]
    storage = LocalStorage(folder / name)
    study.write(storage)
    return storage, summarise(storage, NOW)


@pytest.mark.parametrize("kind", [Two, Weighted, Ruled])
def test_where_both_rules_select_all_are_ranked_and_compared_by_valid(tmp_path: Path, kind: type[Two]) -> None:
    storage, summary = written(tmp_path, kind)
    partition = summary.configurations[0].partition
    assert [m.configuration.selection.rule for m in summary.configurations] == ["worse_of_both", "valid"]
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
    assert found.winner.configuration.selection.rule == "worse_of_both"
    assert found.best_set.difference[1] == pytest.approx(-0.05)
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
    assert f"of {FOR_ALL}. An epoch is selected by valid or {WORSE}, depending on the configuration." in page
    chosen = choose(summary, None, None)
    assert chosen.how == f"best mean loss ({FOR_ALL}) over all repeats among 2 configurations"
    named = choose(summary, summary.configurations[1].id, None)
    assert named.how == f"named by the user, place 2 of 2 by mean loss ({FOR_ALL})"
    plan = make_nested_plan(open_study(tmp_path, "slides"), NestedOptions(3))
    assert (plan.by_valid, plan.looked_at) == (True, FOR_ALL)


@pytest.mark.parametrize(
    ("kind", "value", "words"), [(Plain, 0.50, WORSE), (Mixed, 0.45, "valid"), (Valid, 0.45, "valid")]
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
    assert f"of {words}. An epoch is selected by {words}." in render(storage, now=NOW)


def test_studies_of_different_rules_are_compared_by_valid(tmp_path: Path) -> None:
    """Of a study with two configurations that select by the worse of both, valid chooses the one that is compared."""

    class Apart(Two):
        changes = ({}, {"optimiser": "adam"})

        def record(self, configuration: Configuration, repeat: int, epochs: int, number: int) -> FinalRecord:
            record = super().record(configuration, repeat, epochs, number)
            if configuration.optimiser.name == "adam":
                record.history.loss[epochs] = 0.45 + repeat / 100
            return record

    for name, kind in (("one", Apart), ("other", Valid), ("slides", Plain)):
        written(tmp_path, kind, name=name)
    alone, beside = (compare(["one", name], tmp_path, None, None, None) for name in ("slides", "other"))
    assert [item.members[0].configuration.optimiser.name for item in alone.items] == ["adam", "sgd"]
    assert [item.members[0].configuration.optimiser.name for item in beside.items] == ["sgd", "sgd"]
    assert beside.scores[:, 0, 0] == pytest.approx([0.40, 0.45])
    said = comparison_report(beside)
    assert f"selected by valid or {WORSE}, depending on the configuration." in said.as_text()
    assert said.as_json()["ranked_by"] == f"loss, {FOR_ALL}"
    assert f"each at the repeat's epoch selected by {WORSE}." in comparison_report(alone).as_text()
    page = render_comparison([LocalStorage(tmp_path / name) for name in ("one", "other")], now=NOW)
    assert "differ in selection rule" in page


def test_another_metric_is_ranked_by_itself(tmp_path: Path) -> None:
    class Apart(Two):
        def configurations(self) -> list[Configuration]:
            plain, mixed = super().configurations()
            return [plain, changed(mixed, selection="accuracy")]

    _, summary = written(tmp_path, Apart)
    assert [member.by_valid for member in summary.configurations] == [False, True]

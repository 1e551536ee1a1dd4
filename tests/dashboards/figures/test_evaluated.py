"""The test section: closed until evaluated, then the numbers of the record and curves of the predictions."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from sklearn import metrics as reference

from dashboards.figures import confusion, reliability, thresholds
from dashboards.figures.choice import Choice, Source
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from orchestrator.evaluation.record import EvaluationRecord
from orchestrator.store.storage import LocalStorage
from tests.support.generated_study import NOW, small_study
from tests.support.made_up_evaluation import add_evaluation


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStorage, Source, EvaluationRecord]:
    storage, _ = small_study(tmp_path_factory.mktemp("study"), classes=("a", "b", "c"))
    record = add_evaluation(storage, looks=2)
    return storage, open_source(storage, NOW), record


def test_closed_until_evaluated(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    assert "The test split is closed" in render(storage, now=NOW)


def test_scores_come_with_intervals_reasons_and_the_number_of_looks(
    opened: tuple[LocalStorage, Source, EvaluationRecord],
) -> None:
    storage, _, record = opened
    page = render(storage, now=NOW)
    assert "Looked at 2 times: " in page
    assert "Only the scores of the first look are those of an unseen test set" in page
    accuracy = record.primary.image.overall["accuracy"]
    assert f"{accuracy.value:.3f} ± {accuracy.std:.3f}" in page
    assert "specificity=0.95" in page
    assert "site: north" in page
    assert "secret" not in page


def test_views_and_the_augmented_test_set_stand_below_the_clean_score(
    opened: tuple[LocalStorage, Source, EvaluationRecord],
) -> None:
    storage, _, record = opened
    shown = render(storage, now=NOW).split("<caption>Secondary estimates, mean over images")[1].split("</table>")[0]
    rows = shown.split("<tr>")[2:]
    assert len(rows) == 4
    for row, estimate, views in zip(rows, record.estimates, (1, 1, 8, 1), strict=True):
        accuracy = estimate.image.overall["accuracy"]
        assert accuracy.interval is not None
        cells = [re.sub("<[^>]*>", "", cell) for cell in re.split("</t[hd]>", row)]
        assert cells[0] == estimate.title
        assert cells[2] == str(views)
        spread = f" ± {accuracy.std:.3f}" if accuracy.std is not None else ""
        assert cells[3] == (f"{accuracy.value:.3f}{spread} [{accuracy.interval.low:.3f}, {accuracy.interval.high:.3f}]")
    assert record.estimates[3].name == "single models, augmented test images (brightness 0.2, noise 0.1)"


def test_confusion(opened: tuple[LocalStorage, Source, EvaluationRecord]) -> None:
    _, source, record = opened
    data = confusion.confusion_data(source, Choice(), "image")
    counts = np.array(record.primary.image.confusion, dtype=float).mean(axis=0)
    np.testing.assert_allclose(data["count"], counts.ravel())
    np.testing.assert_allclose(data.groupby("truth")["share"].sum(), 1)
    assert confusion.confusion_data(source, Choice(), "group").empty


def test_curves_over_thresholds_agree_with_the_areas(opened: tuple[LocalStorage, Source, EvaluationRecord]) -> None:
    _, source, record = opened
    data = thresholds.threshold_data(source, Choice(), "roc")
    for one in record.primary.image.classes:
        part = data[(data["class"] == one.name) & (data["kind"] == "curve")]
        area = float(np.trapezoid(part["y"], part["x"]))
        assert area == pytest.approx(one.scores["roc_auc"].value, abs=0.02)
        assert part["repeats"].iloc[0] == 3
    point = data[data["kind"] == "point"].iloc[0]
    assert (point["x"], point["y"]) == (pytest.approx(0.2), pytest.approx(0.8))


def test_one_curve_against_scikit_learn() -> None:
    draw = np.random.default_rng(1)
    positive = draw.random(200) < 0.3
    score = np.round(draw.normal(size=200) + positive, 1)
    false, true, _ = reference.roc_curve(positive, score)
    line = thresholds._line(score, positive, "roc")
    np.testing.assert_allclose(line, np.interp(thresholds.GRID, false, true), atol=1e-9)
    precision, recall, _ = reference.precision_recall_curve(positive, score)
    best = [precision[:-1][recall[:-1] >= at - 1e-12].max() for at in thresholds.GRID]
    np.testing.assert_allclose(thresholds._line(score, positive, "pr"), best, atol=1e-9)
    assert thresholds._line(score, np.ones(200, dtype=bool), "roc") is None


def test_reliability_counts_every_prediction(opened: tuple[LocalStorage, Source, EvaluationRecord]) -> None:
    _, source, record = opened
    data = reliability.reliability_data(source, Choice())
    assert data["predictions"].sum() == record.images * len(record.repeats)
    assert ((data["confidence"] >= data["low"]) & (data["confidence"] <= data["high"])).all()


@pytest.mark.parametrize("name", ["confusion", "roc", "precision-recall", "reliability", "against-validation"])
def test_the_figures_can_be_drawn(opened: tuple[LocalStorage, Source, EvaluationRecord], name: str) -> None:
    figure = FIGURES[name]
    choice = figure.choices(opened[1].summary)[0]
    go.Figure(figure.draw(figure.data(opened[1], choice), choice))


def test_without_predictions_there_are_tables_and_no_curves(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    record = add_evaluation(storage)
    storage.delete(record.predictions)
    source = open_source(storage, NOW)
    assert thresholds.threshold_data(source, Choice(), "roc").empty
    assert reliability.reliability_data(source, Choice()).empty
    assert "Precision and recall" not in render(storage, now=NOW)

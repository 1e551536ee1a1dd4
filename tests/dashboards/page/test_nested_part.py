"""Nested evaluations on the page, and what is said of a test split that they alone have looked at."""

from __future__ import annotations

from pathlib import Path

from dashboards.page.page import render
from orchestrator.evaluation.nested_record import FoldResult, NestedRecord, write_nested
from orchestrator.evaluation.record import Estimate
from tests.support.generated_study import NOW
from tests.support.made_up_evaluation import add_evaluation
from tests.support.predicted_study import predicted_study


def pooled(folder: Path) -> Estimate:
    """Of a study of its own, which has been tested."""
    storage, _ = predicted_study(folder, "tested")
    return add_evaluation(storage).primary


def nested(partition: str, estimate: Estimate, looks: int = 5, searches: tuple[str, ...] = ()) -> NestedRecord:
    folds = [
        FoldResult(
            number=number,
            partition="f",
            images=7,
            groups=4,
            configuration="c",
            name=f"<b>lr {number}</b>",
            inner=None if number == 2 else 0.5,
            accuracy=0.6,
            balanced_accuracy=0.25 * number,
            selected_epochs=(1, 2),
        )
        for number in (1, 2)
    ]
    return NestedRecord(
        key="2" * 12,
        study="slides",
        synthetic=False,
        group_meaning="x",
        classes=("a", "b"),
        partition=partition,
        selection="loss",
        looked_at="valid",
        candidates=3,
        searches=searches,
        repeats=2,
        folds=tuple(folds),
        images=44,
        groups=23,
        estimates=(estimate,),
        test_looks=looks,
        notes=("Folds overlap & so on.",),
        predictions="p",
        created="now",
    )


def section(page: str) -> str:
    start = page.index('<section id="test"')
    return page[start : page.index("</section>", start)]


def test_folds_and_pooled_scores_stand_in_the_test(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path)
    assert "no test image has been opened" in section(render(storage, now=NOW))
    record = nested(study.ids()[0], pooled(tmp_path))
    write_nested(storage, record)
    shown = section(render(storage, now=NOW))
    assert "Nested evaluation: 2 outer folds" in shown
    assert "nested cross-validation has looked at its images 5 times" in shown
    assert "no test image has been opened" not in shown
    assert "In each fold, the selection by loss (valid) among 3 configurations was repeated" in shown
    assert "&lt;b&gt;lr 1&lt;/b&gt;" in shown
    assert "Folds overlap &amp; so on." in shown
    accuracy = record.estimates[0].image.overall["accuracy"].value
    assert accuracy is not None
    assert f"{accuracy:.3f}" in shown


def test_a_repeated_search_is_called_so_and_no_look_is_none(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path)
    write_nested(storage, nested(study.ids()[0], pooled(tmp_path), 0, ("adaptive (sampler tpe)",)))
    shown = section(render(storage, now=NOW))
    assert "In each fold, the whole search with its decisions by loss" in shown
    assert "no test image has been opened" in shown

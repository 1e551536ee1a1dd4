"""Ensembles on the page: in Answer what is said of those that were chosen, in Test what tests of them found."""

from __future__ import annotations

import html
from pathlib import Path

from dashboards.page.page import render
from orchestrator.ensembles.make import EnsembleOptions, make_ensemble
from orchestrator.ensembles.report import verdict
from orchestrator.evaluation.ensemble_record import Difference, EnsembleEvaluation, write_ensemble_evaluation
from orchestrator.evaluation.record import Interval
from orchestrator.study.studies import open_study
from tests.support.generated_study import NOW
from tests.support.made_up_evaluation import add_evaluation
from tests.support.predicted_study import predicted_study


def section(page: str, name: str) -> str:
    start = page.index(f'<section id="{name}"')
    return page[start : page.index("</section>", start)]


def test_an_ensemble_stands_in_the_answer_and_its_test_in_the_test(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path, qualities={(0, 0): 0.6, (1, 0): 0.65, (0, 2): 0.55})
    assert "Configurations together" not in render(storage, now=NOW)
    made = make_ensemble(open_study(tmp_path, "slides"), EnsembleOptions(weigh="equal", rounds=20))
    page = render(storage, now=NOW)
    answer = section(page, "answer")
    assert made.id in answer
    assert verdict(made) in html.unescape(answer)
    assert "so optimistic" in answer
    assert made.out_of_bag is not None
    assert f"{made.out_of_bag.scores.ensemble:.3f}" in answer
    single = add_evaluation(storage)
    interval = Interval(low=-0.01, high=0.05, method="", groups=9)
    record = EnsembleEvaluation(
        look="f" * 12,
        ensemble=made.id,
        study="slides",
        synthetic=False,
        group_meaning="column slide",
        classes=single.classes,
        partition=study.ids()[0],
        name="ensemble <b>of three</b>",
        members=(),
        models=24,
        test_set="",
        images=60,
        groups=12,
        number=2,
        looks=2,
        first="another",
        deviation=0.0,
        estimate=single.primary,
        single=single.primary,
        own=None,
        single_configuration=single.configuration,
        single_name=single.name,
        single_look=single.look,
        differences=(
            Difference(metric="accuracy", value=0.02, interval=interval),
            Difference(metric="macro_f1", value=-0.01, reason="few groups"),
        ),
        over_own=(),
        others=single.estimates[-2:],
        operating_points=single.operating_points,
        single_operating_points=single.operating_points,
        subgroups=single.subgroups,
        said="By accuracy, the ensemble is not shown to be better than its best member.",
        created=NOW,
    )
    write_ensemble_evaluation(storage, record)
    test = section(render(storage, now=NOW), "test")
    shown = html.unescape(test)
    assert "Ensembles beside the single configuration" in shown
    assert "+0.020 [-0.010, +0.050]" in shown
    assert "-0.010" in shown
    assert record.said in shown
    assert "<b>of three" not in test, "names are escaped"
    asked = shown[shown.index(f"Beside it, of ensemble {made.id}") :]
    for told in ("specificity=0.95, best alone", f"specificity=0.95, {made.id}", f"site: north, {made.id}"):
        assert told in asked
    assert "single models, mean over 8 views (brightness 0.2, noise 0.1)" in asked

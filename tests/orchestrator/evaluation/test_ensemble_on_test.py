"""`orch evaluate --ensemble`: the test split read with an ensemble, counted, beside the single configuration."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.special import softmax

from orchestrator.command_line import main
from orchestrator.ensembles.make import EnsembleOptions, make_ensemble
from orchestrator.ensembles.record import EnsembleRecord, write_ensemble
from orchestrator.evaluation.changed import EIGHT, Views
from orchestrator.evaluation.ensemble import averaged, evaluate_ensemble
from orchestrator.evaluation.ensemble_record import (
    Difference,
    EnsembleEvaluation,
    path_of,
    read_ensemble_evaluations,
)
from orchestrator.evaluation.ensemble_text import ensemble_text, verdict
from orchestrator.evaluation.looks import looks_at
from orchestrator.evaluation.paired import compared_by, paired_differences
from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.record import Interval, predictions_of, read_evaluations
from orchestrator.evaluation.samples import Units
from orchestrator.store.errors import InputError
from orchestrator.store.open import open_storage
from search_spaces.settings.augmentation import Augmentation
from tests.support.evaluated_study import EvaluatedStudy
from trainables.bundles.trained import results


def made(of: EvaluatedStudy, **options: object) -> EnsembleRecord:
    settings = {"weigh": "equal", "rounds": 5, **options}
    return make_ensemble(of.study, EnsembleOptions(**settings))  # type: ignore[arg-type]


def opened(of: EvaluatedStudy, asked: str, **options: object) -> tuple[EnsembleEvaluation, list[str]]:
    said: list[str] = []
    wanted = EvaluationOptions(**{"tta": None, **options})  # type: ignore[arg-type]
    return evaluate_ensemble(of.study, asked, wanted, of.tiny.cache, said.append, lambda *_: None), said


def table(of: EvaluatedStudy, record: EnsembleEvaluation, member: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(of.study.storage.read(predictions_of(record.look, member))))


def truth_of(of: EvaluatedStudy, split: str) -> np.ndarray:
    """In the order of predictions, that of the manifest."""
    rows = of.manifest[of.manifest["file"].str.contains(split)]
    return rows["label"].map(["few", "many", "some"].index).to_numpy()


def sites_of(of: EvaluatedStudy) -> np.ndarray:
    return of.manifest[of.manifest["file"].str.contains("test")]["user_site"].to_numpy()


def together(of: EvaluatedStudy, ensemble: EnsembleRecord, record: EnsembleEvaluation, view: int) -> np.ndarray:
    """Probabilities [10, 3] by hand, of the stored ones of each member."""
    chances = np.zeros((10, 3))
    for member in ensemble.counting:
        rows = table(of, record, member.configuration)
        each = rows[rows["view"] == view][[f"probability {name}" for name in record.classes]].to_numpy()
        chances += member.weight / sum(m.weight for m in ensemble.counting) * each.reshape(-1, 10, 3).mean(axis=0)
    return chances


def test_an_ensemble_is_tested_beside_the_single_configuration(evaluated: EvaluatedStudy) -> None:
    ensemble = made(evaluated)
    record, said = opened(evaluated, ensemble.id[:5])
    single = read_evaluations(evaluated.study.storage)[0]
    assert (single.number, single.configuration) == (1, ensemble.single)
    assert "best mean loss" in single.chosen
    assert (record.number, record.looks, record.models) == (2, 2, 6)
    assert record.first.startswith(single.name)
    assert any(line.startswith("Look 2 at 10 test images. The first one evaluated") for line in said)
    assert record.deviation == 0.0
    chances = np.zeros((10, 3))
    for member in ensemble.counting:
        rows = table(evaluated, record, member.configuration)
        assert sorted(set(rows["repeat"])) == list(member.repeats)
        each = rows[[f"probability {name}" for name in record.classes]].to_numpy().reshape(3, 10, 3)
        chances += member.weight / sum(m.weight for m in ensemble.counting) * each.mean(axis=0)
    truth = evaluated.manifest[evaluated.manifest["file"].str.contains("test")]["label"].map(record.classes.index)
    right = float((chances.argmax(axis=1) == truth.to_numpy()).mean())
    assert record.estimate.image.overall["accuracy"].value == pytest.approx(right)
    assert record.single == single.primary
    assert record.own is not None
    assert record.own.name == "ensemble of the repeats"
    alone = single.primary.image.overall["accuracy"].value
    assert alone is not None
    assert {d.metric: d.value for d in record.differences}["accuracy"] == pytest.approx(right - alone)
    assert read_ensemble_evaluations(evaluated.study.storage) == [record]
    text = ensemble_text(record)
    assert "looked at 2 times" in text
    assert "ensemble of 2 configurations, 6 models, mean of probabilities" in text
    assert "The ensemble against that configuration's own repeats together" in text


def test_the_same_again_is_no_further_look(evaluated: EvaluatedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble = made(evaluated)
    record, _ = opened(evaluated, ensemble.id)
    monkeypatch.setattr("orchestrator.evaluation.ensemble.models_of", lambda *_: pytest.fail("predicted again"))
    again, said = opened(evaluated, ensemble.id)
    assert again == record.model_copy(update={"created": again.created})
    assert said[-1].endswith("no further look.")
    other = made(evaluated, metric="accuracy")
    assert other.id != ensemble.id
    same, _ = opened(evaluated, other.id)
    assert (same.look, same.looks) == (record.look, 2), "the same models with the same weights"


def test_other_weights_are_another_look_and_counted(evaluated: EvaluatedStudy) -> None:
    opened(evaluated, made(evaluated).id)
    record, _ = opened(evaluated, made(evaluated, combine="logits", repeats="one").id)
    assert (record.number, record.looks) == (3, 3)
    beside = open_storage(evaluated.study.place.parent)
    contents = evaluated.manifest["content"].str[:16].tolist()
    assert len(looks_at(evaluated.study.storage, beside, contents)) == 3


def test_points_parts_and_views_are_those_of_a_configuration_and_no_further_look(evaluated: EvaluatedStudy) -> None:
    ensemble = made(evaluated)
    first, _ = opened(evaluated, ensemble.id, at=("specificity=0.5",), at_class="many", by=("site",))
    single = read_evaluations(evaluated.study.storage)[0]
    assert (first.others, first.single_others) == ((), ())
    assert first.single_operating_points == single.operating_points
    assert first.single_subgroups == single.subgroups
    (point,) = first.operating_points
    number, kept = first.classes.index("many"), {}
    for member in ensemble.counting:
        paths = results(evaluated.study.storage, first.partition, member.configuration, member.repeats)
        kept[member.configuration] = np.stack([paths[repeat].logits for repeat in member.repeats])
    labels = {split: truth_of(evaluated, split) for split in ("valid", "test")}
    scores = averaged(ensemble, kept)[:, number]
    against = np.sort(scores[labels["valid"] != number])[::-1]
    assert point.thresholds == (against[len(against) // 2],), "half of the others are rejected"
    upright = together(evaluated, ensemble, first, 0)
    called, truth = upright[:, number] > point.thresholds[0], labels["test"]
    assert point.scores["sensitivity"].value == pytest.approx(called[truth == number].mean())
    right, sites = upright.argmax(axis=1) == truth, sites_of(evaluated)
    for part in first.subgroups:
        assert part.overall["accuracy"].value == pytest.approx(right[sites == part.value].mean())

    later, said = opened(evaluated, ensemble.id, tta=EIGHT)
    assert (later.look, later.looks) == (first.look, 2), "the look that there is"
    assert any("(10 × 8: 8 flips and rotations), by 3 repeats" in line for line in said)
    assert (later.operating_points, later.subgroups) == (first.operating_points, first.subgroups), "kept"
    (views,) = later.others
    mean = np.mean([together(evaluated, ensemble, later, view) for view in range(8)], axis=0)
    assert views.image.overall["accuracy"].value == pytest.approx((mean.argmax(axis=1) == truth).mean())
    assert together(evaluated, ensemble, later, 0) == pytest.approx(upright)
    assert [one.ensemble for one in later.single_others] == [False, True]
    again, said = opened(evaluated, ensemble.id, tta=EIGHT)
    assert said[-1].endswith("no further look.")
    assert again.others == later.others
    text = ensemble_text(again)
    assert "mean of probabilities, mean over 8 views (dihedral)" in text
    assert "single models, mean over 8 views (dihedral)" in text
    assert text.count("Operating point specificity=0.5 for many") == 2
    assert "site = north" in text
    assert text.index("(positive: the ensemble is better)") < text.index("): the ensemble\n")


def test_what_is_drawn_is_drawn_once_for_all_members(evaluated: EvaluatedStudy) -> None:
    noise = Augmentation(names=("brightness",))
    record, _ = opened(evaluated, made(evaluated).id, augmented=noise, tta=Views(noise, 3))
    assert [(one.views, one.tta is None) for one in record.others] == [(3, False), (1, True)]
    names = [name for name in evaluated.study.storage.list("results") if name.startswith(f"predictions-{record.look}")]
    assert len(names) == 6, "upright, drawn and augmented, of two members"
    assert opened(evaluated, record.ensemble)[0].others == record.others, "joined to what is asked later"


def test_nothing_is_opened_where_a_member_has_gone_on(evaluated: EvaluatedStudy) -> None:
    ensemble = made(evaluated)
    first = ensemble.members[0]
    moved = first.model_copy(update={"epochs": tuple(epoch + 1 for epoch in first.epochs)})
    write_ensemble(
        evaluated.study.storage, ensemble.model_copy(update={"id": "f" * 12, "members": (moved, ensemble.members[1])})
    )
    with pytest.raises(InputError, match="got its weight from other epochs of repeats") as raised:
        opened(evaluated, "ffff")
    assert "Choose an ensemble again: orch ensemble tiny" in raised.value.advice
    assert read_evaluations(evaluated.study.storage) == []
    assert evaluated.study.storage.list("results/looks") == []


def test_an_ensemble_that_is_not_there(evaluated: EvaluatedStudy) -> None:
    with pytest.raises(InputError, match="0 match; the study has none yet") as raised:
        opened(evaluated, "abc")
    assert raised.value.advice == "orch ensemble tiny makes one"
    found = made(evaluated).id
    near = found[:5] + ("0" if found[5] != "0" else "1") + found[6:]
    with pytest.raises(InputError, match=f"the study has {found}; did you mean '{found}'"):
        opened(evaluated, near)


def test_the_average_is_that_of_the_study(evaluated: EvaluatedStudy) -> None:
    ensemble = made(evaluated, weigh="greedy")
    logits = {m.configuration: np.random.default_rng(i).normal(size=(3, 7, 3)) for i, m in enumerate(ensemble.counting)}
    total = sum(m.weight for m in ensemble.counting)
    wanted = sum(m.weight / total * softmax(logits[m.configuration], axis=-1).mean(axis=0) for m in ensemble.counting)
    assert averaged(ensemble, logits) == pytest.approx(wanted)


def test_the_command(evaluated: EvaluatedStudy) -> None:
    ensemble = made(evaluated)
    place = ["--studies", str(evaluated.study.place.parent), "--cache", str(evaluated.tiny.cache)]
    refused = CliRunner().invoke(main, ["evaluate", "tiny", "--ensemble", ensemble.id, "--partition", "a", *place])
    assert refused.exit_code == 2
    assert "--partition: cannot be used with --ensemble, whose members and partition are its own" in refused.output
    refused = CliRunner().invoke(main, ["evaluate", "tiny", "--ensemble", ensemble.id, "--at", "x=1", *place])
    assert refused.exit_code == 2
    assert "--at 'x=1': expected specificity=SHARE" in refused.output
    assert evaluated.study.storage.list("results/looks") == [], "refused before anything is opened"
    both = CliRunner().invoke(main, ["evaluate", "tiny", "--ensemble", ensemble.id, "--nested", "3", *place])
    assert both.exit_code == 2
    asked = ["--at", "sensitivity=0.9", "--class", "many", "--by", "site", "--tta", "none", "--json"]
    found = CliRunner().invoke(main, ["evaluate", "tiny", "--ensemble", ensemble.id, *asked, *place])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["ensemble"] == ensemble.id
    assert [one["value"] for one in json.loads(found.stdout)["subgroups"]] == ["north", "south"]
    assert path_of(json.loads(found.stdout)["look"]).startswith("results/ensemble-")


def units(seed: int, models: int, groups: int = 30, skill: float = 1.0) -> Units:
    draw = np.random.default_rng(seed)
    truth, group = np.arange(groups * 4) % 2, np.arange(groups * 4) // 4
    logits = draw.normal(size=(models, len(truth), 2)) + skill * np.eye(2)[truth]
    return Units(softmax(logits, axis=-1), truth, group, groups)


def test_differences_are_paired_and_turn_round_with_the_sides() -> None:
    one, other = units(0, 1, skill=2.0), units(1, 3)
    found = {d.metric: d for d in paired_differences(one, other, ("a", "b"), 0, "precision/1")}
    assert list(found) == ["precision/1", "accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
    accuracy = float((one.predicted == one.truth).mean()) - float((other.predicted == other.truth).mean())
    assert found["accuracy"].value == pytest.approx(accuracy)
    called = one.predicted[0] == 1
    its = [float((other.truth[row == 1] == 1).mean()) for row in other.predicted]
    assert found["precision/1"].value == pytest.approx(float((one.truth[called] == 1).mean()) - np.mean(its))
    back = {d.metric: d for d in paired_differences(other, one, ("a", "b"), 0)}
    for name, difference in back.items():
        interval, turned = found[name].interval, difference.interval
        assert interval is not None
        assert turned is not None
        assert interval.low < found[name].value < interval.high  # type: ignore[operator]
        assert difference.value == pytest.approx(-found[name].value)  # type: ignore[operator]
        assert turned.low == pytest.approx(-interval.high, abs=1e-9)


def test_models_that_agree_have_an_interval_around_nothing() -> None:
    one = units(3, 1)
    for difference in paired_differences(one, one, ("a", "b"), 0):
        assert difference.value == 0
        assert difference.interval is not None
        assert difference.interval.low < 0 < difference.interval.high


def test_pairs_gain_over_apart_and_few_groups_have_no_interval() -> None:
    draw = np.random.default_rng(5)
    one = units(4, 1, groups=60, skill=0.5)
    logits = np.log(one.chances) + 0.3 * draw.normal(size=one.chances.shape)
    near = replace(one, chances=softmax(logits, axis=-1))
    width = {d.metric: d.interval for d in paired_differences(one, near, ("a", "b"), 0)}["accuracy"]
    apart = {d.metric: d.interval for d in paired_differences(one, units(9, 1, 60, 0.5), ("a", "b"), 0)}["accuracy"]
    assert isinstance(width, Interval)
    assert isinstance(apart, Interval)
    assert width.high - width.low < (apart.high - apart.low) / 1.5
    few = paired_differences(units(1, 1, groups=3), units(2, 1, groups=3), ("a", "b"), 0)
    assert all(d.interval is None for d in few)
    assert few[0].reason == "a: 3 test groups, b: 3 test groups"


@pytest.mark.parametrize(
    ("over", "own", "told"),
    [
        (None, None, "By macro F1, it is not known whether the ensemble is better"),
        ((-0.2, -0.1), None, "By macro F1, the ensemble is worse than its best member."),
        ((-0.1, 0.1), None, "By macro F1, the ensemble is not shown to be better than its best member."),
        (
            (0.1, 0.2),
            (-0.1, 0.2),
            "By macro F1, the ensemble is better than one model of its best member, but not shown to be",
        ),
        ((0.1, 0.2), (0.1, 0.2), "By macro F1, the ensemble is better than its best member."),
    ],
)
def test_the_verdict(over: tuple[float, float] | None, own: tuple[float, float] | None, told: str) -> None:
    def difference(limits: tuple[float, float] | None) -> tuple[Difference, ...]:
        interval = None if limits is None else Interval(low=limits[0], high=limits[1], method="", groups=9)
        return (Difference(metric="macro_f1", value=0.1, interval=interval),)

    record = EnsembleEvaluation.model_construct(
        target="macro_f1", differences=difference(over), over_own=difference(own), own="it", classes=("a", "b")
    )
    assert verdict(record).startswith(told)


def test_the_target_of_selection_by_its_name_here() -> None:
    assert compared_by("class_f1", "b", ("a", "b")) == "f1/1"
    assert compared_by("loss", "", ("a", "b")) == "log_loss"
    assert compared_by("recall_at_precision", "a", ("a", "b")) == ""

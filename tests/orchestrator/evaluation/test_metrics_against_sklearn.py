"""Every metric equals scikit-learn's, whatever the groups count and with images that nobody has seen."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from orchestrator.evaluation.calibration import brier, fit_temperature, log_losses, probabilities
from orchestrator.evaluation.intervals import Weighting
from orchestrator.evaluation.resampling import Resampled, of_counts
from orchestrator.evaluation.samples import Units


def made(classes: int, seed: int, models: int = 2, images: int = 120, groups: int = 12, ties: bool = False) -> Units:
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes, images)
    logits = draw.normal(size=(models, images, classes))
    logits[:, np.arange(images), truth] += 0.8
    if ties:
        logits = logits.round(0)
    return Units(probabilities(logits), truth, np.sort(draw.integers(0, groups, images)), groups)


def weighted(units: Units, seed: int, draws: int = 4) -> np.ndarray:
    """What the groups count: all alike, then as often as they were drawn."""
    ones = np.ones((1, units.groups))
    drawn = np.random.default_rng(seed).multinomial(units.groups, ones[0] / units.groups, size=draws)
    return np.concatenate([ones, drawn])


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("ties", [False, True])
def test_all_metrics_in_every_draw(classes: int, ties: bool) -> None:
    units = made(classes, 10 * classes + ties, ties=ties)
    weights = weighted(units, 3)
    labels = list(range(classes))
    for draw, (base, weight) in enumerate(zip(weights, weights[:, units.group], strict=True)):
        found = Resampled(units, (), 1 if classes == 2 else None, base).values()
        for model, chances in enumerate(units.chances):
            predicted = chances.argmax(axis=1)
            common = {"y_true": units.truth, "y_pred": predicted, "sample_weight": weight}
            kept = weight > 0
            expected = {
                "accuracy": sk.accuracy_score(**common),
                "macro_f1": sk.f1_score(**common, average="macro", labels=labels, zero_division=0),
                "mcc": sk.matthews_corrcoef(**common),
                "kappa": sk.cohen_kappa_score(units.truth, predicted, labels=labels, sample_weight=weight),
                "balanced_accuracy": sk.balanced_accuracy_score(
                    units.truth[kept], predicted[kept], sample_weight=weight[kept]
                ),
                "log_loss": sk.log_loss(units.truth, chances, sample_weight=weight, labels=labels),
                "brier": sk.brier_score_loss(
                    units.truth, chances if classes > 2 else chances[:, 1], sample_weight=weight, labels=labels
                ),
            }
            areas, averages = [], []
            for k in labels:
                own = units.truth == k
                areas.append(sk.roc_auc_score(own, chances[:, k], sample_weight=weight))
                averages.append(sk.average_precision_score(own, chances[:, k], sample_weight=weight))
                binary = {"y_true": own, "y_pred": predicted == k, "sample_weight": weight}
                opposite = {"y_true": ~own, "y_pred": predicted != k, "sample_weight": weight}
                expected |= {
                    f"roc_auc/{k}": areas[k],
                    f"average_precision/{k}": averages[k],
                    f"recall/{k}": sk.recall_score(**binary),
                    f"precision/{k}": sk.precision_score(**binary),
                    f"specificity/{k}": sk.recall_score(**opposite),
                    f"npv/{k}": sk.precision_score(**opposite),
                    f"f1/{k}": sk.f1_score(**binary),
                }
            expected["roc_auc"] = areas[1] if classes == 2 else np.mean(areas)
            expected["average_precision"] = averages[1] if classes == 2 else np.mean(averages)
            for name, value in expected.items():
                assert found[name][model] == pytest.approx(value, abs=1e-9), (name, draw, model)
            assert set(found) - set(expected) == {"calibration_error"}


@pytest.mark.parametrize("right", [False, True])
def test_unseen_images_count_as_predicted_wrong_or_right(right: bool) -> None:
    units, draw = made(2, 4, models=1), np.random.default_rng(5)
    weighting = Weighting(draw.gamma(1, size=(3, units.groups)), draw.gamma(1, size=(3, 2)))
    resampled = Resampled(units, (), 1, np.ones(units.groups))
    counts = resampled.weighted_counts(weighting)[int(right)]
    averaged = {name: values[int(right)] for name, values in resampled.averaged(weighting).items()}
    ranked = {name: values[int(right)] for name, values in resampled.ranked(weighting, 1).items()}
    truth = np.concatenate([units.truth, [0, 1]])
    score = np.concatenate([units.chances[0, :, 1], [0.0, 1.0] if right else [1.0, 0.0]])
    for n in range(3):
        weight = np.concatenate([weighting.groups[n][units.group], weighting.unseen[n]])
        common = {"y_true": truth, "y_pred": score > 0.5, "sample_weight": weight}
        assert of_counts(counts, "accuracy")[n, 0] == pytest.approx(sk.accuracy_score(**common))
        assert of_counts(counts, "precision/1")[n, 0] == pytest.approx(sk.precision_score(**common))
        assert averaged["brier"][n, 0] == pytest.approx(sk.brier_score_loss(truth, score, sample_weight=weight))
        assert ranked["roc_auc"][n, 0] == pytest.approx(sk.roc_auc_score(truth, score, sample_weight=weight))
        last = np.where(np.arange(len(truth)) == len(truth) - 2, -1.0, score)  # unseen others stand last
        assert ranked["average_precision"][n, 0] == pytest.approx(
            sk.average_precision_score(truth, last, sample_weight=weight)
        )


@pytest.mark.parametrize("number", range(4))
def test_one_class_against_the_rest_has_the_scores_of_that_class(number: int) -> None:
    units = made(4, 6)
    whole = Resampled(units, (), None, np.ones(units.groups))
    one, even = whole.against(number), Weighting.even(units.groups, 2)
    counts, values = one.weighted_counts(even)[0], whole.values()
    for name in ("recall", "specificity", "precision", "npv", "f1"):
        assert of_counts(counts, f"{name}/1")[0] == pytest.approx(values[f"{name}/{number}"]), name
    for name, ranked in one.ranked(even, 1).items():
        assert ranked[0, 0] == pytest.approx(values[f"{name}/{number}"]), name


def test_calibration_error_by_hand() -> None:
    chances = np.array([[[0.95, 0.05], [0.94, 0.07], [0.6, 0.4]]])
    units = Units(chances, np.array([0, 1, 0]), np.array([0, 0, 1]), 2)
    even, second = (Resampled(units, (), 1, np.array(base)).values() for base in ([1.0, 1.0], [0.0, 3.0]))
    # one bin holds 0.95 (right) and 0.94 (wrong), another 0.6 (right)
    assert even["calibration_error"][0] == pytest.approx((abs(0.95 + 0.94 - 1) + abs(0.6 - 1)) / 3)
    assert second["calibration_error"][0] == pytest.approx(0.4)


def test_a_class_without_images_or_calls_is_undefined_and_not_zero() -> None:
    chances = np.array([[[0.8, 0.1, 0.1], [0.7, 0.2, 0.1]]])
    found = Resampled(Units(chances, np.array([0, 1]), np.array([0, 1]), 2), (), None, np.ones(2)).values()
    for name in ("recall/2", "precision/2", "precision/1", "npv/0", "roc_auc/2", "average_precision/2"):
        assert np.isnan(found[name]).all(), name
    assert found["recall/1"][0] == 0.0
    assert np.isfinite(found["roc_auc"]).all()


def test_temperature_undoes_what_made_the_logits_too_sure() -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(scale=1.5, size=(20_000, 3))
    truth = np.array([draw.choice(3, p=p) for p in probabilities(logits)])
    assert fit_temperature(logits, truth) == pytest.approx(1.0, abs=0.05)
    assert fit_temperature(4 * logits, truth) == pytest.approx(4.0, abs=0.2)
    binary = draw.normal(scale=2, size=(20_000, 1))
    truth = (draw.random(20_000) < probabilities(binary)[:, 1]).astype(int)
    assert fit_temperature(3 * binary, truth) == pytest.approx(3.0, abs=0.2)


def test_scaled_metrics_are_those_of_divided_logits() -> None:
    draw = np.random.default_rng(2)
    logits, truth = draw.normal(size=(1, 50, 3)), draw.integers(0, 3, 50)
    units = Units(probabilities(logits), truth, np.arange(50), 50)
    found = Resampled(units, (2.5,), None, np.ones(50)).values()
    divided = probabilities(logits, 2.5)
    assert found["log_loss_scaled"][0] == pytest.approx(log_losses(divided, truth).mean())
    assert found["brier_scaled"][0] == pytest.approx(brier(divided, truth).mean())
    assert found["log_loss"][0] == pytest.approx(log_losses(units.chances, truth).mean())


@pytest.mark.parametrize("classes", [2, 3])
def test_log_loss_of_probabilities_of_0_and_1_is_scikit_learns(classes: int) -> None:
    chances = np.zeros((3 * classes, classes))
    chances[np.arange(3 * classes), np.arange(3 * classes) % classes] = 1.0
    truth = np.repeat(np.arange(classes), 3)  # some sure and right, some sure and wrong
    found, labels = log_losses(chances, truth), list(range(classes))
    for row in range(len(truth)):
        own = sk.log_loss(truth[row : row + 1], chances[row : row + 1], labels=labels)
        assert found[row] == pytest.approx(own, rel=1e-12, abs=0), row
    # below the limit and above it
    near = np.array([[1e-20, 1.0], [1e-15, 1 - 1e-15]])
    for row in range(2):
        own = sk.log_loss([0], near[row : row + 1], labels=[0, 1])
        assert log_losses(near[row : row + 1], np.array([0]))[0] == pytest.approx(own, rel=1e-12, abs=0)
    units = Units(chances[None], truth, np.arange(len(truth)), len(truth))
    whole = Resampled(units, (), None, np.ones(len(truth))).values()["log_loss"][0]
    assert whole == pytest.approx(sk.log_loss(truth, chances, labels=labels), rel=1e-12)


def test_large_logits_stay_finite() -> None:
    chances = probabilities(np.array([[[5e4], [-5e4]]]))
    assert chances.tolist() == [[[0.0, 1.0], [1.0, 0.0]]]
    assert np.isfinite(log_losses(chances, np.array([0, 1]))).all()

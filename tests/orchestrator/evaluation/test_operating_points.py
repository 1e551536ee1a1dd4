"""Thresholds reach the share that was asked for on the images they are chosen from, and no more than is needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from orchestrator.evaluation.levels import binary_scores
from orchestrator.evaluation.operating import Wanted, parse_point, reached
from orchestrator.evaluation.samples import Units

SCORES = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=2).filter(
    lambda rows: any(p for _, p in rows) and not all(p for _, p in rows)
)


@given(SCORES, st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]))
def test_specificity_is_reached_by_the_least_threshold(rows: list[tuple[float, bool]], share: float) -> None:
    scores, positive = (np.array(column) for column in zip(*rows, strict=True))
    threshold = Wanted("", "specificity", share, "a").threshold(scores, positive)
    assert (scores[~positive] <= threshold).mean() >= share - 1e-9
    lower = scores[~positive & (scores < threshold)]
    if threshold > 0:
        assert (scores[~positive] <= (lower.max() if len(lower) else -1)).mean() < share


@given(SCORES, st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]))
def test_sensitivity_is_reached_by_the_largest_threshold(rows: list[tuple[float, bool]], share: float) -> None:
    scores, positive = (np.array(column) for column in zip(*rows, strict=True))
    threshold = Wanted("", "sensitivity", share, "a").threshold(scores, positive)
    assert (scores[positive] > threshold).mean() >= share - 1e-9
    least_called = scores[positive & (scores > threshold)].min()
    assert (scores[positive] > least_called).mean() < share


@given(SCORES, st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]))
def test_precision_is_reached_by_what_calls_most_positives(rows: list[tuple[float, bool]], share: float) -> None:
    scores, positive = (np.array(column) for column in zip(*rows, strict=True))
    threshold = Wanted("", "precision", share, "a").threshold(scores, positive)
    called = scores > threshold
    precision, recall, _ = precision_recall_curve(positive, scores)
    best = recall[precision >= share].max()
    assert called[positive].mean() == pytest.approx(best)
    assert positive[called].mean() >= share if best else not called.any()


def test_what_is_typed() -> None:
    assert parse_point("precision=0.9", ("neg", "pos"), "binary", None).target == "precision"
    assert parse_point(" specificity = 0.95", ("neg", "pos"), "binary", None) == Wanted(
        "specificity=0.95", "specificity", 0.95, "pos"
    )
    assert parse_point("sensitivity=.9", ("a", "b", "c"), "multiclass", "b").name == "b"
    assert parse_point("sensitivity=.9", ("neg", "pos"), "binary", "neg").name == "neg"


def test_scores_of_calls_over_groups() -> None:
    truth = np.tile([0, 1], 20)
    chances = np.full((2, 40, 2), 0.5)
    chances[:, :, 1] = np.where(truth == 1, 0.8, 0.3)
    chances[1, :4, 1] = 0.6
    chances[..., 0] = 1 - chances[..., 1]
    units = Units(chances, truth, np.repeat(np.arange(10), 4), 10)
    called, found = reached(units.chances[:, :, 1], truth == 1, [0.5, 0.5])
    assert found == {"sensitivity": 1.0, "specificity": pytest.approx(0.95)}
    scores = binary_scores(called, units, 1, "pos")
    assert set(scores) == {"sensitivity", "specificity", "ppv", "npv"}
    assert scores["specificity"].value == pytest.approx((1 + 18 / 20) / 2)
    assert scores["ppv"].value == pytest.approx((1 + 20 / 22) / 2)
    interval = scores["specificity"].interval
    assert interval is not None
    assert interval.low < 0.95 < interval.high
    assert interval.groups == 10

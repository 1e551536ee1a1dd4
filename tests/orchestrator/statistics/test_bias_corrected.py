"""The bias-corrected figure against a plain reading of it, and by simulation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from orchestrator.statistics.bias_corrected import Predictions, bias_corrected
from orchestrator.store.schema import Metric
from trainables.learning import metrics


def made(
    configurations: int,
    repeats: int,
    groups: int,
    per_group: int,
    chance: np.ndarray,
    draws: np.random.Generator,
    classes: int = 2,
    train: float = np.nan,
) -> Predictions:
    """Right with the chance of the configuration [C], the same for all repeats and images; groups alternate classes."""
    group = np.repeat(np.arange(groups), per_group)
    truth = group % classes
    right = draws.random((configurations, repeats, len(group))) < chance[:, None, None]
    predicted = np.where(right, truth, (truth + 1) % classes)
    losses = np.where(right, 0.2, 1.2) + 0.1 * draws.random(right.shape)
    names = tuple("abcdefgh"[:classes])
    return Predictions(
        truth,
        group,
        names,
        predicted.astype(np.int16),
        losses.astype(np.float32),
        np.full((configurations, repeats), train),
        "multiclass",
    )


def plain(
    of: Predictions, metric: Metric, rounds: int, seed: int, always: int | None = None
) -> tuple[float, np.ndarray]:
    """Image by image: what the chosen ones (or `always` the same) score left out, and how often each was chosen."""
    count, repeats, _ = of.predicted.shape
    k = len(of.classes)
    pooled = [np.zeros((k, k)) for _ in range(repeats)]
    losses: list[list[float]] = [[] for _ in range(repeats)]
    chosen = np.zeros(count)
    for draw in np.random.default_rng(seed).integers(0, of.groups, size=(rounds, of.groups)):
        inside = np.concatenate([np.flatnonzero(of.group == g) for g in draw])
        outside = np.flatnonzero(~np.isin(of.group, draw))
        if not len(outside):
            continue

        def value(c: int, r: int, images: np.ndarray) -> float:
            table = np.zeros((k, k))
            np.add.at(table, (of.truth[images], of.predicted[c, r, images]), 1)
            score = float(metrics.scores(metric, np.array(of.losses[c, r, images].mean()), table))
            if np.isnan(of.train[c, r]):
                return score
            return max(score, of.train[c, r]) if metric == "loss" else min(score, of.train[c, r])

        values = [np.mean([value(c, r, inside) for r in range(repeats)]) for c in range(count)]
        best = int(np.argmin(values) if metric == "loss" else np.argmax(values))
        chosen[best] += 1
        best = best if always is None else always
        for r in range(repeats):
            np.add.at(pooled[r], (of.truth[outside], of.predicted[best, r, outside]), 1)
            losses[r] += of.losses[best, r, outside].tolist()
    scores = [float(metrics.scores(metric, np.array(np.mean(losses[r])), pooled[r])) for r in range(repeats)]
    return float(np.mean(scores)), chosen / chosen.sum()


@pytest.mark.parametrize("metric", ["loss", "accuracy", "balanced_accuracy", "macro_f1"])
@pytest.mark.parametrize("train", [np.nan, 0.7])
def test_it_is_what_a_plain_reading_gives(metric: Metric, train: float) -> None:
    draws = np.random.default_rng(0)
    of = made(4, 3, 5, 4, np.array([0.6, 0.7, 0.65, 0.5]), draws, classes=3, train=train)
    found = bias_corrected(of, 1, metric, rounds=30, seed=2)
    assert found is not None
    figure, chosen = plain(of, metric, 30, 2)
    own, _ = plain(of, metric, 30, 2, always=1)
    assert found.corrected[metric] == pytest.approx(found.plain[metric] + figure - own, rel=1e-6)
    assert found.chosen == pytest.approx(chosen)


def test_with_few_unequal_groups_the_rounds_drawn_hardly_matter() -> None:
    """Eight groups of eight classes, some hard and some easy, as in a small study: the figure must not be the luck of
    which were left out how often. The chosen ones' score alone, the mean it has to have, is just that."""
    draws = np.random.default_rng(5)
    of = made(3, 2, 8, 20, np.array([0.7, 0.68, 0.5]), draws, classes=8)
    hard = np.repeat(draws.permutation(8), 20).astype(np.float32)
    losses = (of.losses * 0.1 + 0.3 * hard + 0.1 * draws.random((3, 1, 8)).repeat(20, axis=2)).astype(np.float32)
    of = dataclasses.replace(of, losses=losses)
    winner = int(losses.mean(axis=(1, 2)).argmin())
    figures = []
    for seed in range(12):
        found = bias_corrected(of, winner, "loss", rounds=200, seed=seed)
        assert found is not None
        figures.append((found.corrected["loss"], plain(of, "loss", 200, seed)[0]))
    corrected, chosen_alone = np.array(figures).T
    assert corrected.std(ddof=1) < chosen_alone.std(ddof=1) / 5
    assert corrected.mean() == pytest.approx(chosen_alone.mean(), abs=3 * chosen_alone.std(ddof=1) / np.sqrt(12))
    assert corrected.mean() > losses[winner].mean()


def test_equal_configurations_look_better_than_they_are_until_corrected() -> None:
    """40 coins of 0.7: the best of them is above 0.7 on the images that chose it, and not on others."""
    draws = np.random.default_rng(1)
    shown, corrected = [], []
    for _ in range(20):
        of = made(40, 1, 30, 4, np.full(40, 0.7), draws)
        winner = int((of.predicted[:, 0] == of.truth).mean(axis=1).argmax())
        found = bias_corrected(of, winner, "accuracy", rounds=100)
        assert found is not None
        shown.append(found.plain["accuracy"])
        corrected.append(found.corrected["accuracy"])
    assert np.mean(shown) > 0.76
    assert np.mean(corrected) == pytest.approx(0.7, abs=0.02)


def test_one_that_is_far_ahead_needs_hardly_any_correction() -> None:
    of = made(10, 5, 30, 5, np.array([0.9, *[0.5] * 9]), np.random.default_rng(2))
    found = bias_corrected(of, 0, "accuracy", rounds=200)
    assert found is not None
    assert found.chosen[0] == 1.0
    assert found.corrected["accuracy"] == pytest.approx(found.plain["accuracy"], abs=0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.corrected["accuracy"] < found.high
    assert set(found.corrected) == {"loss", "accuracy", "balanced_accuracy", "macro_f1"}


def test_without_enough_groups_there_is_a_figure_and_no_interval() -> None:
    draws = np.random.default_rng(3)
    few = bias_corrected(made(3, 2, 12, 3, np.full(3, 0.7), draws), 0, "loss", rounds=50)
    assert few is not None
    assert (few.low, few.high) == (None, None)
    assert few.no_interval == "12 validation groups, at least 20 are needed"
    thin = bias_corrected(made(3, 2, 24, 3, np.full(3, 0.7), draws, classes=8), 0, "loss", rounds=50)
    assert thin is not None
    assert thin.low is None
    assert thin.no_interval.startswith("a has 3, b has 3")
    assert bias_corrected(made(3, 2, 1, 3, np.full(3, 0.7), draws), 0, "loss") is None


def test_a_class_of_one_group_still_counts() -> None:
    """Left out of the bag in about a third of the rounds, it weighs in the pooled score as every other class. Of one
    configuration there is nothing to correct."""
    draws = np.random.default_rng(4)
    group = np.repeat(np.arange(9), 4)
    truth = (group == 8).astype(np.int64)
    predicted = np.zeros((1, 2, 36), dtype=np.int16)
    losses = draws.random((1, 2, 36), dtype=np.float32)
    of = Predictions(truth, group, ("a", "b"), predicted, losses, np.full((1, 2), np.nan), "binary")
    found = bias_corrected(of, 0, "balanced_accuracy", rounds=100)
    assert found is not None
    assert found.corrected["balanced_accuracy"] == pytest.approx(0.5)

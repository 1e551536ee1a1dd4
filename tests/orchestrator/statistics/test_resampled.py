"""The corrected resampled t-test and the division of variance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from orchestrator.statistics.resampled import components, corrected_test


def test_by_hand() -> None:
    scores = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])[:, :, None]
    found = corrected_test(scores, 0, True, ratio=0.5)
    error = (1 / 3 + 0.5) ** 0.5
    assert found.mean.tolist() == [0.0, 2.0]
    assert found.p[1] == pytest.approx(2 * stats.t.sf(2 / error, df=2))
    assert found.high[1] == pytest.approx(2 + stats.t.ppf(0.975, df=2) * error)
    assert found.low[1] == pytest.approx(2 - stats.t.ppf(0.975, df=2) * error)
    assert corrected_test(scores, 0, False, 0.5).mean.tolist() == [0.0, -2.0]
    assert found.p[0] == 1.0
    plain = corrected_test(scores, 0, True, ratio=0.0)
    assert plain.p[1] == pytest.approx(stats.ttest_1samp([1.0, 2.0, 3.0], 0).pvalue)


def test_constant_differences_and_one_partition() -> None:
    found = corrected_test(np.array([[[1.0], [1.0]], [[2.0], [2.0]]]), 0, True, 0.3)
    assert found.p.tolist() == [1.0, 0.0]
    alone = corrected_test(np.array([[[1.0]], [[2.0]]]), 0, True, 0.3)
    assert alone.mean.tolist() == [0.0, 1.0]
    assert np.isnan(alone.p).all()
    assert np.isnan(alone.low).all()


def test_a_partition_s_difference_is_of_the_repeats_that_both_have() -> None:
    scores = np.array([[[1.0, 2.0, np.nan], [3.0, 5.0, 0.0]], [[0.0, np.nan, 9.0], [1.0, 1.0, 1.0]]])
    found = corrected_test(scores, 1, True, 0.3)
    assert found.mean[0] == pytest.approx(np.mean([1.0, (2 + 4 - 1) / 3]))
    scores[1, 0] = np.nan
    assert np.isnan(corrected_test(scores, 1, True, 0.3).mean[0])


def test_the_correction_keeps_the_level_where_partitions_share_images() -> None:
    """Two ways that are equally good, scored over and over on a fifth of the same images."""
    draws = np.random.default_rng(0)
    images, k, rounds = 60, 10, 400
    wrong = {0.0: 0, 0.25: 0}
    for _ in range(rounds):
        data = draws.normal(size=(2, images))
        held = [draws.permutation(images)[:12] for _ in range(k)]
        scores = np.stack([data[:, chosen].mean(axis=1) for chosen in held], axis=1)
        for ratio in wrong:
            wrong[ratio] += int(corrected_test(scores[:, :, None], 0, True, ratio).p[1] < 0.05)
    assert wrong[0.0] / rounds > 0.2
    assert wrong[0.25] / rounds < 0.08


def test_components_are_found_again() -> None:
    draws = np.random.default_rng(0)
    found = []
    for _ in range(400):
        partition, seed = 3.0 * draws.normal(size=(6, 1)), 2.0 * draws.normal(size=(1, 8))
        parts = components(partition + seed + draws.normal(size=(6, 8)))
        assert parts is not None
        found.append((parts.partition**2, parts.seed**2, parts.rest**2))
    assert np.mean(found, axis=0) == pytest.approx([9.0, 4.0, 1.0], rel=0.12)


def test_components_by_hand() -> None:
    found = components(np.array([[0.0, 2.0], [4.0, 6.0]]))
    assert found is not None
    assert (found.partition, found.seed, found.rest) == pytest.approx((8**0.5, 2**0.5, 0.0))
    assert (found.partitions, found.seeds) == (2, 2)


def test_components_need_two_of_each_and_use_common_repeats() -> None:
    assert components(np.zeros((1, 5))) is None
    assert components(np.zeros((3, 1))) is None
    assert components(np.array([[1.0, np.nan], [2.0, 3.0]])) is None
    found = components(np.array([[1.0, 2.0, np.nan], [2.0, 3.0, 4.0]]))
    assert found is not None
    assert found.seeds == 2

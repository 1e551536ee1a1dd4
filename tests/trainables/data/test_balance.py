"""NGCA's worked figures, weights and subsampling."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.store.errors import InputError
from trainables.data.balance import class_weights, ngca, subsample, views_per_image, views_to_count


@pytest.mark.parametrize(
    ("counts", "samples"),
    [((734, 420), (2936, 3360)), ((127, 82), (508, 656)), ((127, 80), (508, 640))],
)
def test_worked_figures_of_the_neuroblastoma_study(counts: tuple[int, int], samples: tuple[int, int]) -> None:
    views = views_per_image({"PD": counts[0], "D": counts[1]})
    assert (counts[0] * views["PD"], counts[1] * views["D"]) == samples
    assert sum(samples) in (6296, 1164, 1148)


@pytest.mark.parametrize(
    ("ratio", "transforms", "expected"),
    [(1, 7, 7), (2, 7, 3), (3, 7, 1), (4, 7, 1), (5, 7, 0), (8, 7, 0), (9, 7, 0), (1, 0, 0), (2, 0, 0)],
)
def test_ngca(ratio: int, transforms: int, expected: int) -> None:
    assert ngca(ratio, transforms) == expected


def test_ngca_refuses_impossible_numbers() -> None:
    with pytest.raises(ValueError, match="ratio ≥ 1"):
        ngca(0)


def test_equal_classes_all_get_every_view_and_tiny_ones_no_more_than_eight() -> None:
    assert views_per_image({"a": 10, "b": 11}) == {"a": 8, "b": 8}
    assert views_per_image({"a": 1000, "b": 400, "c": 3}) == {"a": 1, "b": 3, "c": 8}
    assert views_per_image({"a": 30, "b": 20}) == {"a": 4, "b": 8}  # a ratio of 1.5 counts as 2


@settings(deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=9), st.integers(0, 7))
def test_views_fit_and_smaller_classes_never_get_fewer(counts: list[int], transforms: int) -> None:
    views = views_per_image({str(i): count for i, count in enumerate(counts)}, transforms)
    ordered = [views[str(i)] for i in sorted(range(len(counts)), key=lambda i: counts[i])]
    assert all(1 <= number <= transforms + 1 for number in ordered)
    assert ordered == sorted(ordered, reverse=True)


def test_class_weights() -> None:
    weights = class_weights({"a": 30, "b": 10})
    np.testing.assert_allclose(weights, [40 / 60, 40 / 20])
    assert weights @ [30, 10] == pytest.approx(40)
    np.testing.assert_array_equal(class_weights(np.array([30, 10])), weights)


def test_a_class_without_training_images_is_named() -> None:
    with pytest.raises(InputError, match="found none of 'b'"):
        class_weights({"a": 3, "b": 0})
    with pytest.raises(InputError, match="no class at all"):
        views_per_image({})


def _rows() -> pd.DataFrame:
    labels = ["a"] * 12 + ["b"] * 5 + ["c"] * 9
    return pd.DataFrame({"label": labels, "content": [f"{i:064x}" for i in range(len(labels))]})


def test_subsample_cuts_to_the_smallest_class_whatever_the_order_of_rows() -> None:
    rows = _rows()
    kept = subsample(rows, seed=3)
    assert rows["label"].iloc[kept].value_counts().to_dict() == {"a": 5, "b": 5, "c": 5}
    assert kept.dtype == np.int64
    assert list(kept) == sorted(set(kept))
    turned = rows.iloc[::-1].reset_index(drop=True)
    assert set(turned["content"].iloc[subsample(turned, seed=3)]) == set(rows["content"].iloc[kept])
    assert set(subsample(rows, seed=4)) != set(kept)


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 400), st.integers(0, 3))
def test_every_class_has_the_count_that_is_asked(counts: list[int], count: int, seed: int) -> None:
    count = min(count, 8 * min(counts))
    labels = [f"class {k}" for k, number in enumerate(counts) for _ in range(number)]
    rows = pd.DataFrame({"label": labels, "content": [f"{i:064x}" for i in range(len(labels))]})
    views = pd.Series(views_to_count(rows, count, seed))
    assert (views.groupby(rows["label"]).sum() == count).all()
    assert views.max() <= 8
    spread = views.groupby(rows["label"])
    assert (spread.max() - spread.min() <= 1).all(), "as evenly as can be"


def test_subsample_of_nothing_is_empty() -> None:
    assert len(subsample(_rows().iloc[:0], seed=0)) == 0

"""Slices: a planted one is found, none where there is none; p, intervals and the correction by independent means."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from orchestrator.mistakes.properties import of_columns, of_size, quarters
from orchestrator.mistakes.slices import LEVEL, MOST_GROUPS, Property, Slice, holm, interval, slices
from orchestrator.store.errors import InputError


def made(seed: int, groups: int, per_group: int, worse: float = 0.0) -> list[Slice]:
    """Errors that differ between groups, sliced by a site of whole groups and by quarters of two numbers.

    worse: what the logit of an error is larger by at site C.
    """
    draw = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), per_group)
    truth, site = draw.integers(0, 2, groups)[group], draw.integers(0, 4, groups)[group]
    logit = -2.0 + truth + draw.normal(size=groups)[group] + worse * (site == 2)
    error = draw.binomial(5, 1 / (1 + np.exp(-logit))) / 5
    properties = [Property("site", tuple("ABCD"), site)]
    for name in ("brightness", "sharpness"):
        values = draw.normal(size=groups)[group] + draw.normal(size=len(group))
        properties += quarters(name, values, lambda value: f"{value:.2f}")
    return slices(error, truth, group, properties, seed)


def test_a_bad_site_is_found() -> None:
    found = made(1, groups=80, per_group=6, worse=2.5)
    assert [(one.name, one.value) for one in found if one.is_worse] == [("site", "C")]
    (bad,) = (one for one in found if one.is_worse)
    assert bad.error > bad.expected
    assert bad.low is not None
    assert bad.high is not None
    assert bad.low < bad.error < bad.high


def test_where_there_is_none_one_is_named_in_few_studies() -> None:
    named = [any(one.is_worse for one in made(seed, groups=40, per_group=6)) for seed in range(100)]
    assert sum(named) <= 10, "5 % of 100, and what that varies by"


def test_images_of_a_group_do_not_count_as_many() -> None:
    """One bad group of 200 images among 20: over images the slice that holds it would be beyond doubt."""
    group = np.repeat(np.arange(20), 200)
    error = np.random.default_rng(0).binomial(1, np.where(group == 3, 0.9, 0.1)).astype(float)
    site = (group < 6).astype(np.int64)
    found = slices(error, np.zeros(4000, np.int64), group, [Property("site", ("rest", "bad"), site)], 0)
    images = [error[site == k] for k in (0, 1)]
    z = (images[1].mean() - images[0].mean()) / np.sqrt(sum(one.var() / len(one) for one in images))
    assert z > 9
    assert not any(one.is_worse for one in found)


def test_a_hard_class_is_not_blamed_on_its_site() -> None:
    draw = np.random.default_rng(5)
    group = np.repeat(np.arange(60), 5)
    truth = (group % 2).astype(np.int64)
    error = draw.binomial(4, np.where(truth == 1, 0.7, 0.05)) / 4
    site = np.where(truth == 1, 1, 0)
    found = slices(error, truth, group, [Property("site", ("A", "B"), site)], 0)
    assert [one.p for one in found] == [1.0, 1.0], "within a class the site is the same everywhere"
    assert found[1].error == pytest.approx(found[1].expected)


def test_p_is_the_share_of_all_flips_of_whole_groups() -> None:
    draw = np.random.default_rng(2)
    group, truth = np.repeat(np.arange(8), 3), np.tile([0, 1, 1], 8)
    error, there = draw.random(24), draw.integers(0, 2, 24)
    (found, _) = slices(error, truth, group, [Property("x", ("yes", "no"), 1 - there)], 0)
    classes = np.eye(2)[truth]
    hat = classes @ np.linalg.inv(classes.T @ classes) @ classes.T
    residual, apart = error - hat @ error, there - hat @ there
    values = []
    for signs in product([1.0, -1.0], repeat=8):
        flipped = np.array(signs)[group] * apart
        spread = np.sqrt((np.bincount(group, weights=flipped - hat @ flipped) ** 2).sum())
        values.append(flipped @ residual / spread)
    assert found.p == pytest.approx(np.mean(np.array(values) >= values[0] - 1e-9))


def test_few_groups_are_not_tested_and_correct_nothing() -> None:
    draw = np.random.default_rng(3)
    group = np.repeat(np.arange(24), 4)
    error, site = draw.random(96), np.where(group < 3, 0, np.where(group < 14, 1, 2))
    found = slices(error, np.zeros(96, np.int64), group, [Property("site", ("few", "A", "B"), site)], 0)
    assert [one.p is None for one in found] == [True, False, False]
    assert found[0].corrected is None
    assert found[0].low is None, "three groups give no interval"
    ordered = sorted(one.p for one in found[1:] if one.p is not None)
    assert min(one.corrected for one in found[1:] if one.corrected is not None) == pytest.approx(2 * ordered[0])


def test_all_images_are_no_slice_that_can_be_worse() -> None:
    group = np.repeat(np.arange(10), 2)
    found = slices(np.ones(20) / 2, np.zeros(20, np.int64), group, [Property("x", ("a",), np.zeros(20, np.int64))], 0)
    assert [one.p for one in found] == [None]


def test_thousands_of_groups_are_flipped_together() -> None:
    draw = np.random.default_rng(4)
    count = 3 * MOST_GROUPS
    site = draw.integers(0, 3, count)
    error = draw.binomial(3, np.where(site == 1, 0.3, 0.1)) / 3
    found = slices(error, draw.integers(0, 2, count), np.arange(count), [Property("s", tuple("abc"), site)], 0)
    assert [one.value for one in found if one.is_worse] == ["b"]


def test_no_error_is_not_said_to_be_surely_none() -> None:
    low, high = interval(np.zeros(80), np.repeat(np.arange(20), 4), 0)
    assert low == pytest.approx(0)
    assert high is not None
    assert 0 < high < 0.3
    assert interval(np.zeros(8), np.repeat(np.arange(2), 4), 0) == (None, None)


def test_holm() -> None:
    """The figures of the definition: the smallest times m, the next times m − 1, never less than one before."""
    assert holm({0: 0.01, 1: 0.04, 2: 0.03, 3: 0.005}) == pytest.approx({3: 0.02, 0: 0.03, 2: 0.06, 1: 0.06})
    assert holm({5: 0.9, 2: 0.8}) == {2: 1.0, 5: 1.0}
    assert holm({}) == {}
    assert LEVEL == 0.05


def images(**columns: list[str]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    numbers = {"width": range(10, 10 + rows), "height": [10] * rows}
    return pd.DataFrame({**{f"user_{name}": values for name, values in columns.items()}, **numbers})


def test_columns_are_sliced_by_values_or_quarters() -> None:
    frame = images(
        site=[*"AABB", "", *"ABABABABABABABABABA"],
        grade=[str(k % 12) for k in range(24)],
        age=[str(20 + k) for k in range(24)],
        note=[f"text {k}" for k in range(24)],
        same=["x"] * 24,
    )
    found = {one.name: one for one in of_columns(frame, ())}
    assert found.keys() == {"site", "grade", "age"}
    assert found["site"].values == ("(empty)", "A", "B")
    assert found["grade"].values == tuple(map(str, range(12))), "numbers stand in their order"
    assert [found["grade"].values[k] for k in found["grade"].of] == frame["user_grade"].tolist()
    assert found["age"].values == ("20 to 25", "26 to 31", "32 to 37", "38 to 43")
    assert np.bincount(found["age"].of).tolist() == [6, 6, 6, 6]
    assert [one.name for one in of_columns(frame, ("AGE", "same"))] == ["age", "same"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sit", "--by sit: expected a column of the table that the study was made from; did you mean 'site'?"),
        ("note", "--by note: expected numbers, or at most 20 different values, found 24"),
    ],
)
def test_a_column_that_cannot_be(name: str, told: str) -> None:
    frame = images(site=["A", "B"] * 12, note=[f"text {k}" for k in range(24)])
    with pytest.raises(InputError) as refused:
        of_columns(frame, (name,))
    assert refused.value.message == told


def test_without_columns_it_is_said() -> None:
    with pytest.raises(InputError) as refused:
        of_columns(images(x=["1"])[["width", "height"]], ("site",))
    assert "without other columns" in refused.value.advice


def test_quarters() -> None:
    (found,) = of_size(images(x=["1"] * 8))
    assert found.values == ("100 px to 110 px", "120 px to 130 px", "140 px to 150 px", "160 px to 170 px")
    assert quarters("x", np.full(9, 4.0), str) == []
    assert quarters("x", np.full(3, np.nan), str) == []
    (ties,) = quarters("x", np.array([0.0] * 9 + [1, 2, np.nan]), lambda value: f"{value:g}")
    assert ties.of.tolist() == [0] * 9 + [1, 1, -1]
    assert ties.values == ("0", "1 to 2")

"""How data travel in a page: small, exact to four digits, free of markup."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.page.packing import decode, encode, packed_text, unpacked_text


def test_data_travel_without_markup_and_without_nan() -> None:
    value = {"a": np.array([1.23456789, np.nan]), "b": [float("inf"), "</script>"], "c": np.array([[1, 2]])}
    sent = packed_text(encode(value))
    assert "<" not in sent
    assert decode(sent) == {"a": [1.2346, None], "b": [None, "</script>"], "c": [[1, 2]]}


@given(
    st.lists(
        st.one_of(st.floats(-1e5, 1e5), st.floats(0, 1e-3), st.sampled_from([float("nan"), float("inf"), -1e300, 1e9])),
        min_size=12,
        max_size=60,
    )
)
def test_long_rows_of_numbers_keep_their_digits(values: list[float]) -> None:
    found = decode(packed_text(encode({"row": np.array(values)})))["row"]
    for value, other in zip(values, found, strict=True):
        if not np.isfinite(value):
            assert other is None
        else:
            assert other == pytest.approx(value, abs=5.01e-5, rel=1e-4)


@given(st.binary(max_size=300))
def test_letters_of_the_page_hold_any_bytes(content: bytes) -> None:
    sent = packed_text(content)
    assert "<" not in sent
    assert unpacked_text(sent) == content


def test_rows_of_vanishing_numbers_become_zero() -> None:
    assert decode(packed_text(encode([np.array([0.0] * 11 + [1.4e-306])]))) == [[0.0] * 12]


def test_rows_of_counts_are_exact_and_equal_rows_are_kept_once() -> None:
    counts = np.arange(300.0) % 97
    once, twice = packed_text(encode([counts])), packed_text(encode([counts, counts]))
    assert decode(twice) == [counts.tolist(), counts.tolist()]
    assert len(twice) < len(once) + 40


def test_rows_of_every_kind_lie_side_by_side() -> None:
    rows = [
        np.array([np.nan, np.inf, *range(200, 212)]),
        np.arange(9.0) / 7,
        np.array([-1e12, *np.linspace(-90_000, 90_000, 12)]),
        np.full(10, np.nan),
        np.arange(10.0) * 1e-7,
    ]
    found = decode(packed_text(encode({str(place): row for place, row in enumerate(rows)})))
    assert found["0"] == [None, None, *map(float, range(200, 212))]
    assert found["1"] == pytest.approx(rows[1].tolist(), abs=5.01e-5)
    assert found["2"][0] == -1e12
    assert found["2"][1:] == pytest.approx(rows[2][1:].tolist(), abs=5.01e-5)
    assert found["3"] == [None] * 10
    assert found["4"] == pytest.approx(rows[4].tolist(), rel=1e-3, abs=1e-12)

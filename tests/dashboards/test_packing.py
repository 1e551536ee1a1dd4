"""How data travel in a page: small, exact to four digits, free of markup."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.packing import decode, encode, packed_text, unpacked_text


def test_data_travel_without_markup_and_without_nan() -> None:
    value = {"a": np.array([1.23456789, np.nan]), "b": [float("inf"), "</script>"], "c": np.array([[1, 2]])}
    sent = encode(value)
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
    found = decode(encode({"row": np.array(values)}))["row"]
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
    assert decode(encode([np.array([0.0] * 11 + [1.4e-306])])) == [[0.0] * 12]


def test_rows_of_counts_are_exact_and_equal_rows_are_kept_once() -> None:
    counts = np.arange(300.0) % 97
    once, twice = encode([counts]), encode([counts, counts])
    assert decode(twice) == [counts.tolist(), counts.tolist()]
    assert len(twice) < len(once) + 40

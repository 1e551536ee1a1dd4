"""Where the values of a setting or a score stand on an axis from 0 to 1, and the round numbers written there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.limits import are_apart
from dashboards.figures.markup import lr_text, plot_text
from dashboards.figures.setting_text import NOT_TRIED, is_logarithmic, ordered, value_of

_MOST_TICKS = 6
_FOOT = 0.15
"""Where values begin above what has none."""
_MOST_DIGITS = 6
"""Before and behind the point."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Where values stand on an axis from 0 to 1, and what is written there, escaped for plotly."""

    places: Floats
    ticks: list[float]
    names: list[str]


def scale_of(column: str, values: Sequence[Any]) -> Scale:
    """Of a setting: numbers as it declares, by size or by their logarithm, words evenly spaced in their order.

    By size where one is not above 0, which has no logarithm. What is missing stands at the foot, below all values.
    """
    there = np.array([not pd.isna(value) for value in values])
    scale = _scale_of(column, [value for value, is_there in zip(values, there, strict=True) if is_there])
    if there.all():
        return scale
    places = np.zeros(len(values))
    places[there] = _FOOT + (1 - _FOOT) * scale.places
    return Scale(places, [0.0, *(_FOOT + (1 - _FOOT) * tick for tick in scale.ticks)], [NOT_TRIED, *scale.names])


def _scale_of(column: str, values: Sequence[Any]) -> Scale:
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        words = ordered(column, values)
        ticks = np.linspace(0, 1, len(words)) if len(words) > 1 else np.array([0.5])
        at = dict(zip(words, ticks.tolist(), strict=True))
        names = [plot_text(_cut(value_of(column, word))) for word in words]
        return Scale(np.array([at[value] for value in values]), list(at.values()), names)
    numbers = np.array(values, dtype=float)
    by_logarithm = is_logarithmic(column) and numbers.min() > 0
    moved = np.log10(numbers) if by_logarithm else numbers
    low, high = float(moved.min()), float(moved.max())
    length = high - low or 1.0
    shown = np.unique(numbers)
    if len(shown) > _MOST_TICKS:
        whole = bool((numbers == np.rint(numbers)).all())
        shown = _round_by_logarithm(shown[0], shown[-1]) if by_logarithm else _round(shown[0], shown[-1], whole)
    places = ((np.log10(shown) if by_logarithm else shown) - low) / length
    small = by_logarithm and shown[0] < 0.01
    return Scale((moved - low) / length, places.tolist(), [_power(one) if small else number_text(one) for one in shown])


def score_scale(means: Floats, is_loss: bool) -> Scale:
    """Of the score, better values on top; what is far worse than most stands at the foot: its tick says "or worse" and
    of how many."""
    quarter, three_quarters = np.quantile(means, [0.25, 0.75])
    reach = 3 * (three_quarters - quarter)
    worst = min(means.max(), three_quarters + reach) if is_loss else max(means.min(), quarter - reach)
    best = means.min() if is_loss else means.max()
    length = (best - worst) or 1.0
    values = _round(min(worst, best), max(worst, best))
    names = _texts(values)
    ticks = (values - worst) / length
    if worst != (means.max() if is_loss else means.min()):
        free = np.flatnonzero(ticks > 0.1)
        ticks = np.concatenate([[0.0], ticks[free]])
        beyond = int(((means - worst) * (1 if is_loss else -1) > 0).sum())
        names = [f"{_texts(np.array([worst]))[0]}<br>or worse ({beyond})", *(names[place] for place in free)]
    return Scale(((means - worst) / length).clip(0, 1), ticks.tolist(), names)


def _round(low: float, high: float, whole: bool = False) -> Floats:
    """The multiples of 1, 2 or 5 times a power of ten that lie between two numbers, 3 to 7; `whole` ones if so."""
    if not are_apart(low, high):
        return np.array([low])
    power = 10.0 ** math.floor(math.log10((high - low) / 6))
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= 6)
    step = max(step, 1.0) if whole else step
    multiples = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return np.array([multiple * step for multiple in multiples])


def _round_by_logarithm(low: float, high: float) -> Floats:
    """Powers of ten between two numbers, or with fewer than three of them 1, 2 and 5 times each."""
    exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        round_numbers = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        inside = np.array([value for value in round_numbers if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)])
        if len(inside) > 2:
            break
    return inside[:: max(1, -(-len(inside) // _MOST_TICKS))]


def _texts(values: Floats) -> list[str]:
    """Evenly spaced values with the digits that tell them apart; a single one with three."""
    step = float(values[1] - values[0]) if len(values) > 1 else 0.001
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    is_long = decimals > _MOST_DIGITS or np.abs(values).max() >= 10**_MOST_DIGITS
    return [f"{value:.3g}" if is_long else f"{value:.{decimals}f}" for value in values]


def number_text(value: float) -> str:
    return _power(value) if value and abs(value) < 0.01 else f"{value:.3g}"


def _power(value: float) -> str:
    mantissa, _, exponent = lr_text(value).partition("e")
    return f"{float(mantissa):.2g}e{exponent}"


def _cut(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"

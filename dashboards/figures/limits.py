"""Ends of a scale that numbers can be told apart on, whatever the values are."""

from __future__ import annotations

_NEAREST = 1e-9
_APART = 1e-6


def are_apart(low: float, high: float) -> bool:
    """Whether rounding leaves anything between two finite numbers: they differ by more than a billionth."""
    return high - low > _NEAREST * max(abs(low), abs(high))


def ends(low: float, high: float) -> tuple[float, float]:
    """The same two numbers, the upper one moved up by a millionth where they are not apart."""
    return (low, high) if are_apart(low, high) else (low, low + _APART * max(1.0, abs(low)))

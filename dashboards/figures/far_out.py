"""Losses that lie far beyond all others: where an axis ends without them, and how many they are, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.figures.choice import Choice, is_loss
from dashboards.figures.limits import reach
from dashboards.figures.palette import MUTED, Spec

Floats = NDArray[np.float64]


def top_of(parts: Sequence[Floats], choice: Choice) -> float:
    """Where an axis of the choice's score ends: at the largest finite value, or at the largest of what lies together
    (`limits.reach`, part by part) of a loss, unless all is asked for; NaN without a finite value."""
    finite = [part[np.isfinite(part)] for part in parts]
    largest = reach if is_loss(choice.score) and choice.reach == "most" else np.max
    return max((float(largest(part)) for part in finite if len(part)), default=np.nan)


def count_beyond(values: Floats, top: float) -> int:
    """Finite values above the end of an axis."""
    return int((np.isfinite(values) & (values > top)).sum())


def is_told_apart(parts: Sequence[Floats], choice: Choice) -> bool:
    """Whether a figure of all values is another than that of most: there are values beyond its axis."""
    if choice.reach == "most":
        return True
    most = top_of(parts, Choice(score=choice.score))
    return any(count_beyond(part, most) for part in parts)


def far_words(beyond: int, of: int, most: float, infinite: int = 0) -> str:
    """How many marks stand at the edge, and how many have no place; "" without any."""
    told = []
    if beyond:
        stand = "stands" if beyond == 1 else "stand"
        told.append(f"{beyond} of {of} {stand} at the edge: far out, up to {most:.3g}")
    if infinite:
        told.append(f"{infinite} of {of} not drawn: infinite")
    return "; ".join(told)


def far_note(words: str, **place: Any) -> list[Spec]:
    """The annotation that says it, at the right end of the drawing; [] without words."""
    look = {"x": 1, "xref": "paper", "yref": "paper", "xanchor": "right", "showarrow": False}
    return [{"text": words, **look, "font": {"size": 11, "color": MUTED}, **place}] if words else []

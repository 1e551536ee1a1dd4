"""Operating points: a threshold for one class, chosen on the valid split so that a stated share is reached there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from orchestrator.store.errors import InputError

Target = Literal["specificity", "sensitivity", "precision"]
_EXAMPLE = "--at specificity=0.95"


@dataclass(frozen=True)
class Wanted:
    """`text` as it was typed; `share` of the negatives rejected (specificity), of the positives called (sensitivity) or
    of those called that are positive (precision)."""

    text: str
    target: Target
    share: float
    name: str

    def threshold(self, scores: np.ndarray, positive: np.ndarray) -> float:
        """A class is called where its probability is above this; scores float [N], positive bool [N], of valid images.

        The least threshold that reaches the specificity, the largest that reaches the sensitivity; of those that reach
        the precision the largest that calls most positives, and 1 where none does: nothing is called.
        """
        if self.target == "precision":
            order = np.argsort(-scores, kind="stable")
            ranked, hits = scores[order], np.cumsum(positive[order])
            ends = np.append(ranked[1:] != ranked[:-1], True)
            enough = np.where(ends & (hits / np.arange(1, len(hits) + 1) >= self.share), hits, 0)
            return float(np.nextafter(ranked[enough.argmax()], -np.inf)) if enough.any() else 1.0
        if self.target == "specificity":
            against = np.sort(scores[~positive])[::-1]
            allowed = math.floor((1 - self.share) * len(against) + 1e-9)
            return float(against[allowed]) if allowed < len(against) else -1.0
        inside = np.sort(scores[positive])[::-1]
        needed = math.ceil(self.share * len(inside) - 1e-9)
        return float(np.nextafter(inside[needed - 1], -np.inf)) if needed else 1.0


def parse_point(text: str, classes: Sequence[str], task: str, name: str | None) -> Wanted:
    """Read `specificity=0.95`; the class is the positive one of a binary task unless named. Raises InputError."""
    target, _, number = (part.strip() for part in text.partition("="))
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if target not in get_args(Target) or not 0 < share <= 1:
        raise InputError(
            f"--at {text!r}: expected specificity=SHARE, sensitivity=SHARE or precision=SHARE with a share above 0 and "
            "up to 1",
            f"For instance: {_EXAMPLE}",
        )
    if name is None and task != "binary":
        raise InputError(
            f"--at {text}: expected --class NAME as well, since none of the {len(classes)} classes is the positive one",
            f"One of: {', '.join(classes)}",
        )
    if name is not None and name not in classes:
        raise InputError(f"--class {name!r}: expected a class of the study", f"One of: {', '.join(classes)}")
    chosen = name if name is not None else classes[1]
    return Wanted(f"{target}={share:g}", cast(Target, target), share, chosen)


def reached(
    scores: np.ndarray, positive: np.ndarray, thresholds: Sequence[float]
) -> tuple[NDArray[np.bool_], dict[str, float]]:
    """(calls bool [models, N], mean sensitivity and specificity); scores float [models, N], positive bool [N]."""
    called: NDArray[np.bool_] = scores > np.array(thresholds)[:, None]
    shares = {}
    if positive.any():
        shares["sensitivity"] = float(called[:, positive].mean())
    if (~positive).any():
        shares["specificity"] = float((~called[:, ~positive]).mean())
    return called, shares

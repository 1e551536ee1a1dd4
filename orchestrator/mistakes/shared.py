"""Which errors configurations share: exact intersections of the images that each has wrong in most repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestrator.mistakes.gathered import Gathered, Ints

VENN = 3
"""Up to so many configurations every intersection is told, also empty ones: the regions of a Venn diagram. Of more
those that hold an image: the bars of an UpSet plot (Lex et al. 2014)."""


@dataclass(frozen=True)
class Shared:
    """wrong: int64 [C], images that each configuration has wrong in more than half of its predictions.

    regions: (places of configurations, images that exactly these have wrong), the largest first; the region of none,
    (), is last. No image is in two, so that all of them add up to all images.
    """

    wrong: Ints
    regions: tuple[tuple[tuple[int, ...], int], ...]


def shared_errors(gathered: Gathered) -> Shared:
    """Of all configurations, each against every other one."""
    wrong = 2 * gathered.right < gathered.trials
    patterns, counts = np.unique(wrong.T, axis=0, return_counts=True)
    regions = {tuple(np.flatnonzero(one).tolist()): int(n) for one, n in zip(patterns, counts, strict=True)}
    regions.setdefault((), 0)
    if len(wrong) <= VENN:
        for code in range(1, 2 ** len(wrong)):
            regions.setdefault(tuple(c for c in range(len(wrong)) if code >> c & 1), 0)
    order = sorted(regions.items(), key=lambda one: (not one[0], -one[1], len(one[0]), one[0]))
    return Shared(wrong.sum(axis=1).astype(np.int64), tuple(order))

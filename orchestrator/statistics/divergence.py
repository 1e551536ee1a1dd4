"""How often a configuration diverges: the share of its repeats, and how far off that may be."""

from __future__ import annotations

from scipy import special

from orchestrator.statistics.paired import LEVEL

NO_GUARANTEE = "no guarantee for the mean including diverged repeats"
"""What stands beside a comparison of repeats that diverged in neither, where any did."""


def rate_interval(diverged: int, repeats: int) -> tuple[float, float]:
    """The exact 95 % interval of the rate, after Clopper and Pearson (1934, Biometrika 26); repeats ≥ 1."""
    tail = (1 - LEVEL) / 2
    low = float(special.betaincinv(diverged, repeats - diverged + 1, tail)) if diverged else 0.0
    high = float(special.betaincinv(diverged + 1, repeats - diverged, 1 - tail)) if diverged < repeats else 1.0
    return low, high

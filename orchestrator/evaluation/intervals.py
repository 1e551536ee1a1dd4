"""95 % intervals over groups: patients or slides are drawn from a population, their images are not drawn one by one.

Images of a group resemble one another, so an interval over images is far too short. Here the group is the unit: for a
proportion the variance between groups on the logit scale with Student's t (the logit-transformed ratio estimator of
cluster samples: Korn and Graubard 1998; Dean and Pagano 2015), for everything else a bootstrap that draws whole groups.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

LEVEL = 0.95
LOGIT_T = "logit-t over groups"
BETA = "Clopper-Pearson over groups, which are all alike"
WIDER = "logit-t and Clopper-Pearson over groups, the wider, because few groups differ"
FEW_DIFFER = 3
"""Where fewer groups (or fewer than half) hold an error, or a hit, the variance between groups rests on those few."""
BOOTSTRAP = "stratified bootstrap over groups"


def mean_proportion(hits: np.ndarray, trials: np.ndarray, level: float = LEVEL) -> tuple[float, float, float, str]:
    """(value, low, high, method) of a share that is averaged over repeats.

    hits and trials: numbers [repeats, groups]; a repeat's share is Σ hits / Σ trials over groups. Repeats without
    trials are left out, groups without trials in any repeat too. NaN limits and no method with fewer than 2 groups.
    Where all groups have the same share there is no variance between them to go by: then each counts as one trial.
    Where only a few hold an error in any repeat, or only a few a hit, the variance is a guess, often too small, and the
    limits are the wider of both ways; else one error in 50 groups would make the interval narrower than none does.
    """
    hits, trials = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    kept = trials.sum(axis=1) > 0
    hits, trials = hits[kept], trials[kept]
    inside = (trials > 0).any(axis=0)
    hits, trials = hits[:, inside], trials[:, inside]
    groups = hits.shape[1]
    if not groups:
        return float("nan"), float("nan"), float("nan"), ""
    total = trials.sum(axis=1, keepdims=True)
    shares = hits.sum(axis=1, keepdims=True) / total
    value = float(shares.mean())
    if groups < 2:
        return value, float("nan"), float("nan"), ""
    residuals = ((hits - shares * trials) / total).mean(axis=0)
    variance = float(groups / (groups - 1) * (residuals**2).sum())
    tail = (1 - level) / 2
    spread = value * (1 - value)
    low, high = _one_trial_each(value, groups, tail)
    if variance <= 1e-12 or spread <= 1e-12:
        return value, low, high, BETA
    shares_of = (trials / total).mean(axis=0)
    alike = 1 / float((shares_of**2).sum())  # groups of equal size that would say as much (Kish 1965)
    reach = float(stats.t.ppf(1 - tail, max(1.0, alike - 1))) * variance**0.5 / spread
    centre = float(np.log(value / (1 - value)))
    below, above = (float(1 / (1 + np.exp(-(centre + sign * reach)))) for sign in (-1, 1))
    differ = min(int((hits < trials).any(axis=0).sum()), int((hits > 0).any(axis=0).sum()))
    if differ < min(FEW_DIFFER, groups / 2):
        return value, min(low, below), max(high, above), WIDER
    return value, below, above, LOGIT_T


def _one_trial_each(value: float, groups: int, tail: float) -> tuple[float, float]:
    """Clopper and Pearson's limits as if each group were one trial."""
    like = value * groups
    low = 0.0 if like <= 0 else float(stats.beta.ppf(tail, like, groups - like + 1))
    high = 1.0 if like >= groups else float(stats.beta.ppf(1 - tail, like + 1, groups - like))
    return low, high


def group_draws(strata: np.ndarray, draws: int, seed: int) -> Floats:
    """How often each group is drawn, float64 [draws, groups]: with replacement, within each stratum as many as it has.

    strata: one integer per group.
    """
    generator = np.random.default_rng(seed)
    weights = np.zeros((draws, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        shares = np.full(len(members), 1 / len(members))
        weights[:, members] = generator.multinomial(len(members), shares, size=draws)
    return weights


def percentiles(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Limits of the middle `level` of bootstrap values [draws]; draws where the metric is undefined are left out."""
    kept = values[np.isfinite(values)]
    if len(kept) < len(values) / 2:
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

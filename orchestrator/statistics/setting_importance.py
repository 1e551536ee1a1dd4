"""How much each setting matters among the configurations tried: by fANOVA and by permutation, from a forest.

A forest of regression trees learns the ranks of the configurations' means from their settings. Functional analysis of
variance (Hutter, Hoos and Leyton-Brown 2014) takes each tree as a function of all settings and asks which share of its
variance one of them makes alone. Permutation (Breiman 2001) asks how much worse a tree predicts the configurations that
it did not see when one setting's values are shuffled among them, which also counts what a setting does together with
others. Both are estimates: each comes with how much it varies when repeats are drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
TREES = 32
REFITS = 20
_TREES_OF_A_REFIT = 8
_MOST_SEEN = 256
"""Configurations that one tree sees, and that it predicts, at most: bags of 1,000 gave shares within 0.04 of these."""
MOST_CODES = 16
"""Different values of a setting; of a number with more of them so many groups of equal counts."""


@dataclass(frozen=True)
class Importances:
    """Arrays are float64 [settings]; errors are standard deviations, NaN where no configuration has two repeats.

    alone: share of the trees' variance that a setting makes by itself, 0 to 1; above 0 by chance too. shuffled: by how
    much the squared error on configurations not seen rises, in variances of the ranks; about 0 for a setting without
    effect, up to 2 for one that decides everything. predicted: share of the variance of the ranks that the forest
    predicts of configurations not seen, at most 1; not above 0 where it has learnt nothing.
    """

    alone: Floats
    alone_error: Floats
    shuffled: Floats
    shuffled_error: Floats
    predicted: float


def importances(codes: Codes, scores: Sequence[Floats], seed: int) -> Importances:
    """Of settings codes [configurations, settings], numbers from 0 in the order of the values, every one in use.

    scores: of each configuration those of its repeats, finite. The errors come from REFITS further forests, each with
    bags of its own and the ranks of means over repeats drawn anew with replacement; configurations with equally many
    repeats draw the same ones, for repeats of one number have seeds in common. Which configurations were tried stays.
    """
    means = np.array([float(own.mean()) for own in scores])
    whole = _forest(codes, _ranks(means), TREES, np.random.default_rng([seed, 0]))
    unknown = np.full(codes.shape[1], np.nan)
    if max(len(own) for own in scores) < 2 or len(means) < 2:
        return Importances(whole.alone, unknown, whole.shuffled, unknown, whole.predicted)
    again = [
        _forest(codes, _ranks(drawn), _TREES_OF_A_REFIT, np.random.default_rng([seed, 1 + number]))
        for number, drawn in enumerate(_drawn_means(scores, means, seed))
    ]
    alone, shuffled = (np.array([getattr(one, name) for one in again]) for name in ("alone", "shuffled"))
    return Importances(
        whole.alone, alone.std(axis=0, ddof=1), whole.shuffled, shuffled.std(axis=0, ddof=1), whole.predicted
    )


def coded(values: Sequence[Any], is_number: bool) -> Codes:
    """int64 [n]: each value's place among all different ones, from 0; of numbers with many the group it falls into."""
    codes: Codes = np.unique(np.asarray(values, dtype=float if is_number else object), return_inverse=True)[1]
    if not is_number or codes.max() < MOST_CODES:
        return codes.astype(np.int64)
    groups = np.floor((_ranks(codes.astype(float)) - 0.5) / len(codes) * MOST_CODES)
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class _Forest:
    alone: Floats
    shuffled: Floats
    predicted: float


def _forest(codes: Codes, ranks: Floats, trees: int, draw: np.random.Generator) -> _Forest:
    """Trees on bags of configurations drawn with replacement, asked about those outside."""
    from sklearn import config_context
    from sklearn.tree import DecisionTreeRegressor

    count, settings = codes.shape
    seen = min(count, _MOST_SEEN)
    features = codes.astype(np.float32)
    model = DecisionTreeRegressor(min_samples_leaf=int(np.clip(seen // 25, 2, 5)), random_state=0)
    space = _Space.of(codes)
    variance, alone, rise = 0.0, np.zeros(settings), np.zeros(settings)
    total, votes = np.zeros(count), np.zeros(count)
    for _ in range(trees):
        bag = draw.integers(0, count, seen)
        if len(np.unique(bag)) == count:
            bag = bag[1:]  # few configurations, each drawn once: one is left out all the same
        with config_context(skip_parameter_validation=True):
            tree = model.fit(features[bag], ranks[bag], check_input=False).tree_
        whole, of_each = space.variances(tree)
        variance, alone = variance + whole, alone + of_each
        outside = np.flatnonzero(np.bincount(bag, minlength=count) == 0)
        if len(outside) > _MOST_SEEN:
            outside = draw.choice(outside, _MOST_SEEN, replace=False)
        asked = np.repeat(features[outside][None], 1 + settings, axis=0)
        for place in range(settings):
            asked[1 + place, :, place] = draw.permutation(asked[0, :, place])
        answers = tree.predict(asked.reshape(-1, settings)).reshape(1 + settings, -1)
        errors = ((answers - ranks[outside]) ** 2).mean(axis=1)
        rise += errors[1:] - errors[0]
        total[outside] += answers[0]
        votes[outside] += 1
    spread = float(ranks.var())
    if spread <= 0:
        return _Forest(np.zeros(settings), np.zeros(settings), 0.0)
    asked_of = votes > 0
    missed = float(((total[asked_of] / votes[asked_of] - ranks[asked_of]) ** 2).mean())
    shares = alone / variance if variance > 0 else np.zeros(settings)
    return _Forest(shares, rise / trees / spread, 1 - missed / spread)


@dataclass(frozen=True)
class _Space:
    """The codes of all settings in a row: [codes] each and whose it is; float64 [codes, settings], the share of the
    configurations that have it, 0 where it is another setting's."""

    code: Codes
    setting: Codes
    weights: Floats

    @classmethod
    def of(cls, codes: Codes) -> _Space:
        shares = [np.bincount(column) / len(column) for column in codes.T]
        setting = np.repeat(np.arange(len(shares)), [len(own) for own in shares])
        weights = np.where(setting[:, None] == np.arange(len(shares)), np.concatenate(shares)[:, None], 0.0)
        return cls(np.concatenate([np.arange(len(own)) for own in shares]), setting, weights)

    def variances(self, tree: Any) -> tuple[float, Floats]:
        """Of a tree as a function of settings that are drawn independently, each as it occurs: its whole variance,
        and float64 [settings], the variance of its mean given one setting (a main effect)."""
        lefts, rights, leaves = tree.children_left, tree.children_right, tree.children_left < 0
        setting = np.maximum(tree.feature, 0)
        own = self.setting == setting[:, None]
        above = self.code > tree.threshold[:, None]
        go_left, go_right = ~(own & above), ~(own & ~above)
        holds = np.ones(own.shape, dtype=bool)
        for node in np.flatnonzero(~leaves):  # a node's number is below those of its children
            holds[lefts[node]] = holds[node] & go_left[node]
            holds[rights[node]] = holds[node] & go_right[node]
        inside, values = holds[leaves].astype(float), tree.value[leaves, 0, 0]
        by_setting = inside @ self.weights
        chance = by_setting.prod(axis=1)
        mean = float(chance @ values)
        given = inside.T @ ((chance * values)[:, None] / by_setting)
        return float(chance @ (values - mean) ** 2), (self.weights * (given - mean) ** 2).sum(axis=0)


def _drawn_means(scores: Sequence[Floats], means: Floats, seed: int) -> Floats:
    """float64 [REFITS, configurations]: means of repeats drawn anew.

    Such means vary by (n − 1) / n of what a mean of n repeats does; their distance to it is enlarged accordingly.
    """
    longest = max(len(own) for own in scores)
    uniform = np.random.default_rng([seed, longest]).random((REFITS, longest))
    anew = np.tile(means, (REFITS, 1))
    for n in sorted({len(own) for own in scores} - {0, 1}):
        mine = np.array([place for place, own in enumerate(scores) if len(own) == n])
        values = np.stack([scores[place] for place in mine])
        drawn = values[:, (uniform[:, :n] * n).astype(np.int64)].mean(axis=2).T
        anew[:, mine] += (drawn - means[mine]) * np.sqrt(n / (n - 1))
    return anew


def _ranks(values: Floats) -> Floats:
    """From 1; equal values have the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks

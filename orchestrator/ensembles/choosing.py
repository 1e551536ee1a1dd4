"""Which configurations are members and how much each counts, on images that may count several times or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.ensembles.candidates import Candidates
from orchestrator.ensembles.combining import PROBABILITIES, Combining
from orchestrator.ensembles.problem import Problem
from orchestrator.ensembles.target import Target, losses
from orchestrator.ensembles.ways import COMBININGS, WEIGHINGS
from orchestrator.store.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
UsedRepeats = Literal["all", "one"]


@dataclass(frozen=True)
class Rule:
    """How members are chosen. top: so many of the best. rows: candidates that were named, () for the best. repeats: of
    each member. combine, weigh: names in `ways`. seed: of whatever draws."""

    top: int = 5
    rows: tuple[int, ...] = ()
    repeats: UsedRepeats = "all"
    combine: str = "probabilities"
    weigh: str = "greedy"
    seed: int = 0


@dataclass(frozen=True)
class Chosen:
    """single: row of the best configuration. rows: of the members, best first. weights: float64, one for each."""

    single: int
    rows: tuple[int, ...]
    weights: Floats


class Chooser:
    """A rule on the candidates of a study."""

    def __init__(self, candidates: Candidates, target: Target, rule: Rule) -> None:
        self.of, self.target, self.rule = candidates, target, rule
        self.combining: Combining = COMBININGS[rule.combine].load()
        self.weigh = WEIGHINGS[rule.weigh].load()
        self.used = [count if rule.repeats == "all" else 1 for count in candidates.counts]

    @cached_property
    def chances(self) -> NDArray[np.float32]:
        """Of each model by itself, float32 [C, R, N, K]."""
        return PROBABILITIES.values(self.of.logits).astype(np.float32)

    @cached_property
    def together(self) -> Floats:
        """What is averaged of each configuration, the mean over the repeats that are used, float64 [C, N, K]."""
        return np.stack([self.averaged(row, used) for row, used in enumerate(self.used)])

    def averaged(self, row: int, repeats: int) -> Floats:
        """The mean over the first so many repeats of a configuration, float64 [N, K]."""
        mean: Floats = self.combining.values(self.of.logits[row, :repeats].astype(np.float64)).mean(axis=0)
        return mean

    def singles(self, often: Integers) -> Floats:
        """What each configuration scores by itself, the mean over its repeats, float64 [B, C]; often: how often each
        group counts, int64 [B, groups]. Where train is looked at too, the worse of both."""
        columns = [self._single(row, often) for row in range(len(self.of.members))]
        return np.stack(columns, axis=1)

    def scored_alone(self, row: int, images: NDArray[np.int64] | slice = slice(None)) -> float:
        """The mean over the repeats of a configuration, on some images, valid alone."""
        chances = self.chances[row, : self.of.counts[row]][:, images].astype(np.float64)
        return float(self.target.scores(chances, self.of.truth[images]).mean())

    def choose(self, often: Integers, singles: Floats) -> Chosen:
        """often: how often each image counts, int64 [N]. singles: float64 [C], of the same images."""
        better = self.target.better(singles)
        order = np.argsort(-better, kind="stable").tolist()
        rows = [row for row in order if row in self.rule.rows] if self.rule.rows else order[: self.rule.top]
        there = often > 0
        problem = Problem(
            self.together[rows][:, there],
            self.of.truth[there],
            often[there],
            self.combining,
            self.target,
            self.rule.seed,
        )
        return Chosen(order[0], tuple(rows), self.weigh(problem))

    def ensemble(self, chosen: Chosen) -> Floats:
        """Its probabilities, float64 [N, K]."""
        weights = chosen.weights / chosen.weights.sum()
        return self.combining.chances(np.tensordot(weights, self.together[list(chosen.rows)], axes=1))

    def rival(self, chosen: Chosen) -> Floats:
        """Probabilities of the best configuration's own repeats together, float64 [N, K], as many as the ensemble has
        models, or all there are."""
        return self.combining.chances(self.averaged(chosen.single, self.rivals(chosen)))

    def models(self, chosen: Chosen) -> int:
        """How many trained networks an ensemble has; a member that counts nothing has none."""
        return sum(self.used[row] for row, weight in zip(chosen.rows, chosen.weights, strict=True) if weight > 0)

    def rivals(self, chosen: Chosen) -> int:
        return min(self.models(chosen), self.of.counts[chosen.single])

    def _single(self, row: int, often: Integers) -> Floats:
        """float64 [B]."""
        repeats = self.of.counts[row]
        chances, truth, train = self.chances[row, :repeats].astype(np.float64), self.of.truth, self.of.train[row]
        if self.target.of_counts:
            valid = self._of_counts(chances, often)
        else:
            images = often[:, self.of.group]
            valid = np.stack([self.target.scores(chances, truth, one) for one in images])
        worse = np.fmax if self.target.is_loss else np.fmin
        scores: Floats = worse(valid, train[:repeats]).mean(axis=1)
        return scores

    def _of_counts(self, chances: Floats, often: Integers) -> Floats:
        """float64 [B, R] of probabilities [R, N, K]: sums over each group's images, weighted group by group."""
        repeats, classes, groups = len(chances), chances.shape[-1], self.of.groups
        member = np.eye(groups)[:, self.of.group]
        lost = member @ losses(chances, self.of.truth).T
        cell = (self.of.truth * classes + chances.argmax(axis=-1)) + np.arange(repeats)[:, None] * classes**2
        counts = np.zeros((groups, repeats * classes**2))
        np.add.at(counts, (np.broadcast_to(self.of.group, cell.shape), cell), 1.0)
        images = np.maximum(often @ member.sum(axis=1), 1)[:, None]
        weighted = (often.astype(np.float64) @ counts).reshape(len(often), repeats, classes, classes)
        return self.target.of((often @ lost) / images, weighted)


def check_rule(rule: Rule, candidates: Candidates, target: Target, study: str) -> None:
    """Raise InputError where there would be one member only, and for what a way cannot do."""
    from orchestrator.ensembles.weighing.grid import check_size

    members = len(rule.rows) or min(rule.top, len(candidates.members))
    if members < 2:
        there = "1 that was named" if rule.rows else f"{members} with predictions in the study"
        raise InputError(
            f"study {study!r}: expected at least two members for an ensemble, found {there}",
            f"orch evaluate {study} also scores the ensemble of one configuration's own repeats",
        )
    if rule.combine == "votes" and target.metric == "loss":
        raise InputError(
            "--combine votes: expected a metric of predicted classes, found the loss, which votes do not have",
            "--metric balanced_accuracy, or --combine probabilities",
        )
    if rule.combine == "votes" and rule.weigh == "loss":
        raise InputError(
            "--weights loss: expected probabilities or logits to combine, found votes, which have no loss",
            "--combine probabilities",
        )
    if rule.weigh == "grid":
        check_size(members)


def all_once(candidates: Candidates) -> Integers:
    """Every group once, int64 [1, groups]."""
    return np.ones((1, candidates.groups), dtype=np.int64)


def rows_counting(chosen: Chosen) -> Sequence[int]:
    """Members that count something."""
    return [row for row, weight in zip(chosen.rows, chosen.weights, strict=True) if weight > 0]

"""When an adaptive search tries more configurations, and how many: a first wave spread over the space, then as many as
there are workers each time that half of those before have their results.

What a sampler is told of a configuration is its mean over the first blocks, once all of them have a result: at the end
of their epochs, or at the first rung where there are rungs. A repeat that diverged counts with its score at epoch 0.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.proposing.blocks import Blocks, Wanted
from orchestrator.proposing.dimensions import Dimensions
from orchestrator.proposing.proposer import Suggested, View
from orchestrator.proposing.rungs import at_rung
from orchestrator.results.goals import COSTS
from orchestrator.results.names import counted, words
from orchestrator.store.errors import InputError
from orchestrator.store.searches import Budget, SearchRecord, bases_of
from search_spaces.proposers import SAMPLERS

DEFAULT = 30
"""Configurations where the budget does not say how many."""
LEAST_WAVE = 8
MOST_NUMBERS = 6
"""Dimensions of a Gaussian process."""


def most_suggested(search: SearchRecord, budget: Budget) -> int | None:
    """How many configurations a budget lets the sampler of a search suggest; None where it has none."""
    if search.settings.get("sampler", "grid") == "grid":
        return None
    wanted = budget.suggestions or DEFAULT
    return wanted if search.distributions else min(wanted, len(search.configurations))


@dataclass(frozen=True)
class Learnt:
    """What a sampler is told: means over the first `count` blocks, with this share of their epochs."""

    blocks: Blocks
    count: int
    share: float
    least: int
    goal: str = ""
    """A second one, beside the value that selection compares."""

    def wanted(self, names: Sequence[str]) -> Wanted:
        return at_rung(self.blocks, names, self.count, self.share, self.least)

    def means(self, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
        """Of those that have all their results, one for each goal. What a repeat that diverged would have taken is not
        known: it counts as the worst."""
        told = {name: wanted for name in names if self.blocks.are_told(wanted := self.wanted([name]))}
        values = {name: [self.blocks.value(*one) for one in wanted] for name, wanted in told.items()}
        if not self.goal or not told:
            return {name: (float(np.mean(own)),) for name, own in values.items()}
        goals = np.array([[self.blocks.goal(*one) for one in wanted] for wanted in told.values()])
        worst = 0.0 if np.isnan(goals).all() else np.nanmin(goals)
        second = np.nan_to_num(goals, nan=worst).mean(axis=-1).tolist()
        return {name: (float(np.mean(values[name])), other) for name, other in zip(values, second, strict=True)}

    @property
    def words(self) -> str:
        goals = f" of the score and {COSTS.get(self.goal, words(self.goal))}" if self.goal else ""
        return f"{goals} over {counted(self.count, 'repeat')}" + (" at the first rung" if self.share < 1 else "")


class Sampling:
    """Of one search, as one decision sees it."""

    def __init__(self, view: View, sampler: str, start: tuple[Mapping[str, Any], ...], learnt: Learnt) -> None:
        """start: points to try first, by path."""
        self.view = view
        self.learnt = learnt
        self.start = start
        self.dimensions = Dimensions(view.search, view.configuration)
        self.sampler = self._settled(sampler)
        self.suggested = [Suggested(view.configuration(n), base) for n, base in bases_of(view.decisions).items()]
        self.names = [one.configuration.id for one in self.suggested]

    @property
    def most(self) -> int:
        """Configurations that the budget allows."""
        return most_suggested(self.view.search, self.view.budget) or 0

    @property
    def at_once(self) -> bool:
        """Whether it hangs on no results."""
        return self.sampler == "random"

    def next(self) -> tuple[list[Suggested], str]:
        """What to try now, with the reason; nothing where results are waited for or the budget has been used."""
        means = self.learnt.means(self.names)
        left, waiting = self.most - len(self.names), len(self.names) - len(means)
        if left <= 0:
            return [], ""
        if not self.names:
            return self._first(left)
        batch = max(self.view.workers, 2)
        size = left if self.at_once else min(left, batch)
        if not self.at_once and waiting > batch // 2:
            return [], ""
        suggested = self._asked(self.sampler if means else "random", means, size)
        return suggested, (
            f"{self.sampler}: {counted(len(suggested), 'configuration')} more, by the means of {len(means)}"
            f"{self.learnt.words}"
        )

    def _first(self, most: int) -> tuple[list[Suggested], str]:
        given = [self.dimensions.like(point) for point in self.start]
        given = list({one.configuration.id: one for one in given}.values())[:most]
        wave = max(LEAST_WAVE, 2 ** math.ceil(math.log2(2 * max(1, len(self.dimensions.every)))))
        size = most if self.at_once else min(most, max(wave, len(given)))
        self.suggested = given
        points = [*given, *(self._asked("random", {}, size - len(given)) if size > len(given) else [])]
        told = f", {len(given)} of them given" if given else ""
        return points, f"{self.sampler}: {counted(len(points), 'configuration')} spread over the space{told}"

    def _asked(self, sampler: str, means: Mapping[str, tuple[float, ...]], count: int) -> list[Suggested]:
        from orchestrator.proposing.samplers import Seen

        seed = f"{self.view.search.seed}:{len(self.view.decisions)}"
        seen = Seen(self.dimensions, self.suggested, means, int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16))
        suggested: list[Suggested] = SAMPLERS.load(sampler)(seen, count)
        return suggested

    def _settled(self, sampler: str) -> str:
        """What `auto` stands for. Raises InputError where a Gaussian process cannot be fitted to the space."""
        names = [one.path for one in self.dimensions.every if not one.is_ordered]
        count, common = len(self.dimensions.every), self.dimensions.are_common
        fits = not names and common and 0 < count <= MOST_NUMBERS
        if sampler == "auto":
            return "gp" if fits and not self.learnt.goal else "tpe"
        if sampler == "gp" and not fits:
            described = f"{count} settings" + (f", of which {', '.join(names)} are not numbers" if names else "")
            described += "" if common else ", of which some do not matter, or were left out, in some configurations"
            raise InputError(
                f"sampler gp: expected up to {MOST_NUMBERS} settings to search, all of them numbers, found {described}",
                "Search with --sampler tpe, or fix some settings.",
            )
        return sampler

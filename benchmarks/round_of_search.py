"""One round of a comparison of searches: what a rule may train, what it pays for it, and what it chose when.

A rule is a function of a round and a generator: it trains, it chooses as often as its choice changes, and it ends where
it has nothing more to do or the budget is spent. What is best is known without noise, and only the judge sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from curves import Dimension, Floats, Points

Rule = Callable[["Round", np.random.Generator], None]


@dataclass(frozen=True)
class World:
    """What all rules of a round have in common.

    points: the configurations that are there for everybody, `truth` [configurations, epochs] their curves, `away`
    [configurations, repeats] how far their repeats lie from them, the same over all epochs. answer: curves of any other
    points of the space. deviation: of a repeat's scores about its configuration's; or `repeats`, how far those of other
    points lie from their curves, where that is known.
    """

    dimensions: tuple[Dimension, ...]
    points: Points
    truth: Floats
    away: Floats
    answer: Callable[[Points], Floats]
    deviation: float
    repeats: Callable[[Points], Floats] | None = None


class Round:
    """What one rule does in a world. Configurations are numbered: those of the world, then those that it adds."""

    def __init__(self, world: World, budget: int, seed: int) -> None:
        self.world = world
        self.budget = budget
        self.seed = seed
        self.spent = 0
        """Epochs of all repeats."""
        self.choices: list[tuple[int, int]] = []
        """(spent so far, configuration)"""
        self._curves = list(world.truth)
        self._away = [dict(enumerate(row)) for row in world.away]
        self._draw = np.random.default_rng(seed)
        self._reached: dict[tuple[int, int], int] = {}

    @property
    def given(self) -> int:
        """Configurations that are there for everybody."""
        return len(self.world.truth)

    @property
    def epochs(self) -> int:
        """Of a whole training."""
        return int(self.world.truth.shape[1])

    @property
    def is_over(self) -> bool:
        return self.spent >= self.budget

    def add(self, point: Mapping[str, float]) -> int:
        """The number of one more configuration."""
        points = {name: np.array([float(value)]) for name, value in point.items()}
        known = self.world.repeats
        self._curves.append(self.world.answer(points)[0])
        self._away.append({} if known is None else dict(enumerate(known(points)[0])))
        return len(self._curves) - 1

    def train(self, configuration: int, repeat: int, epochs: int) -> float:
        """The score of a repeat with so many epochs; what it had before is not paid again."""
        lane = configuration, repeat
        self.spent += max(0, epochs - self._reached.get(lane, 0))
        self._reached[lane] = max(epochs, self._reached.get(lane, 0))
        away = self._away[configuration]
        if repeat not in away:
            away[repeat] = float(self._draw.normal()) * self.world.deviation
        return float(self._curves[configuration][epochs - 1] + away[repeat])

    def mean(self, configuration: int, repeats: int, epochs: int) -> float:
        """Of the first so many repeats, each trained so far."""
        return float(np.mean([self.train(configuration, repeat, epochs) for repeat in range(repeats)]))

    def choose(self, configuration: int) -> None:
        """What would be taken if the search ended now."""
        self.choices.append((self.spent, configuration))

    @property
    def tried(self) -> int:
        """Configurations of which anything was trained."""
        return len({configuration for configuration, _ in self._reached})

    def repeats(self, configuration: int) -> int:
        """Of which anything was trained."""
        return sum(place == configuration for place, _ in self._reached)

    @property
    def best(self) -> float:
        """The final score, without noise, of the best configuration of which anything was trained."""
        return max(float(self._curves[configuration][-1]) for configuration, _ in self._reached)

    def chosen(self, spending: float) -> float:
        """The final score, without noise, of what it would have taken after so many epochs; before its first choice the
        first configuration, which is one at random."""
        made = [configuration for spent, configuration in self.choices if spent <= spending]
        return float(self._curves[made[-1] if made else 0][-1])

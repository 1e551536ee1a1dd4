"""What an adaptive search knows of its configurations, block by block.

A block is one repeat on one partition, numbered alike in all configurations: with k partitions block i is repeat i // k
on partition i mod k, so that blocks go through the partitions in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.proposing.proposer import Suggested, View
from orchestrator.results.names import counted
from orchestrator.store.schema import RepeatState
from orchestrator.store.searches import Told
from orchestrator.store.segments import LaneKey

Floats = NDArray[np.float64]
Wanted = list[tuple[LaneKey, int]]
"""Lanes with the epochs that each is wanted for."""


class Blocks:
    """Results by block. Values are as selection compares them: larger is better."""

    def __init__(self, view: View) -> None:
        self.partitions = view.search.partitions
        self.most = view.most
        self.count = min(repeats for repeats, _ in self.most.values()) * len(self.partitions)
        """Blocks that every configuration of the search may have."""
        self._asked = view.asked
        self._told = {(one.lane, one.epochs): one for one in view.results}
        self._ended = {one.lane: one for one in view.results if RepeatState(one.state).ended_by_itself()}

    def know(self, suggested: Iterable[Suggested]) -> None:
        """Configurations that are suggested by the decision that is being made."""
        self.most = {**self.most, **{one.configuration.id: self.most[one.base] for one in suggested}}

    @property
    def where(self) -> str:
        """What the blocks are of, and with them whatever is said by them."""
        return "on this partition" if len(self.partitions) == 1 else f"on {len(self.partitions)} partitions"

    def counted(self, number: int) -> str:
        """ "8 repeats"; over several partitions "8 blocks"."""
        return counted(number, "repeat" if len(self.partitions) == 1 else "block")

    def lane(self, configuration: str, block: int) -> LaneKey:
        repeat, partition = divmod(block, len(self.partitions))
        return LaneKey(self.partitions[partition], configuration, repeat)

    def epochs(self, configuration: str) -> int:
        """All that the budget allows."""
        return self.most[configuration][1]

    def lanes(self, configurations: Iterable[str], blocks: Iterable[int]) -> Wanted:
        """To the end of their epochs."""
        several = list(blocks)
        return [(self.lane(name, block), self.epochs(name)) for name in configurations for block in several]

    def unasked(self, wanted: Wanted) -> Wanted:
        """Those that nobody has asked so far for."""
        return [(lane, epochs) for lane, epochs in wanted if self._asked.get(lane, -1) < epochs]

    def are_told(self, wanted: Wanted) -> bool:
        return all(self._result(*one) is not None for one in wanted)

    def value(self, lane: LaneKey, epochs: int) -> float:
        """With so many epochs; of one that ended before by itself, its last. NaN where there is none."""
        result = self._result(lane, epochs)
        return float("nan") if result is None else result.value

    def goal(self, lane: LaneKey, epochs: int) -> float:
        """The second goal of a search, as `value` has the first."""
        result = self._result(lane, epochs)
        return float("nan") if result is None else result.goal

    def _result(self, lane: LaneKey, epochs: int) -> Told | None:
        return self._told.get((lane, epochs)) or self._ended.get(lane)

    def scores(self, configurations: Sequence[str], blocks: Sequence[int]) -> Floats:
        """float64 [configurations, blocks] with all epochs; NaN where there is no result."""
        rows = [[self.value(*one) for one in self.lanes([name], blocks)] for name in configurations]
        return np.array(rows, dtype=np.float64).reshape(len(configurations), len(blocks))

    def diverged(self, configurations: Sequence[str], blocks: Sequence[int]) -> NDArray[np.bool_]:
        """bool [configurations, blocks]."""
        rows = [[self._has_diverged(lane) for lane, _ in self.lanes([name], blocks)] for name in configurations]
        return np.array(rows, dtype=bool).reshape(len(configurations), len(blocks))

    def _has_diverged(self, lane: LaneKey) -> bool:
        return lane in self._ended and RepeatState(self._ended[lane].state) is RepeatState.DIVERGED

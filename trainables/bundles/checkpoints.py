"""Checkpoints that one attempt writes: when one is due, how a group is taken up again from the newest of any attempt.

Who worked on a group travels inside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.segments import Recipe
from trainables.bundles import attempts, states
from trainables.bundles.attempts import Attempt
from trainables.learning.group import Group
from trainables.learning.group_state import GroupState

WRITING_SHARE = 0.05
"""Checkpoints take at most this share of the time, unless an epoch is longer than the interval that follows."""
FIRST_WRITE_S = 0.05


@dataclass(frozen=True)
class WorkedOn:
    """Who trained a group so far: numbers of attempts and kinds of devices, each in their order.

    mixed: of each lane, whether earlier segments of it were computed otherwise than this one, or than each other.
    """

    mixed: tuple[bool, ...]
    attempts: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()

    @classmethod
    def of(cls, state: GroupState) -> WorkedOn:
        """From a checkpoint's "history". Raises DamagedRecordError."""
        try:
            meta = state.meta["history"]
            worked_on = cls(tuple(meta["mixed"]), tuple(meta["attempts"]), tuple(meta["devices"]))
        except (KeyError, TypeError) as error:
            raise DamagedRecordError(f"{state.name} does not say who trained it") from error
        if len(worked_on.mixed) != len(state.lanes):
            raise DamagedRecordError(f"{state.name} does not say of each repeat who trained it")
        return worked_on

    def and_by(self, attempt: int, device: str) -> WorkedOn:
        devices = self.devices if device in self.devices else (*self.devices, device)
        return replace(self, attempts=(*self.attempts, attempt), devices=devices)

    def is_mixed(self, lane: int) -> bool:
        return self.mixed[lane] or len(self.devices) > 1

    def as_json(self) -> dict[str, Any]:
        return {"mixed": list(self.mixed), "attempts": list(self.attempts), "devices": list(self.devices)}


class Checkpoints:
    """Of one attempt at a segment."""

    def __init__(self, attempt: Attempt, recipe: Recipe) -> None:
        self.attempt = attempt
        self.recipe = recipe
        self.written = 0
        """By this process."""
        self._write_s = FIRST_WRITE_S
        self._written_at = time.monotonic()
        self._written_epoch = recipe.segment.start

    def take_up(self, begin: Callable[[], Group]) -> tuple[Group, WorkedOn] | None:
        """A group from its own end or its furthest whole checkpoint; None where there is neither.

        A checkpoint that does not fit it is deleted.
        """
        while (state := self._furthest()) is not None:
            group = begin()
            try:
                group.load(state)
                worked_on = WorkedOn.of(state)
            except DamagedRecordError:
                self.attempt.storage.delete(state.name)
                continue
            self._written_epoch, self._written_at = group.epoch, time.monotonic()
            return group, worked_on
        return None

    def is_due(self, group: Group) -> bool:
        """Whether an epoch has ended since the last one, and enough time for the next has passed."""
        if group.epoch <= self._written_epoch:
            return False
        return time.monotonic() - self._written_at >= self._write_s / WRITING_SHARE

    def state(self, group: Group, worked_on: WorkedOn) -> GroupState:
        """The group as it is, and how it came about."""
        return group.snapshot({"history": worked_on.as_json(), "recipe": self.recipe.model_dump(mode="json")})

    def write(self, group: Group, worked_on: WorkedOn) -> None:
        """The group as it is."""
        started = time.monotonic()
        self.save(group, self.state(group, worked_on).to_bytes())
        self._write_s = self._written_at - started

    def save(self, group: Group, content: bytes) -> None:
        """Write what `state` gave."""
        self.attempt.save(content, group.epoch, group.position)
        self.written += 1
        self._written_at = time.monotonic()
        self._written_epoch = group.epoch

    def drop(self) -> None:
        """Those of all attempts."""
        attempts.drop_checkpoints(self.attempt.storage, self.attempt.segment)

    def _furthest(self) -> GroupState | None:
        storage, segment = self.attempt.storage, self.attempt.segment
        end = states.read_state(storage, segment)
        if end is not None:
            return end
        newest = attempts.newest_valid(storage, segment)
        return None if newest is None else GroupState.from_bytes(newest.content, newest.path)

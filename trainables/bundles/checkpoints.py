"""Checkpoints of the groups that one attempt trains: when one is due, written, taken up again and dropped.

They lie with the attempt; the newest whole one of any attempt at the bundle is where a group goes on. Who worked on a
group travels inside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import Recipe
from trainables.bundles import attempts
from trainables.bundles.attempts import Attempt
from trainables.learning.group import Group

WRITING_SHARE = 0.05
"""Checkpoints take at most this share of the time, unless an epoch is longer than the interval that follows."""
FIRST_WRITE_S = 0.05
KEPT_CHECKPOINT_BYTES = 4_000_000
"""A finished group's last checkpoint is kept up to this size, so that more epochs can be trained later."""


@dataclass(frozen=True)
class WorkedOn:
    """Who trained a group so far: numbers of attempts and kinds of devices, each in their order."""

    attempts: tuple[int, ...] = ()
    devices: tuple[str, ...] = ()

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> WorkedOn:
        """From a checkpoint's "history"."""
        return cls(tuple(meta["attempts"]), tuple(meta["devices"]))

    def and_by(self, attempt: int, device: str) -> WorkedOn:
        devices = self.devices if device in self.devices else (*self.devices, device)
        return WorkedOn((*self.attempts, attempt), devices)

    def as_json(self) -> dict[str, Any]:
        return {"attempts": list(self.attempts), "devices": list(self.devices)}


class Checkpoints:
    """Of one attempt at a bundle or a stack, whose groups are trained up to `epochs`, one after the other."""

    def __init__(self, attempt: Attempt, epochs: int) -> None:
        self.attempt = attempt
        self.epochs = epochs
        self.written = 0
        """By this process."""
        self._write_s = FIRST_WRITE_S
        self._written_at = time.monotonic()
        self._written_epoch = 0

    def begun_with(self, owed: Collection[int]) -> list[int] | None:
        """The repeats of the furthest group that was begun and holds one of those owed."""
        return next(
            (
                list(found.repeats)
                for found in attempts.checkpoints(self.attempt.storage, self.attempt.key)
                if found.epoch <= self.epochs and set(found.repeats) & set(owed)
            ),
            None,
        )

    def take_up(self, begin: Callable[[], Group]) -> tuple[Group, WorkedOn]:
        """A group from its furthest whole checkpoint, or as it begins; a checkpoint that does not fit it is deleted."""
        storage, key = self.attempt.storage, self.attempt.key
        group, worked_on = begin(), WorkedOn()
        while (found := attempts.newest_valid(storage, key, group.repeats, self.epochs)) is not None:
            try:
                worked_on = WorkedOn.of(group.load(found.content, found.path)["history"])
                break
            except DamagedRecordError:
                storage.delete(found.path)
                group = begin()
        self._written_epoch, self._written_at = group.epoch, time.monotonic()
        return group, worked_on

    def is_due(self, group: Group) -> bool:
        """Whether an epoch has ended since the last one, and enough time for the next has passed."""
        if group.epoch <= self._written_epoch:
            return False
        return time.monotonic() - self._written_at >= self._write_s / WRITING_SHARE

    def write(self, group: Group, worked_on: WorkedOn, recipe: Recipe) -> int:
        """The group as it is; returns the bytes that it takes."""
        started = time.monotonic()
        content = group.to_bytes({"history": worked_on.as_json(), "recipe": recipe.model_dump(mode="json")})
        self.attempt.save(content, group.repeats, group.epoch, group.position)
        self.written += 1
        self._written_at = time.monotonic()
        self._write_s = self._written_at - started
        self._written_epoch = group.epoch
        return len(content)

    def drop(self, group: Group, *, keeps_last: bool) -> None:
        """Those of a finished group, of all attempts, but the last whole one where it is to be kept."""
        storage, key = self.attempt.storage, self.attempt.key
        last = attempts.newest_valid(storage, key, group.repeats, self.epochs) if keeps_last else None
        attempts.drop_checkpoints(storage, key, group.repeats, self.epochs, last.path if last else None)

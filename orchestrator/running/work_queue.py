"""What is handed out next: stacks that are owed, ready and not leased by somebody else. No Ray in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.running.retries import Retries, why_died
from orchestrator.running.tally import Tally
from orchestrator.store.errors import StorageError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import StaleWatch, current_lease
from orchestrator.store.storage import Storage
from trainables.bundles.failures import Kind, note_failure
from trainables.bundles.stacks import Stack
from trainables.bundles.work import Work, owed_repeats

BUSY_RETRY_S = 2.0
"""What somebody else holds is looked at again after this time."""


class Features(Protocol):
    """What the queue asks of the feature stage."""

    def is_ready(self, of: ConfigurationKey) -> bool: ...

    def error(self, of: ConfigurationKey) -> Exception | None:
        """Why they cannot be had, if they cannot."""


@dataclass(frozen=True)
class Taken:
    """A stack that goes out, with the numbers of the last leases on its bundles (0: none yet)."""

    stack: Stack
    over: tuple[int, ...]

    @property
    def key(self) -> ConfigurationKey:
        """Of its first bundle; all of a stack are served by the same features."""
        first = self.stack[0].key
        return ConfigurationKey(first.partition, first.configuration)


class WorkQueue:
    """Stacks that wait, in the order in which they go out; `divide` makes stacks of works that are owed."""

    def __init__(
        self,
        storage: Storage,
        owed: Sequence[Work],
        divide: Callable[[Sequence[Work]], list[Stack]],
        features: Features,
        tally: Tally,
    ) -> None:
        self.storage = storage
        self.features = features
        self.tally = tally
        self.errors: list[Exception] = []
        """What kept features from being computed, each once."""
        self._divide_together = divide
        self._retries = Retries(storage)
        self._watch = StaleWatch()
        self._not_before: dict[Work, float] = {}
        self._waiting = self._divide(owed)

    @property
    def waiting(self) -> tuple[Stack, ...]:
        return tuple(self._waiting)

    def take(self, fits: Callable[[Stack], bool] = lambda stack: True) -> Taken | None:
        """The next stack that can go out and fits, None where none can now; what is found finished on the way is
        dropped.

        Of a stack that others hold in part the rest goes out; what they hold waits by itself.
        """
        now = time.monotonic()
        for stack in self.waiting:
            if not fits(stack) or any(self._not_before.get(work, 0.0) > now for work in stack):
                continue
            first = stack[0].key
            key = ConfigurationKey(first.partition, first.configuration)
            error = self.features.error(key)
            if error is not None:
                self._give_up(stack, error)
            elif self.features.is_ready(key) and (taken := self._free_part(stack, now)) is not None:
                return taken
        return None

    def ended(self, taken: Taken, outcome: str, failure: Kind | None = None) -> None:
        """What becomes of a stack that comes back: "finished", "failed", "superseded", "busy", "stopped" or "died"."""
        left = [work for work in taken.stack if owed_repeats(self.storage, work)]
        self.tally.finished += len(taken.stack) - len(left)
        if outcome == "died":
            failure = why_died(self.storage, dict(zip(taken.stack, taken.over, strict=True)))
        if failure is not None:
            again = self._retries.again(left, failure)
            self.tally.failed += len(left) - len(again)
            left = again
        else:  # the rest of it is held by others, or goes on in smaller stacks
            pause = BUSY_RETRY_S if outcome != "superseded" else 0.0
            self._not_before |= dict.fromkeys(left, time.monotonic() + pause)
        self._waiting += self._divide(left)

    def _free_part(self, stack: Stack, now: float) -> Taken | None:
        """What of a stack is owed and free leaves the queue; what is owed and held stays."""
        owed = tuple(work for work in stack if owed_repeats(self.storage, work))
        self.tally.finished += len(stack) - len(owed)
        leases = {work: current_lease(self.storage, work.key) for work in owed}
        free = tuple(work for work in owed if self._watch.is_free(work.key, leases[work]))
        held = tuple(work for work in owed if work not in free)
        self._not_before |= dict.fromkeys(held, now + BUSY_RETRY_S)
        place = self._waiting.index(stack)
        self._waiting[place : place + 1] = [held] if held else []
        if not free:
            return None
        return Taken(free, tuple(lease.number if (lease := leases[work]) else 0 for work in free))

    def _give_up(self, stack: Stack, error: Exception) -> None:
        """Its features cannot be had: keep the cause in the study, go on with the others."""
        self._waiting.remove(stack)
        self.tally.failed += len(stack)
        if error not in self.errors:
            self.errors.append(error)
        for work in stack:
            with contextlib.suppress(StorageError):
                note_failure(self.storage, work.key, error, Kind.FEATURES, work.repeats)

    def _divide(self, owed: Sequence[Work]) -> list[Stack]:
        """What failed in a stack goes by itself."""
        alone: list[Stack] = [(work,) for work in owed if self._retries.is_alone(work)]
        return self._divide_together([work for work in owed if not self._retries.is_alone(work)]) + alone

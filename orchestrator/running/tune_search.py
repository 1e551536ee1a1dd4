"""The queue as Ray Tune meets it: a searcher that hands segments out, and a callback that tells how far they are.

Nothing of Tune's own experiment state is used: both pickle as nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from ray.tune import Callback
from ray.tune.search import Searcher

from orchestrator.running.decider import WAIT_S
from orchestrator.running.interruption import Interruption
from orchestrator.running.tally import Tally
from orchestrator.running.work_queue import Taken, WorkQueue
from orchestrator.store.segments import Segment
from trainables.bundles.failures import Kind


class OwedWork(Searcher):
    """Gives each free worker what is next in the queue."""

    def __init__(
        self,
        queue: WorkQueue,
        interruption: Interruption,
        workers: Callable[[float], int],
        poll: Callable[[float], bool],
        assign: Callable[[Taken], dict[str, Any]],
        share_of: Callable[[Segment], float] = lambda segment: 0.0,
    ) -> None:
        """workers: how many trials of a share of a GPU there is room for; nodes of a cluster come and go while it runs.

        poll: called before each look at the queue; with a number of seconds it waits so long for a decision that is
        being made, and says whether there may be more work. share_of: the part of a GPU that a segment needs; those of
        one share go out in one wave, for Tune gives all trials of a run the same, and a large one would else make many
        small ones wait.
        """
        super().__init__()
        self.queue = queue
        self.interruption = interruption
        self._workers = workers
        self._poll = poll
        self._assign = assign
        self._next: Taken | None = None
        self._in_hand: dict[str, Taken] = {}
        self._share_of = share_of
        self._share: float | None = None

    @contextlib.contextmanager
    def wave(self) -> Iterator[float]:
        """From here on only what needs the same share as what `take_next` found; gives that share."""
        assert self._next is not None
        self._share = self._share_of(self._next.segments[0])
        try:
            yield self._share
        finally:
            self._share = None

    def suggest(self, trial_id: str) -> Any:
        if self.interruption.is_raised:
            return Searcher.FINISHED
        self._poll(0.0)
        if len(self._in_hand) >= self._workers(self._share or 0.0):
            return None
        if not self.take_next() and not (self._poll(WAIT_S) and self.take_next()):
            # With nothing in hand Tune would block, its idle actors keeping the cores that features need: end the wave
            return None if self._in_hand else Searcher.FINISHED
        taken, self._next = self._next, None
        assert taken is not None
        self._in_hand[trial_id] = taken
        return self._assign(taken)

    def take_next(self) -> bool:
        """Whether something can be handed out now: it is taken, and the next trial gets it."""
        share = self._share
        self._next = self._next or self.queue.take(lambda one: share is None or self._share_of(one) == share)
        return self._next is not None

    @property
    def is_done(self) -> bool:
        """Whether nothing waits to be handed out."""
        return self._next is None and not self.queue.waiting and not self._in_hand

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """True: the limit is the searcher's own, what Tune is told only bounds it."""
        return True

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        taken = self._in_hand.pop(trial_id, None)
        if taken is None:
            return
        told = {"outcome": "died"} if error or result is None else result
        outcome = str(told.get("outcome") or "stopped")
        self.queue.tally.ended(taken.segments[0].id)
        if outcome == "stopped" and self.interruption.is_raised:
            return
        failure = Kind(told["failure"]) if outcome == "failed" else None
        self.queue.ended(taken, outcome, failure, int(told.get("at") or 0))

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts for a restore that is never used here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state."""


class Watcher(Callback):
    """Feeds the tally and the display, and raises the trials' flag when a signal came."""

    def __init__(self, tally: Tally, interruption: Interruption, flag: Any, on_beat: Callable[[], None]) -> None:
        self.tally = tally
        self.interruption = interruption
        self.flag = flag
        self.on_beat = on_beat
        self.told = False

    def __getstate__(self) -> dict[str, Any]:
        """As above."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.interruption.is_raised and not self.told:
            self.told = True
            self.flag.raise_it.remote()
        self.on_beat()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.tally.running[result["segment"]] = int(result["epochs_total"])

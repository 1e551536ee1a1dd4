"""The thin adapter between segments and Ray Tune: a trial is a stack, or lanes in turn; actors are reused for the next.

A process loads torch with its first segment, not with this file.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.tune import Trainable

from orchestrator.store.errors import OrchError
from orchestrator.store.leases import Driver, Lease, kept_alive
from orchestrator.store.segments import Segment
from trainables.bundles.failures import Kind, SupersededError, kind_of, note_failure
from trainables.bundles.states import is_over
from trainables.chunks import workbench
from trainables.machine.devices import device_name
from trainables.machine.orphaned import end_with_parent
from trainables.machine.places import Places
from trainables.machine.watchdog import Watchdog

if TYPE_CHECKING:
    from trainables.bundles.segment_run import SegmentRun
    from trainables.bundles.workbench import Workbench

REPORT_EVERY_S = 1.0


@dataclass(frozen=True)
class Assignment:
    """What a trial is told: segments that it trains one after the other; several are single lanes in their turn.

    over: numbers of the leases that the driver saw as free (0: none yet). layer: where the frozen part of fresh ones
    ends. keeps: bytes per lane that an end state may take to be kept. restores: they are trained for their end states,
    although nothing may be owed. driver: who hands them out.
    """

    study: str
    places: Places
    segments: tuple[Segment, ...]
    over: tuple[int, ...]
    layer: str = ""
    keeps: int = 0
    restores: bool = False
    driver: Driver | None = None


def begin_run(bench: Workbench, segment: Segment, lease: Lease, assignment: Assignment) -> SegmentRun:
    from trainables.bundles.segment_run import SegmentRun

    told = assignment
    return SegmentRun.begin(bench, segment, lease, told.layer, keeps=told.keeps, restores=told.restores)


class SegmentTrial(Trainable):
    """Trains its segments in steps of about a second. Every failure is kept in the study; none reaches Ray.

    Where training hangs, the process ends: Ray sees it die, the study says why.
    """

    outcome: str
    kind: Kind | None
    """Of a failure."""
    at: int
    """Place of the segment under way."""
    run: SegmentRun | None
    watchdog: Watchdog | None

    def setup(self, config: dict[str, Any]) -> None:
        end_with_parent()
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """outcome: "" while it goes on, then "finished", "failed", "superseded", "stopped" or, where all that is owed
        is held by others, "busy". at: place of the segment under way, or of the one that the outcome is of."""
        if self.outcome == "" and self._is_stopped():
            self._stop()
        deadline = time.monotonic() + REPORT_EVERY_S
        while self.outcome == "":
            if self.run is None:
                self._open()
            else:
                self._advance(self.run, max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                break
        return {
            "done": self.outcome != "",
            "outcome": self.outcome,
            "failure": str(self.kind or ""),
            "epochs_total": self._epochs + (self.run.epochs_trained if self.run is not None else 0),
            "segment": self.assignment.segments[0].id,
            "at": self.at,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: checkpoints lie in the study."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: as above."""

    def cleanup(self) -> None:
        if self.outcome == "":
            self._stop()

    def _begin(self, config: dict[str, Any]) -> None:
        self.assignment: Assignment = config["assignment"]
        self.flag = config["flag"]
        self.run = None
        self.watchdog = None
        self.outcome = ""
        self.kind = None
        self.at = 0
        self._epochs = 0
        self._held_by_others = self._trained = 0

    def _open(self) -> None:
        """Take the lease of the next segment as the first act on it, unless it is done or somebody else's."""
        told = self.assignment
        if self.at == len(told.segments):
            self.at -= 1
            self.outcome = "busy" if self._held_by_others and not self._trained else "finished"
            return
        bench, segment = workbench(told.study, told.places), told.segments[self.at]
        if is_over(bench.storage, segment, restores=told.restores):
            self.at += 1
            return
        says = device_name(bench.device), told.driver, str(ray.get_runtime_context().get_node_id())
        lease = Lease.take(bench.storage, segment.folder, told.over[self.at], *says)
        if lease is None:
            self._held_by_others += 1
            self.at += 1
            return
        try:
            with kept_alive([lease]):
                self.run = begin_run(bench, segment, lease, told)
            self.watchdog = Watchdog(self._steps, self.run.hang)
        except SupersededError:
            self.outcome = "superseded"
        except Exception as error:
            self.outcome, self.kind = "failed", kind_of(error)
            with contextlib.suppress(OrchError):
                note_failure(bench.storage, segment, error, self.kind, lease=lease.number)
                lease.release()

    def _advance(self, run: SegmentRun, seconds: float) -> None:
        try:
            watched = self.watchdog.watching() if self.watchdog else contextlib.nullcontext()
            with kept_alive([run.lease]), watched:
                is_over = run.advance(seconds)
        except SupersededError:
            self.outcome = "superseded"
        except Exception as error:
            self.outcome, self.kind = "failed", run.fail(error)
        else:
            if is_over:
                self._epochs += run.epochs_trained
                self._trained += 1
                self.run = None
                self.at += 1

    def _stop(self) -> None:
        self.outcome = "stopped"
        if self.run is None:
            return
        try:
            self.run.stop()
        except Exception as error:
            self.outcome, self.kind = "failed", self.run.fail(error)

    def _is_stopped(self) -> bool:
        """Whether the driver says so, or is gone; with its node the flag is gone too."""
        try:
            return bool(ray.get(self.flag.is_raised.remote()))
        except ray.exceptions.RayActorError:
            return True

    def _steps(self) -> int:
        return self.run.steps if self.run is not None else 0

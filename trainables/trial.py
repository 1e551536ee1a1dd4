"""The thin adapter between bundles and Ray Tune: a trial is one bundle or a stack; actors are reused for the next.

A process loads torch with its first bundle or chunk, not with this file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import ray
from ray.tune import Trainable

from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import OrchError
from orchestrator.store.leases import Lease, kept_alive
from orchestrator.store.open import open_storage
from trainables.bundles.failures import Kind, SupersededError, kind_of, note_failure
from trainables.bundles.work import Work, owed_repeats
from trainables.machine.devices import device_name
from trainables.machine.orphaned import end_with_parent
from trainables.machine.places import Places
from trainables.machine.watchdog import Watchdog

if TYPE_CHECKING:
    import torch

    from trainables.bundles.bundle import BundleRun
    from trainables.bundles.workbench import Workbench

REPORT_EVERY_S = 1.0


class _Kept(NamedTuple):
    """This process's workbench, and what it was opened for."""

    study: str
    places: Places
    bench: Workbench


_kept: _Kept | None = None


@dataclass(frozen=True)
class Assignment:
    """What a trial is told; `over` are the numbers of the leases that the driver saw as free (0: none yet)."""

    study: str
    places: Places
    works: tuple[Work, ...]
    over: tuple[int, ...]
    layer: str = ""


def device_here() -> torch.device:
    """The GPU that Ray gave this process, else the CPU."""
    import torch

    return torch.device("cuda", 0) if torch.cuda.is_available() and ray.get_gpu_ids() else torch.device("cpu")


def workbench(study: str, places: Places) -> Workbench:
    """This process's workbench; kept between trials and tasks of the same study."""
    global _kept
    from trainables.bundles.workbench import open_bench

    if _kept is None or (_kept.study, _kept.places) != (study, places):
        _kept = _Kept(study, places, open_bench(open_storage(study), places, device_here()))
    return _kept.bench


def begin_run(bench: Workbench, works: Sequence[Work], leases: Sequence[Lease], layer: str) -> BundleRun:
    from trainables.bundles.bundle import BundleRun

    return BundleRun.begin(bench, works, leases, layer)


class BundleTrial(Trainable):
    """Trains its bundles in steps of about a second. Every failure is kept in the study; none reaches Ray.

    Where training hangs, the process ends: Ray sees it die, the study says why.
    """

    outcome: str
    kind: Kind | None
    """Of a failure."""
    run: BundleRun | None
    watchdog: Watchdog | None

    def setup(self, config: dict[str, Any]) -> None:
        end_with_parent()
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        if self.run is None and self.outcome == "":
            self._open()
        if self.run is not None and self.outcome == "":
            self._advance(self.run)
        epochs = self.run.epochs_trained if self.run is not None else 0
        return {
            "done": self.outcome != "",
            "outcome": self.outcome,
            "failure": str(self.kind or ""),
            "epochs_total": epochs,
            "bundle": self.bundle,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a bundle's checkpoints lie in the study."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: as above."""

    def cleanup(self) -> None:
        if self.run is not None and self.outcome == "":
            self.outcome = "stopped"
            self.run.stop()

    def _begin(self, config: dict[str, Any]) -> None:
        self.assignment: Assignment = config["assignment"]
        self.flag = config["flag"]
        self.bundle = str(self.assignment.works[0].key)
        self.run = None
        self.watchdog = None
        self.outcome = ""
        self.kind = None

    def _open(self) -> None:
        """Take the leases as the first act; bundles that somebody else holds or finished are left out."""
        bench = workbench(self.assignment.study, self.assignment.places)
        device = device_name(bench.device)
        assigned = zip(self.assignment.works, self.assignment.over, strict=True)
        owed = [(work, over) for work, over in assigned if owed_repeats(bench.storage, work)]
        taken = concurrently(lambda one: Lease.take(bench.storage, one[0].key, one[1], device), owed)
        held = [(work, lease) for (work, _), lease in zip(owed, taken, strict=True) if lease is not None]
        if not held:
            self.outcome = "busy" if owed else "finished"
            return
        works, leases = [work for work, _ in held], [lease for _, lease in held]
        try:
            with kept_alive(leases):
                self.run = begin_run(bench, works, leases, self.assignment.layer)
            self.watchdog = Watchdog(self._steps, self.run.hang)
        except SupersededError:
            self.outcome = "superseded"
        except Exception as error:
            self.outcome, self.kind = "failed", kind_of(error)
            for work, lease in held:
                with contextlib.suppress(OrchError):
                    note_failure(bench.storage, work.key, error, self.kind, work.repeats, lease=lease.number)
                    lease.release({}, work.epochs)

    def _advance(self, run: BundleRun) -> None:
        try:
            if self._is_stopped():
                run.stop()
                self.outcome = "stopped"
                return
            watched = self.watchdog.watching() if self.watchdog else contextlib.nullcontext()
            with kept_alive(run.leases), watched:
                if run.advance(REPORT_EVERY_S):
                    self.outcome = "finished"
        except SupersededError:
            self.outcome = "superseded"
        except Exception as error:
            self.outcome, self.kind = "failed", run.fail(error)

    def _is_stopped(self) -> bool:
        """Whether the driver says so, or is gone; with its node the flag is gone too."""
        try:
            return bool(ray.get(self.flag.is_raised.remote()))
        except ray.exceptions.RayActorError:
            return True

    def _steps(self) -> int:
        return self.run.steps if self.run is not None else 0


def _feature_chunk(study: str, places: Places, wanted: Sequence[tuple[str, str]], partition: str, chunk: int) -> None:
    """One chunk of features on this process's device, for all (configuration, layer) wanted at once."""
    end_with_parent()
    bench = workbench(study, places)
    frozen = [bench.frozen_ready(bench.configuration(name), partition, layer) for name, layer in wanted]
    bench.compute(frozen, chunk)
    if bench.device.type == "cuda":
        import torch

        torch.cuda.empty_cache()  # an idle worker would keep from trials what its batches took


def _pixel_chunk(study: str, places: Places, configuration_id: str, partition: str, chunk: int) -> None:
    """One chunk of decoded images."""
    end_with_parent()
    bench = workbench(study, places)
    bench.write_pixels(bench.configuration(configuration_id), partition, chunk, threads=1)


feature_task = ray.remote(max_retries=2)(_feature_chunk)
pixel_task = ray.remote(max_retries=2)(_pixel_chunk)

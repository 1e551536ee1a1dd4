"""The harness's one contact with the learning code: a driver without Ray that leases and trains what is owed.

A job runs in a process of its own (see `nursery`) and notes every training step in `log` (see `noting`).
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from orchestrator.results.histories import compact
from orchestrator.running.interruption import Interruption
from orchestrator.store import layout, leases
from orchestrator.store.errors import StorageError
from orchestrator.store.leases import Lease, StaleWatch, current_lease
from orchestrator.store.schema import Request, RequestItem
from orchestrator.store.storage import LocalStorage, Storage
from tests.faults.noting import note_steps
from tests.support.tiny_study import TinyStudy
from trainables.bundles import checkpoints
from trainables.bundles.bundle import BundleRun
from trainables.bundles.failures import SupersededError
from trainables.bundles.work import Work, owed_repeats
from trainables.bundles.workbench import Workbench
from trainables.learning.learner import Learner

EPOCHS = 4
REPEATS = (0, 1, 2)
SETTINGS: tuple[dict[str, Any], ...] = (
    {"lr": 0.3, "non_linearities": 1, "dropout": 0.4, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9},
)
STORAGE_REFUSED = 3
"""Exit status of a job that ended because the storage refused, having said so."""

Fault = Callable[[], None]


@dataclass(frozen=True)
class HarmedStudy(TinyStudy):
    """A tiny study whose storage is wrapped by `harm`."""

    harm: Callable[[Storage], Storage] | None = None

    @property
    def storage(self) -> Any:
        plain = LocalStorage(self.folder)
        return self.harm(plain) if self.harm else plain


@dataclass(frozen=True)
class Job:
    """What one process does. `fault` is called in it before it starts."""

    study: TinyStudy
    log: Path
    epochs: int = EPOCHS
    repeats: tuple[int, ...] = REPEATS
    configurations: tuple[dict[str, Any], ...] = SETTINGS
    pause: float = 0.0
    """Seconds that every training step takes longer."""
    stale_after_s: float = 60.0
    renew_every_s: float = 5.0
    fault: Fault | None = None

    @property
    def lane_steps(self) -> int:
        """Steps of an unbroken run, counted once for every repeat."""
        return self.epochs * len(self.repeats) * len(self.configurations) * self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        training, batch = 25, 8  # images of tiny_study's classes "few" and "many"; batch size of its configurations
        return -(-training // batch)

    def run(self) -> int:
        """Ask, then lease and train until nothing is owed, then compact; the exit status."""
        torch.set_num_threads(1)
        checkpoints.WRITING_SHARE = 1.0
        leases.RENEW_EVERY_S = self.renew_every_s
        note_steps(Learner, self.log, self.pause)
        if self.fault:
            self.fault()
        try:
            with Interruption() as interruption:
                self._run(interruption)
        except StorageError as error:
            print(error, file=sys.stderr)
            return STORAGE_REFUSED
        return interruption.exit_status if interruption.is_raised else 0

    def _run(self, interruption: Interruption) -> None:
        storage = self.study.storage
        works = self._asked(storage)
        compact(storage)  # as every search does first: final records that cannot be read are set aside
        bench, watch = Workbench(storage, self.study.places, torch.device("cpu")), StaleWatch(self.stale_after_s)
        while owed := [work for work in works if owed_repeats(storage, work)]:
            tried = [self._train(bench, watch, work, interruption) for work in owed]
            if interruption.is_raised:
                return
            if not any(tried):
                time.sleep(0.02)
        compact(storage)

    def _asked(self, storage: Storage) -> list[Work]:
        found = [self.study.configuration(**settings) for settings in self.configurations]
        items = tuple(
            RequestItem(configuration=configuration.id, repeats=max(self.repeats) + 1, epochs=self.epochs)
            for configuration in found
        )
        request = Request(partitions=(self.study.partition,), items=items)
        storage.create(layout.request(request.id), request.to_toml())
        return [Work(self.study.key(configuration), self.repeats, self.epochs) for configuration in found]

    def _train(self, bench: Workbench, watch: StaleWatch, work: Work, interruption: Interruption) -> bool:
        """Train one bundle if nobody else holds it, or a part of it until a signal; whether it was tried."""
        lease = current_lease(bench.storage, work.key)
        if interruption.is_raised or not watch.is_free(work.key, lease):
            return False
        taken = Lease.take(bench.storage, work.key, lease.number if lease else 0, "cpu")
        if taken is None:
            return False
        with contextlib.suppress(SupersededError):
            run = BundleRun.begin(bench, [work], [taken])
            while not run.advance(0.0):
                if interruption.is_raised:
                    run.stop()
                    break
        return True

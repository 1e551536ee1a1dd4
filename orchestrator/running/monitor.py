"""What a search shows while it trains: how far it is, from final records and leases, and the page now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.results.names import names_of
from orchestrator.running.progress import Display, Row, Snapshot
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import current_lease
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from trainables.bundles.work import Work, owed_repeats

REWRITE_EVERY_S = 60.0
"""How often the dashboard is written while a search runs."""


@dataclass(frozen=True)
class Training:
    """What is watched. epochs: asked of each repeat, finished ones included; work: what of it was owed at the start."""

    name: str
    storage: Storage
    configurations: Mapping[str, Configuration]
    epochs: Mapping[ConfigurationKey, Sequence[int]]
    work: Sequence[Work]


class Monitor:
    """Makes snapshots for the display and has the dashboard rewritten now and then."""

    def __init__(self, training: Training, display: Display, rewrite: Callable[[], object]) -> None:
        self.training = training
        self.display = display
        self.rewrite = rewrite
        self._rewritten = time.monotonic()
        self._told = False
        self._finished: set[Work] = set()
        self._names = names_of(training.configurations.values())
        asked = [epochs for every in training.epochs.values() for epochs in every]
        self._repeats_before = len(asked) - sum(len(work.repeats) for work in training.work)
        self._epochs_before = sum(asked) - sum(len(work.repeats) * work.epochs for work in training.work)

    def beat(self, rate: float, failed: int, preparing: str) -> None:
        if self.display.is_due():
            self.display.show(self.snapshot(rate, failed, preparing))
        if time.monotonic() - self._rewritten >= REWRITE_EVERY_S:
            self._rewritten = time.monotonic()
            self._rewrite()

    def _rewrite(self) -> None:
        """A page that cannot be drawn or written must not end the training; its own command will say why."""
        try:
            self.rewrite()
        except Exception as error:
            if not self._told:
                self.display.say(f"The dashboard could not be written ({error}); the search goes on.")
            self._told = True

    def snapshot(self, rate: float, failed: int, preparing: str) -> Snapshot:
        storage = self.training.storage
        rows: list[Row] = []
        epochs_done = repeats_done = 0
        for work in self.training.work:
            left = [] if work in self._finished else owed_repeats(storage, work)
            if not left:
                self._finished.add(work)
            done = len(work.repeats) - len(left)
            trained, is_under_way = self._trained(work, left)
            repeats_done += done
            epochs_done += done * work.epochs + sum(trained.values())
            if trained and is_under_way:
                epoch = f"{min(trained.values())}/{work.epochs}"
                rows.append(Row(self._names[work.key.configuration], done, len(work.repeats), epoch))
        return Snapshot(
            act=self.training.name,
            epochs_done=self._epochs_before + epochs_done,
            epochs_asked=self._epochs_before + sum(len(work.repeats) * work.epochs for work in self.training.work),
            repeats_done=self._repeats_before + repeats_done,
            repeats_asked=self._repeats_before + sum(len(work.repeats) for work in self.training.work),
            epochs_per_second=rate,
            failed=failed,
            preparing=preparing,
            rows=rows,
        )

    def _trained(self, work: Work, left: Sequence[int]) -> tuple[dict[int, int], bool]:
        """Epochs so far of the repeats that are left, from the newest lease, and whether they are under way."""
        lease = current_lease(self.training.storage, work.key) if left else None
        if lease is None:
            return {}, False
        done = lease.content.get("done") or {}
        reached = {repeat: min(int(done[str(repeat)]), work.epochs) for repeat in left if str(repeat) in done}
        return reached, not lease.is_released

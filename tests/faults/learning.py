"""The harness's one contact with the product: a driver without Ray that asks, decides, and trains what was decided.

It hands out what the product's own decider and queue say, and trains it as a trial does. A job runs in a process of its
own (see `nursery`) and notes every training step in `log` (see `noting`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from orchestrator.proposing.deciding import Machine
from orchestrator.results.decided import Decided
from orchestrator.results.histories import compact
from orchestrator.running import decider as deciding
from orchestrator.running import work_queue
from orchestrator.running.decider import Decider
from orchestrator.running.interruption import Interruption
from orchestrator.running.tally import Tally
from orchestrator.running.work_queue import Taken, WorkQueue
from orchestrator.store import leases
from orchestrator.store.errors import StorageError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import Lease
from orchestrator.store.place import Place
from orchestrator.store.schema import StudyRecord
from orchestrator.store.searches import SearchRecord, Stack, search_file
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage, Storage
from orchestrator.study.studies import Study, raise_budget, write_search
from tests.faults.lanes import LANES, PLAIN
from tests.faults.noting import note_steps
from tests.support.tiny_study import KEEPS, TinyStudy
from trainables.bundles import checkpoints
from trainables.bundles.failures import SupersededError
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.states import is_over
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.learner import Learner

STORAGE_REFUSED = 3
"""Exit status of a job that ended because the storage refused, having said so."""
EVERY_EPOCH = 1e9
"""Share of the time that checkpoints may take: each epoch is followed by one."""
LOOK_EVERY_S = 0.05
"""In place of the product's seconds: how often a driver looks for what others have decided or given back."""

Fault = Callable[[], None]


@dataclass(frozen=True)
class Command:
    """So many repeats and epochs of every configuration."""

    repeats: int
    epochs: int


COMMANDS = (Command(3, 2), Command(3, 4))
"""The second goes on where the first has ended."""


@dataclass(frozen=True)
class HarmedStudy(TinyStudy):
    """A tiny study whose storage is wrapped by `harm`."""

    harm: Callable[[Storage], Storage] | None = None

    @property
    def storage(self) -> Any:
        plain = LocalStorage(self.folder)
        return self.harm(plain) if self.harm else plain


class Ready:
    """A feature stage where everything is there, or is made by whoever needs it."""

    def add(self, wanted: Iterable[ConfigurationKey]) -> None: ...

    def error(self, of: ConfigurationKey) -> None: ...

    def is_ready(self, of: ConfigurationKey) -> bool:
        return True


@dataclass(frozen=True)
class Job:
    """What one process does. `fault` is called in it before it starts."""

    study: HarmedStudy
    log: Path
    commands: tuple[Command, ...] = COMMANDS
    lanes: str = PLAIN
    """Their name among LANES."""
    keeps: int = KEEPS
    """Bytes per lane that an end state may take."""
    most_lanes: int | None = None
    """Of a segment that fits in memory."""
    pause: float = 0.0
    """Seconds that every training step takes longer."""
    stale_after_s: float = 60.0
    renew_every_s: float = 5.0
    fault: Fault | None = None

    def run(self) -> int:
        """Obey the commands, then compact; the exit status."""
        torch.set_num_threads(1)
        checkpoints.WRITING_SHARE = EVERY_EPOCH
        leases.RENEW_EVERY_S = self.renew_every_s
        deciding.LOOK_EVERY_S = work_queue.BUSY_RETRY_S = LOOK_EVERY_S
        note_steps(Learner, self.log, self.pause)
        if self.most_lanes is not None:
            _run_out_of_memory(beyond=self.most_lanes)
        if self.fault:
            self.fault()
        try:
            with Interruption() as interruption:
                for command in self.commands:
                    self._obey(command, interruption)
                    if interruption.is_raised:
                        return interruption.exit_status
                compact(self.study.storage)
        except StorageError as error:
            print(error, file=sys.stderr)
            return STORAGE_REFUSED
        return 0

    def _obey(self, command: Command, interruption: Interruption) -> None:
        """Ask, then train what is decided until nothing is left, as `orch search` does."""
        storage = self.study.storage
        search, budget = self._asked(storage, command)
        compact(storage)  # as every search does first: final records that cannot be read are set aside
        bench, dividing = self._bench(storage), self._bench(storage)
        for name in search.configurations:
            bench.facts(bench.configuration(name))
        bench.keep_facts()
        machine = Machine(1, "cpu", lambda wanted: divided(dividing, wanted))
        tally, told = Tally(), 0
        queue = WorkQueue(storage, Ready(), tally, lambda: 1, configurations=bench.configuration)
        keys = {ConfigurationKey(self.study.partition, name) for name in search.configurations}
        with Decider(Decided.of(storage, [search_file(search.id), budget]), [search.id], keys, machine) as decider:
            decider._watch.stale_after_s = queue._watch.stale_after_s = self.stale_after_s
            while not interruption.is_raised:
                if tally.finished != told:  # here or by others
                    told = tally.finished
                    decider.notice()
                if decider.poll():
                    queue.know(decider.said.every)
                    queue.add(decider.said.segments)
                taken = queue.take()
                if taken is not None:
                    outcome, at = self._train(bench, taken, interruption)
                    queue.ended(taken, outcome, at=at)
                elif not queue.waiting and not decider.is_open and tally.finished == told:
                    break
                else:
                    time.sleep(0.01)

    def _bench(self, storage: Storage) -> Workbench:
        return Workbench(storage, self.study.places, torch.device("cpu"))

    def _asked(self, storage: Storage, command: Command) -> tuple[SearchRecord, str]:
        """The search, and the path of its budget, which allows what the command says."""
        lanes = LANES[self.lanes]
        names = tuple(one.id for one in lanes.stored(self.study))
        search = SearchRecord(
            proposer=lanes.proposer,
            settings=lanes.rules,
            partitions=(self.study.partition,),
            configurations=names,
        )
        write_search(Study(Place.of(self.study.folder), storage, study_record(self.study)), search)
        allowed = dict.fromkeys(names, (command.repeats, command.epochs))
        return search, raise_budget(storage, search.id, allowed, "")

    def _train(self, bench: Workbench, taken: Taken, interruption: Interruption) -> tuple[str, int]:
        """As a trial does, whose outcome it is, and the place of the segment that it is of."""
        is_held = False
        for at, (segment, over) in enumerate(zip(taken.segments, taken.over, strict=True)):
            if is_over(bench.storage, segment, restores=taken.restores):
                continue
            lease = Lease.take(bench.storage, segment.folder, over, "cpu")
            if lease is None:
                is_held = True
                continue
            try:
                run = SegmentRun.begin(bench, segment, lease, keeps=self.keeps, restores=taken.restores)
                while not run.advance(0.0):
                    if interruption.is_raised:
                        run.stop()
                        return "stopped", at
            except SupersededError:
                return "superseded", at
        return "busy" if is_held else "finished", len(taken.segments) - 1


def study_record(study: TinyStudy) -> StudyRecord:
    return StudyRecord(
        name="tiny", task="binary", classes=study.classes, precision="fp32", group_meaning="column group",
        data_fingerprint=study.fingerprint, test_fingerprint="0" * 64, partition=study.partition, created="2026-01-01",
        versions={"python": "3.11"},
    )  # fmt: skip


def divided(bench: Workbench, wanted: Sequence[Segment]) -> list[Stack]:
    """What begins from nothing each by itself, what goes on in stacks: lanes of several segments come together."""
    fresh, more = [one for one in wanted if not one.start], [one for one in wanted if one.start]
    return [*divide_into_stacks(bench, fresh, len(fresh)), *divide_into_stacks(bench, more, 1)]


def _run_out_of_memory(beyond: int) -> None:
    advance = Group.advance

    def limited(group: Group, seconds: float) -> None:
        if len(group.lanes) > beyond:
            raise MemoryError(f"{len(group.lanes)} lanes")
        advance(group, seconds)

    Group.advance = limited  # type: ignore[method-assign, assignment]

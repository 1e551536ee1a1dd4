"""A queue that hands segments of a tiny study out as launcher and trial do, without a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.running.tally import Tally
from orchestrator.running.work_queue import Taken, WorkQueue
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import Lease
from orchestrator.store.searches import Stack
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from tests.support.tiny_study import KEEPS, TinyStudy
from trainables.bundles.failures import Kind, SupersededError
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.workbench import Workbench


@dataclass
class Ready:
    """A feature stage where everything is there that it was told of, but for what is broken."""

    told: set[ConfigurationKey] = field(default_factory=set)
    broken: dict[ConfigurationKey, Exception] = field(default_factory=dict)

    def add(self, wanted: Iterable[ConfigurationKey]) -> None:
        self.told.update(wanted)

    def is_ready(self, of: ConfigurationKey) -> bool:
        return of in self.told

    def error(self, of: ConfigurationKey) -> Exception | None:
        assert of in self.told, "nobody said that it will be needed"
        return self.broken.get(of)


class Counter:
    """The queue, and a worker that takes, trains and brings back."""

    def __init__(self, study: TinyStudy, workers: int = 1, **told: Any) -> None:
        """told: to the queue."""
        self.study = study
        self.workers = workers
        self.features = Ready()
        self.tally = Tally()
        self.bench: Workbench = study.bench()
        self.queue = WorkQueue(study.storage, self.features, self.tally, lambda: self.workers, **told)

    def add(self, *segments: Segment) -> list[Segment]:
        """As decisions of this driver's searches: known and to be trained."""
        self.queue.know(segments)
        return self.queue.add(segments)

    def take(self) -> Taken:
        taken = self.queue.take()
        assert taken is not None, f"nothing goes out of {self.queue.waiting}"
        return taken

    def lease(self, segment: Segment, over: int) -> Lease:
        """As a worker of this driver takes it."""
        lease = Lease.take(self.study.storage, segment.folder, over, "cpu", self.queue.driver)
        assert lease is not None
        return lease

    def train(self, taken: Taken) -> None:
        """To the end, and bring it back."""
        for segment, over in zip(taken.segments, taken.over, strict=True):
            run = SegmentRun.begin(self.bench, segment, self.lease(segment, over), keeps=KEEPS, restores=taken.restores)
            try:
                while not run.advance(60.0):
                    pass
            except SupersededError:
                self.queue.ended(taken, "superseded")
                return
        self.queue.ended(taken, "finished")

    def fail(self, taken: Taken, kind: Kind = Kind.EXCEPTION) -> None:
        """As one that failed at its first segment."""
        self.queue.ended(taken, "failed", kind, 0)

    def train_all(self) -> list[Taken]:
        """Until nothing goes out; what went."""
        found = []
        while (taken := self.queue.take()) is not None:
            found.append(taken)
            self.train(taken)
        return found


def together(
    study: TinyStudy, configurations: Sequence[Configuration], repeats: Sequence[int], start: int, epochs: int
) -> Segment:
    return Segment(study.partition, tuple(c.id for c in configurations), tuple(repeats), start, epochs)


def as_wanted(wanted: Sequence[Segment]) -> list[Stack]:
    """Each by itself; in place of `divide_into_stacks`."""
    return [
        Stack(
            partition=one.partition,
            configurations=one.configurations,
            repeats=one.repeats,
            start=one.start,
            epochs=one.epochs,
        )
        for one in wanted
    ]

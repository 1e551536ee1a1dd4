"""A segment from whatever is on disk to its final records; the same code with and without a cluster.

The flow: recipe → a new attempt → its lanes, from the newest checkpoint or from where they were trained before → the
state at its end → final records.

Whoever goes on trains the same lanes, also those whose records are there already: another width would have other last
bits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import NoReturn

import torch

from orchestrator.store.errors import OrchError
from orchestrator.store.leases import Lease
from orchestrator.store.segments import Recipe, Segment
from trainables.bundles import states, work
from trainables.bundles.agreed_recipe import agree_on_recipe
from trainables.bundles.attempts import Attempt, checkpoints
from trainables.bundles.checkpoints import Checkpoints, WorkedOn
from trainables.bundles.failures import Kind, SupersededError, kind_of, note_failure
from trainables.bundles.final_records import FinalRecords
from trainables.bundles.trained import starts_of
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.learner import lanes_of
from trainables.learning.material import Material, Start, begin_group
from trainables.machine.devices import device_name
from trainables.machine.out_of_memory import is_out_of_memory
from trainables.machine.watchdog import HangError


class SegmentRun:
    """Trains one segment under a lease that the caller took.

    Its end state is kept where it takes at most `keeps` bytes per lane. With `restores` it is trained although nothing
    is owed, for the state at its end, which is kept then however large.
    """

    def __init__(
        self,
        bench: Workbench,
        lease: Lease,
        recipe: Recipe,
        material: Material,
        attempt: Attempt,
        *,
        keeps: int = 0,
        restores: bool = False,
        starts: Sequence[Start] | None = None,
    ) -> None:
        """See `begin`. starts: of a later stage, where they were asked for already."""
        self.bench = bench
        self.storage = bench.storage
        self.segment: Segment = recipe.segment
        self.lease = lease
        self.recipe = recipe
        self.material = material
        self.attempt = attempt
        self.keeps = keeps
        self.restores = restores
        self.starts = starts
        self.checkpoints = Checkpoints(attempt, recipe)
        self.finals = FinalRecords(bench, recipe, material)
        self.epochs_trained = 0
        """Over all lanes, by this process."""
        self.group: Group | None = None
        self._worked_on = WorkedOn(())

    @classmethod
    def begin(
        cls,
        bench: Workbench,
        segment: Segment,
        lease: Lease,
        layer: str = "",
        *,
        keeps: int = 0,
        restores: bool = False,
    ) -> SegmentRun:
        """Agree on the recipe, open what is learned from, then begin an attempt.

        layer: where the frozen part ends of a segment that nobody began. Raises SupersededError where it goes on in
        parts; the lease is given back then.
        """
        if not restores and work.parts(bench.storage, segment) != (segment,):
            lease.release()
            raise SupersededError(f"segment {segment} goes on in parts")
        recipe = agree_on_recipe(bench, segment, layer)
        # Before what the segment itself learns from takes its memory, and before anything watches for a hang
        starts = None if checkpoints(bench.storage, segment) else starts_of(bench, segment)
        torch.set_num_threads(recipe.threads)
        configuration = bench.configuration(segment.configurations[0])
        material = bench.material(configuration, segment.partition, recipe.frontier)
        attempt = Attempt.begin(bench.storage, segment, device_name(bench.device))
        return cls(bench, lease, recipe, material, attempt, keeps=keeps, restores=restores, starts=starts)

    @property
    def steps(self) -> int:
        """Changes with every batch trained or scored and every checkpoint: a run whose count stands still hangs."""
        return self.checkpoints.written + (self.group.batches if self.group is not None else 0)

    def advance(self, seconds: float) -> bool:
        """Work for about this long; True when nothing of the segment is left to do.

        Raises SupersededError where others go on: the lease was taken over, the segment was divided because it does not
        fit in memory, or what it begins from is lacking.
        """
        deadline = time.monotonic() + seconds
        while True:
            is_over, fits = False, True
            try:
                is_over = self._take_turn(deadline)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                fits = False
            if not fits:
                self._divide()  # not above: the tensors of a group live as long as the error's traceback
            if is_over:
                self._end("finished")
                return True
            if time.monotonic() >= deadline:
                return False

    def stop(self, outcome: str = "stopped") -> None:
        """Write the group under way, give the lease back, note the attempt's end."""
        if self.group is not None and outcome == "stopped":
            self.checkpoints.write(self.group, self._worked_on)
        self._end(outcome)

    def fail(self, error: BaseException) -> Kind:
        """Record why this attempt ended, with its traceback, and give the lease back."""
        kind = kind_of(error)
        with contextlib.suppress(OrchError):
            self._note(error, kind)
            self.stop("failed")
        return kind

    def hang(self, error: HangError, stacks: str) -> None:
        """Record that nothing goes on any more; the process ends without giving back what it holds."""
        self._note(error, Kind.HANG, stacks)

    def _take_turn(self, deadline: float) -> bool:
        """Work until then; True when nothing is left to do."""
        if self.group is None:
            if states.is_over(self.storage, self.segment, restores=self.restores):
                return True
            self.group = self._begun()
        return self._work_on(self.group, max(0.0, deadline - time.monotonic()))

    def _begun(self) -> Group:
        """The group from the furthest that there is of it."""
        try:
            group, worked_on = self.checkpoints.take_up(self._fresh) or self._from_start()
        except SupersededError:
            self._end("superseded")
            raise
        self._worked_on = worked_on.and_by(self.attempt.number, self.bench.device.type)
        return group

    def _fresh(self, starts: Sequence[Start] = ()) -> Group:
        """Before the first epoch of all."""
        lanes = lanes_of([self.bench.configuration(name) for name in self.segment.configurations], self.segment.repeats)
        recipe, device = self.recipe, self.bench.device
        return begin_group(self.material, lanes, recipe.scoring_batch, self.segment.epochs, device, starts)

    def _from_start(self) -> tuple[Group, WorkedOn]:
        """Where the segment starts."""
        segment = self.segment
        starts = starts_of(self.bench, segment) if self.starts is None else self.starts
        self.starts = None
        group = self._fresh(starts)
        if segment.start == 0:
            return group, WorkedOn(tuple(not one.is_same for one in starts) or (False,) * len(segment.lanes))
        lanes = states.beginnings(self.storage, segment, self.bench.device.type)
        group.go_on_from(segment.start, [lane.state for lane in lanes])
        return group, WorkedOn(tuple(lane.mixed for lane in lanes))

    def _work_on(self, group: Group, seconds: float) -> bool:
        before = group.epoch
        group.advance(seconds)
        self.epochs_trained += (group.epoch - before) * int((~group.absent).sum())
        is_over = group.is_done
        if is_over:
            self._finish(group)
        elif self.checkpoints.is_due(group):
            self.checkpoints.write(group, self._worked_on)
        if not self.lease.renew(group.epoch, self.segment.epochs):
            if not is_over:  # in this attempt's own folder, where a successor may find it one day
                self.checkpoints.write(group, self._worked_on)
            self._give_up(f"segment {self.segment} was taken over by another process")
        return is_over

    def _finish(self, group: Group) -> None:
        """The state first, or a checkpoint, so that whoever is killed among the final records goes on from there."""
        state = self.checkpoints.state(group, self._worked_on)
        digest, content = state.digest(), state.to_bytes()
        is_kept = self.restores or state.size <= self.keeps * len(self.segment.lanes)
        if is_kept:
            states.keep_state(self.storage, self.segment, digest, content)
            self.checkpoints.drop()  # whoever is killed from here on leaves none behind
        else:
            self.checkpoints.save(group, content)
        self.finals.write(group, self._worked_on, digest)
        if not is_kept:
            self.checkpoints.drop()
        if self.segment.start > 0:
            states.drop_superseded(self.storage, self.segment)

    def _divide(self) -> NoReturn:
        """Out of memory: it goes on as halves. One lane that does not fit is a failure, and so is a segment that is
        trained for the state at its end."""
        lanes = len(self.segment.lanes)
        error = MemoryError(f"{lanes} repeats at a time do not fit in memory")
        if lanes == 1 or self.restores:
            raise error
        self._note(error, Kind.MEMORY)
        self.group = None
        torch.cuda.empty_cache()
        work.divide(self.storage, self.segment, self.segment.halves())
        self._give_up(f"segment {self.segment} did not fit in memory; it goes on in parts")

    def _note(self, error: BaseException, kind: Kind, stacks: str | None = None) -> None:
        note_failure(self.storage, self.segment, error, kind, self.attempt.number, self.lease.number, stacks)

    def _give_up(self, reason: str) -> NoReturn:
        """Leave the work to others; a lease that nobody took over is given back."""
        self._end("superseded")
        raise SupersededError(reason)

    def _end(self, outcome: str) -> None:
        self.lease.release()
        self.attempt.end(outcome)

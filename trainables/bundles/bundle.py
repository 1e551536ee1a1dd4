"""Bundles from whatever is on disk to their final records; the same code with and without a cluster.

The flow: what is owed → recipe → a new attempt → groups of repeats, each from its newest checkpoint → final records.

Bundles that are stacked share a recipe, which names all of them in lane order. Whoever goes on trains the same lanes,
also those whose records are there already: another width would have other last bits. Checkpoints and attempts of a
stack lie with its first bundle.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import NoReturn

import torch

from orchestrator.store.errors import OrchError
from orchestrator.store.leases import Lease
from orchestrator.store.schema import Recipe
from search_spaces.configuration import Configuration
from trainables.bundles.agreed_recipe import agree_on_recipe
from trainables.bundles.attempts import Attempt
from trainables.bundles.checkpoints import KEPT_CHECKPOINT_BYTES, Checkpoints, WorkedOn
from trainables.bundles.failures import Kind, SupersededError, kind_of
from trainables.bundles.final_records import FinalRecords
from trainables.bundles.held import HeldBundles
from trainables.bundles.stored_recipes import divide_stack, members, train_in_turn
from trainables.bundles.work import Work, owed_repeats
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.learner import lanes_of
from trainables.learning.material import Material, begin_group
from trainables.machine.devices import device_name
from trainables.machine.out_of_memory import is_out_of_memory
from trainables.machine.watchdog import HangError


class BundleRun:
    """Trains the owed repeats of one bundle, or of several that are stacked, under leases that the caller took.

    Several bundles have one partition, one number of epochs, and configurations that `trainables.bundles.stacks` put
    together.
    """

    def __init__(
        self,
        bench: Workbench,
        held: HeldBundles,
        recipe: Recipe,
        configurations: Sequence[Configuration],
        material: Material,
        attempt: Attempt,
    ) -> None:
        """See `begin`; configurations: of all bundles that the recipe names, in the order of lanes."""
        self.bench = bench
        self.storage = bench.storage
        self.held = held
        self.recipe = recipe
        self.keys = members(recipe, held.works[0].key)
        self.configurations = configurations
        self.material = material
        self.attempt = attempt
        self.checkpoints = Checkpoints(attempt, held.epochs)
        self.finals = FinalRecords(bench, held.works, material)
        self.epochs_trained = 0
        self.group: Group | None = None
        self._worked_on = WorkedOn()

    @classmethod
    def begin(cls, bench: Workbench, works: Sequence[Work], leases: Sequence[Lease], layer: str = "") -> BundleRun:
        """Agree on the recipe, open what is learned from, then begin an attempt.

        layer: where the frozen part of fresh bundles ends. Raises SupersededError where a bundle belongs to another
        stack; the leases are given back then.
        """
        held = HeldBundles(works, leases)
        try:
            recipe = agree_on_recipe(bench, held.works, layer)
        except SupersededError:
            held.release()
            raise
        keys = members(recipe, works[0].key)
        configurations = [bench.configuration(key.configuration) for key in keys]
        torch.set_num_threads(recipe.threads)
        material = bench.material(configurations[0], keys[0].partition, recipe.frontier)
        attempt = Attempt.begin(bench.storage, keys[0], device_name(bench.device))
        return cls(bench, held, recipe, configurations, material, attempt)

    @property
    def leases(self) -> tuple[Lease, ...]:
        return self.held.leases

    @property
    def steps(self) -> int:
        """Changes with every batch trained or scored and every checkpoint: a run whose count stands still hangs."""
        return self.checkpoints.written + (self.group.batches if self.group is not None else 0)

    def advance(self, seconds: float) -> bool:
        """Work for about this long; True when nothing of the bundle is owed any more. Raises SupersededError."""
        deadline = time.monotonic() + seconds
        while True:
            owing = fits = True
            try:
                owing = self._take_turn(deadline)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                fits = False
            if not fits:
                self._shrink()  # not above: the tensors of a group live as long as the error's traceback
            if not owing:
                self._end("finished")
                return True
            if time.monotonic() >= deadline:
                return False

    def stop(self, outcome: str = "stopped") -> None:
        """Write the group under way, give the leases back, note the attempt's end."""
        if self.group is not None and outcome == "stopped":
            self._checkpoint(self.group)
        self._end(outcome)

    def fail(self, error: BaseException) -> Kind:
        """Record why this attempt ended, with its traceback, and give the leases back."""
        kind = kind_of(error)
        with contextlib.suppress(OrchError):
            self.held.note(self.storage, error, kind, self.attempt.number)
            self.stop("failed")
        return kind

    def hang(self, error: HangError, stacks: str) -> None:
        """Record that nothing goes on any more; the process ends without giving back what it holds."""
        self.held.note(self.storage, error, Kind.HANG, self.attempt.number, stacks)

    def _take_turn(self, deadline: float) -> bool:
        """Work on the group under way or the next one until then; False when nothing is owed any more."""
        if self.group is None:
            self.group = self._next_group()
        if self.group is not None:
            self._work_on(self.group, max(0.0, deadline - time.monotonic()))
            return True
        return False

    def _next_group(self) -> Group | None:
        """Repeats that are owed; all of them, or those that were begun together, where lanes are stacked."""
        owed = sorted({repeat for work in self.held.works for repeat in owed_repeats(self.storage, work)})
        if not owed:
            return None
        repeats = (self.checkpoints.begun_with(owed) or owed) if self.recipe.stacked else owed[:1]
        lanes = lanes_of(self.configurations, repeats)
        epochs, device = self.held.epochs, self.bench.device
        group, worked_on = self.checkpoints.take_up(
            lambda: begin_group(self.material, lanes, self.recipe, epochs, device)
        )
        self._worked_on = worked_on.and_by(self.attempt.number, device.type)
        return group

    def _work_on(self, group: Group, seconds: float) -> None:
        before = group.epoch
        group.advance(seconds)
        self.epochs_trained += (group.epoch - before) * len(group.lanes)
        self.held.tell(group.repeats, group.epoch)
        if group.is_done:
            self._finish(group)
            self.group = None
        elif self.checkpoints.is_due(group):
            self._checkpoint(group)
        taken_over = self.held.renew()
        if taken_over is not None:
            if self.group is not None:
                self._checkpoint(self.group)  # in this attempt's own folder, where a successor may find it one day
            self._give_up(f"bundle {taken_over} was taken over by another process")

    def _checkpoint(self, group: Group) -> int:
        return self.checkpoints.write(group, self._worked_on, self.recipe)

    def _finish(self, group: Group) -> None:
        """A checkpoint first, so that whoever is killed among the final records goes on with the same lanes."""
        size = self._checkpoint(group)
        self.finals.write(group, self._worked_on, self.recipe)
        self.checkpoints.drop(group, keeps_last=size <= KEPT_CHECKPOINT_BYTES * len(self.keys))

    def _shrink(self) -> None:
        """Out of memory: half as many bundles in a stack, or one repeat at a time; that not fitting is a failure."""
        lanes = len(self.group.lanes) if self.group else len(self.keys) * len(self.held.works[0].repeats)
        count = lanes if self.recipe.stacked else 1
        error = MemoryError(f"{count} repeats at a time do not fit in memory")
        if not self.recipe.stacked:
            raise error
        self.held.note(self.storage, error, Kind.MEMORY, self.attempt.number)
        self.group = None
        torch.cuda.empty_cache()
        if len(self.keys) > 1:
            half = (len(self.keys) + 1) // 2
            divide_stack(self.storage, self.recipe, (self.keys[:half], self.keys[half:]))
            self._give_up("the stack did not fit in memory; its bundles go on in two")
        self.recipe = train_in_turn(self.storage, self.recipe, self.keys[0])

    def _give_up(self, reason: str) -> NoReturn:
        """Leave the work to others; leases that nobody took over are given back."""
        self._end("superseded")
        raise SupersededError(reason)

    def _end(self, outcome: str) -> None:
        self.held.release()
        self.attempt.end(outcome)

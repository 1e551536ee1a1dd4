"""Bundles from whatever is on disk to their final records; the same code with and without a cluster.

The flow: what is owed → recipe → a new attempt → groups of repeats, each from its newest checkpoint → final records.

Bundles that are stacked share a recipe, which names all of them in lane order. Whoever goes on trains the same lanes,
also those whose records are there already: another width would have other last bits. Checkpoints and attempts of a
stack lie with its first bundle.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

import torch

from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import DamagedRecordError, OrchError
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import Lease
from orchestrator.store.schema import FinalRecord, Recipe
from trainables.bundles import attempts
from trainables.bundles.attempts import Attempt
from trainables.bundles.failures import Kind, SupersededError, kind_of, note_failure
from trainables.bundles.recipe import decide
from trainables.bundles.stored_recipes import divide_stack, stored_recipe
from trainables.bundles.work import Work, owed_repeats
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.heads import head_parameters
from trainables.learning.learners import Lane, lanes_of
from trainables.learning.material import begin_group
from trainables.machine.devices import device_name
from trainables.machine.out_of_memory import is_out_of_memory
from trainables.machine.watchdog import HangError

WRITING_SHARE = 0.05
"""Checkpoints take at most this share of the time, unless an epoch is longer than the interval that follows."""
FIRST_WRITE_S = 0.05
KEPT_CHECKPOINT_BYTES = 4_000_000
"""A finished group's last checkpoint is kept up to this size, so that more epochs can be trained later."""


class BundleRun:
    """Trains the owed repeats of one bundle, or of several that are stacked, under leases that the caller took.

    Several bundles have one partition, one number of epochs, and configurations that `trainables.bundles.stacks` put
    together.
    """

    def __init__(self, bench: Workbench, works: Sequence[Work], leases: Sequence[Lease], layer: str = "") -> None:
        self.bench = bench
        self.storage = bench.storage
        self.works = tuple(works)
        self.leases = tuple(leases)
        self.epochs = works[0].epochs
        self.recipe = self._recipe(layer)
        self.keys = [BundleKey.parse(text) for text in self.recipe.with_bundles] or [works[0].key]
        self.configurations = [bench.configuration(key.configuration) for key in self.keys]
        torch.set_num_threads(self.recipe.threads)
        self.material = bench.material(self.configurations[0], works[0].key.partition, self.recipe.frontier)
        self.attempt = Attempt.begin(self.storage, self.keys[0], device_name(bench.device))
        self.done: dict[int, int] = {}
        self.epochs_trained = 0
        self._turns = 0
        self.group: Group | None = None
        self._history: dict[str, Any] = {}
        self._written_at = time.monotonic()
        self._write_s = FIRST_WRITE_S
        self._written_epoch = 0

    @property
    def steps(self) -> int:
        """Changes with every batch trained or scored and every checkpoint: a run whose count stands still hangs."""
        return self._turns + (self.group.batches if self.group is not None else 0)

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
                self._release()
                self.attempt.end("finished")
                return True
            if time.monotonic() >= deadline:
                return False

    def stop(self, outcome: str = "stopped") -> None:
        """Write the group under way, give the leases back, note the attempt's end."""
        if self.group is not None and outcome == "stopped":
            self._checkpoint(self.group)
        self._release()
        self.attempt.end(outcome)

    def fail(self, error: BaseException) -> Kind:
        """Record why this attempt ended, with its traceback, and give the leases back."""
        kind = kind_of(error)
        with contextlib.suppress(OrchError):
            self._note(error, kind)
            self.stop("failed")
        return kind

    def hang(self, error: HangError, stacks: str) -> None:
        """Record that nothing goes on any more; the process ends without giving back what it holds."""
        self._note(error, Kind.HANG, stacks)

    def _take_turn(self, deadline: float) -> bool:
        """Work on the group under way or the next one until then; False when nothing is owed any more."""
        if self.group is None:
            self.group = self._next_group()
        if self.group is not None:
            self._work_on(self.group, max(0.0, deadline - time.monotonic()))
            return True
        return False

    def _work_on(self, group: Group, seconds: float) -> None:
        before = group.epoch
        group.advance(seconds)
        self.epochs_trained += (group.epoch - before) * len(group.lanes)
        self.done |= dict.fromkeys(group.repeats, group.epoch)
        if group.is_done:
            self._finish(group)
            self.group = None
        elif group.epoch > self._written_epoch and self._is_checkpoint_due():
            self._checkpoint(group)
        held = concurrently(lambda lease: lease.renew(self.done, self.epochs), self.leases)
        if not all(held):
            if self.group is not None:
                self._checkpoint(self.group)  # in this attempt's own folder, where a successor may find it one day
            self._give_up(f"bundle {self.works[held.index(False)].key} was taken over by another process")

    def _give_up(self, reason: str) -> NoReturn:
        """Leave the work to others; leases that nobody took over are given back."""
        self._release()
        self.attempt.end("superseded")
        raise SupersededError(reason)

    def _release(self) -> None:
        concurrently(lambda lease: lease.release(self.done, self.epochs), self.leases)

    def _next_group(self) -> Group | None:
        owed = sorted({repeat for work in self.works for repeat in owed_repeats(self.storage, work)})
        if not owed:
            return None
        repeats = [owed[0]]
        if self.recipe.stacked:
            repeats = next(
                (
                    list(c.repeats)
                    for c in attempts.checkpoints(self.storage, self.keys[0])
                    if c.epoch <= self.epochs and set(c.repeats) & set(owed)
                ),
                owed,
            )
        group = self._group(repeats)
        self._history = {"attempts": [], "devices": []}
        while (found := attempts.newest_valid(self.storage, self.keys[0], repeats, self.epochs)) is not None:
            try:
                self._history = group.load(found[1], found[0])["history"]
                break
            except DamagedRecordError:
                self.storage.delete(found[0])
                group = self._group(repeats)
        self._history["attempts"].append(self.attempt.number)
        if self.bench.device.type not in self._history["devices"]:
            self._history["devices"].append(self.bench.device.type)
        self._written_epoch, self._written_at = group.epoch, time.monotonic()
        return group

    def _group(self, repeats: Sequence[int]) -> Group:
        lanes = lanes_of(self.configurations, repeats)
        return begin_group(self.material, lanes, self.recipe, self.epochs, self.bench.device)

    def _is_checkpoint_due(self) -> bool:
        return time.monotonic() - self._written_at >= self._write_s / WRITING_SHARE

    def _checkpoint(self, group: Group) -> int:
        started = time.monotonic()
        content = group.to_bytes({"history": self._history, "recipe": self.recipe.model_dump(mode="json")})
        self.attempt.save(content, group.repeats, group.epoch, group.position)
        self._turns += 1
        self._written_at = time.monotonic()
        self._write_s = self._written_at - started
        self._written_epoch = group.epoch
        return len(content)

    def _finish(self, group: Group) -> None:
        """A checkpoint first, so that whoever is killed among the final records goes on with the same lanes."""
        size = self._checkpoint(group)
        keys = {work.key.configuration: work.key for work in self.works}

        def write(index: int) -> None:
            lane = group.lanes[index]
            key = keys.get(lane.configuration.id)
            if key is not None:
                path = key.final(lane.repeat, self.epochs, bool(group.diverged[index] >= 0))
                self.storage.create(path, self._final(group, index, key).to_bytes())

        concurrently(write, range(len(group.lanes)))
        keep = None
        if size <= KEPT_CHECKPOINT_BYTES * len(self.keys):
            newest = attempts.newest_valid(self.storage, self.keys[0], group.repeats, self.epochs)
            keep = newest[0] if newest else None
        attempts.drop_checkpoints(self.storage, self.keys[0], group.repeats, self.epochs, keep)

    def _final(self, group: Group, index: int, key: BundleKey) -> FinalRecord:
        selected, logits = group.selected(index)
        diverged = int(group.diverged[index])
        configuration = group.lanes[index].configuration
        head = head_parameters(self.material.width, configuration.non_linearities, configuration.outputs)
        body = self.material.suffix
        live = sum(p.numel() for p in body.parameters() if p.requires_grad) if body is not None else 0
        meta = {
            "configuration": configuration.id,
            "partition": key.partition,
            "repeat": group.lanes[index].repeat,
            "epochs": self.epochs,
            "state": "finished" if diverged < 0 else "diverged",
            "diverged_epoch": None if diverged < 0 else diverged,
            "selected_epoch": selected,
            "selection": configuration.selection,
            "attempts": self._history["attempts"],
            "seconds": group.seconds / len(group.lanes),
            "host": socket.gethostname(),
            "device": device_name(self.bench.device),
            "devices_mixed": len(self._history["devices"]) > 1,
            "recipe": self.recipe.model_dump(mode="json"),
            "with_repeats": group.repeats,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "total_parameters": self.bench.facts(configuration).parameters + head,
            "trainable_parameters": head + live,
        }
        return FinalRecord(meta, group.history(index), logits)

    def _recipe(self, layer: str) -> Recipe:
        """The stored recipe, or a new one by the rule; the first writer's counts. Raises SupersededError."""
        stored = {work: stored_recipe(self.storage, work.key) for work in self.works}
        begun = next((work for work, found in stored.items() if found is not None), self.works[0])
        recipe = stored[begun] or self._decided(layer)
        members = recipe.with_bundles or (str(begun.key),)

        def is_shared(work: Work) -> bool:
            if str(work.key) not in members:
                return False
            found = stored[work]
            if found is None and not self.storage.create(work.key.recipe, recipe.to_toml()):
                found = stored_recipe(self.storage, work.key)
                if found is None:
                    self.storage.replace(work.key.recipe, recipe.to_toml())  # a torn one
            return found in (None, recipe)

        shared = concurrently(is_shared, self.works)
        if not all(shared):
            concurrently(lambda lease: lease.release({}, self.epochs), self.leases)
            raise SupersededError(f"bundle {self.works[shared.index(False)].key} belongs to another stack")
        return recipe

    def _decided(self, layer: str) -> Recipe:
        key = self.works[0].key
        configuration = self.bench.configuration(key.configuration)
        frozen = self.bench.frozen_ready(configuration, key.partition, layer)
        values = sum(torch.Size(shape).numel() for shape in frozen.shapes)
        width = self.bench.facts(configuration).feature_width
        recipe = decide(configuration, width, frozen.layer, values, self.bench.device)
        if len(self.works) == 1:
            return recipe
        return recipe.model_copy(update={"with_bundles": tuple(str(work.key) for work in self.works)})

    def _shrink(self) -> None:
        """Out of memory: half as many bundles in a stack, or one repeat at a time; that not fitting is a failure."""
        lanes = len(self.group.lanes) if self.group else len(self.keys) * len(self.works[0].repeats)
        count = lanes if self.recipe.stacked else 1
        error = MemoryError(f"{count} repeats at a time do not fit in memory")
        if not self.recipe.stacked:
            raise error
        self._note(error, Kind.MEMORY)
        self.group = None
        torch.cuda.empty_cache()
        if len(self.keys) > 1:
            half = (len(self.keys) + 1) // 2
            divide_stack(self.storage, self.recipe, (self.keys[:half], self.keys[half:]))
            self._give_up("the stack did not fit in memory; its bundles go on in two")
        self.recipe = self.recipe.model_copy(update={"stacked": False})
        self.storage.replace(self.keys[0].recipe, self.recipe.to_toml())

    def _note(self, error: BaseException, kind: Kind, stacks: str | None = None) -> None:
        for work, lease in zip(self.works, self.leases, strict=True):
            number = self.attempt.number
            note_failure(self.storage, work.key, error, kind, work.repeats, number, lease.number, stacks)


def open_group(bench: Workbench, partition: str, lanes: list[Lane], recipe: Recipe, epochs: int) -> Group:
    """The group of lanes that a recipe describes, before its first epoch."""
    material = bench.material(lanes[0].configuration, partition, recipe.frontier)
    return begin_group(material, lanes, recipe, epochs, bench.device)

"""One bundle from whatever is on disk to its final records; the same code with and without a cluster.

The flow: what is owed → recipe → a new attempt → groups of repeats, each from its newest checkpoint → final records.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from orchestrator.store.errors import DamagedRecordError, OrchError
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import Lease
from orchestrator.store.schema import FinalRecord, Recipe, parse_toml
from orchestrator.store.storage import Storage
from trainables import attempts
from trainables.attempts import Attempt
from trainables.group import Group
from trainables.heads import head_parameters
from trainables.learners import DeepLearner, HeadLearner, Lane, Learner
from trainables.recipe import decide, device_name
from trainables.work import Work, owed_repeats
from trainables.workbench import Material, Workbench

WRITING_SHARE = 0.05
"""Checkpoints take at most this share of the time, unless an epoch is longer than the interval that follows."""
FIRST_WRITE_S = 0.05
KEPT_CHECKPOINT_BYTES = 4_000_000
"""A finished group's last checkpoint is kept up to this size, so that more epochs can be trained later."""


class SupersededError(OrchError):
    """Another process has taken the bundle over; nothing more is to be done here."""


class BundleRun:
    """Trains the owed repeats of one bundle under a lease that the caller took."""

    def __init__(self, bench: Workbench, work: Work, lease: Lease, layer: str = "") -> None:
        self.bench = bench
        self.storage = bench.storage
        self.work = work
        self.lease = lease
        self.configuration = bench.configuration(work.key.configuration)
        self.recipe = self._recipe(layer)
        torch.set_num_threads(self.recipe.threads)
        self.material = bench.material(self.configuration, work.key.partition, self.recipe.frontier)
        self.attempt = Attempt.begin(self.storage, work.key, device_name(bench.device))
        self.done: dict[int, int] = {}
        self.epochs_trained = 0
        self.group: Group | None = None
        self._history: dict[str, Any] = {}
        self._written_at = time.monotonic()
        self._write_s = FIRST_WRITE_S
        self._written_epoch = 0

    def advance(self, seconds: float) -> bool:
        """Work for about this long; True when nothing of the bundle is owed any more. Raises SupersededError."""
        deadline = time.monotonic() + seconds
        while True:
            owing = fits = True
            try:
                owing = self._take_turn(deadline)
            except torch.OutOfMemoryError:
                fits = False
            if not fits:
                self._shrink()  # not above: the tensors of a group live as long as the error's traceback
            if not owing:
                self.lease.release(self.done, self.work.epochs)
                self.attempt.end("finished")
                return True
            if time.monotonic() >= deadline:
                return False

    def stop(self, outcome: str = "stopped") -> None:
        """Write the group under way, give the lease back, note the attempt's end."""
        if self.group is not None and outcome == "stopped":
            self._checkpoint(self.group)
        self.lease.release(self.done, self.work.epochs)
        self.attempt.end(outcome)

    def fail(self, error: BaseException, kind: str = "exception") -> None:
        """Record why this attempt ended, with its traceback, and give the lease back."""
        note_failure(self.storage, self.work.key, error, kind, self.work.repeats, self.attempt.number)
        with contextlib.suppress(OrchError):
            self.stop("failed")

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
        self.done |= {lane.repeat: group.epoch for lane in group.lanes}
        if group.is_done:
            self._finish(group)
            self.group = None
        elif group.epoch > self._written_epoch and self._is_checkpoint_due():
            self._checkpoint(group)
        if not self.lease.renew(self.done, self.work.epochs):
            if self.group is not None:
                self._checkpoint(self.group)  # in this attempt's own folder, where the successor may find it one day
            self.attempt.end("superseded")
            raise SupersededError(f"bundle {self.work.key} was taken over by another process")

    def _next_group(self) -> Group | None:
        owed = owed_repeats(self.storage, self.work)
        if not owed:
            return None
        repeats = [owed[0]]
        if self.recipe.stacked:
            repeats = next(
                (
                    list(c.repeats)
                    for c in attempts.checkpoints(self.storage, self.work.key)
                    if c.epoch <= self.work.epochs and set(c.repeats) & set(owed)
                ),
                owed,
            )
        group = self._group(repeats)
        self._history = {"attempts": [], "devices": []}
        while (found := attempts.newest_valid(self.storage, self.work.key, repeats, self.work.epochs)) is not None:
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

    def _group(self, repeats: list[int]) -> Group:
        lanes = [Lane(self.configuration, repeat) for repeat in repeats]
        learner = _learner(lanes, self.material)
        return Group(
            lanes, learner, self.material.samples, self.work.epochs, self.recipe.scoring_batch, self.bench.device
        )

    def _is_checkpoint_due(self) -> bool:
        return time.monotonic() - self._written_at >= self._write_s / WRITING_SHARE

    def _checkpoint(self, group: Group) -> int:
        started = time.monotonic()
        content = group.to_bytes({"history": self._history, "recipe": self.recipe.model_dump(mode="json")})
        repeats = [lane.repeat for lane in group.lanes]
        self.attempt.save(content, repeats, group.epoch, group.position)
        self._written_at = time.monotonic()
        self._write_s = self._written_at - started
        self._written_epoch = group.epoch
        return len(content)

    def _finish(self, group: Group) -> None:
        """A checkpoint first, so that whoever is killed among the final records goes on with the same lanes."""
        size = self._checkpoint(group)
        for index, lane in enumerate(group.lanes):
            path = self.work.key.final(lane.repeat, self.work.epochs, bool(group.diverged[index] >= 0))
            self.storage.create(path, self._final(group, index).to_bytes())
        repeats = [lane.repeat for lane in group.lanes]
        keep = None
        if size <= KEPT_CHECKPOINT_BYTES:
            newest = attempts.newest_valid(self.storage, self.work.key, repeats, self.work.epochs)
            keep = newest[0] if newest else None
        attempts.drop_checkpoints(self.storage, self.work.key, repeats, self.work.epochs, keep)

    def _final(self, group: Group, index: int) -> FinalRecord:
        selected, logits = group.selected(index)
        diverged = int(group.diverged[index])
        width = self.material.width
        head = head_parameters(width, self.configuration.non_linearities, self.configuration.outputs)
        body = self.material.suffix
        live = sum(p.numel() for p in body.parameters() if p.requires_grad) if body is not None else 0
        meta = {
            "configuration": self.configuration.id,
            "partition": self.work.key.partition,
            "repeat": group.lanes[index].repeat,
            "epochs": self.work.epochs,
            "state": "finished" if diverged < 0 else "diverged",
            "diverged_epoch": None if diverged < 0 else diverged,
            "selected_epoch": selected,
            "selection": self.configuration.selection,
            "attempts": self._history["attempts"],
            "seconds": group.seconds / len(group.lanes),
            "host": socket.gethostname(),
            "device": device_name(self.bench.device),
            "devices_mixed": len(self._history["devices"]) > 1,
            "recipe": self.recipe.model_dump(mode="json"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "total_parameters": self.bench.facts(self.configuration).parameters + head,
            "trainable_parameters": head + live,
        }
        return FinalRecord(meta, group.history(index), logits)

    def _recipe(self, layer: str) -> Recipe:
        """The stored recipe, or a new one by the rule; the first writer's counts."""
        path = self.work.key.recipe
        with contextlib.suppress(FileNotFoundError, DamagedRecordError):
            return parse_toml(Recipe, self.storage.read(path), path)
        frozen = self.bench.frozen_ready(self.configuration, self.work.key.partition, layer)
        values = sum(torch.Size(shape).numel() for shape in frozen.shapes)
        width = self.bench.facts(self.configuration).feature_width
        recipe = decide(self.configuration, width, frozen.layer, values, self.bench.device)
        if not self.storage.create(path, recipe.to_toml()):
            with contextlib.suppress(DamagedRecordError):
                return parse_toml(Recipe, self.storage.read(path), path)
            self.storage.replace(path, recipe.to_toml())
        return recipe

    def _shrink(self) -> None:
        """Out of memory: go on with one repeat at a time, and say so; one that does not fit alone is a failure."""
        count = len(owed_repeats(self.storage, self.work)) if self.recipe.stacked else 1
        count = len(self.group.lanes) if self.group else count
        error = MemoryError(f"{count} repeats at a time do not fit in memory")
        note_failure(self.storage, self.work.key, error, "memory", self.work.repeats, self.attempt.number)
        if not self.recipe.stacked:
            raise error
        self.recipe = self.recipe.model_copy(update={"stacked": False})
        self.storage.replace(self.work.key.recipe, self.recipe.to_toml())
        self.group = None
        torch.cuda.empty_cache()


def note_failure(
    storage: Storage,
    key: BundleKey,
    error: BaseException,
    kind: str,
    repeats: Sequence[int],
    attempt: int | None = None,
) -> None:
    """Keep a failure with its traceback in the study, under the next free number; of the last attempt by default."""
    if attempt is None:
        attempt = attempts.last_attempt(storage, key)
    note = {
        "cause": f"{type(error).__name__}: {error}",
        "kind": kind,
        "traceback": "".join(traceback.format_exception(error)),
        "attempt": attempt,
        "repeats": list(repeats),
        "host": socket.gethostname(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    number = 1
    while not storage.create(key.failure(number), json.dumps(note).encode()):
        number += 1


def _learner(lanes: list[Lane], material: Material) -> Learner:
    if material.features is not None:
        return HeadLearner(lanes, material.features, material.labels, material.weights)
    if material.suffix is None or material.inputs is None:
        raise ValueError("neither pooled features nor a suffix to train")
    return DeepLearner(lanes[0], material.inputs, material.suffix, material.width, material.labels, material.weights)

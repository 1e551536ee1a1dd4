"""Attempts at a bundle: each has a folder of its own that nobody else writes, and starts from the newest checkpoint."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BundleKey, parse_attempt
from orchestrator.store.record import unpack
from orchestrator.store.storage import Storage

KEPT_CHECKPOINTS = 2
_CHECKPOINT = re.compile(r"r([\d_]+)\.e(\d+)\.p(\d+)\.checkpoint")


@dataclass(frozen=True)
class CheckpointName:
    """What a checkpoint's file name says: which repeats, how far."""

    path: str
    repeats: tuple[int, ...]
    epoch: int
    position: int


class StoredCheckpoint(NamedTuple):
    """A whole checkpoint as it lies in the study."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Attempt:
    """This process's own folder in a bundle."""

    storage: Storage
    key: BundleKey
    number: int

    @classmethod
    def begin(cls, storage: Storage, key: BundleKey, device: str) -> Attempt:
        """Create the next free attempt folder, exclusively, and note start, host and device."""
        number = last_attempt(storage, key)
        note = json.dumps({"started": _now(), "host": socket.gethostname(), "device": device}).encode()
        while True:
            number += 1
            if storage.create(f"{key.attempt(number)}/started.json", note):
                return cls(storage, key, number)

    def save(self, content: bytes, repeats: Sequence[int], epoch: int, position: int) -> None:
        """Write a checkpoint of a group and drop all but the last two of this attempt's for the same repeats."""
        folder = self.key.attempt(self.number)
        lanes = "_".join(str(repeat) for repeat in repeats)
        self.storage.replace(f"{folder}/r{lanes}.e{epoch}.p{position}.checkpoint", content)
        older = [found for found in _in_folder(self.storage, folder) if found.repeats == tuple(repeats)]
        for found in sorted(older, key=lambda c: (c.epoch, c.position))[:-KEPT_CHECKPOINTS]:
            self.storage.delete(found.path)

    def end(self, outcome: str) -> None:
        """Note the end of the attempt: "finished", "stopped", "failed" or "superseded"."""
        note = json.dumps({"ended": _now(), "outcome": outcome}).encode()
        self.storage.create(f"{self.key.attempt(self.number)}/ended.json", note)


def last_attempt(storage: Storage, key: BundleKey) -> int:
    """The highest attempt number of a bundle; 0 when there was none."""
    return max((n for name in storage.list(key.folder) if (n := parse_attempt(name)) is not None), default=0)


def checkpoints(storage: Storage, key: BundleKey) -> list[CheckpointName]:
    """Names of all checkpoints of all attempts at a bundle, furthest first."""
    found = [
        checkpoint
        for name in storage.list(key.folder)
        if parse_attempt(name) is not None
        for checkpoint in _in_folder(storage, f"{key.folder}/{name}")
    ]
    return sorted(found, key=lambda c: (c.epoch, c.position), reverse=True)


def newest_valid(storage: Storage, key: BundleKey, repeats: Sequence[int], epochs: int) -> StoredCheckpoint | None:
    """The furthest whole checkpoint of exactly these repeats that is not beyond `epochs`.

    Damaged ones are passed over; so are those of a longer search, whose histories say more than was asked.
    """
    for checkpoint in checkpoints(storage, key):
        if checkpoint.repeats != tuple(repeats) or checkpoint.epoch > epochs:
            continue
        try:
            content = storage.read(checkpoint.path)
            unpack(content, checkpoint.path)
        except (FileNotFoundError, DamagedRecordError):
            continue
        return StoredCheckpoint(checkpoint.path, content)
    return None


def drop_checkpoints(storage: Storage, key: BundleKey, repeats: Sequence[int], epochs: int, keep: str | None) -> None:
    """Delete the checkpoints of these repeats up to `epochs` from all attempts, but the one at path `keep`."""
    for checkpoint in checkpoints(storage, key):
        if checkpoint.repeats == tuple(repeats) and checkpoint.epoch <= epochs and checkpoint.path != keep:
            storage.delete(checkpoint.path)


def _in_folder(storage: Storage, folder: str) -> list[CheckpointName]:
    found = []
    for name in storage.list(folder):
        match = _CHECKPOINT.fullmatch(name)
        if match:
            repeats = tuple(int(repeat) for repeat in match[1].split("_"))
            found.append(CheckpointName(f"{folder}/{name}", repeats, int(match[2]), int(match[3])))
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

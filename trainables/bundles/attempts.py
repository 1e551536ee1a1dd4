"""Attempts at a segment: each has a folder that nobody else writes, and begins from the newest checkpoint."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import parse_attempt
from orchestrator.store.record import unpack
from orchestrator.store.segments import Segment
from orchestrator.store.storage import Storage

KEPT_CHECKPOINTS = 2
_CHECKPOINT = re.compile(r"e(\d+)\.p(\d+)\.b\d+\.checkpoint")


class CheckpointName(NamedTuple):
    """What a checkpoint's file name says: how far it is."""

    path: str
    epoch: int
    position: int


class StoredCheckpoint(NamedTuple):
    """A whole checkpoint as it lies in the study."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Attempt:
    """This process's own folder in a segment."""

    storage: Storage
    segment: Segment
    number: int

    @classmethod
    def begin(cls, storage: Storage, segment: Segment, device: str) -> Attempt:
        """Create the next free attempt folder, exclusively, and note start, host and device."""
        number = last_attempt(storage, segment)
        note = json.dumps({"started": _now(), "host": socket.gethostname(), "device": device}).encode()
        while True:
            number += 1
            if storage.create(f"{segment.attempt(number)}/started.json", note):
                return cls(storage, segment, number)

    def save(self, content: bytes, epoch: int, position: int) -> None:
        """Write a checkpoint and drop all but the last two of this attempt's."""
        folder = self.segment.attempt(self.number)
        self.storage.replace(f"{folder}/e{epoch}.p{position}.b{len(content)}.checkpoint", content)
        for outdated in _in_folder(self.storage, folder)[KEPT_CHECKPOINTS:]:
            self.storage.delete(outdated.path)

    def end(self, outcome: str) -> None:
        """Note the end of the attempt: "finished", "stopped", "failed" or "superseded"."""
        note = json.dumps({"ended": _now(), "outcome": outcome}).encode()
        self.storage.create(f"{self.segment.attempt(self.number)}/ended.json", note)


def last_attempt(storage: Storage, segment: Segment) -> int:
    """The highest attempt number of a segment; 0 when there was none."""
    return max((n for name in storage.list(segment.folder) if (n := parse_attempt(name)) is not None), default=0)


def checkpoints(storage: Storage, segment: Segment) -> list[CheckpointName]:
    """Names of all checkpoints of all attempts at a segment, furthest first."""
    names = [
        checkpoint
        for name in storage.list(segment.folder)
        if parse_attempt(name) is not None
        for checkpoint in _in_folder(storage, f"{segment.folder}/{name}")
    ]
    return sorted(names, key=_how_far, reverse=True)


def newest_valid(storage: Storage, segment: Segment) -> StoredCheckpoint | None:
    """The furthest whole checkpoint; damaged ones are passed over."""
    for checkpoint in checkpoints(storage, segment):
        try:
            content = storage.read(checkpoint.path)
            unpack(content, checkpoint.path)
        except (FileNotFoundError, DamagedRecordError):
            continue
        return StoredCheckpoint(checkpoint.path, content)
    return None


def drop_checkpoints(storage: Storage, segment: Segment) -> None:
    """Delete those of all attempts."""
    for checkpoint in checkpoints(storage, segment):
        storage.delete(checkpoint.path)


def _in_folder(storage: Storage, folder: str) -> list[CheckpointName]:
    """Furthest first."""
    names = []
    for name in storage.list(folder):
        match = _CHECKPOINT.fullmatch(name)
        if match:
            names.append(CheckpointName(f"{folder}/{name}", int(match[1]), int(match[2])))
    return sorted(names, key=_how_far, reverse=True)


def _how_far(checkpoint: CheckpointName) -> tuple[int, int]:
    return checkpoint.epoch, checkpoint.position


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

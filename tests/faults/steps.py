"""Ends the process at a chosen step of a chosen write, or makes that step fail: installed in a process of the harness.

The steps are those of the one atomic write (temporary file, flush, link or rename, flush of the folder) and of a chunk
of features (rows, flush, mark).
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import stat
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage
from tests.faults.noting import steps_noted
from trainables.features.arrays import ChunkedArrays
from trainables.learning.learner import Learner

KINDS = {
    "checkpoint": r".*\.checkpoint",
    "history": r"bundles/.*/final/.*",
    "compacted history": r"histories/.*",
    "state": r"segments/[^/]+/state-.*",
    "kept weights": r"bundles/.*/weights/.*",
    "lease": r"segments/[^/]+/lease-\d+\.json",
    "recipe": r"segments/[^/]+/recipe\.toml",
    "attempt": r"segments/.*/(started|ended)\.json",
    "failure": r"segments/[^/]+/failure-\d+\.json",
    "division": r"segments/[^/]+/divided\.toml",
    "search": r"searches/[^/]+/search\.toml",
    "budget": r"searches/[^/]+/budget-\d+\.toml",
    "decision": r"searches/[^/]+/\d+\.toml",
    "claim of a decision": r"searches/[^/]+/\d+\.toml\.claim-.*",
    "lease on deciding": r"searches/[^/]+/lease-\d+\.json",
    "study file": r"(study|configurations/.*)\.toml|(dataset|partitions)/.*",
    "feature shard": r"chunks/.*|arrays\.json|rows",
}
NOT_BEGUN = "not begun"
EMPTY = "empty file"
HALF = "half written"
BEFORE = (NOT_BEGUN, EMPTY, HALF, "written", "flushed")
CREATING = (*BEFORE, "linked", "temporary removed", "folder flushed")
REPLACING = (*BEFORE, "renamed", "folder flushed")
DELETING = (NOT_BEGUN, "removed")
STEPS = {
    "search": CREATING,
    "budget": CREATING,
    "lease on deciding": CREATING,
    "lease on deciding renewed": REPLACING,
    "lease on deciding deleted": DELETING,
    "decision": CREATING,
    "claim of a decision": REPLACING,
    "claim of a decision deleted": DELETING,
    "decision settled": REPLACING,
    "study file": CREATING,
    "feature shard": ("space reserved", "half of the rows", "rows written", "rows flushed", *REPLACING),
    "recipe": CREATING,
    "attempt": CREATING,
    "lease": CREATING,
    "lease renewed": REPLACING,
    "lease deleted": DELETING,
    "checkpoint": REPLACING,
    "state": CREATING,
    "kept weights": CREATING,
    "history": CREATING,
    "checkpoint deleted": DELETING,
    "state deleted": DELETING,
    "failure": CREATING,
    "division": CREATING,
    "compacted history": CREATING,
}

Hook = Callable[[str, str], None]
"""(kind of file, step) → called when the step has just been done."""


class Place(NamedTuple):
    """Where a process can be killed: a step of the write of a kind of file."""

    kind: str
    step: str


def kind_of(path: str) -> str:
    return next((kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, path)), "other")


@dataclass(frozen=True)
class KillInWrite:
    """kill -9 of this process, by itself, once `step` of the `occurrence`-th such write is done."""

    kind: str
    step: str
    occurrence: int = 1

    def __call__(self) -> None:
        _at(self, lambda: os.kill(os.getpid(), signal.SIGKILL))


@dataclass(frozen=True)
class KillAtStep:
    """kill -9 of this process, by itself, after the training step with which so many are noted in `log`, those of
    earlier processes among them."""

    log: Path
    noted: int

    def __call__(self) -> None:
        learner: Any = Learner
        train = learner.train

        def trained(one: Any, rows: Any, epoch: int, first: int) -> None:
            train(one, rows, epoch, first)
            if steps_noted(self.log) >= self.noted:
                os.kill(os.getpid(), signal.SIGKILL)

        learner.train = trained


@dataclass(frozen=True)
class CountWrites:
    """Notes every step of every write in a file, a line of JSON each: [kind, step]."""

    file: Path

    def __call__(self) -> None:
        notes = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        install(lambda kind, step: _note(notes, kind, step))

    def counts(self) -> Counter[Place]:
        """How often each came, by all processes that noted here."""
        return Counter(Place(*json.loads(line)) for line in self.file.read_text().splitlines())


def _note(notes: int, kind: str, step: str) -> None:
    os.write(notes, f"{json.dumps([kind, step])}\n".encode())


@dataclass(frozen=True)
class FailInWrite:
    """From the `occurrence`-th time on, `step` fails with an error of the operating system, `times` times."""

    kind: str
    step: str
    number: int
    occurrence: int = 1
    times: int = 1_000_000

    def __call__(self) -> None:
        left = self.times

        def fail() -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise OSError(self.number, os.strerror(self.number))

        _at(self, fail, once=False)


def _at(fault: KillInWrite | FailInWrite, act: Callable[[], None], *, once: bool = True) -> None:
    seen = 0

    def hook(kind: str, step: str) -> None:
        nonlocal seen
        if fault.kind in (kind, "any") and step == fault.step:
            seen += 1
            if seen == fault.occurrence or (not once and seen > fault.occurrence):
                act()

    install(hook)


def install(hook: Hook) -> None:
    """Have `hook` called after every step of every write of this process, until it ends."""
    here = threading.local()

    def step(name: str) -> None:
        if getattr(here, "kind", None):
            hook(here.kind, name)

    def within(method: Callable[..., Any], kind: Callable[..., str]) -> Callable[..., Any]:
        def called(self: Any, path: Any, *rest: Any) -> Any:
            before, here.kind = getattr(here, "kind", None), kind(path)
            try:
                step(NOT_BEGUN)
                return method(self, path, *rest)
            finally:
                here.kind = before

        return called

    def renewing(path: str) -> str:
        kind = kind_of(path)
        if kind == "decision":  # which is created, but by claims
            return "decision settled"
        return f"{kind} renewed" if kind.startswith("lease") else kind

    def delete(self: Any, path: str) -> None:
        deleted(self, path)
        step("removed")

    storage: Any = LocalStorage
    storage.create = within(storage.create, kind_of)
    storage.replace = within(storage.replace, renewing)
    deleted = storage.delete
    storage.delete = within(delete, lambda path: f"{kind_of(path)} deleted")
    arrays: Any = ChunkedArrays
    arrays.write = within(arrays.write, lambda _: "feature shard")
    _patch_calls(step, here)


def _patch_calls(step: Callable[[str], None], here: threading.local) -> None:
    paths: Any = Path
    system: Any = os
    opened, replaced, unlinked = paths.open, paths.replace, paths.unlink
    synced, linked, written_at, reserved = os.fsync, os.link, os.pwrite, os.posix_fallocate

    def open_(self: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        file = opened(self, mode, *rest, **more)
        if mode != "xb" or not self.name.startswith(TEMPORARY_PREFIX):
            return file
        return _SteppedFile(file, step)

    def fsync(descriptor: int) -> None:
        synced(descriptor)
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        rows = getattr(here, "in_rows", False)
        step("folder flushed" if is_folder else "rows flushed" if rows else "flushed")
        here.in_rows = False

    def link(*arguments: Any) -> None:
        linked(*arguments)
        step("linked")

    def replace(self: Path, target: Path) -> Path:
        moved: Path = replaced(self, target)
        step("renamed")
        return moved

    def unlink(self: Path, *rest: Any, **more: Any) -> None:
        unlinked(self, *rest, **more)
        if self.name.startswith(TEMPORARY_PREFIX):
            step("temporary removed")

    def pwrite(descriptor: int, content: memoryview, offset: int) -> int:
        here.in_rows = True
        half = len(content) // 2
        done = written_at(descriptor, content[:half], offset) if half else 0
        step("half of the rows")
        if done == half:
            done += written_at(descriptor, content[half:], offset + half)
        step("rows written")
        return done

    def posix_fallocate(*arguments: int) -> None:
        reserved(*arguments)
        here.kind = "feature shard"
        step("space reserved")
        here.kind = None

    paths.open, paths.replace, paths.unlink = open_, replace, unlink
    system.fsync, system.link, system.pwrite, system.posix_fallocate = fsync, link, pwrite, posix_fallocate


class _SteppedFile:
    """A temporary file that is written in two halves."""

    def __init__(self, file: Any, step: Callable[[str], None]) -> None:
        self._file = file
        self._step = step

    def __enter__(self) -> _SteppedFile:
        self._step(EMPTY)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        half = len(content) // 2
        self._file.write(content[:half])
        self._file.flush()
        self._step(HALF)
        self._file.write(content[half:])
        return len(content)

    def flush(self) -> None:
        self._file.flush()
        self._step("written")

    def fileno(self) -> int:
        return int(self._file.fileno())


ERRORS = {
    "no space": errno.ENOSPC,
    "short write, then no space": errno.ENOSPC,
    "quota": errno.EDQUOT,
    "EIO": errno.EIO,
    "EACCES": errno.EACCES,
    "read-only": errno.EROFS,
}
"""Fault → error; the short write fails at the step "half written", the others at "empty file"."""

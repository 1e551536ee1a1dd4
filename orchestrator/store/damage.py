"""What readers left out because it cannot be read: noted where it is met, told once, at the end of a command.

Whoever passes over a damaged file notes it; whoever began `collecting` further out has all of it, and says that an
answer may be incomplete. Files whose content is known from elsewhere are no damage: compacted histories that are torn,
where their final records are whole; an earlier budget or decision where a later one takes its place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orchestrator.store.errors import DamagedRecordError, plain_text
from orchestrator.store.kinds import holding, kind_of
from orchestrator.store.storage import Storage


@dataclass(frozen=True)
class Damaged:
    """A file of a study that cannot be read, and why. where: the study's folder or address."""

    path: str
    reason: str
    where: str = ""

    @property
    def lost(self) -> str:
        """What the file held, as far as its path says it."""
        return holding(self.path)

    @property
    def back(self) -> str:
        """What to do to have it again."""
        return kind_of(self.path).back

    def as_text(self) -> str:
        held = f" It held {self.lost}." if self.lost else ""
        where = f"{self.where}: " if self.where else ""
        return plain_text(f"Left out: {where}{self.reason.rstrip('.')}.{held} {self.back}")

    def as_json(self) -> dict[str, Any]:
        return {"study": self.where, "file": self.path, "reason": self.reason, "held": self.lost, "back": self.back}


class LeftOut:
    """What was met since `collecting` began, each file once. Thread-safe."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Damaged] = {}

    def add(self, damaged: Damaged) -> None:
        self._found[damaged.where, damaged.path] = damaged

    def forget(self) -> None:
        """What follows counts alone: a command that mends looks again at its end."""
        self._found.clear()

    @property
    def all(self) -> tuple[Damaged, ...]:
        """In order of their paths."""
        return tuple(self._found[key] for key in sorted(self._found.copy()))


_collecting: list[LeftOut] = []
_lock = threading.Lock()


@contextmanager
def collecting() -> Iterator[LeftOut]:
    """Everything that any reader of this process leaves out meanwhile."""
    left_out = LeftOut()
    with _lock:
        _collecting.append(left_out)
    try:
        yield left_out
    finally:
        with _lock:
            _collecting[:] = [one for one in _collecting if one is not left_out]


def note(storage: Storage, path: str, reason: str) -> Damaged:
    """A reader goes on without this file."""
    damaged = Damaged(path, reason, _place(storage))
    with _lock:
        for one in _collecting:
            one.add(damaged)
    return damaged


@contextmanager
def passed_over(storage: Storage, path: str) -> Iterator[None]:
    """What is read in here is left out where it is missing, and where it is damaged, which is noted."""
    try:
        yield
    except FileNotFoundError:
        pass
    except DamagedRecordError as error:
        note(storage, path, error.message)


def met() -> tuple[Damaged, ...]:
    """What the command that is under way has left out so far."""
    return _collecting[0].all if _collecting else ()


def forget() -> None:
    """See `LeftOut.forget`: of the command that is under way."""
    for one in _collecting:
        one.forget()


def _place(storage: Any) -> str:
    while hasattr(storage, "inner"):
        storage = storage.inner
    return str(getattr(storage, "root", ""))

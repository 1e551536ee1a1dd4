"""Machines that see time or folders otherwise than they are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from orchestrator.store import leases
from orchestrator.store.claims import SettledStorage
from orchestrator.store.storage import Storage
from orchestrator.study import studies
from trainables.bundles import attempts, final_records


@dataclass(frozen=True)
class ClockOff:
    """The wall clock of this process goes so many seconds fast; the monotonic one is right, as everywhere."""

    seconds: float

    def __call__(self) -> None:
        seconds, right = self.seconds, time.time

        class Shifted(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return datetime.now(tz) + timedelta(seconds=seconds)

        for module in (leases, attempts, final_records, studies):
            module.datetime = Shifted  # type: ignore[attr-defined]
        time.time = lambda: right() + seconds


@dataclass(frozen=True)
class SeenLate:
    """Wraps a storage: folders are listed as they were up to `late_s` seconds ago, also by whoever writes into them."""

    late_s: float
    seed: int = 0

    def __call__(self, inner: Storage) -> Storage:
        return _LateView(inner, self.late_s)


@dataclass(frozen=True)
class Settling:
    """A folder that cannot create exclusively and is listed late: claims settle who was first."""

    late_s: float
    settle_s: float

    def __call__(self, inner: Storage) -> Storage:
        return SettledStorage(SeenLate(self.late_s)(inner), self.settle_s)


class _LateView:
    def __init__(self, inner: Storage, late_s: float) -> None:
        self._inner = inner
        self._late_s = late_s
        self._listed: dict[str, tuple[float, list[str]]] = {}

    def read(self, path: str) -> bytes:
        return self._inner.read(path)

    def list(self, folder: str) -> list[str]:
        now = time.monotonic()
        at, names = self._listed.get(folder, (-self._late_s, []))
        if now - at >= self._late_s:
            names = self._inner.list(folder)
            self._listed[folder] = now, names
        return list(names)

    def create(self, path: str, content: bytes) -> bool:
        return self._inner.create(path, content)

    def replace(self, path: str, content: bytes) -> None:
        self._inner.replace(path, content)

    def delete(self, path: str) -> None:
        self._inner.delete(path)

    def rename(self, path: str, name: str) -> None:
        self._inner.rename(path, name)

"""Short-lived claims on work or on deciding. They save doing it twice; correctness never hangs on them.

Leases lie in the folder of a segment or of a search: numbered files, `lease-1.json`, `lease-2.json`, …, each created
exclusively by its owner and renewed by it alone; the highest number counts. Whoever takes over a stale lease creates
the next number, and the earlier owner, should it wake up, sees at its next renewal that it was succeeded.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.layout import parse_lease
from orchestrator.store.parsing import parsed_json
from orchestrator.store.storage import Storage

STALE_AFTER_S = 60.0
"""A heartbeat seen unchanged for this long on the observer's own monotonic clock is stale."""

RENEW_EVERY_S = 5.0
TELL_EVERY_S = 0.9
"""At most so often where there are new epochs to tell of; less often where a write takes long."""
WRITING_SHARE = 0.05
"""Of a worker's time, that telling may take."""


@dataclass(frozen=True)
class Driver:
    """The process for which workers take leases, on whatever machine they run. name: no other one has it."""

    name: str
    process: Mapping[str, Any]

    @classmethod
    def here(cls) -> Driver:
        """This process."""
        return cls(uuid.uuid4().hex, _this_process())


@dataclass(frozen=True)
class LeaseView:
    """A lease as somebody else reads it."""

    number: int
    content: Mapping[str, Any]

    @property
    def is_released(self) -> bool:
        return bool(self.content.get("released"))

    @property
    def beat(self) -> tuple[str, int]:
        """One that is no number never changes, so that its lease goes stale."""
        beat = self.content.get("beat")
        return str(self.content.get("owner")), beat if isinstance(beat, int) else 0

    @property
    def host(self) -> str:
        return str(self.content.get("host") or "")

    @property
    def node(self) -> str:
        """Ray's id of the node where the owner runs; "" where it has none."""
        return str(self.content.get("node") or "")

    def is_through(self, driver: Driver) -> bool:
        """Whether it was taken by a worker of this driver."""
        return self._driver.get("name") == driver.name

    def owner_is_dead(self) -> bool:
        """True only when the owner, or the driver for which it works, ran on this very machine and its process is gone:
        no need to wait then."""
        return any(_is_dead(one.get("process")) for one in (self.content, self._driver))

    @property
    def _driver(self) -> Mapping[str, Any]:
        driver = self.content.get("driver")
        return driver if isinstance(driver, dict) else {}


def current_lease(storage: Storage, folder: str, names: Sequence[str] | None = None) -> LeaseView | None:
    """The lease with the highest number, released or not; None when there never was one.

    names: of the files in the folder, where they are known.
    """
    names = storage.list(folder) if names is None else names
    numbers = [number for name in names if (number := parse_lease(name)) is not None]
    if not numbers:
        return None
    number = max(numbers)
    path = layout.lease(folder, number)
    try:
        content = parsed_json(storage.read(path), path)
    except (FileNotFoundError, DamagedRecordError):
        content = {}
    return LeaseView(number, content if isinstance(content, dict) else {})


class StaleWatch:
    """Remembers when this observer first saw each heartbeat; not shared between processes."""

    def __init__(self, stale_after_s: float = STALE_AFTER_S) -> None:
        self.stale_after_s = stale_after_s
        self._seen: dict[str, tuple[int, tuple[str, int], float]] = {}

    def is_free(self, folder: str, lease: LeaseView | None) -> bool:
        """Whether what lies there may be taken now: never leased, released, owner dead here, or heartbeat unchanged."""
        if lease is None or lease.is_released or lease.owner_is_dead():
            return True
        now = time.monotonic()
        seen = self._seen.get(folder)
        if seen is None or seen[:2] != (lease.number, lease.beat):
            self._seen[folder] = (lease.number, lease.beat, now)
            return False
        return now - seen[2] >= self.stale_after_s


@dataclass
class Lease:
    """A claim held by this process on what lies in `folder`."""

    storage: Storage
    folder: str
    number: int
    device: str
    driver: Driver | None = None
    node: str = ""
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    beat: int = 0
    _renewed_at: float = 0.0
    _writing_s: float = 0.0
    _epoch: int = 0
    _of: int = 0

    @classmethod
    def take(
        cls, storage: Storage, folder: str, over: int, device: str = "", driver: Driver | None = None, node: str = ""
    ) -> Lease | None:
        """Claim what lies in `folder` as the successor of lease number `over` (0: none yet).

        driver: for which it is taken. node: Ray's id of the one that this process runs on. None when somebody else was
        first.
        """
        current = current_lease(storage, folder)
        if (current.number if current else 0) != over:
            return None
        lease = cls(storage, folder, over + 1, device, driver, node)
        content = lease._content(released=False)
        lease._renewed_at = time.monotonic()
        return lease if storage.create(layout.lease(folder, lease.number), content) else None

    def renew(self, epoch: int, of: int, *, force: bool = False) -> bool:
        """Beat, at most every few seconds; False when a successor exists, and then the work should stop.

        epoch: as far as the lanes have come; of: the number of epochs asked.
        """
        due = RENEW_EVERY_S
        if epoch != self._epoch:
            due = min(due, max(TELL_EVERY_S, self._writing_s / WRITING_SHARE))
        if not force and time.monotonic() - self._renewed_at < due:
            return True
        self._renewed_at = time.monotonic()
        self._epoch, self._of = epoch, of
        current = current_lease(self.storage, self.folder)
        if current is not None and current.number > self.number:
            return False
        self.beat += 1
        self.storage.replace(layout.lease(self.folder, self.number), self._content(released=False))
        self._writing_s = time.monotonic() - self._renewed_at
        return True

    def beat_on(self) -> bool:
        """Renew at once, with what was last said to be done; False when a successor exists."""
        return self.renew(self._epoch, self._of, force=True)

    def release(self) -> None:
        """Say that nobody works here any more, and drop the files of earlier leases."""
        self.beat += 1
        self.storage.replace(layout.lease(self.folder, self.number), self._content(released=True))
        for name in self.storage.list(self.folder):
            number = parse_lease(name)
            if number is not None and number < self.number:
                self.storage.delete(layout.lease(self.folder, number))

    def _content(self, *, released: bool) -> bytes:
        content = {
            "owner": self.owner,
            "beat": self.beat,
            "released": released,
            "host": socket.gethostname(),
            "process": _this_process(),
            "driver": None if self.driver is None else asdict(self.driver),
            "node": self.node,
            "device": self.device,
            "epoch": self._epoch,
            "of": self._of,
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return json.dumps(content).encode()


@contextlib.contextmanager
def kept_alive(leases: Sequence[Lease]) -> Iterator[None]:
    """Beat from a thread while something long is done that cannot renew the leases itself."""
    ended = threading.Event()

    def beat() -> None:
        held = list(leases)
        while held and not ended.wait(RENEW_EVERY_S):
            with contextlib.suppress(StorageError):
                held = [lease for lease in held if lease.beat_on()]

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _this_process() -> dict[str, Any]:
    return {"machine": _machine(), "pid": os.getpid(), "started": _started(os.getpid())}


def _machine() -> str:
    """This boot of this machine and this process namespace, or "" where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """When the process began, in clock ticks since boot, which no change of the wall clock moves; None where unknown.

    A process that has ended and was not yet waited for counts as begun at -1.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return -1 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _is_dead(process: Any) -> bool:
    """Whether the recorded process ran on this machine and runs no more; an unknown machine or process does."""
    if not isinstance(process, dict) or not process.get("machine") or process["machine"] != _machine():
        return False
    if not isinstance(process.get("pid"), int):
        return False
    try:
        os.kill(process["pid"], 0)
    except (ProcessLookupError, OverflowError):  # or a number that no process can have
        return True
    except OSError:
        pass  # it exists and belongs to another user
    started, recorded = _started(process["pid"]), process.get("started")
    return started is not None and (started < 0 or recorded not in (None, started))

"""A folder as mounted drives give it: several machines, each with its own late view; two files of one name are allowed.

Files are kept apart by an id, never by name. What a client does itself it sees at once; what others do it sees after a
delay drawn for every client and change, in the order of the changes to a file. Nothing creates exclusively.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.store.kinds import check_size
from orchestrator.store.storage import TEMPORARY_PREFIX, checked_path


@dataclass
class _Change:
    content: bytes | None
    """None: deleted."""
    client: int
    seen_at: dict[int, float]


@dataclass
class _File:
    path: str
    changes: list[_Change] = field(default_factory=list)


class DriveCloud:
    """What lies in the cloud; `late_s` is the longest time until a change is seen elsewhere."""

    def __init__(self, late_s: float, seed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.late_s = late_s
        self.clock = clock
        self.draws = random.Random(seed)
        self.lock = threading.RLock()
        self.files: list[_File] = []
        self.clients = 0

    def view(self, before: Callable[[], None] = lambda: None) -> DriveView:
        self.clients += 1
        return DriveView(self, self.clients - 1, before)

    def change(self, file: _File, client: int, content: bytes | None) -> None:
        now = self.clock()
        seen = {other: now + self.draws.uniform(0, self.late_s) for other in range(self.clients)}
        file.changes.append(_Change(content, client, {**seen, client: now}))


class DriveView:
    """One machine's mount of the folder. `before` is called before everything it does."""

    def __init__(self, cloud: DriveCloud, client: int, before: Callable[[], None]) -> None:
        self.cloud = cloud
        self.client = client
        self.before = before

    def _visible(self) -> dict[int, tuple[str, bytes]]:
        found = {}
        now = self.cloud.clock()
        for number, file in enumerate(self.cloud.files):
            seen = [change for change in file.changes if change.seen_at.get(self.client, now) <= now]
            if seen and (content := seen[-1].content) is not None:
                found[number] = file.path, content
        return found

    def read(self, path: str) -> bytes:
        name = str(checked_path(path))
        self.before()
        with self.cloud.lock:
            contents = [content for place, content in self._visible().values() if place == name]
        if not contents:
            raise FileNotFoundError(path)
        content = contents[self.client % len(contents)]
        check_size(path, len(content), self.read)
        return content

    def list(self, folder: str) -> list[str]:
        prefix = "".join(f"{part}/" for part in checked_path(folder).parts)
        self.before()
        with self.cloud.lock:
            places = [place.removeprefix(prefix) for place, _ in self._visible().values() if place.startswith(prefix)]
        files = [place for place in places if "/" not in place]
        folders = {place.split("/")[0] for place in places if "/" in place}
        return sorted(name for name in [*files, *folders] if not name.startswith(TEMPORARY_PREFIX))

    def create(self, path: str, content: bytes) -> bool:
        """Not exclusive: another client's file of this name may not be visible yet."""
        name = str(checked_path(path))
        self.before()
        with self.cloud.lock:
            if any(place == name for place, _ in self._visible().values()):
                return False
            self._new(name, content)
        return True

    def replace(self, path: str, content: bytes) -> None:
        name = str(checked_path(path))
        self.before()
        with self.cloud.lock:
            there = [number for number, (place, _) in self._visible().items() if place == name]
            if there:
                self.cloud.change(self.cloud.files[there[0]], self.client, content)
            else:
                self._new(name, content)

    def delete(self, path: str) -> None:
        name = str(checked_path(path))
        self.before()
        with self.cloud.lock:
            for number, (place, _) in self._visible().items():
                if place == name:
                    self.cloud.change(self.cloud.files[number], self.client, None)

    def rename(self, path: str, name: str) -> None:
        try:
            content = self.read(path)
        except FileNotFoundError:
            return
        self.replace(name, content)
        self.delete(path)

    def _new(self, name: str, content: bytes) -> None:
        file = _File(name)
        self.cloud.files.append(file)
        self.cloud.change(file, self.client, content)


class Killed(BaseException):
    """A simulated process ends here, without any clearing up."""


class VirtualTime:
    """Runs functions in threads of which one at a time is awake, by a clock that jumps to the next one's time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._asleep: list[tuple[float, int, threading.Event]] = []
        self._order = 0
        self._idle = threading.Event()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        woken = threading.Event()
        self._order += 1
        heapq.heappush(self._asleep, (self.now + max(0.0, seconds), self._order, woken))
        self._idle.set()
        woken.wait()

    def run(self, starts: list[tuple[float, Callable[[], None]]]) -> None:
        """Start each function at its time and return when all have ended."""
        threads = []
        for at, act in starts:
            begins = threading.Event()
            threads.append(threading.Thread(target=self._run_one, args=(begins, act), daemon=True))
            self._order += 1
            heapq.heappush(self._asleep, (at, self._order, begins))
            threads[-1].start()
        while self._asleep:
            self.now, _, woken = heapq.heappop(self._asleep)
            self._idle.clear()
            woken.set()
            assert self._idle.wait(10), "a simulated process neither sleeps nor ends"
        for thread in threads:
            thread.join(10)

    def _run_one(self, begins: threading.Event, act: Callable[[], None]) -> None:
        begins.wait()
        try:
            act()
        except Killed:
            pass
        finally:
            self._idle.set()

"""Reads the energy counters of this machine while a search runs, and keeps what they say in the study.

RAPL: the processor's own counters under /sys/class/powercap (package and memory), where they may be read. NVML: the
counters of NVIDIA GPUs, where the package pynvml is installed. They count the whole machine, whoever uses it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError, OrchError, first_line
from orchestrator.store.layout import RESULTS
from orchestrator.store.parsing import json_object
from orchestrator.store.storage import Storage

READINGS = f"{RESULTS}/energy"
POWERCAP = Path("/sys/class/powercap")
EVERY_S = 30.0
"""How often counters are read: a processor's may begin again after some minutes at full power."""
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")


class Counter(Protocol):
    """A count of joules that only grows, but for beginning again at 0 after `limit` joules."""

    component: str
    """cpu, memory or gpu."""
    name: str
    limit: float | None

    def joules(self) -> float:
        """Raises OSError where it cannot be read."""
        ...


@dataclass
class RaplZone:
    """One zone of the kernel's powercap interface; counts microjoules."""

    folder: Path
    component: str
    name: str
    limit: float | None

    def joules(self) -> float:
        return int((self.folder / "energy_uj").read_text()) / 1e6


@dataclass
class Gpu:
    """One GPU; counts millijoules since its driver was loaded."""

    nvml: Any
    handle: Any
    name: str
    component: str = "gpu"
    limit: float | None = None

    def joules(self) -> float:
        try:
            return float(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3
        except self.nvml.NVMLError as error:
            raise OSError(str(error)) from error


def rapl_zones(powercap: Path = POWERCAP) -> list[RaplZone]:
    """Packages and memory whose counters this process may read; [] where there are none."""
    zones = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        if not _ZONE.fullmatch(folder.name):
            continue
        try:
            name = (folder / "name").read_text().strip()
            component = "cpu" if name.startswith("package") else "memory" if name == "dram" else ""
            if component:
                limit = int((folder / "max_energy_range_uj").read_text()) / 1e6
                zone = RaplZone(folder, component, f"RAPL {name}", limit)
                zone.joules()
                zones.append(zone)
        except (OSError, ValueError):
            continue
    return zones


def gpus() -> list[Gpu]:
    """GPUs whose driver counts energy (Volta and later); [] without the package pynvml or without a GPU."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # the package raises its own errors where there is no driver
        return []
    counting = []
    for index in range(nvml.nvmlDeviceGetCount()):
        gpu = Gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index), f"NVML GPU {index}")
        with contextlib.suppress(OSError):
            gpu.joules()
            counting.append(gpu)
    return counting


def counters() -> list[Counter]:
    """All that can be read here."""
    return [*rapl_zones(), *gpus()]


@dataclass
class Meter:
    """Adds up what counters count between calls of `read`; a counter that fails once is dropped for good."""

    counters: Sequence[Counter]
    joules: dict[str, float] = field(default_factory=dict)
    """By component, since the meter was made."""
    sources: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._last: dict[int, float] = {}
        for index, counter in enumerate(self.counters):
            with contextlib.suppress(OSError):
                self._last[index] = counter.joules()
        self.sources = [self.counters[index].name for index in self._last]
        self.joules = {self.counters[index].component: 0.0 for index in self._last}

    def read(self) -> None:
        for index, before in list(self._last.items()):
            counter = self.counters[index]
            try:
                now = counter.joules()
            except OSError:
                del self._last[index]
                continue
            grown = now - before
            if grown < 0:  # it began again at 0
                grown += counter.limit if counter.limit is not None else before
            self.joules[counter.component] += grown
            self._last[index] = now


@dataclass(frozen=True)
class Reading:
    """What the meters of one machine said while one command ran on it; times are UTC, in seconds since 1970."""

    host: str
    started: float
    ended: float
    joules: Mapping[str, float]
    """By component; nothing where no counter could be read."""
    sources: tuple[str, ...]
    act: str = "search"
    """What the command did."""


@contextlib.contextmanager
def metered(storage: Storage, act: str = "search", every_s: float = EVERY_S) -> Iterator[None]:
    """Around a search, an evaluation …: keeps start, end and counted energy of this machine under results/energy of the
    study.

    Written again and again while it runs, so that a killed one leaves what was counted. A machine without readable
    counters leaves the times alone. Never lets it fail.
    """
    meter = Meter(counters())
    path = f"{READINGS}/{uuid.uuid4().hex[:12]}.json"
    started = datetime.now(UTC)
    begun = time.monotonic()
    over = threading.Event()

    def keep() -> None:
        meter.read()
        note = {
            "act": act,
            "host": socket.gethostname(),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - begun, 3),
            "joules": {name: round(value, 3) for name, value in meter.joules.items()},
            "sources": meter.sources,
        }
        with contextlib.suppress(OrchError):
            storage.replace(path, json.dumps(note).encode())

    def watch() -> None:
        while not over.wait(every_s):
            keep()

    thread = threading.Thread(target=watch, name="energy meter", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5.0)
        keep()


def readings(storage: Storage) -> tuple[Reading, ...]:
    """All readings of a study, oldest first; files that are none are passed over, which is noted."""
    whole = []
    for name in storage.list(READINGS):
        path = f"{READINGS}/{name}"
        with passed_over(storage, path):
            whole.append(_reading(storage.read(path), path))
    return tuple(sorted(whole, key=lambda reading: reading.started))


def _reading(content: bytes, path: str) -> Reading:
    note = json_object(content, path)
    try:
        started = datetime.fromisoformat(note["started"]).timestamp()
        joules = {str(key): float(value) for key, value in note["joules"].items()}
        sources = tuple(str(source) for source in note["sources"])
        ended = started + float(note["seconds"])
        return Reading(str(note["host"]), started, ended, joules, sources, str(note.get("act", "search")))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise DamagedRecordError(f"{path} is not a complete reading: {first_line(error)}") from error

"""Energy counters: which are read, what they add up to, and what is kept in the study."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.energy import meters
from orchestrator.energy.meters import Meter, metered, rapl_zones, readings
from orchestrator.store.storage import LocalStorage
from tests.support.waiting import wait_until


@dataclass
class Scripted:
    """Gives these values one by one; None stands for a counter that cannot be read any more."""

    values: list[float | None]
    component: str = "cpu"
    name: str = "scripted"
    limit: float | None = 1000.0
    asked: int = field(default=0)

    def joules(self) -> float:
        value = self.values[min(self.asked, len(self.values) - 1)]
        self.asked += 1
        if value is None:
            raise OSError("gone")
        return value


def zone(folder: Path, name: str, microjoules: str) -> None:
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(microjoules)
    (folder / "max_energy_range_uj").write_text("262143328850\n")


def test_a_counter_that_begins_again() -> None:
    meter = Meter([Scripted([900.0, 950.0, 30.0])])
    meter.read()
    meter.read()
    assert meter.joules == {"cpu": pytest.approx(130.0)}


def test_a_counter_without_a_limit_that_begins_again() -> None:
    meter = Meter([Scripted([900.0, 20.0], limit=None)])
    meter.read()
    assert meter.joules == {"cpu": pytest.approx(20.0)}


def test_components_add_up_and_lost_counters_are_dropped() -> None:
    meter = Meter([Scripted([0.0, 10.0, 20.0]), Scripted([0.0, 5.0, None, 50.0]), Scripted([None, 4.0], "gpu")])
    for _ in range(3):
        meter.read()
    assert meter.joules == {"cpu": pytest.approx(25.0)}
    assert meter.sources == ["scripted", "scripted"]


def test_packages_and_memory_are_read_and_parts_of_packages_are_not(tmp_path: Path) -> None:
    zone(tmp_path / "intel-rapl:0", "package-0", "5000000")
    zone(tmp_path / "intel-rapl:0:0", "core", "3000000")
    zone(tmp_path / "intel-rapl:0:1", "dram", "1000000")
    zone(tmp_path / "intel-rapl:1", "psys", "9000000")
    zone(tmp_path / "intel-rapl-mmio:0", "package-0", "5000000")
    zone(tmp_path / "intel-rapl:2", "package-1", "not a number")
    found = rapl_zones(tmp_path)
    assert [(z.component, z.name, z.joules()) for z in found] == [
        ("cpu", "RAPL package-0", 5.0),
        ("memory", "RAPL dram", 1.0),
    ]
    assert rapl_zones(tmp_path / "nothing") == []


def test_a_search_leaves_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "counters", lambda: [Scripted([1.0, 4.0], "gpu")])
    storage = LocalStorage(tmp_path)
    with metered(storage, every_s=60):
        assert readings(storage) == ()
    (found,) = readings(storage)
    assert found.act == "search"
    assert found.joules == {"gpu": 3.0}
    assert found.sources == ("scripted",)
    assert found.ended >= found.started


def test_a_killed_search_leaves_what_was_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "counters", lambda: [Scripted([0.0, 2.0, 4.0])])
    storage = LocalStorage(tmp_path)
    with metered(storage, every_s=0.01):
        wait_until(lambda: readings(storage))


def test_a_machine_without_counters_leaves_the_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "counters", list)
    storage = LocalStorage(tmp_path)
    with pytest.raises(RuntimeError, match="the search's own"), metered(storage, "evaluation"):
        raise RuntimeError("the search's own")
    (found,) = readings(storage)
    assert found.act == "evaluation"
    assert found.joules == {}

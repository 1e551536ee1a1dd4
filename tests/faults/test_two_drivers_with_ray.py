"""Two `orch resume` on one folder and one machine, each with a Ray of its own, do one study between them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.commands import finals, run
from tests.support.tiny_study import assert_same_result, make_tiny_study

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]
DRIVERS = 2
RATES = "0.01,0.011,0.012,0.013,0.014,0.015,0.016,0.017"
ASKED = f"""search tiny timm:test_resnet.r160_in1k --weights none --strategy unfreezing --unfrozen 1 --lr {RATES}
 --batch-size 4 --repeats 2 --epochs 12"""


def test_two_drivers_on_one_machine_end_in_the_bits_of_one(tmp_path: Path) -> None:
    images = make_tiny_study(tmp_path / "images")
    cache, whole, shared = tmp_path / "cache", tmp_path / "whole", tmp_path / "shared"
    where = ["--cache", str(cache), "--studies"]
    alone = run(*ASKED.split(), "--data", str(images.data), *where, str(whole))
    _, err = alone.communicate()
    assert alone.returncode == 0, err
    done = ("bundles", "segments", "histories", "results", "dashboard.html")
    shutil.copytree(whole / "tiny", shared / "tiny", ignore=shutil.ignore_patterns(*done))

    with contextlib.ExitStack() as folders:
        drivers = []
        for _ in range(DRIVERS):
            # not below tmp_path, whose names are too long for Ray's sockets
            ray = folders.enter_context(tempfile.TemporaryDirectory(prefix="ray", dir="/tmp"))
            drivers.append(run("resume", "tiny", *where, str(shared), RAY_TMPDIR=ray))
        started: list[set[int]] = [set() for _ in drivers]
        while any(driver.poll() is None for driver in drivers):
            for driver, mine in zip(drivers, started, strict=True):
                mine |= processes_of(driver)
            time.sleep(0.2)
        for driver in drivers:
            _, err = driver.communicate()
            assert driver.returncode == 0, err

    leases = [json.loads(path.read_bytes()) for path in shared.glob("tiny/segments/*/lease-*.json")]
    took = [sum(lease["process"]["pid"] in mine for lease in leases) for mine in started]
    assert sum(took) == len(leases)
    assert min(took) >= 1, took
    print(f"leases taken by each driver: {took}")
    expected, found = finals(whole), finals(shared)
    assert sorted(found) == sorted(expected)
    assert len(found) == 16
    for name, final in expected.items():
        assert_same_result(found[name], final)


def processes_of(driver: subprocess.Popen[str]) -> set[int]:
    try:
        return {child.pid for child in psutil.Process(driver.pid).children(recursive=True)}
    except psutil.NoSuchProcess:
        return set()

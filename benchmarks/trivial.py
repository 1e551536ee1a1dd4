"""A search that trains next to nothing: tiny images, a tiny network, a grid of any length; and its commands timed."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from table import REPOSITORY

BACKBONE = "timm:test_resnet.r160_in1k"
SIDE = 32
GROUPS_PER_CLASS = {"train": 8, "valid": 3, "test": 2}
PER_GROUP = 4
MEMORY_EVERY_S = 0.1


@dataclass(frozen=True)
class Run:
    """One command: its wall time, the most memory its own process held (not its children), what it printed."""

    seconds: float
    driver_bytes: int
    stdout: str
    stderr: str
    started: float
    """Wall clock, seconds since 1970, to be compared with the times of files."""


def write_images(folder: Path, groups: int = 1) -> Path:
    """Two classes of small noisy squares; `groups` times as many as the least. Returns the table of their labels."""
    draw = np.random.default_rng(0)
    rows = []
    for index, label in enumerate(("dark", "light")):
        (folder / label).mkdir(parents=True)
        for split, count in GROUPS_PER_CLASS.items():
            for number in range(count * groups * PER_GROUP):
                file = f"{label}/{split}-{number}.png"
                pixels = draw.normal(100 + 15 * index, 30, size=(SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / file)
                rows.append((file, label, f"{label}-{split}-{number // PER_GROUP}", split))
    table = folder / "labels.csv"
    with table.open("w", newline="") as file_:
        csv.writer(file_).writerows([("file", "label", "group", "split"), *rows])
    return table


def grid(configurations: int, vary: str, batch_size: int = 16) -> list[str]:
    """Options for so many configurations: different learning rates, which the product may train stacked, or different
    batch sizes, which it cannot."""
    if vary == "lr":
        rates = 1e-3 * (1 + np.arange(configurations) / configurations)
        return ["--batch-size", str(batch_size), "--lr", ",".join(f"{rate:.8g}" for rate in rates)]
    sizes = range(batch_size, batch_size + configurations)
    return ["--lr", "0.001", "--batch-size", ",".join(map(str, sizes))]


def search_arguments(
    name: str, labels: Path, studies: Path, cache: Path, epochs: int, repeats: int, grid: list[str]
) -> list[str]:
    """Arguments that `orch search` and `orch plan` share."""
    places = ["--data", str(labels), "--studies", str(studies), "--cache", str(cache), "--weights", "none"]
    size = ["--strategy", "straightforward", "--epochs", str(epochs), "--repeats", str(repeats)]
    return [name, BACKBONE, *places, "--precision", "fp32", *size, *grid]


def orch(*arguments: str, accept: tuple[int, ...] = (0,)) -> Run:
    """Run one command of the product and watch the memory of its process; raises RuntimeError when it fails."""
    command = [str(Path(sys.executable).parent / "orch"), *arguments]
    # as a user has it: modules compiled once, not at every start
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started, clock = time.time(), time.monotonic()
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        watch = _Memory(process.pid)
        stdout, stderr = process.communicate()
        seconds = time.monotonic() - clock
        watch.stop()
    if process.returncode not in accept:
        raise RuntimeError(f"orch {arguments[0]} ended with {process.returncode}:\n{stderr[-4000:]}")
    return Run(seconds, watch.most, stdout, stderr, started)


class _Memory(threading.Thread):
    """The largest resident memory of one process, without its children, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._ended = threading.Event()
        self._process = psutil.Process(pid)
        self.start()

    def run(self) -> None:
        while not self._ended.wait(MEMORY_EVERY_S):
            try:
                self.most = max(self.most, int(self._process.memory_info().rss))
            except psutil.Error:
                return

    def stop(self) -> None:
        self._ended.set()
        self.join()

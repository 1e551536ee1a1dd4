"""The three sides of `versus_ray_tune.py`: each a process of its own, timed from its start to its end."""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from images import Backbone, Images
from table import REPOSITORY
from task import Task

ORCH = (sys.executable, "-c", "from orchestrator.command_line import main; main()")
STUDY = "benchmark"


class Race:
    """One search, to be run in `folder` as often as wanted."""

    def __init__(self, folder: Path, task: Task, images: Images, backbone: Backbone) -> None:
        self.folder = folder
        self.task = task
        self.images = images
        self.backbone = backbone
        self.path = folder / "task.json"
        self.runs = 0
        self.cache = self.studies = folder
        self.sample: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        task.save(self.path)

    def tutorial(self, waves: int, epochs: int, slots: int) -> float:
        """Seconds that all trials would take, from `waves` × `slots` of them run for a few epochs."""
        target = self.folder / "tutorial.json"
        points = ",".join(map(str, sampled(self.task, waves * slots)))
        wall = timed([*_script("by_tutorial"), self.path, target, "--points", points, "--epochs", epochs])
        self.sample = json.loads(target.read_text())
        return extrapolated(self.sample, self.task, wall)

    def by_hand(self) -> float:
        return timed([*_script("by_hand"), self.path, self.folder / "by_hand.json"])

    def orch(self, *, cached: bool) -> float:
        """`orch search` in a fresh study; with `cached` on the features of the run before, else in a fresh cache."""
        self.runs += 1
        self.studies = self.folder / f"studies-{self.runs}"
        if not cached:
            self.cache = self.folder / f"cache-{self.runs}"
        task, given = self.task, self.backbone
        command = [*ORCH, "search", STUDY, given.name, "--data", self.images.table, "--data-root", self.images.root]
        command += ["--strategy", "extension" if task.non_linearities else "straightforward"]
        command += ["--non-linearities", task.non_linearities] if task.non_linearities else []
        command += ["--lr", ",".join(f"{lr:g}" for lr in dict.fromkeys(lr for lr, _ in task.grid))]
        command += ["--batch-size", ",".join(map(str, dict.fromkeys(size for _, size in task.grid)))]
        command += ["--epochs", task.epochs, "--repeats", task.repeats, "--precision", task.precision]
        command += ["--weights", given.weights, "--studies", self.studies, "--cache", self.cache, "--json"]
        if given.mean is not None:
            mean = ",".join(map(str, given.mean))
            command += ["--mean", mean, "--std", mean]
        return timed(command)

    def parity(self, configurations: int, repeats: int) -> tuple[float, float]:
        """Largest differences of a loss from the last `orch` run: by hand (train and valid), tutorial (valid).

        By hand some repeats are trained again with the product's own draws, all epochs of them; of the tutorial's
        sample every report is compared.
        """
        target = self.folder / "parity.json"
        timed([*_script("by_hand"), self.path, target, "--same-draws", "--only", f"{configurations}:{repeats}"])
        ours = self._losses()
        by_hand = max(
            abs(loss - ours[(*self._key(name), epoch, split)])
            for name, history in json.loads(target.read_text())["histories"].items()
            for epoch, both in enumerate(history["loss"])
            for split, loss in zip(("train", "valid"), both, strict=True)
        )
        tutorial = [
            abs(report["valid_loss"] - ours[*self.task.grid[trial["index"]], trial["repeat"], epoch, "valid"])
            for trial in self.sample["trials"]
            for epoch, report in enumerate(trial["reports"], 1)
        ]
        return by_hand, max(tutorial)

    def _key(self, name: str) -> tuple[float, int, int]:
        index, repeat = map(int, name.split(":"))
        return (*self.task.grid[index], repeat)

    def _losses(self) -> dict[tuple[float, int, int, int, str], float]:
        """(lr, batch size, repeat, epoch, split) → loss, as `orch table` tells it."""
        command = [*ORCH, "table", STUDY, "--per", "epoch", "--studies", str(self.studies)]
        written = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=True).stdout
        frame = pd.read_csv(io.StringIO(written))
        keys = ("lr", "batch_size", "repeat", "epoch", "split")
        return dict(zip(zip(*(frame[key].tolist() for key in keys), strict=True), frame["loss"].tolist(), strict=True))


def sampled(task: Task, wanted: int) -> list[int]:
    """Points of the grid for the tutorial's trials: all batch sizes in turn, learning rates evenly among them."""
    sizes = list(dict.fromkeys(size for _, size in task.grid))
    of_size = {size: [index for index, (_, other) in enumerate(task.grid) if other == size] for size in sizes}
    return [of_size[sizes[n % len(sizes)]][n // len(sizes) % len(of_size[sizes[0]])] for n in range(wanted)]


def extrapolated(sample: dict[str, Any], task: Task, wall_s: float) -> float:
    """Seconds that all N trials of E epochs would take, from a sample of k waves of W trials with e epochs each.

    wall + (N / W − k) · (between + before) + (N / W · E − k · e) · epoch, where wall is that of the sample's process,
    epoch the mean over all epochs run, before what a trial takes until its first epoch begins, and between the time
    from the end of a trial to the beginning of the one that follows it.
    """
    trials, slots = sample["trials"], sample["slots"]
    reports = [report for trial in trials for report in trial["reports"]]
    waves, epochs = len(trials) / slots, len(reports) / len(trials)
    epoch_s = statistics.mean(report["ended"] - report["epoch_began"] for report in reports)
    began = sorted(trial["reports"][0]["began"] for trial in trials)
    ended = sorted(trial["reports"][-1]["ended"] for trial in trials)
    before_s = statistics.mean(trial["reports"][0]["epoch_began"] - trial["reports"][0]["began"] for trial in trials)
    following = len(trials) - slots
    between_s = statistics.mean(began[-following:]) - statistics.mean(ended[:following]) if following > 0 else 0.0
    wanted = len(task.grid) * task.repeats / slots
    return float(wall_s + (wanted - waves) * (between_s + before_s) + (wanted * task.epochs - waves * epochs) * epoch_s)


def timed(command: Sequence[object]) -> float:
    """Wall seconds of a process from start to end; raises SystemExit with what it said when it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], env=_environment(), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:4]))} … ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return seconds


def _script(name: str) -> list[object]:
    return [sys.executable, Path(__file__).with_name(f"{name}.py")]


def _environment() -> dict[str, str]:
    """The checkout's rooms can be imported whether or not they are installed."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}

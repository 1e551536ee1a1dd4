"""What orchestration costs: searches of more and more configurations that train next to nothing, and what else a study
of that size costs to look at.

Features are computed before, by a search of one configuration with the same cache. `start` is the time from the command
to the first trained repeat on disk; `per bundle` is the time between the first and the last finished bundle over the
bundles after the first. The same groups of repeats are then trained by the learning code alone, in one process without
Ray; what a perfect orchestration would take is that time over the number of cores, and `overhead` is the rest.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from table import Table, arguments, progress
from trivial import Run, grid, orch, search_arguments, write_images

from orchestrator.results.decided import Decided
from orchestrator.results.histories import list_bundles
from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.store.storage import LocalStorage
from trainables.bundles.recipe import decide
from trainables.bundles.workbench import open_bench
from trainables.learning.learner import lanes_of
from trainables.learning.material import begin_group
from trainables.machine.places import Places

COLUMNS = (
    "configurations",
    "vary",
    "repeats",
    "start s",
    "search s",
    "per bundle s",
    "learning alone s",
    "overhead per bundle s",
    "not training %",
    "driver MB",
    "plan s",
    "again s",
    "status s",
    "dashboard s",
)
QUICK = (10, 30)
CORES = len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Place:
    """Folders of one run of this benchmark."""

    root: Path
    labels: Path

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def studies(self) -> Path:
        return self.root / "studies"


@dataclass(frozen=True)
class Finished:
    """When the first repeat of all was on disk and when each bundle was whole, in seconds since 1970."""

    first_repeat: float
    bundles: tuple[float, ...]

    @property
    def per_bundle(self) -> float:
        """Seconds per bundle after the first; NaN with one bundle."""
        after = len(self.bundles) - 1
        return (max(self.bundles) - min(self.bundles)) / after if after else math.nan


def finished(storage: LocalStorage) -> Finished:
    """Read from the times of the final records."""
    times = {
        bundle: [storage.local(f"{bundle.finals}/{name}").stat().st_mtime for name in storage.list(bundle.finals)]
        for bundle in list_bundles(storage)
    }
    return Finished(min(min(ended) for ended in times.values()), tuple(max(ended) for ended in times.values()))


def learning_alone(place: Place, name: str, repeats: int, most: int) -> float:
    """Seconds that the learning code needs for the study's bundles in this process, stacked as they were trained.

    At most `most` configurations are trained, spread over the grid; their time is scaled up to all of them.
    """
    storage = LocalStorage(place.studies / name)
    bench = open_bench(storage, Places(place.labels.parent, place.cache, "none"), torch.device("cpu"))
    partition = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY).partition
    names = [file.removesuffix(".toml") for file in storage.list(layout.CONFIGURATIONS)]
    every = Decided.of(storage).segments()
    chosen = every[:: max(1, -(-len(names) // most))]
    material = bench.material(bench.configuration(names[0]), partition)
    started = time.monotonic()
    for segment in chosen:
        configurations = [bench.configuration(name) for name in segment.configurations]
        recipe = decide(segment, configurations[0], material.layer, material.width, bench.device)
        lanes = lanes_of(configurations, segment.repeats)
        group = begin_group(material, lanes, recipe.scoring_batch, segment.epochs, bench.device)
        group.advance(math.inf)
    trained = sum(len(segment.lanes) for segment in chosen)
    return (time.monotonic() - started) * len(names) * repeats / trained


def measure(place: Place, configurations: int, vary: str, options: argparse.Namespace) -> tuple[Finished, list[Run]]:
    """Plan, search, search again, status and dashboard of one new study."""
    name = f"{vary}-{configurations}"
    asked = search_arguments(
        name,
        place.labels,
        place.studies,
        place.cache,
        options.epochs,
        options.repeats,
        grid(configurations, vary),
    )
    looked = (name, "--studies", str(place.studies))
    runs = []
    for command in (
        ["plan", *asked],
        ["search", *asked],
        ["search", *asked],
        ["status", *looked],
        ["dashboard", *looked],
    ):
        runs.append(orch(*command))
        progress(f"{name}: orch {command[0]} {runs[-1].seconds:.1f} s, {runs[-1].driver_bytes / 1e6:.0f} MB")
    done = json.loads(orch("status", *looked, "--json").stdout)["repeats"]["done"]
    if done != configurations * options.repeats:
        raise RuntimeError(f"{name}: {done} repeats done, {configurations * options.repeats} asked")
    return finished(LocalStorage(place.studies / name)), runs


def add_row(table: Table, place: Place, configurations: int, vary: str, options: argparse.Namespace) -> None:
    """Measure one size and add what was found."""
    times, (plan, search, again, status, dashboard) = measure(place, configurations, vary, options)
    learning = learning_alone(place, f"{vary}-{configurations}", options.repeats, options.sample)
    ideal = learning / CORES
    bundles = len(times.bundles)
    table.add(
        configurations,
        vary,
        configurations * options.repeats,
        times.first_repeat - search.started,
        search.seconds,
        times.per_bundle,
        learning,
        times.per_bundle - ideal / bundles,
        100 * (1 - ideal / search.seconds),
        search.driver_bytes / 1e6,
        plan.seconds,
        again.seconds,
        status.seconds,
        dashboard.seconds,
    )


def main() -> None:
    parser = arguments(__doc__ or "", 1)
    parser.add_argument("--configurations", default="10,100,1000", metavar="N,N,N", help="default: %(default)s")
    parser.add_argument("--vary", default="lr,batch_size", help="what differs: lr, batch_size (default: both)")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--sample", type=int, default=100, help="configurations trained without Ray, then scaled up")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the studies there")
    options = parser.parse_args()
    sizes = QUICK if options.quick else tuple(int(size) for size in options.configurations.split(","))
    root = options.keep or Path(tempfile.mkdtemp(prefix="orch-overhead-"))
    place = Place(root, write_images(root / "images"))
    table = Table("Overhead of orchestration, trivial configurations", COLUMNS)
    table.notes += [
        f"{options.epochs} epochs on 64 views of 512 features; {CORES} trials at a time; a bundle is ten repeats of "
        "one configuration. Configurations that differ in lr may be stacked, those that differ in batch size may not.",
        "start: from the command to the first trained repeat on disk. overhead per bundle: per bundle − learning "
        "alone ÷ cores ÷ bundles. not training: share of the whole command, including start and page.",
        f"learning alone: measured on {options.sample} configurations at most and scaled up.",
        "again: the same search once more, with nothing left to do. dashboard: histories are compacted and the page is "
        "written.",
    ]
    try:
        warm = search_arguments("warm", place.labels, place.studies, place.cache, 1, 1, grid(1, "lr"))
        progress(f"features: {orch('search', *warm).seconds:.1f} s")
        for vary in options.vary.split(","):
            for configurations in sizes:
                for _ in range(options.rounds):
                    shutil.rmtree(place.studies / f"{vary}-{configurations}", ignore_errors=True)
                    add_row(table, place, configurations, vary, options)
    finally:
        if options.keep is None:
            shutil.rmtree(root, ignore_errors=True)
    table.show()
    table.write_json(options.json)


if __name__ == "__main__":
    main()

"""The reference study at full size through the learning code alone, without Ray: the grids of figures B.1, B.2, B.3.

Features are random but tell the classes apart; shapes, numbers of views (6,296 to train on, 209 and 1,154 images and
1,164 views to score after every epoch), configurations, repeats and epochs are the study's. A pass of the bare network
over the views is measured on a sample and scaled up. What is not trained whole is extrapolated and says so. `--whole`
adds what all 12,500 repeats and 936,000 epochs would take, from the rates of every depth.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from reference_grids import FIGURES, Grid, Precision, figure, stacks
from reference_rates import Part, Stack, Timing, apportioned, compare_alone, opened, steps_per_epoch, train
from reference_whole import feature_seconds, whole_study
from table import Table, arguments, progress

from trainables.learning.learner import lanes_of

PARTS = {"cpu": {"B.1": 1.0, "B.2": 0.005, "B.3": 2e-6}, "cuda": {"B.1": 1.0, "B.2": 1.0, "B.3": 0.002}}
"""Share of each grid that is trained where nothing else is said: minutes on two cores, and on one GPU."""
TOLERANCE = 1e-4
PARITY_REPEATS = 2
QUICK_STEPS = 10
COLUMNS = (
    "what",
    "configurations",
    "repeats",
    "epochs of all repeats",
    "how",
    "trained %",
    "measured s",
    "whole s",
    "epochs per second",
)


def work_of(grid: Grid, part: float, epochs: int | None, cache: Path, device: str, precision: Precision) -> list[Stack]:
    """The stacks that are trained, the longest first, each with how many of the grid it stands for."""
    work = []
    for size in grid.batch_sizes:
        every = stacks(grid, size, torch.device(device))
        share = apportioned(part, len(every), grid.epochs, steps_per_epoch(size))
        if epochs is not None:
            share = Part(share.share_of_stacks, min(epochs, grid.epochs), share.steps)
        kept = every[: round(share.share_of_stacks * len(every))]
        work += [
            Stack(tuple(lanes), grid.width, share.epochs, share.steps, len(every) / len(kept), cache, device, precision)
            for lanes in kept
        ]
    return work


def run(work: Sequence[Stack], processes: int) -> tuple[list[Timing], float]:
    """Train all of it, in this process or in several; seconds include the processes' start."""
    opened(work[0])  # writes the features, which are another row
    begun = time.monotonic()
    if processes == 1:
        return [train(stack) for stack in work], time.monotonic() - begun
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return pool.map(train, work, chunksize=1), time.monotonic() - begun


def add_grid(table: Table, grid: Grid, work: Sequence[Stack], processes: int) -> float:
    """Train a grid's part and add its row; returns the seconds that the whole takes."""
    timings, wall = run(work, processes)
    trained = sum(len(t.stack.lanes) * t.stack.epochs * _share(t.stack) for t in timings)
    is_whole = trained >= grid.repeat_epochs
    spread = sum(timing.whole(grid.epochs) for timing in timings) / processes
    seconds = wall if is_whole else spread
    count = len(grid.configurations)
    how = "measured" if is_whole else "extrapolated"
    share = 100 * trained / grid.repeat_epochs
    rate = grid.repeat_epochs / seconds
    table.add(f"{grid.name} training", count, count * grid.repeats, grid.repeat_epochs, how, share, wall, seconds, rate)
    progress(f"{grid.name}: {how} {seconds:.4g} s")
    return seconds


def check_parity(grid: Grid, cache: Path, device: str, quick: bool) -> str:
    """Lanes of one batch size trained together and alone over three epochs; raises RuntimeError where they differ."""
    size = grid.batch_sizes[-2]
    chosen = lanes_of(grid.of_batch_size(size), range(PARITY_REPEATS))
    difference = compare_alone(grid, chosen, cache, device, QUICK_STEPS if quick else None)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"{grid.name}: losses differ by {difference:.2g} stacked and alone, {TOLERANCE:g} allowed")
    return f"{grid.name}, batch {size}: {len(chosen)} lanes stacked and alone, losses within {difference:.1e}"


def _share(stack: Stack) -> float:
    """Of an epoch's steps."""
    whole = steps_per_epoch(stack.lanes[0].configuration.optimiser.batch_size)
    return 1.0 if stack.steps is None else min(1.0, stack.steps / whole)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__ or "", 1)
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=default, help="default: %(default)s")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="of features: %(default)s")
    parser.add_argument("--processes", type=int, help="default: one per core, one on a GPU")
    parser.add_argument("--grids", default=",".join(FIGURES), help="default: %(default)s")
    parser.add_argument("--part", type=float, help="share of each grid that is trained; the rest is extrapolated")
    parser.add_argument("--epochs", type=int, help="train so many epochs of each stack; the rest is extrapolated")
    parser.add_argument("--whole", action="store_true", help="also estimate all repeats of the study")
    return parser.parse_args()


def main() -> None:
    options = _options()
    processes = options.processes or (1 if options.device == "cuda" else len(os.sched_getaffinity(0)))
    cache = Path(tempfile.mkdtemp(prefix="orch-reference-"))
    table = Table("The reference study through the learning code, without Ray", COLUMNS)
    table.notes += [
        f"On {options.device}, {processes} process(es) of one thread, features in {options.precision}, training in "
        "fp32. Features are made up; a feature pass is the bare network on a sample of random views, scaled up.",
        "extrapolated: seconds of a step, a scoring and a start, times how many there are, spread evenly over "
        "processes.",
    ]
    try:
        for name in options.grids.split(",") * options.rounds:
            whole = figure(name, options.precision)
            grid = replace(whole, configurations=whole.of_batch_size(whole.batch_sizes[0])) if options.quick else whole
            part = options.part or (1e-6 if options.quick else PARTS[options.device][name])
            work = work_of(grid, part, options.epochs, cache, options.device, options.precision)
            seconds = add_grid(table, grid, work, processes)
            features = feature_seconds(grid.backbone, options.device, options.precision, options.quick)
            table.add(f"{name} features", None, None, None, "extrapolated", None, None, features, None)
            table.add(f"{name} whole", None, None, None, "sum", None, None, seconds + features, None)
            if not grid.depth[1]:
                table.notes.append(
                    f"Parity, {check_parity(whole, cache, options.device, options.quick)} over three epochs."
                )
        if options.whole:
            whole_study(table, cache, options.device, options.precision, processes, options.quick)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    table.show()
    table.write_json(options.json)


if __name__ == "__main__":
    main()

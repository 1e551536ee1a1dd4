"""What all of the reference study would take, from the rate of every depth of every backbone."""

from __future__ import annotations

import multiprocessing
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from reference_grids import REPORT_EPOCHS, REPORT_REPEATS, Grid, Precision, backbones, grids, made_samples, stacks
from reference_rates import Stack, Timing, opened, train
from table import Table, progress

from search_spaces.form import Form
from trainables.features.store import CPU_BATCH, CUDA_BATCH
from trainables.network.backbone import facts_of, open_backbone

HEAD_STEPS, DEEP_STEPS = 50, 2
EVERY = tuple(range(100))
DEPTHS = {"cpu": (EVERY, (1, 4, 7, 10)), "cuda": ((0, 1, 3, 6), (1, 4, 7, 10))}
"""Numbers of added and of unfrozen layers that are measured; those between are interpolated."""
BATCHES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {"cpu": ((), (8, 16)), "cuda": ((16, 128), (8, 64))}
"""Batch sizes of heads (none: all) and of unfrozen networks that are measured; a step's time is a straight line."""


def feature_seconds(backbone: str, device: str, precision: str, quick: bool) -> float:
    """Seconds of the bare network over all views of the study, measured on some batches of random ones."""
    place = torch.device(device)
    size = facts_of(Form(backbone), "none", 0).image_size
    network = open_backbone(Form(backbone, size), "none", 0).module.to(place).eval()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = 2 if quick else CUDA_BATCH if device == "cuda" else CPU_BATCH
    images = torch.rand(batch, 3, size, size, device=place).to(memory_format=torch.channels_last)
    threads = torch.get_num_threads()
    torch.set_num_threads(multiprocessing.cpu_count())
    rounds = 2 if quick else 10 if device == "cuda" else 4
    with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
        for measured in range(rounds + 1):
            if measured == 1:
                begun = time.monotonic()
            network(images).sum().item()
    seconds = time.monotonic() - begun
    torch.set_num_threads(threads)
    return seconds / (rounds * batch) * made_samples().rows


def whole_study(table: Table, cache: Path, device: str, precision: Precision, processes: int, quick: bool) -> None:
    """Add a row per strategy and one for all, the last scaled to the report's number of epochs."""
    every = [grid for name in backbones() for grid in grids(name, precision)]
    timings = _measured(_samples_of(every, cache, device, precision, quick), processes, device)
    seconds: dict[str, float] = defaultdict(float)
    epochs: dict[str, int] = defaultdict(int)
    repeats: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    for grid in every:
        strategy = grid.configurations[0].strategy
        seconds[strategy] += sum(_stack_seconds(grid, size, timings, device) for size in grid.batch_sizes) / processes
        epochs[strategy] += grid.repeat_epochs
        repeats[strategy] += len(grid.configurations) * grid.repeats
        counts[strategy] += len(grid.configurations)
    for name, value in seconds.items():
        rate = epochs[name] / value
        table.add(f"{name}, all", counts[name], repeats[name], epochs[name], "rates", None, None, value, rate)
    features = sum(feature_seconds(name, device, precision, quick) for name in backbones())
    table.add("features, all backbones", None, None, None, "rates", None, None, features, None)
    total, trained = sum(seconds.values()), sum(epochs.values())
    table.add(
        "the study's file",
        sum(counts.values()),
        sum(repeats.values()),
        trained,
        "sum",
        None,
        None,
        total + features,
        trained / total,
    )
    scaled = total * REPORT_EPOCHS / trained + features
    table.add(
        "as the report counts",
        None,
        REPORT_REPEATS,
        REPORT_EPOCHS,
        "scaled by epochs",
        None,
        None,
        scaled,
        REPORT_EPOCHS / scaled,
    )
    table.notes.append(f"The whole study as the report counts it: {scaled / 3600:.3g} hours on {device}.")


Key = tuple[str, int, int, int]
"""(backbone, or "" where only the width of its features matters, n or u, width, batch size)"""


def _key(grid: Grid, batch_size: int) -> Key:
    n, u = grid.depth
    return (grid.backbone, u, grid.width, batch_size) if u else ("", n, grid.width, batch_size)


def _samples_of(every: list[Grid], cache: Path, device: str, precision: Precision, quick: bool) -> dict[Key, Stack]:
    """One stack per rate that is measured."""
    samples: dict[Key, Stack] = {}
    for grid in every:
        u = grid.depth[1]
        depths = DEPTHS[device][u > 0]
        if max(grid.depth) not in (depths[:2] if quick else depths):
            continue
        for size in BATCHES[device][u > 0] or grid.batch_sizes:
            lanes = stacks(grid, size, torch.device(device))[0]
            steps = DEEP_STEPS if u else 2 if quick else HEAD_STEPS
            stack = Stack(tuple(lanes), grid.width, 1, steps, 1, cache, device, precision)
            samples.setdefault(_key(grid, size), stack)
    return samples


def _measured(work: dict[Key, Stack], processes: int, device: str) -> dict[Key, Timing]:
    """Rates side by side, as many at a time as there are processes; those of one network after each other."""
    progress(f"rates of {len(work)} depths and batch sizes")
    if processes == 1:
        return {key: train(stack) for key, stack in work.items()}
    for stack in {stack.width: stack for key, stack in work.items() if not key[0]}.values():
        opened(stack)
    by_network: dict[tuple[str, int], list[Key]] = defaultdict(list)
    for key in work:
        by_network[key[:2]].append(key)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        several = [[work[key] for key in keys] for keys in by_network.values()]
        timings_of_networks = pool.map(_train_all, several, chunksize=1)
    return {
        key: timing
        for keys, timings in zip(by_network.values(), timings_of_networks, strict=True)
        for key, timing in zip(keys, timings, strict=True)
    }


def _train_all(stacks_of_one: list[Stack]) -> list[Timing]:
    return [train(stack) for stack in stacks_of_one]


def _stack_seconds(grid: Grid, size: int, timings: dict[Key, Timing], device: str) -> float:
    """Seconds of all stacks of one batch size, one after the other."""
    count = len(stacks(grid, size, torch.device(device)))
    key = _key(grid, size)
    if key in timings:
        return count * timings[key].whole(grid.epochs)
    own = {k[1:]: timing for k, timing in timings.items() if (k[0], k[2]) == (key[0], key[2])}
    measured = sorted({depth for depth, _, _ in own})
    of_depth = [_of_batch(grid, size, {k[2]: own[k] for k in own if k[0] == depth}) for depth in measured]
    return count * float(np.interp(max(grid.depth), measured, of_depth))


def _of_batch(grid: Grid, size: int, timings: dict[int, Timing]) -> float:
    """Seconds of one stack: a step's time is a + b · batch size, through the two that were measured."""
    if size in timings:
        return timings[size].whole(grid.epochs)
    low, high = min(timings), max(timings)
    steps = {batch: -(-len(made_samples().training) // batch) for batch in (low, high, size)}
    per_step = {batch: timings[batch].epoch / steps[batch] for batch in (low, high)}
    slope = (per_step[high] - per_step[low]) / (high - low)
    step = max(per_step[low] + slope * (size - low), 0.0)
    return timings[low].setup + (grid.epochs + 1) * timings[high].score + grid.epochs * step * steps[size]

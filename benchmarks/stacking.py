"""What stacking is worth: time of a lane's step and of its scoring, in turn, by repeats, and over configurations.

This is what the constants of `trainables/bundles/recipe.py` were chosen by. Features are random; the class is what a
search uses (`Learner` in a `Group`), the sides alternate, times are processor time of one thread (wall time on a
GPU).
Parity: every lane of the widest stack has the losses that it has alone, within 1e-4 after an epoch.
"""

from __future__ import annotations

import statistics
import time
from functools import partial

import numpy as np
import pandas as pd
import torch
from table import Table, alternately, arguments, progress

from search_spaces.configuration import Configuration
from tests.support.configurations import configured
from trainables.bundles.recipe import most_bundles
from trainables.features.samples import Samples
from trainables.learning.bodies.cached import Cached
from trainables.learning.group import Group
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import parameter_count
from trainables.learning.learner import Lane, Learner, Resident, lanes_of

STACKS = ((1, 1), (1, 10), (5, 10), (20, 10))
"""(configurations, repeats) that are compared."""
HEADS = ((2048, 0, 2), (1280, 0, 8), (512, 1, 2), (512, 2, 2), (1280, 1, 2), (2048, 1, 2))
"""(feature width, non-linearities, classes)."""
BATCH, TRAINING, VALID = 16, 1600, 400
LARGEST_STACK_BYTES = 2_000_000_000
TOLERANCE = 1e-4


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    heads = HEADS[:2] if options.quick else HEADS
    table = Table(
        "Stacking: milliseconds of one lane, batches of 16",
        (
            *("features", "n", "classes", "parameters", "configurations × repeats"),
            *("a step", "scoring 1,000", "bundles stacked"),
        ),
        notes=[
            f"{TRAINING} views trained on, {TRAINING + VALID} scored; medians of {options.rounds} rounds.",
            "bundles stacked: how many bundles of ten repeats orch stacks (`trainables/bundles/recipe.py`); 0: one "
            "repeat after the other.",
            f"Parity: losses of lanes in the widest stack equal those of the lane alone within {TOLERANCE:g}.",
        ],
    )
    for width, n, classes in heads:
        _compare(table, width, n, classes, device, 1 if options.quick else options.rounds)
    table.show()
    table.write_json(options.json)


def _compare(table: Table, width: int, n: int, classes: int, device: torch.device, rounds: int) -> None:
    parameters = parameter_count(layers_of(_configurations(1, n, classes)[0], width))
    features = torch.randn(TRAINING + VALID, width, generator=torch.Generator().manual_seed(0)).to(device)
    samples = _samples(classes)
    fitting = [stack for stack in STACKS if 8 * stack[0] * stack[1] * parameters <= LARGEST_STACK_BYTES]
    groups: dict[tuple[int, int], Group] = {}
    for stack in fitting:
        groups[stack] = _group(lanes_of(_configurations(stack[0], n, classes), range(stack[1])), features, samples)
        while groups[stack].epoch == 0:
            groups[stack].advance(0.0)
        groups[stack].advance(0.0)
    _check(groups[fitting[-1]], features, samples)
    scored: dict[tuple[int, int], list[float]] = {stack: [] for stack in fitting}

    def epoch(stack: tuple[int, int]) -> float:
        group = groups[stack]
        group.epochs += 1
        started, before = _now(device), group.epoch
        while group.epoch == before:
            group.advance(0.0)
        trained = _now(device)
        group.advance(0.0)
        scored[stack].append(_now(device) - trained)
        return trained - started

    trained = alternately({repr(stack): partial(epoch, stack) for stack in fitting}, rounds)
    first = _configurations(1, n, classes)[0]
    rule = most_bundles(first, width, device)
    steps = -(-TRAINING // BATCH)
    for stack in fitting:
        lanes = stack[0] * stack[1]
        table.add(
            width,
            n,
            classes,
            parameters,
            f"{stack[0]} × {stack[1]}",
            1e3 * statistics.median(trained[repr(stack)]) / steps / lanes,
            1e6 * statistics.median(scored[stack]) / (TRAINING + VALID) / lanes,
            rule,
        )


def _check(group: Group, features: torch.Tensor, samples: Samples) -> None:
    """Raise SystemExit when a lane of the stack learned something else than it learns alone."""
    for index in (0, len(group.lanes) - 1):
        alone = _group([group.lanes[index]], features, samples)
        while not alone.is_done:
            alone.advance(0.0)
        difference = float(np.abs(alone.history(0).loss - group.history(index).loss[:2]).max())
        if not difference <= TOLERANCE:
            raise SystemExit(f"lane {index} of {len(group.lanes)}: losses differ by {difference:g}")
    progress(f"parity checked: {len(group.lanes)} lanes")


def _group(lanes: list[Lane], features: torch.Tensor, samples: Samples) -> Group:
    labels = torch.from_numpy(samples.labels).to(features.device)
    learner = Learner(lanes, Resident(features), Cached(), features.shape[1], labels, None, None)
    return Group(lanes, learner, samples, 1, 4096, features.device)


def _samples(classes: int) -> Samples:
    rows = np.arange(TRAINING + VALID)
    scoring = {"train": rows[:TRAINING], "valid": rows[TRAINING:]}
    views = np.zeros((len(rows), 2), np.int32)
    return Samples(pd.DataFrame(), views, rows % classes, rows[:TRAINING], scoring, None)


def _configurations(count: int, n: int, classes: int) -> list[Configuration]:
    settings = {
        "task": "binary" if classes == 2 else "multiclass",
        "classes": tuple(f"class {index}" for index in range(classes)),
        "non_linearities": n,
        "dropout": 0.5 if n else 0.0,
        "batch_size": BATCH,
        "momentum": 0.9,
    }
    return [configured(**settings, lr=1e-4 * (index + 1)) for index in range(count)]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


if __name__ == "__main__":
    main()

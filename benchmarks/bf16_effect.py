"""What bf16 features change: the same heads trained on features of either precision, repeat by repeat."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from images import Images, backbone
from opened import Precision, configurations, partition, resolved, workbench
from table import Table, progress

from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from trainables.learning.group import Group
from trainables.learning.learner import Lane
from trainables.learning.material import learner_of

RATES, BATCH_SIZES, REPEATS, EPOCHS = (1e-3, 1e-2, 1e-1), (16, 64), 10, 50
QUICK = (1e-2,), (16,), 3, 5
COLUMNS = (
    *("backbone", "lr", "batch size", "repeats", "epochs", "valid loss, fp32", "valid loss, bf16"),
    *("difference, mean", "difference, std", "std over repeats, fp32", "valid accuracy, fp32", "valid accuracy, bf16"),
)

Result = tuple[float, float]
"""Valid loss and accuracy at the selected epoch."""


def table(pictures: Images, names: Sequence[str], folder: Path, device: torch.device, *, quick: bool) -> Table:
    """One row per backbone and configuration; a repeat has the same initial weights and order on both sides."""
    found = Table("Heads on fp32 and on bf16 features of the same images", COLUMNS)
    found.notes += [
        f"{pictures.count} images ({pictures.name}), heads without non-linearity, on {device.type}. Losses (nats) and "
        "accuracies at each repeat's selected epoch, means over the repeats; difference: bf16 − fp32 of each repeat."
    ]
    for name in names:
        full = _results(pictures, name, "fp32", folder / f"{name}-fp32", device, quick)
        half = _results(pictures, name, "bf16", folder / f"{name}-bf16", device, quick)
        for (lr, size, epochs), left in full.items():
            right = half[lr, size, epochs]
            differences = [b[0] - a[0] for a, b in zip(left, right, strict=True)]
            found.add(
                *(name, lr, size, len(left), epochs),
                *(statistics.mean(loss for loss, _ in side) for side in (left, right)),
                *(statistics.mean(differences), statistics.stdev(differences)),
                statistics.stdev(loss for loss, _ in left),
                *(statistics.mean(accuracy for _, accuracy in side) for side in (left, right)),
            )
    return found


def _results(
    pictures: Images, name: str, precision: Precision, folder: Path, device: torch.device, quick: bool
) -> dict[tuple[float, int, int], list[Result]]:
    progress(f"{name}, {precision}")
    lr, sizes, repeats, epochs = QUICK if quick else (RATES, BATCH_SIZES, REPEATS, EPOCHS)
    changes = Changes(("straightforward",), {LR: lr, BATCH_SIZE: sizes}, repeats=repeats, epochs=epochs)
    search = resolved(pictures, backbone(name), changes, folder, precision)
    bench = workbench(search, device)
    found = {}
    for configuration in configurations(search):
        material = bench.material(configuration, partition(search))
        lanes = [Lane(configuration, repeat) for repeat in range(repeats)]
        group = Group(lanes, learner_of(lanes, material), material.samples, epochs, 4096, device)
        while not group.is_done:
            group.advance(60.0)
        found[configuration.optimiser.lr, configuration.optimiser.batch_size, epochs] = [
            _result(group, lane) for lane in range(repeats)
        ]
    return found


def _result(group: Group, lane: int) -> Result:
    history, (selected, _) = group.history(lane), group.selected(lane)
    valid = history.splits.index("valid")
    counts = history.statistics[selected, valid]
    return float(history.loss[selected, valid]), float(counts.trace() / counts.sum())

"""What bfloat16 changes, repeat by repeat: of features that heads are trained on, and of layers that are trained."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from images import Images, backbone
from opened import Precision, configurations, partition, resolved, workbench
from table import Table, progress

from orchestrator.resolved import Search
from search_spaces.axes import BATCH_SIZE, LR
from search_spaces.changes import Changes
from search_spaces.configuration import Configuration
from search_spaces.presets import NON_LINEARITIES, UNFROZEN
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.learner import Lane
from trainables.learning.material import learner_of

RATES, BATCH_SIZES, REPEATS, EPOCHS = (1e-3, 1e-2, 1e-1), (16, 64), 10, 50
QUICK = (1e-2,), (16,), 3, 5
ARITHMETIC = "adaptation.arithmetic"
TRAINED_RATES, TRAINED_REPEATS, TRAINED_EPOCHS = (3e-4, 1e-3), 5, 20
SCORED = 64
"""Views of a scoring batch of a network."""
_EFFECT = (
    *("repeats", "epochs", "valid loss, fp32", "valid loss, bf16"),
    *("difference, mean", "difference, std", "std over repeats, fp32", "valid accuracy, fp32", "valid accuracy, bf16"),
)
COLUMNS = ("backbone", "lr", "batch size", *_EFFECT)
TRAINED_COLUMNS = ("backbone", "u", "lr", *_EFFECT, "seconds, bf16 ÷ fp32")


class Result(NamedTuple):
    """Valid loss and accuracy at the selected epoch; seconds of steps and scores."""

    loss: float
    accuracy: float
    seconds: float


def table(pictures: Images, names: Sequence[str], folder: Path, device: torch.device, *, quick: bool) -> Table:
    """One row per backbone and configuration; a repeat has the same initial weights and order on both sides."""
    effects = Table("Heads on fp32 and on bf16 features of the same images", COLUMNS)
    effects.notes += [
        f"{pictures.count} images ({pictures.name}), linear probes, on {device.type}. Losses (nats) and "
        "accuracies at each repeat's selected epoch, means over the repeats; difference: bf16 − fp32 of each repeat."
    ]
    for name in names:
        full = _results(pictures, name, "fp32", folder / f"{name}-fp32", device, quick)
        half = _results(pictures, name, "bf16", folder / f"{name}-bf16", device, quick)
        for (lr, size, epochs), left in full.items():
            effects.add(name, lr, size, *_effect(left, half[lr, size, epochs], epochs))
    return effects


def of_training(
    pictures: Images, names: Sequence[str], unfrozen: Sequence[int], folder: Path, device: torch.device, *, quick: bool
) -> Table:
    """One row per backbone, u and learning rate; both sides read the same features, in float32."""
    effects = Table("The last u weight layers trained in fp32 and in bf16", TRAINED_COLUMNS)
    lr, repeats, epochs = ((1e-2,), 2, 2) if quick else (TRAINED_RATES, TRAINED_REPEATS, TRAINED_EPOCHS)
    effects.notes += [
        f"{pictures.count} images ({pictures.name}), batch 16, SGD with momentum 0.9, on {device.type}, "
        f"{torch.get_num_threads()} thread(s). Losses (nats) and accuracies at each repeat's selected epoch, means "
        "over the repeats; difference: bf16 − fp32 of each repeat. Seconds: of all steps and scores, with the sides "
        "in alternating order; the median of the repeats' ratios."
    ]
    for name in names:
        changes = Changes(
            ("unfreezing",),
            {
                UNFROZEN: tuple(unfrozen),
                NON_LINEARITIES: (0,),
                LR: lr,
                BATCH_SIZE: (16,),
                "optimiser.momentum": (0.9,),
                ARITHMETIC: ("fp32", "bf16"),
            },
            repeats=repeats,
            epochs=epochs,
        )
        search = resolved(pictures, backbone(name), changes, folder / name, "fp32")
        sides: dict[tuple[int, float], dict[str, Configuration]] = defaultdict(dict)
        for c in configurations(search):
            sides[c.adaptation.unfrozen, c.optimiser.lr][c.adaptation.arithmetic] = c
        bench = workbench(search, device)
        for (u, rate), both in sides.items():
            results: dict[str, list[Result]] = {"fp32": [], "bf16": []}
            for repeat in range(repeats):
                for side in sorted(results, reverse=repeat % 2 == 0):
                    progress(f"{name}, u = {u}, lr {rate:g}, repeat {repeat}, {side}")
                    results[side] += _trained(search, bench, both[side], [repeat], epochs, SCORED)
            left, right = results["fp32"], results["bf16"]
            ratio = statistics.median(b.seconds / a.seconds for a, b in zip(left, right, strict=True))
            effects.add(name, u, rate, *_effect(left, right, epochs), ratio)
    return effects


def _effect(left: list[Result], right: list[Result], epochs: int) -> tuple[int | float, ...]:
    """Cells of `_EFFECT`, of repeats in fp32 and the same in bf16."""
    differences = [b.loss - a.loss for a, b in zip(left, right, strict=True)]
    return (
        *(len(left), epochs),
        *(statistics.mean(one.loss for one in side) for side in (left, right)),
        *(statistics.mean(differences), statistics.stdev(differences)),
        statistics.stdev(one.loss for one in left),
        *(statistics.mean(one.accuracy for one in side) for side in (left, right)),
    )


def _results(
    pictures: Images, name: str, precision: Precision, folder: Path, device: torch.device, quick: bool
) -> dict[tuple[float, int, int], list[Result]]:
    progress(f"{name}, {precision}")
    lr, sizes, repeats, epochs = QUICK if quick else (RATES, BATCH_SIZES, REPEATS, EPOCHS)
    changes = Changes(("straightforward",), {LR: lr, BATCH_SIZE: sizes}, repeats=repeats, epochs=epochs)
    search = resolved(pictures, backbone(name), changes, folder, precision)
    bench = workbench(search, device)
    return {
        (c.optimiser.lr, c.optimiser.batch_size, epochs): _trained(search, bench, c, range(repeats), epochs, 4096)
        for c in configurations(search)
    }


def _trained(
    search: Search, bench: Workbench, c: Configuration, repeats: Sequence[int], epochs: int, scored: int
) -> list[Result]:
    """Of each repeat, trained together; scored: views of a scoring batch."""
    material = bench.material(c, partition(search))
    lanes = [Lane(c, repeat) for repeat in repeats]
    group = Group(lanes, learner_of(lanes, material), material.samples, epochs, scored, bench.device)
    while not group.is_done:
        group.advance(60.0)
    return [_result(group, lane) for lane in range(len(lanes))]


def _result(group: Group, lane: int) -> Result:
    history, (selected, _) = group.history(lane), group.selected(lane)
    valid = history.splits.index("valid")
    counts = history.statistics[selected, valid]
    loss = float(history.loss[selected, valid])
    return Result(loss, float(counts.trace() / counts.sum()), float(group.seconds[lane]))

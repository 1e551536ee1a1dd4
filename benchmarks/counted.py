"""The limit of a search of heads: counted passes of the backbone and counted arithmetic, and what they take here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from task import Task, open_network
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.settings.head import Head
from trainables.learning.heads.head import head_of
from trainables.learning.heads.layer import linear

FORWARD_BATCH = {"cpu": 32, "cuda": 256}


@dataclass(frozen=True)
class Counted:
    """Multiply-adds of one search: the whole network in every step, and the frozen part once."""

    every_step: float
    once: float
    passes_every_step: int
    """Images that go through the network: repeats × epochs × (train + valid)."""
    passes_once: int
    width: int
    """Features of one image."""

    @property
    def ratio(self) -> float:
        return self.every_step / self.once


def count(task: Task) -> Counted:
    """Count both ways of running the task.

    A head costs Σ inputs·outputs per row forward and as much for the gradient of its weights; the gradient of its
    inputs is needed in all layers but the first. Scoring is a forward pass: the way with the whole network scores
    valid alone after every epoch, as the tutorial does; the other way train and valid, and before the first epoch too.
    """
    network, width = open_network(task)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, task.image_size, task.image_size))
    backbone = counter.get_total_flops() / 2
    products = [i * o for i, o in _sizes(task, width)]
    forward, backward = sum(products), sum(products) + sum(products[1:])
    train, valid = sum(task.training), len(task.files) - sum(task.training)
    runs = len(task.grid) * task.repeats
    passes = runs * task.epochs * (train + valid)
    heads = runs * task.epochs * (train * (forward + backward) + valid * forward)
    whole = passes * backbone + heads
    scoring = runs * ((task.epochs + 1) * (train + valid) - task.epochs * valid) * forward
    return Counted(whole, len(task.files) * backbone + heads + scoring, passes, len(task.files), width)


def _sizes(task: Task, width: int) -> list[tuple[int, int]]:
    return linear(head_of(Head(non_linearities=task.non_linearities)).layers(width, task.outputs))


@torch.no_grad()
def seconds_of_one_pass(task: Task, device: torch.device) -> float:
    """The bare network over all images of the task, on all of the device, extrapolated from a few batches."""
    network, _ = open_network(task)
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = FORWARD_BATCH[device.type]
    images = torch.rand(size, 3, task.image_size, task.image_size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    best = float("inf")
    for _ in range(6):
        started = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=task.precision == "bf16"):
            network(images)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    return best / size * len(task.files)


@torch.no_grad()
def seconds_of_heads(task: Task, width: int, device: torch.device) -> float:
    """The heads' matrix products alone, those of ten repeats in one batched call, on all cores or the GPU.

    No loss, no update, no order, no bookkeeping. A few steps of every batch size are timed on one core and divided by
    the cores.
    """
    lanes, threads = min(10, task.repeats), torch.get_num_threads()
    torch.set_num_threads(1)
    heads = _Products(_sizes(task, width), lanes, device)
    steps = {batch: -(-sum(task.training) // batch) for _, batch in task.grid}
    step_s = {batch: _fastest(heads.step, batch) for batch in steps}
    score_s = _fastest(heads.score, len(task.files))
    total = sum(task.epochs * steps[batch] * step_s[batch] + (task.epochs + 1) * score_s for _, batch in task.grid)
    torch.set_num_threads(threads)
    return total * task.repeats / lanes / (threads if device.type == "cpu" else 1)


class _Products:
    """The products of some lanes' heads; the numbers do not matter."""

    def __init__(self, sizes: list[tuple[int, int]], lanes: int, device: torch.device) -> None:
        self.weights = [torch.rand(lanes, inputs, outputs, device=device) for inputs, outputs in sizes]

    def step(self, rows: int) -> float:
        """One batch forward and backward; returns a number of it, so that the device has finished."""
        hidden = [
            torch.rand(1, device=weight.device).expand(len(weight), rows, weight.shape[1]).contiguous()
            for weight in self.weights
        ]
        started = time.perf_counter()
        outputs = [torch.bmm(inputs, weight) for inputs, weight in zip(hidden, self.weights, strict=True)]
        gradients = [torch.bmm(i.transpose(1, 2), o) for i, o in zip(hidden, outputs, strict=True)]
        gradients += [torch.bmm(o, w.transpose(1, 2)) for o, w in zip(outputs[1:], self.weights[1:], strict=True)]
        gradients[-1].flatten()[0].item()
        return time.perf_counter() - started

    def score(self, rows: int) -> float:
        """All rows forward; the first layer reads them once for all lanes."""
        first = torch.rand(rows, self.weights[0].shape[1], device=self.weights[0].device)
        started = time.perf_counter()
        hidden = first @ self.weights[0]
        for weight in self.weights[1:]:
            hidden = torch.bmm(hidden, weight)
        hidden.flatten()[0].item()
        return time.perf_counter() - started


def _fastest(measure: Callable[[int], float], rows: int) -> float:
    return min(measure(rows) for _ in range(20))

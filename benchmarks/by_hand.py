"""A search as an expert would write it by hand: features computed once, a plain loop, one process, no orchestration.

python benchmarks/by_hand.py TASK RESULT [--same-draws] [--only CONFIGURATIONS:REPEATS]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from same_draws import begin, order, prepared
from task import Task, classes_of, loss_of, new_head, open_network, read_square, spread
from torch import nn

FORWARD_BATCH = {"cpu": 32, "cuda": 256}


@torch.no_grad()
def features_of(task: Task, device: torch.device) -> torch.Tensor:
    """float32 [files, D]: decode all images, one pass of the bare network over them."""
    pictures = [read_square(Path(task.root) / file, task.image_size, task.interpolation) for file in task.files]
    squares = torch.from_numpy(np.stack([np.array(picture) for picture in pictures]))
    network, _ = open_network(task)
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in (task.mean, task.std))
    parts = []
    for batch in torch.split(squares, FORWARD_BATCH[device.type]):
        images = batch.to(device).permute(0, 3, 1, 2).float().div_(255).sub_(mean).div_(std)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=task.precision == "bf16"):
            parts.append(network(images).float())
    return torch.cat(parts)


class Search:
    """The loop over configurations and repeats."""

    def __init__(self, task: Task, features: torch.Tensor, same_draws: bool) -> None:
        self.task = task
        self.same_draws = same_draws
        self.device = features.device
        labels = torch.tensor(task.labels, device=self.device)
        training = torch.tensor(task.training, device=self.device)
        self.features, self.labels = features[training], labels[training]
        self.splits = ((self.features, self.labels), (features[~training], labels[~training]))

    def train(self, lr: float, batch_size: int, repeat: int) -> dict[str, list[object]]:
        """One repeat from its initial weights: losses and confusion counts of train and valid after every epoch."""
        task, rows = self.task, len(self.labels)
        head = new_head(task, self.features.shape[1])
        if self.same_draws:
            head = prepared(head, task.seed, repeat)
        head = head.to(self.device)
        optimiser = torch.optim.SGD(head.parameters(), lr=lr, momentum=task.momentum)
        history: dict[str, list[object]] = {"loss": [], "confusion": []}
        self._score(head, history)
        for epoch in range(1, task.epochs + 1):
            head.train()
            drawn = order(task.seed, repeat, epoch, rows) if self.same_draws else torch.randperm(rows)
            drawn = drawn.to(self.device)
            batches = zip(
                torch.split(self.features[drawn], batch_size), torch.split(self.labels[drawn], batch_size), strict=True
            )
            for number, (images, labels) in enumerate(batches):
                if self.same_draws:
                    begin(head, epoch, number * batch_size)
                loss = loss_of(head(images), labels)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
            self._score(head, history)
        return history

    @torch.no_grad()
    def _score(self, head: nn.Module, history: dict[str, list[object]]) -> None:
        head.eval()
        losses, counts = [], []
        for features, labels in self.splits:
            logits = head(features)
            losses.append(loss_of(logits, labels))
            cells = labels * self.task.classes + classes_of(logits)
            counts.append(torch.bincount(cells, minlength=self.task.classes**2))
        history["loss"].append(torch.stack(losses).tolist())
        history["confusion"].append(torch.stack(counts).tolist())


def faster_threads(task: Task, features: torch.Tensor) -> int:
    """Torch's own number of threads or one, whichever trains faster here: small heads lose more than they gain."""
    every, seconds = torch.get_num_threads(), {}
    tried = replace(task, epochs=1)
    for threads in (every, 1):
        torch.set_num_threads(threads)
        search = Search(tried, features, False)
        started = time.perf_counter()
        for _ in range(3):
            search.train(*task.grid[len(task.grid) // 2], 0)
        seconds[threads] = time.perf_counter() - started
    return min(seconds, key=seconds.__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--same-draws", action="store_true", help="the product's weights, orders and masks")
    parser.add_argument("--only", metavar="C:R", help="so many configurations, so many repeats of each")
    arguments = parser.parse_args()
    task = Task.load(arguments.task)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    started = time.perf_counter()
    features = features_of(task, device)
    features_s = time.perf_counter() - started
    torch.set_num_threads(faster_threads(task, features))
    configurations, repeats = map(int, arguments.only.split(":")) if arguments.only else (len(task.grid), task.repeats)
    search = Search(task, features, arguments.same_draws)
    histories = {}
    for index in spread(len(task.grid), configurations):
        for repeat in range(repeats):
            histories[f"{index}:{repeat}"] = search.train(*task.grid[index], repeat)
    seconds = {"features": features_s, "training": time.perf_counter() - started - features_s}
    arguments.result.write_text(
        json.dumps({"seconds": seconds, "threads": torch.get_num_threads(), "histories": histories})
    )


if __name__ == "__main__":
    main()

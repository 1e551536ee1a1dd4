"""A search as Ray Tune's tutorial for PyTorch has it: a function trainable, image files through a DataLoader, the whole
network in every step, one trial per configuration and repeat, default settings, a report after every epoch.

python benchmarks/by_tutorial.py TASK RESULT --points 0,7,12 --epochs 2

It runs the trials of some points of the grid for a few epochs, and notes when each of them began, reported and ended.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from same_draws import SameOrder, begin, prepared
from task import Task, loss_of, new_head, open_network, read_square
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

LOADERS_PER_GPU = 8


class Files(Dataset[tuple[torch.Tensor, int]]):
    """One split's images, decoded whenever they are asked for."""

    def __init__(self, task: Task, training: bool) -> None:
        chosen = [index for index, trained in enumerate(task.training) if trained == training]
        self.paths = [Path(task.root) / task.files[index] for index in chosen]
        self.labels = [task.labels[index] for index in chosen]
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(task.mean, task.std)])
        self.size, self.interpolation = task.image_size, task.interpolation

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        square = read_square(self.paths[index], self.size, self.interpolation)
        return self.transform(square), self.labels[index]


def train(config: dict[str, Any], task: Task, epochs: int) -> None:
    """One trial. Initial weights, order and masks are the product's, so that its losses can be compared."""
    begun, config = time.time(), config["point"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, width = open_network(task)
    head = prepared(new_head(task, width), task.seed, config["repeat"])
    network, head = network.to(device), head.to(device)
    images, valid = Files(task, True), Files(task, False)
    loaders = LOADERS_PER_GPU if device.type == "cuda" else 0
    order = SameOrder(task.seed, config["repeat"], len(images))
    train_loader = DataLoader(images, batch_size=config["batch_size"], sampler=order, num_workers=loaders)
    valid_loader = DataLoader(valid, batch_size=config["batch_size"], num_workers=loaders)
    optimiser = torch.optim.SGD(head.parameters(), lr=config["lr"], momentum=task.momentum)
    for epoch in range(1, epochs + 1):
        started = time.time()
        head.train()
        running = 0.0
        for number, (batch, labels) in enumerate(train_loader):
            begin(head, epoch, number * config["batch_size"])
            optimiser.zero_grad()
            loss = loss_of(head(network(batch.to(device))), labels.to(device))
            torch.autograd.backward(loss)
            optimiser.step()
            running += loss.item() * len(labels)
        valid_loss = _validated(network, head, valid_loader, device)
        now = time.time()
        tune.report(
            {"running_loss": running / len(images), "valid_loss": valid_loss, "began": begun, "epoch_began": started}
            | {"ended": now}
        )


@torch.no_grad()
def _validated(network: nn.Module, head: nn.Module, loader: DataLoader[Any], device: torch.device) -> float:
    head.eval()
    total, count = 0.0, 0
    for batch, labels in loader:
        total += loss_of(head(network(batch.to(device))), labels.to(device)).item() * len(labels)
        count += len(labels)
    return total / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--points", type=lambda text: [int(part) for part in text.split(",")], required=True)
    parser.add_argument("--epochs", type=int, required=True)
    arguments = parser.parse_args()
    task = Task.load(arguments.task)
    points = [
        {
            "index": index,
            "repeat": arguments.points[:number].count(index),
            "lr": task.grid[index][0],
            "batch_size": task.grid[index][1],
        }
        for number, index in enumerate(arguments.points)
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    ray.init(include_dashboard=False, log_to_driver=False)
    gpus = torch.cuda.device_count()
    trainable: Any = functools.partial(train, task=task, epochs=arguments.epochs)
    if gpus:
        trainable = tune.with_resources(trainable, {"cpu": 1, "gpu": 1})
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            trainable,
            param_space={"point": tune.grid_search(points)},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        trials = [
            {**result.config["point"], "reports": result.metrics_dataframe.to_dict("records")}
            for result in (results[number] for number in range(len(results)))
            if result.config and result.metrics_dataframe is not None
        ]
        errors = [str(error) for error in results.errors]
    slots = gpus or int(ray.cluster_resources()["CPU"])  # type: ignore[no-untyped-call]
    ray.shutdown()
    if errors:
        raise SystemExit(errors[0])
    arguments.result.write_text(json.dumps({"slots": slots, "trials": trials}, default=float))


if __name__ == "__main__":
    main()

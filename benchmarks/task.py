"""What the three sides of `versus_ray_tune.py` are told to do, as a JSON file that each of them reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import nn


@dataclass(frozen=True)
class Task:
    """Images of train and valid in the product's order, the network, and a grid of (lr, batch size) × repeats."""

    root: str
    files: tuple[str, ...]
    labels: tuple[int, ...]
    training: tuple[bool, ...]
    """Per file whether it is in train; else it is in valid."""
    classes: int
    library: str
    """"timm" or "torchvision"."""
    network: str
    weights: str
    image_size: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    precision: str
    """"fp32", or "bf16": the frozen network under autocast."""
    grid: tuple[tuple[float, int], ...]
    momentum: float
    non_linearities: int
    negative_slope: float
    dropout: float
    repeats: int
    epochs: int
    seed: int

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Task:
        content = {key: _frozen(value) for key, value in json.loads(path.read_text()).items()}
        return cls(**content)

    @property
    def outputs(self) -> int:
        """One for two classes, else one per class."""
        return 1 if self.classes == 2 else self.classes


def open_network(task: Task) -> tuple[nn.Module, int]:
    """The network without its classifier, in eval mode, no gradients; and how many features it gives."""
    if task.library == "timm":
        import timm

        network: nn.Module = timm.create_model(task.network, num_classes=0)
    else:
        import torchvision

        network = torchvision.models.get_model(task.network, weights=None)
        last = [name for name, part in network.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]
        holder, _, name = last.rpartition(".")
        setattr(network.get_submodule(holder), name, nn.Identity())
    left_over = network.load_state_dict(torch.load(task.weights, weights_only=True), strict=False)
    if any(not name.endswith("num_batches_tracked") for name in left_over.missing_keys):
        raise ValueError(
            f"{task.weights}: expected all weights of {task.network}, missing {left_over.missing_keys[:3]}"
        )
    network.eval().requires_grad_(False)
    with torch.no_grad():
        width = network(torch.zeros(1, 3, task.image_size, task.image_size)).shape[1]
    return network, int(width)


def new_head(task: Task, width: int) -> nn.Sequential:
    """n × (linear of half the width, LeakyReLU, dropout), then the output layer."""
    parts: list[nn.Module] = []
    for _ in range(task.non_linearities):
        parts += [nn.Linear(width, width // 2), nn.LeakyReLU(task.negative_slope), nn.Dropout(task.dropout)]
        width //= 2
    return nn.Sequential(*parts, nn.Linear(width, task.outputs))


def read_square(path: Path, size: int, interpolation: str) -> Image.Image:
    """The image's centre, RGB, resized to a square."""
    with Image.open(path) as image:
        return ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling[interpolation.upper()])


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy; logits [N, outputs], labels int64 [N]."""
    if logits.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels.to(logits.dtype))
    return nn.functional.cross_entropy(logits, labels)


def classes_of(logits: torch.Tensor) -> torch.Tensor:
    """Predicted class indices int64 [N]."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the numbers 0 … count − 1, evenly over all of them."""
    wanted = min(count, wanted)
    return sorted({round(index * (count - 1) / max(1, wanted - 1)) for index in range(wanted)})


def _frozen(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_frozen(part) for part in value)
    return value

"""Builds a network that is declared as data (`search_spaces.own_networks`), with the initial values that torch and timm
draw."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import nn

from orchestrator.store.errors import InputError, first_line
from search_spaces.own_networks import Layer, OwnNetwork
from trainables.network.tracing import on_meta

_Make = Callable[[Mapping[str, int | float], int], nn.Module]
_MAPS, _ROWS = 4, 2
_MODULES: Mapping[str, _Make] = {
    "conv": lambda a, width: nn.Conv2d(
        width, int(a["width"]), int(a["window"]), stride=int(a["stride"]), padding=int(a["padding"])
    ),
    "relu": lambda a, width: nn.ReLU(),
    "leaky_relu": lambda a, width: nn.LeakyReLU(a["slope"]),
    "gelu": lambda a, width: nn.GELU(),
    "max_pool": lambda a, width: nn.MaxPool2d(int(a["window"]), int(a["stride"]) or None, int(a["padding"])),
    "avg_pool": lambda a, width: nn.AvgPool2d(int(a["window"]), int(a["stride"]) or None, int(a["padding"])),
    "adaptive_pool": lambda a, width: nn.AdaptiveAvgPool2d(int(a["size"])),
    "flatten": lambda a, width: nn.Flatten(),
    "linear": lambda a, width: nn.Linear(width, int(a["width"])),
}
"""Of arguments and of the channels or features that come in."""
_TAKES = {"linear": _ROWS, "conv": _MAPS, "max_pool": _MAPS, "avg_pool": _MAPS, "adaptive_pool": _MAPS}
_NAMES = {_MAPS: "maps", _ROWS: "rows of features"}


def own_module(own: OwnNetwork, image_size: int | None, name: str) -> nn.Module:
    """float32 [N, 3, S, S] → float32 [N, D]; layers are called `conv1`, `relu1`, …

    Raises InputError, naming the network, for a size that it cannot take and for layers that do not fit one another.
    """
    size = image_size or own.image_size
    if own.transformer is not None:
        from timm.models.vision_transformer import VisionTransformer

        sizes = {key: int(value) for key, value in own.transformer.items()}
        if size % sizes["patch"]:
            raise InputError(
                f"{name}: expected an image size divisible by its patch size, {sizes['patch']} pixels, "
                f"found {size} pixels",
                f"Its own size is {own.image_size} pixels.",
            )
        transformer: nn.Module = VisionTransformer(
            img_size=size,
            patch_size=sizes["patch"],
            embed_dim=sizes["width"],
            depth=sizes["depth"],
            num_heads=sizes["heads"],
            mlp_ratio=sizes["ratio"],
            num_classes=0,
        )
        return transformer
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    counted: Counter[str] = Counter()
    values = torch.empty(2, 3, size, size, device="meta")
    for layer in own.layers:
        counted[layer.kind] += 1
        called = f"{layer.kind}{counted[layer.kind]}"
        parts[called], values = _fitted(layer, values, f"{name}, {called}", size, own.image_size)
    return nn.Sequential(parts)


def _fitted(layer: Layer, values: torch.Tensor, where: str, size: int, own_size: int) -> tuple[nn.Module, torch.Tensor]:
    """The module that takes these values, and what it makes of them."""
    dimensions = _TAKES.get(layer.kind, values.ndim)
    if layer.kind == "batch_norm":
        module: nn.Module = (nn.BatchNorm2d if values.ndim == _MAPS else nn.BatchNorm1d)(values.shape[1])
    else:
        module = _MODULES[layer.kind](layer.arguments, values.shape[1])
    if values.ndim != dimensions:
        raise InputError(
            f"{where}: expected {_NAMES[dimensions]}, found {_NAMES[values.ndim]}",
            'Put "flatten" between maps and linear layers, once.',
        )
    try:
        with torch.no_grad(), torch.device("meta"):
            return module, on_meta(module)(values)
    except Exception as error:  # torch raises what it likes for a window that does not fit
        places = " × ".join(map(str, values.shape[2:]))
        raise InputError(
            f"{where}: expected a window that fits into the {places} positions left there by {size} pixels "
            f"({first_line(error)})",
            f"Its own size is {own_size} pixels.",
        ) from error

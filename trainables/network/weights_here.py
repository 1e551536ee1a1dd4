"""Backbones whose pretrained weights lie on this machine already, in the caches that their libraries fill."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from orchestrator.store.errors import InputError
from trainables.network.backbone_names import resolve_name
from trainables.network.weights import HUB_FILES

_FOLDER = "models--timm--"
"""What the hub's cache calls the repository timm/NAME begins with."""


def weights_here() -> tuple[str, ...]:
    """Full names of backbones of timm and torchvision, those with the smallest files first. Asks no network."""
    return tuple(name for _, name in sorted({*_of_the_hub(), *_of_torchvision()}))


def _of_the_hub() -> Iterator[tuple[int, str]]:
    import huggingface_hub
    from huggingface_hub import constants

    for folder in Path(constants.HF_HUB_CACHE).glob(f"{_FOLDER}*"):
        name = folder.name.removeprefix(_FOLDER)
        for file in HUB_FILES:
            cached = huggingface_hub.try_to_load_from_cache(f"timm/{name}", file)
            if isinstance(cached, str):
                with contextlib.suppress(InputError, OSError):  # unknown to the installed version, or just deleted
                    yield Path(cached).stat().st_size, resolve_name(f"timm:{name}")
                break


def _of_torchvision() -> Iterator[tuple[int, str]]:
    import torch
    import torchvision

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if not folder.is_dir():
        return
    sizes = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    for name in torchvision.models.list_models(module=torchvision.models):
        weights = torchvision.models.get_model_weights(name)
        file = weights.DEFAULT.url.rpartition("/")[2] if list(weights) else ""
        if file in sizes:
            yield sizes[file], f"torchvision:{name}"

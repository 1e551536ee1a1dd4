"""Which weights lie in the caches of the libraries."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from trainables.network.weights_here import weights_here


def cached(folder: Path, name: str, size: int) -> None:
    place = folder / f"models--timm--{name}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    (place / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (place / "snapshots" / ("0" * 40) / "model.safetensors").write_bytes(bytes(size))


def test_backbones_are_named_whose_weights_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    assert weights_here() == ()
    cached(tmp_path / "hub", "resnet18.tv_in1k", 30)
    cached(tmp_path / "hub", "mobilenetv2_100.ra_in1k", 10)
    cached(tmp_path / "hub", "a_network_of_tomorrow.in1k", 5)
    (tmp_path / "hub" / "models--timm--vgg16.tv_in1k").mkdir()
    (tmp_path / "torch" / "checkpoints").mkdir(parents=True)
    (tmp_path / "torch" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth").write_bytes(bytes(20))
    expected = ("timm:mobilenetv2_100.ra_in1k", "torchvision:squeezenet1_1", "timm:resnet18.tv_in1k")
    assert weights_here() == expected

"""The graph of a backbone computes what the backbone computes, for any number of images."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import fx, nn

from trainables.network.tracing import IMAGES, UntraceableError, is_leaf, on_meta, trace


@pytest.mark.parametrize(
    ("name", "size", "width"),
    [
        ("inception_v3", 299, 2048),
        ("resnet152", 224, 2048),
        ("vgg19", 64, 4096),
        ("vit_small_patch16_224", 224, 384),
        ("efficientnet_b0", 224, 1280),
        ("swin_tiny_patch4_window7_224", 224, 768),
        ("levit_128", 224, 384),
    ],
)
def test_networks_of_timm_have_a_graph(name: str, size: int, width: int) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
    traced = trace(network, size)
    assert tuple(traced.output.meta["value"].shape) == (IMAGES, width)
    for node in traced.graph.nodes:
        if node.op == "call_module":
            assert is_leaf(network.get_submodule(str(node.target)))


class _Shapes(nn.Module):
    """Code that looks at shapes, makes tensors of its own and has a branch for small images."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.mix = nn.Linear(6, 9)
        self.register_buffer("scale", torch.tensor([2.0]))

    def forward(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        assert images.shape[1] == 3
        assert mask is None
        maps = self.patches(images)
        batch, channels, height, _ = maps.shape
        if height < 4:
            maps = nn.functional.relu(maps, inplace=True)
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(batch, -1, -1), tokens], dim=1)
        tokens = tokens + torch.arange(tokens.size(1), device=tokens.device).view(1, -1, 1)
        first, second, third = self.mix(tokens).view(batch, len(tokens[0]), 3, 3).unbind(2)
        windows = (first * second + third).reshape(batch * 1, -1, channels // 2)
        return (windows * self.scale).mean(1)


def test_shapes_steer_the_trace_and_the_batch_stays_open() -> None:
    network = _Shapes().eval()
    for size, relus in ((8, 1), (32, 0)):
        traced = trace(network, size)
        assert sum(node.target is nn.functional.relu for node in traced.graph.nodes) == relus
        assert not any(node.kwargs.get("inplace") for node in traced.graph.nodes)
        graph = fx.GraphModule(network, traced.graph)
        for count in (1, 3):
            images = torch.randn(count, 3, size, size)
            assert torch.equal(graph(images), network(images))


def test_tracing_leaves_the_network_and_torch_as_they_were() -> None:
    network = _Shapes().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    arange = torch.arange
    trace(network, 16)
    assert network.training
    assert torch.arange is arange
    assert all(value.device.type == "cpu" for value in network.state_dict().values())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_copy_on_meta_takes_no_memory() -> None:
    network = _Shapes()
    copied = on_meta(network)
    assert all(value.is_meta for value in copied.state_dict().values())
    assert not copied.training
    assert not any(value.is_meta for value in network.state_dict().values())


class _Untraceable(nn.Module):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.fault = fault

    def forward(self, images: torch.Tensor) -> object:
        pooled = self.layer(images.mean((2, 3)))
        if self.fault == "numbers" and pooled.max() > 0:
            return pooled
        if self.fault == "in place":
            return pooled.add_(1)
        if self.fault == "item":
            return pooled * float(pooled.sum())
        if self.fault == "count":
            return torch.stack(list(pooled))
        if self.fault == "two":
            return pooled, pooled
        if self.fault == "size":
            raise ValueError("images are too small")
        return pooled


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("numbers", "branches on the numbers"),
        ("in place", r"in place \(add_\)"),
        ("item", "cannot be traced at 8 pixels"),
        ("count", "counts the images"),
        ("two", "instead of one tensor"),
        ("size", "images are too small"),
    ],
)
def test_the_reason_is_given_when_there_is_no_graph(fault: str, reason: str) -> None:
    with pytest.raises(UntraceableError, match=reason):
        trace(_Untraceable(fault), 8)
    assert trace(_Untraceable("none"), 8).output.meta["value"].shape == (IMAGES, 3)

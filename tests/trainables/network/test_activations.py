"""What the trained part of a network keeps and holds, against figures worked by hand and against real tensors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from search_spaces.form import Form
from search_spaces.live import Scope
from trainables.network.activations import Activations, activations_behind
from trainables.network.backbone import skeleton
from trainables.network.division import PIXELS, Cut
from trainables.network.frontier import places_to_cut

SIDE = 8
MAP = 4 * SIDE * SIDE
"""Values of the maps of `Small`."""


class Small(nn.Module):
    """Convolution, batch norm, activation, mean, linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.fc(self.act(self.norm(self.conv(images))).mean((2, 3)))
        return features


class Counting(Small):
    """Cannot be traced: it asks how many images there are."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images[: len(images)])


def behind(network: nn.Module, unfrozen: int, *, pixels: bool, size: int = SIDE) -> Activations:
    return activations_behind(cut_of(network, unfrozen, pixels=pixels, size=size))


def cut_of(network: nn.Module, unfrozen: int, *, pixels: bool, size: int) -> Cut:
    """The pixels, or the latest cut."""
    found = [cut for cut in places_to_cut(network.eval(), size, Scope(unfrozen=unfrozen)) if cut.is_pixels is pixels]
    return found[-1]


@pytest.mark.parametrize("network", [Small, Counting])
def test_a_small_network_by_hand(network: type[Small]) -> None:
    """Batch norm keeps what the convolution gives, the activation and the linear layer what they give and read; what
    batch norm gives is let go of. The activation is never in place. Per channel, batch norm keeps two numbers."""
    every = behind(network(), 2, pixels=True)
    assert every.read == 4 * 3 * SIDE * SIDE, "the convolution keeps the images, which count as read"
    assert every.kept == 4 * (MAP + MAP + 4 + 5)
    assert every.fixed == 4 * 2 * 4
    assert every.parameters == every.trained == 4 * 3 * 9 + 2 * 4 + 4 * 5 + 5


def test_most_at_one_time_by_hand() -> None:
    """Two maps: what an operation reads and what it gives; the images count as read."""
    assert behind(Small(), 2, pixels=True).passing == 4 * 2 * MAP


def test_most_of_both_passes_by_hand() -> None:
    """Going back through batch norm: what it keeps and is given, its gradient before and behind, and of the features
    themselves and their gradient what whoever asked for them holds."""
    assert behind(Small(), 2, pixels=True).step == 4 * (2 * MAP + 2 * MAP + 2 * 5)


class WithoutBackward(Small):
    """Its activation has a gradient that is not known without memory."""

    def __init__(self) -> None:
        super().__init__()
        self.act = Unknown()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images[: len(images)])


class Unknown(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = NotOnMeta.apply(values)
        return found


class NotOnMeta(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(values)
        return values.relu()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("no such kernel")


def test_without_a_backward_pass_a_step_is_what_is_kept_and_what_passes() -> None:
    every = behind(WithoutBackward(), 2, pixels=True)
    assert every.step == every.kept + every.passing > 0


def test_behind_the_latest_cut_only_what_it_reads_and_gives_is_there() -> None:
    assert behind(Small(), 1, pixels=False) == Activations(
        read=4 * 4, kept=4 * 5, step=4 * 2 * 5, passing=4 * 5, fixed=0, parameters=25, trained=25
    )


def test_the_frozen_part_keeps_nothing() -> None:
    shallow = behind(Small(), 1, pixels=True)
    assert shallow.kept == 4 * (4 + 5)
    assert shallow.passing == behind(Small(), 2, pixels=True).passing
    assert (shallow.parameters, shallow.trained) == (141, 25)


@pytest.mark.parametrize("network", [Small, Counting])
def test_what_trains_nothing_keeps_nothing(network: type[Small]) -> None:
    frozen = behind(network(), 0, pixels=True)
    assert (frozen.kept, frozen.step, frozen.trained) == (0, 0, 0)
    assert frozen.passing >= 4 * 2 * MAP


def test_the_network_stays_as_it_is() -> None:
    network = Small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    behind(network, 2, pixels=True)
    assert all(value.device.type == "cpu" and value.equal(before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("backbone", "unfrozen"), [("test_resnet", 1), ("test_resnet", 4), ("test_vit", 3)])
@pytest.mark.parametrize("pixels", [True, False])
def test_it_is_what_autograd_saves_of_real_tensors(backbone: str, unfrozen: int, pixels: bool) -> None:
    size = 160
    cut = cut_of(skeleton(Form(backbone, size)), unfrozen, pixels=pixels, size=size)
    division = cut.build()
    suffix = division.suffix.to_empty(device="cpu")
    small, large = saved_bytes(suffix, cut, 2), saved_bytes(suffix, cut, 4)
    assert activations_behind(cut).kept == (large - small) // 2


def saved_bytes(suffix: nn.Module, cut: Cut, count: int) -> int:
    """Of distinct storages that a backward pass on the processor needs, and of the features."""
    frontier = tuple(torch.zeros(count, *shape) for shape in cut.shapes)
    others = {tensor.untyped_storage().data_ptr() for tensor in (*frontier, *suffix.parameters(), *suffix.buffers())}
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage
        return tensor.detach()

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        features = suffix(frontier)
    saved[features.untyped_storage().data_ptr()] = features.untyped_storage()
    return sum(storage.nbytes() for place, storage in saved.items() if place not in others)


def test_pixels_are_named() -> None:
    assert cut_of(Counting(), 1, pixels=True, size=SIDE).layer == PIXELS

"""How much memory the part of a network that steps compute takes beside its weights, found without any memory.

It is run on the meta device, and the tensors that are alive are counted after each operation: a storage counts once,
however many tensors view it, and neither weights nor the frontier count. What they hold at two sizes of a batch tells
what grows with it. Dimensions are those of float32 on a CPU; what libraries need inside an operation is not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainables.network.division import Cut

_SMALL, _LARGE = 64, 128
"""Images per batch that are compared; what does not grow with them is small beside either."""
_FLOAT32 = 4


@dataclass(frozen=True)
class Activations:
    """Of the network behind one cut, in bytes per image, `fixed` in bytes."""

    read: int
    """Of the frontier."""
    kept: int
    """What a forward pass keeps for the backward pass; 0 where nothing is trained."""
    step: int
    """Most that is alive at one time in a forward and a backward pass, gradients of weights among it; 0 as before."""
    passing: int
    """Most that is alive at one time in a pass that keeps nothing."""
    fixed: int
    """What is kept or alive however many images there are."""
    parameters: int
    """Weights of this part, how many."""
    trained: int
    """Those of them that are trained."""


def activations_behind(cut: Cut) -> Activations:
    """cut: of a network on any device, which stays there."""
    division = cut.build()
    suffix = division.suffix.to("meta")
    trains = division.trainable_parameters > 0
    steps = [_of_step(suffix, cut.shapes, count) if trains else (0, 0) for count in (_SMALL, _LARGE)]
    of_kept, fixed_kept = _parts(*(kept for kept, _ in steps))
    of_step, _ = _parts(*(most for _, most in steps))
    of_passing, fixed_passing = _parts(*(_passing(suffix, cut.shapes, count) for count in (_SMALL, _LARGE)))
    return Activations(
        read=_FLOAT32 * cut.values_per_view,
        kept=of_kept,
        step=of_step,
        passing=of_passing,
        fixed=max(fixed_kept, fixed_passing),
        parameters=sum(parameter.numel() for parameter in suffix.parameters()),
        trained=division.trainable_parameters,
    )


def _parts(small: int, large: int) -> tuple[int, int]:
    """(bytes per image, bytes whatever the batch) from what two sizes of a batch take."""
    per_image = math.ceil((large - small) / (_LARGE - _SMALL))
    return per_image, max(0, large - per_image * _LARGE)


def _of_step(suffix: nn.Module, shapes: tuple[tuple[int, ...], ...], count: int) -> tuple[int, int]:
    """(bytes that a forward pass leaves for the backward pass, most of both passes).

    What has no backward pass without memory is taken to need what it keeps and what passes through."""
    with torch.device("meta"):
        frontier, counting = _counted(suffix, shapes, count)
        live = [parameter for parameter in suffix.parameters() if parameter.requires_grad]
        with torch.enable_grad(), counting:
            features = suffix(frontier)
            left = counting.now()
            try:
                torch.autograd.grad(features, live, torch.ones_like(features))
            except NotImplementedError:
                return left, left + _passing(suffix, shapes, count)
    return left, counting.most


def _passing(suffix: nn.Module, shapes: tuple[tuple[int, ...], ...], count: int) -> int:
    """Most bytes on the way of a pass that keeps nothing."""
    with torch.device("meta"):
        frontier, counting = _counted(suffix, shapes, count)
        with torch.no_grad(), counting:
            suffix(frontier)
    return counting.most


def _counted(
    suffix: nn.Module, shapes: tuple[tuple[int, ...], ...], count: int
) -> tuple[tuple[torch.Tensor, ...], _Alive]:
    """A frontier of so many images, and what counts all but it and weights."""
    frontier = tuple(torch.empty(count, *shape, device="meta") for shape in shapes)
    return frontier, _Alive([*frontier, *suffix.parameters(), *suffix.buffers()])


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that operations made and that something still holds."""

    def __init__(self, others: list[torch.Tensor]) -> None:
        """others: do not count."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._others = {tensor.untyped_storage()._cdata for tensor in others}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for value in tree_leaves(made):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self._others:
                    held = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                    self._alive[storage._cdata] = held, storage.nbytes()
        self.most = max(self.most, self.now())
        return made

    def now(self) -> int:
        # A weak reference keeps the address from being used again, so that it names one storage
        self._alive = {
            key: (held, size)
            for key, (held, size) in self._alive.items()
            if not held.expired()  # type: ignore[no-untyped-call]
        }
        return sum(size for _, size in self._alive.values())

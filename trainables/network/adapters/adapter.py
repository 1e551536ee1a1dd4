"""What adapters share: a layer becomes one with parameters more, under the name that it had.

It gets a class of its own, which computes what the layer computes and changes it. So names of layers and parameters,
the order of computation and the graph stay as they were, and an adapter is live wherever its layer is computed.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn


class Adapter:
    """Base of what goes before a layer's class: `forward` calls the layer's own by `super()`.

    parameters_added: names of the parameters that it adds to a layer, which are all that is trained.
    """

    parameters_added: ClassVar[tuple[str, ...]]


def adapt(layer: nn.Module, adapter: type[Adapter], **values: torch.Tensor | float) -> None:
    """Put an adapter into a layer, in place. values: parameters that it adds, and numbers that it reads."""
    layer.__class__ = _class_of(adapter, type(layer))
    for name, value in values.items():
        is_trained = isinstance(value, torch.Tensor)
        setattr(layer, name, nn.Parameter(value, requires_grad=False) if is_trained else value)  # type: ignore[arg-type]


def added(adapter: type[Adapter], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a network's parameters that an adapter added."""
    return tuple(name for name in names if name.rpartition(".")[2] in adapter.parameters_added)


_CLASSES: dict[tuple[type[Adapter], type[nn.Module]], type[nn.Module]] = {}


def _class_of(adapter: type[Adapter], layer: type[nn.Module]) -> type[nn.Module]:
    made = adapter, layer
    if made not in _CLASSES:
        _CLASSES[made] = type(f"{adapter.__name__}{layer.__name__}", made, {})
    return _CLASSES[made]

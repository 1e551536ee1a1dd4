"""Which parameters belong to which weight layer, and in which order a network computes its weight layers.

A weight layer is a convolution or a linear layer; attention of torch itself holds two (the projection of its inputs
and that of its outputs). Norms and biases go with the layer that they follow. Parameters of no layer (layer scale,
positions, class token) go with the weight layer before their first reader, or with the first one where there is none.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from orchestrator.store.errors import InputError
from trainables.network.tracing import WEIGHT_LAYERS, Trace, images_on_meta, on_meta


@dataclass(frozen=True)
class Layers:
    """Weight layers in the order of their first computation, and each parameter's layer by index.

    Parameters that the network never reads belong to none.
    """

    names: tuple[str, ...]
    owner: dict[str, int]

    def last(self, count: int) -> tuple[str, ...]:
        """Names of all parameters of the last `count` weight layers; InputError when there are fewer."""
        if not 0 <= count <= len(self.names):
            raise InputError(
                f"unfrozen layers: expected 0 to {len(self.names)}, the weight layers of this network, found {count}",
                f"Choose --unfrozen between 0 and {len(self.names)}.",
            )
        return tuple(name for name, index in self.owner.items() if index >= len(self.names) - count)

    @property
    def depths(self) -> dict[str, int]:
        """Of each parameter its layer, counted back from the output: 1 is the last."""
        return {name: len(self.names) - index for name, index in self.owner.items()}


def layers_of_trace(network: nn.Module, traced: Trace) -> Layers:
    """Weight layers in the order of the graph's nodes."""
    order = {node: position for position, node in enumerate(traced.graph.nodes)}
    reads: list[tuple[int, str, nn.Parameter | None]] = []
    for node, position in order.items():
        name = str(node.target)
        if node.op == "call_module":
            reads.append((position, name, None))
        elif node.op == "get_attr" and name not in traced.constants and node.users:
            value = operator.attrgetter(name)(network)
            if isinstance(value, nn.Parameter):
                reads.append((min(order[reader] for reader in node.users), name, value))
    reads.sort(key=lambda read: read[0])
    return _layers(network, [(name, parameter) for _, name, parameter in reads])


def layers_by_calls(network: nn.Module, image_size: int) -> Layers:
    """The same from the order in which modules are called, for a network that has no graph.

    It is run once on the meta device; where that fails too, modules count in the order of their registration.
    """
    owners = [name for name, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))]
    called: list[str] = []
    shapes = on_meta(network)
    for name in owners:
        shapes.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: called.append(name))
    try:
        with torch.no_grad(), torch.device("meta"):
            shapes(images_on_meta(image_size))
    except Exception:  # the order of registration is the next best, whatever the reason
        called = owners
    return _layers(network, [(name, None) for name in called], recurse=False)


def _layers(network: nn.Module, reads: Iterable[tuple[str, nn.Parameter | None]], recurse: bool = True) -> Layers:
    """Assign parameters in the order in which they are read: by name of a module or of one parameter."""
    known = {id(parameter): name for name, parameter in network.named_parameters()}
    names: list[str] = []
    owner: dict[str, int] = {}
    early: list[str] = []
    current = -1

    def enter(layer: str) -> None:
        nonlocal current
        if layer not in names:
            names.append(layer)
        current = names.index(layer)

    def take(parameter: nn.Parameter) -> None:
        name = known[id(parameter)]
        if name in owner or name in early:
            return
        if current < 0:
            early.append(name)
        else:
            owner[name] = current

    for name, parameter in reads:
        if parameter is not None:
            holder = name.rpartition(".")[0]
            if isinstance(network.get_submodule(holder), WEIGHT_LAYERS):
                enter(holder)
            take(parameter)
            continue
        module = network.get_submodule(name)
        for part_name, part in module.named_modules(prefix=name) if recurse else [(name, module)]:
            if isinstance(part, (*WEIGHT_LAYERS, nn.MultiheadAttention)):
                enter(part_name)
            for own in part.parameters(recurse=False):
                take(own)
    return Layers(tuple(names), {**dict.fromkeys(early, 0), **owner} if names else {})

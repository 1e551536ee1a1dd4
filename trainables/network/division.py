"""A backbone in two parts at a cut: the frozen part before it, the trained one behind it.

Both are graphs of their own, made of the nodes of the traced network; no network needs code of its own.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from trainables.network.tracing import Trace

PIXELS = "the pixels"
FEATURES = "the pooled features"


@dataclass(frozen=True)
class Division:
    """A backbone in two parts: suffix(prefix(images)) is backbone(images).

    Both are in eval mode and stay there: batch norm uses stored statistics, dropout is off. `prefix` shares its tensors
    with the backbone. `suffix` has tensors of its own; only those in `live` require gradients; copy.deepcopy gives
    each repeat one to train. Names of parameters in `suffix` are their names in the backbone.
    """

    prefix: nn.Module
    """float32 [N, 3, S, S] → tuple of frontier tensors, each [N, …]; call it under torch.no_grad."""
    suffix: nn.Module
    """Tuple of frontier tensors → features [N, D]; it never writes into the frontier tensors."""
    shapes: tuple[tuple[int, ...], ...]
    """Of the frontier tensors, for one view."""
    layer: str
    """Name of the cut; see `Cut.layer`."""
    live: tuple[str, ...]
    weight_layers: tuple[str, ...]
    """All weight layers of the backbone in the order in which it computes them."""
    trainable_parameters: int
    depths: Mapping[str, int]
    """Of each parameter, which weight layer it belongs to, counted back from the head: 1 is the last."""

    @property
    def values_per_view(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes)


@dataclass(frozen=True)
class Cut:
    """One place where the frozen part may end; `build` makes the two parts."""

    shapes: tuple[tuple[int, ...], ...]
    layer: str
    """What users see ("cached up to layer X"), and no other cut of the network has it, whatever is unfrozen."""
    live: tuple[str, ...]
    weight_layers: tuple[str, ...]
    network: nn.Module = field(repr=False)
    """As it is trained, with whatever adapters."""
    traced: Trace | None = field(repr=False)
    nodes: tuple[fx.Node, ...] = field(repr=False)
    original: nn.Module = field(repr=False)
    """As it was, which is what the frozen part is of."""
    depths: Mapping[str, int] = field(repr=False)
    """See `Division`."""

    @property
    def values_per_view(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def is_pixels(self) -> bool:
        """Whether nothing is cached but the images themselves."""
        return self.layer == PIXELS

    def build(self) -> Division:
        if self.traced is None:
            prefix: nn.Module = _Images()
            suffix = copy.deepcopy(self.network)
            suffix.register_forward_pre_hook(_from_frontier)
        else:
            prefix, suffix = _prefix(self), copy.deepcopy(_suffix(self))
        live = frozenset(self.live)
        trainable = 0
        for name, parameter in suffix.named_parameters():
            parameter.requires_grad_(name in live)
            trainable += parameter.numel() if parameter.requires_grad else 0
        for part in (prefix, suffix):
            _never_in_place(part)
            part.eval()
        if isinstance(suffix, fx.GraphModule):
            _in_place_where_unseen(suffix)
        return Division(prefix, suffix, self.shapes, self.layer, self.live, self.weight_layers, trainable, self.depths)


def together(several: Sequence[Cut]) -> nn.Module:
    """One prefix for several cuts of one network: images → the frontier tensors of all, in order, each layer run once.

    The cuts may come from different traces of the same network; its nodes are known by name.
    """
    first = several[0]
    if first.traced is None:
        raise ValueError("a network without a graph has no frozen part to share")
    by_name = {node.name: node for node in first.traced.graph.nodes}
    nodes = tuple(by_name[node.name] for cut in several for node in cut.nodes)
    prefix = _prefix(replace(first, nodes=nodes))
    _never_in_place(prefix)
    return prefix.eval()


def shared_parts(cut: Cut) -> tuple[nn.Module, nn.Module]:
    """The two parts at a cut, as `build` makes them, but both share their tensors with the network: weights that are
    put into it hold for both."""
    parts = _prefix(cut), _suffix(cut)
    for part in parts:
        _never_in_place(part)
        part.eval()
    return parts


def _prefix(cut: Cut) -> nn.Module:
    assert cut.traced is not None
    graph = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {}
    for node in ancestors(cut.nodes, stop=()):
        copied[node] = graph.node_copy(node, lambda argument: copied[argument])
    if cut.traced.image not in copied:
        graph.placeholder("images")
    graph.output(tuple(copied[node] for node in cut.nodes))
    return _module(cut.original, cut.traced, graph)


def _suffix(cut: Cut) -> nn.Module:
    assert cut.traced is not None
    traced = cut.traced
    graph = fx.Graph()
    frontier = graph.placeholder("frontier")
    copied = {node: graph.call_function(operator.getitem, (frontier, index)) for index, node in enumerate(cut.nodes)}
    first = copied[cut.nodes[0]]
    for node in ancestors((traced.output,), stop=(*cut.nodes, traced.batch, traced.device)):
        if node in copied:
            continue
        if node is traced.batch:
            copied[node] = graph.call_method("size", (first, 0))
        elif node is traced.device:
            copied[node] = graph.call_function(getattr, (first, "device"))
        elif _changes_nothing(cut.network, node):
            copied[node] = copied[node.all_input_nodes[0]]
        elif _sees_all_at_once(cut.network, node):
            weight, bias = (graph.get_attr(f"{node.target}.{name}") for name in ("weight", "bias"))
            copied[node] = graph.call_function(product_of_window, (copied[node.all_input_nodes[0]], weight, bias))
        else:
            copied[node] = graph.node_copy(node, lambda argument: copied[argument])
    graph.output(copied[traced.output])
    return _module(cut.network, traced, graph)


def product_of_window(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A convolution whose window is all of its input, as the product that it is: [N, C, h, w] → [N, out, 1, 1].

    Libraries of convolutions take several times as long for its gradients (the first layer of VGG's head).
    """
    if not weight.is_contiguous():  # channels last
        values, weight = values.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1)
    return functional.linear(values.flatten(1), weight.flatten(1), bias)[:, :, None, None]


def _changes_nothing(network: nn.Module, node: fx.Node) -> bool:
    """Whether a node is an adaptive mean over as many places as there are (VGG, AlexNet at their own size).

    Its gradient has no deterministic algorithm on a GPU.
    """
    layer = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    if type(layer) is not nn.AdaptiveAvgPool2d:
        return False
    given, gives = (one.meta["value"].shape for one in (node.all_input_nodes[0], node))
    return bool(given == gives)


def _sees_all_at_once(network: nn.Module, node: fx.Node) -> bool:
    """Whether a node is a convolution whose window is all of its input, nothing added around it."""
    layer = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    if type(layer) is not nn.Conv2d or layer.bias is None or len(node.all_input_nodes) != 1:
        return False
    given = tuple(node.all_input_nodes[0].meta["value"].shape[2:])
    return layer.kernel_size == given != (1, 1) and layer.padding == (0, 0) and layer.groups == 1


def ancestors(nodes: Iterable[fx.Node], stop: tuple[fx.Node | None, ...]) -> list[fx.Node]:
    """Everything that `nodes` are computed from, in order; `stop` is included, what is before it is not."""
    waiting = list(nodes)
    reached: set[fx.Node] = set()
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting.extend(() if node in stop else node.all_input_nodes)
    return sorted(reached)


def _module(network: nn.Module, traced: Trace, graph: fx.Graph) -> nn.Module:
    parts: dict[str, Any] = {}
    for node in graph.nodes:
        node.meta.clear()
        if node.op in ("call_module", "get_attr"):
            parts[str(node.target)] = traced.attribute(network, str(node.target))
    return fx.GraphModule(parts, graph, class_name=type(network).__name__)


def _never_in_place(module: nn.Module) -> None:
    """An activation must not write into cached features, nor into what another node reads."""
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]


def _in_place_where_unseen(suffix: fx.GraphModule) -> None:
    """Let activations write over what nothing else reads: sums, and what layers gave that do not look back at it.

    The bits are the same. For the suffix alone, which has its modules to itself: a prefix shares them with others.
    """
    seen: set[str] = set()
    activations = {name: part for name, part in suffix.named_modules() if type(part) is nn.ReLU}
    for node in suffix.graph.nodes:
        if node.op == "call_module" and node.target in activations:
            (given,) = node.all_input_nodes
            layer = suffix.get_submodule(str(given.target)) if given.op == "call_module" else None
            fresh = type(layer) in _LEAVES_ITS_OUTPUT or (given.op, given.target) == ("call_function", operator.add)
            if not fresh or len(given.users) > 1:
                seen.add(node.target)
    for name, part in activations.items():
        part.inplace = name not in seen


_LEAVES_ITS_OUTPUT = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
"""Their gradients are computed from what they were given."""


class _Images(nn.Module):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (images,)


def _from_frontier(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[torch.Tensor]:
    """Lets a whole network be called as a suffix is: with the tuple of frontier tensors, here the images alone."""
    (images,) = arguments[0]
    return (images,)

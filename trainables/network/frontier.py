"""Where the frozen part of a network ends.

A node of the traced graph is *live* when it depends on a trainable weight. Everything before the live nodes may be
computed once and kept. What live nodes read from frozen ones is the latest cut; the cut with the fewest values per
view is found as a minimum vertex cut between the images and the live nodes. No network needs code of its own.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import networkx
import torch
from torch import fx, nn
from torch.nn import functional

from orchestrator.store.record import short_hash
from trainables.network.tracing import IMAGES, Trace, UntraceableError, trace
from trainables.network.weight_layers import Layers, layers_by_calls, layers_of_trace

PIXELS = "the pixels"
FEATURES = "the pooled features"
_PASSING = (nn.Identity, nn.Dropout)


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
    traced: Trace | None = field(repr=False)
    nodes: tuple[fx.Node, ...] = field(repr=False)

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
        return Division(prefix, suffix, self.shapes, self.layer, self.live, self.weight_layers, trainable)


def divide(network: nn.Module, image_size: int, unfrozen: int) -> Division:
    """Divide at the cut with the fewest values per view; see `cuts`."""
    return cuts(network, image_size, unfrozen)[0].build()


def cuts(network: nn.Module, image_size: int, unfrozen: int) -> list[Cut]:
    """Places where the frozen part may end for `unfrozen` live weight layers, the fewest values per view first.

    `network` maps float32 [N, 3, S, S] to features [N, D]. The pixels come last whatever they hold: they are kept as
    uint8 anyway, and the whole network is then computed from them. A cut up to a tenth smaller than a later one is not
    taken for it. A caller with a budget takes the first that fits.
    With `unfrozen` = 0 the frontier is the pooled features. Raises InputError when the network has fewer layers, and
    UntraceableError when it has no graph (then see `whole`).
    """
    traced = trace(network, image_size)
    layers = layers_of_trace(network, traced)
    live = layers.last(unfrozen)
    found = [] if unfrozen and unfrozen == len(layers.names) else _frontiers(traced, _live_nodes(network, traced, live))
    candidates = [_cut(network, traced, layers, live, nodes) for nodes in found if nodes != (traced.image,)]
    candidates.sort(key=lambda cut: cut.values_per_view)
    return [*candidates, _cut(network, traced, layers, live, (traced.image,))]


def places_to_cut(network: nn.Module, image_size: int, unfrozen: int) -> list[Cut]:
    """`cuts`, or for a network that cannot be traced the pixels alone."""
    try:
        return cuts(network, image_size, unfrozen)
    except UntraceableError:
        return [whole(network, image_size, unfrozen)]


def whole(network: nn.Module, image_size: int, unfrozen: int) -> Cut:
    """The cut at the pixels for a network that cannot be traced: all of it is computed in every step."""
    layers = layers_by_calls(network, image_size)
    shape = (3, image_size, image_size)
    return Cut((shape,), PIXELS, layers.last(unfrozen), layers.names, network, None, ())


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


def _cut(network: nn.Module, traced: Trace, layers: Layers, live: tuple[str, ...], nodes: tuple[fx.Node, ...]) -> Cut:
    shapes = tuple(tuple(node.meta["value"].shape[1:]) for node in nodes)
    return Cut(shapes, _named(network, traced, nodes, shapes), live, layers.names, network, traced, nodes)


def _named(network: nn.Module, traced: Trace, nodes: tuple[fx.Node, ...], shapes: tuple[tuple[int, ...], ...]) -> str:
    """The layer that yields the last tensor, and a short hash of all tensors unless that layer says it all."""
    if nodes == (traced.image,):
        return PIXELS
    if nodes == (traced.output,):
        return FEATURES
    last = nodes[-1]
    while last.op == "call_module" and isinstance(network.get_submodule(str(last.target)), _PASSING):
        last = last.all_input_nodes[0]
    name = str(last.target) if last.op == "call_module" else last.meta["scope"] or last.name
    if nodes == (last,) and last.op == "call_module" and _calls(traced, last.target) == 1:
        return name
    name += f" and {len(nodes) - 1} before it" if len(nodes) > 1 else ""
    return f"{name} #{short_hash([[node.name for node in nodes], shapes], 8)}"


def _calls(traced: Trace, target: Any) -> int:
    """How often a module is called: one activation may serve several places."""
    return sum(node.op == "call_module" and node.target == target for node in traced.graph.nodes)


def _live_nodes(network: nn.Module, traced: Trace, live: tuple[str, ...]) -> set[fx.Node]:
    """Nodes that depend on a live parameter; the output counts as read by one, so that u = 0 has a frontier."""
    own = {id(network.get_parameter(name)) for name in live}
    found: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node.op == "call_module":
            parameters: Iterable[Any] = network.get_submodule(str(node.target)).parameters()
        elif node.op == "get_attr":
            parameters = (_attribute(network, traced, str(node.target)),)
        else:
            parameters = ()
        reads_live = any(argument in found for argument in node.all_input_nodes)
        if node.op == "output" or reads_live or any(id(parameter) in own for parameter in parameters):
            found.add(node)
    return found


def _data_nodes(traced: Trace) -> set[fx.Node]:
    """Nodes that depend on the pixels; the others (weights alone, batch size) are computed where they are read."""
    found: set[fx.Node] = {traced.image}
    for node in traced.graph.nodes:
        if node not in (traced.batch, traced.device) and any(read in found for read in node.all_input_nodes):
            found.add(node)
    return found


def _frontiers(traced: Trace, live: set[fx.Node]) -> list[tuple[fx.Node, ...]]:
    """The smallest cut and the latest one, each in the order of computation."""
    data = _data_nodes(traced)
    latest = _latest(traced, live, data)
    if traced.output not in live:
        return [latest]
    count = len(traced.graph.nodes)
    lateness = {node: position / count for position, node in enumerate(traced.graph.nodes)}
    graph = networkx.DiGraph()
    graph.add_edge("images", (traced.image, "in"))
    for node in traced.graph.nodes:
        if node not in data or node in live:
            continue
        storable = _storable(node) and node is not traced.image
        graph.add_edge(
            (node, "in"), (node, "out"), **({"capacity": _weighed(node, lateness[node])} if storable else {})
        )
        for reader in node.users:
            if reader in data:
                graph.add_edge((node, "out"), "live" if reader in live else (reader, "in"))
    try:
        _, (before, _) = networkx.minimum_cut(graph, "images", "live")
    except networkx.NetworkXUnbounded:
        return [] if latest == (traced.image,) else [latest]
    smallest = tuple(
        node for node in traced.graph.nodes if (node, "in") in before and (node, "out") in graph.nodes - before
    )
    return [latest] if _values(smallest) >= _values(latest) else [smallest, latest]


def _latest(traced: Trace, live: set[fx.Node], data: set[fx.Node]) -> tuple[fx.Node, ...]:
    """What live nodes read from frozen ones; what cannot be kept per image is computed again from what it reads."""
    again = {node for node in live if node in data}
    while True:
        read = {argument for node in again for argument in node.all_input_nodes if argument in data} - again
        unstorable = {node for node in read if not _storable(node)}
        if not unstorable:
            return tuple(node for node in traced.graph.nodes if node in read)
        again |= unstorable


def _storable(node: fx.Node) -> bool:
    """Whether a node yields one floating tensor with one row per image."""
    value = node.meta["value"]
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim > 0 and len(value) == IMAGES


def _weighed(node: fx.Node, lateness: float) -> int:
    """Values per view, in thousandths, up to a tenth more the earlier the node is (lateness 0 to 1).

    So a cut that is hardly smaller than a late one (a transformer without its class token) is not worth computing the
    whole network again.
    """
    return int(node.meta["value"][0].numel()) * (1100 - round(100 * lateness))


def _values(nodes: Iterable[fx.Node]) -> int:
    return sum(int(node.meta["value"][0].numel()) for node in nodes)


def _prefix(cut: Cut) -> nn.Module:
    assert cut.traced is not None
    graph = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {}
    for node in _ancestors(cut.nodes, stop=()):
        copied[node] = graph.node_copy(node, lambda argument: copied[argument])
    if cut.traced.image not in copied:
        graph.placeholder("images")
    graph.output(tuple(copied[node] for node in cut.nodes))
    return _module(cut, graph)


def _suffix(cut: Cut) -> nn.Module:
    assert cut.traced is not None
    traced = cut.traced
    graph = fx.Graph()
    frontier = graph.placeholder("frontier")
    copied = {node: graph.call_function(operator.getitem, (frontier, index)) for index, node in enumerate(cut.nodes)}
    first = copied[cut.nodes[0]]
    for node in _ancestors((traced.output,), stop=(*cut.nodes, traced.batch, traced.device)):
        if node in copied:
            continue
        if node is traced.batch:
            copied[node] = graph.call_method("size", (first, 0))
        elif node is traced.device:
            copied[node] = graph.call_function(getattr, (first, "device"))
        elif _sees_all_at_once(cut.network, node):
            weight, bias = (graph.get_attr(f"{node.target}.{name}") for name in ("weight", "bias"))
            copied[node] = graph.call_function(product_of_window, (copied[node.all_input_nodes[0]], weight, bias))
        else:
            copied[node] = graph.node_copy(node, lambda argument: copied[argument])
    graph.output(copied[traced.output])
    return _module(cut, graph)


def product_of_window(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A convolution whose window is all of its input, as the product that it is: [N, C, h, w] → [N, out, 1, 1].

    Libraries of convolutions take several times as long for its gradients (the first layer of VGG's head).
    """
    if not weight.is_contiguous():  # channels last
        values, weight = values.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1)
    return functional.linear(values.flatten(1), weight.flatten(1), bias)[:, :, None, None]


def _sees_all_at_once(network: nn.Module, node: fx.Node) -> bool:
    """Whether a node is a convolution whose window is all of its input, nothing added around it."""
    layer = network.get_submodule(str(node.target)) if node.op == "call_module" else None
    if type(layer) is not nn.Conv2d or layer.bias is None or len(node.all_input_nodes) != 1:
        return False
    given = tuple(node.all_input_nodes[0].meta["value"].shape[2:])
    return layer.kernel_size == given != (1, 1) and layer.padding == (0, 0) and layer.groups == 1


def _ancestors(nodes: Iterable[fx.Node], stop: tuple[fx.Node | None, ...]) -> list[fx.Node]:
    """Everything that `nodes` are computed from, in order; `stop` is included, what is before it is not."""
    waiting = list(nodes)
    found: set[fx.Node] = set()
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(() if node in stop else node.all_input_nodes)
    return sorted(found)


def _module(cut: Cut, graph: fx.Graph) -> nn.Module:
    assert cut.traced is not None
    parts: dict[str, Any] = {}
    for node in graph.nodes:
        node.meta.clear()
        if node.op in ("call_module", "get_attr"):
            parts[str(node.target)] = _attribute(cut.network, cut.traced, str(node.target))
    return fx.GraphModule(parts, graph, class_name=type(cut.network).__name__)


def _attribute(network: nn.Module, traced: Trace, name: str) -> Any:
    return traced.constants[name] if name in traced.constants else operator.attrgetter(name)(network)


def _never_in_place(module: nn.Module) -> None:
    """An activation at the start of the suffix must not write into cached features."""
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False  # type: ignore[assignment]


class _Images(nn.Module):
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (images,)


def _from_frontier(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[torch.Tensor]:
    """Lets a whole network be called as a suffix is: with the tuple of frontier tensors, here the images alone."""
    (images,) = arguments[0]
    return (images,)

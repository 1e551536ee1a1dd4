"""Where the frozen part of a network ends.

A node of the traced graph is *live* when it depends on a trainable weight. Everything before the live nodes may be
computed once and kept. What live nodes read from frozen ones is the latest cut; the cut with the fewest values per
view is found as a minimum vertex cut between the images and the live nodes. No network needs code of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import fx, nn

from orchestrator.store.record import short_hash
from search_spaces.live import Scope
from trainables.network.adaptations import adaptation_of, adapted
from trainables.network.division import FEATURES, PIXELS, Cut
from trainables.network.tracing import IMAGES, Trace, UntraceableError, trace
from trainables.network.weight_layers import layers_by_calls, layers_of_trace

_PASSING = (nn.Identity, nn.Dropout)


def cuts(network: nn.Module, image_size: int, scope: Scope) -> list[Cut]:
    """Places where the frozen part may end with `scope` of the network trained, the fewest values per view first.

    `network` maps float32 [N, 3, S, S] to features [N, D]. The pixels come last whatever they hold: they are kept as
    uint8 anyway, and the whole network is then computed from them. A cut up to a tenth smaller than a later one is not
    taken for it. A caller with a budget takes the first that fits.
    Where nothing is trained the frontier is the pooled features. Raises InputError when the network has not what is to
    be trained, and UntraceableError when it has no graph (then see `whole`).
    """
    original, network = network, adapted(network, scope)
    traced = trace(network, image_size)
    layers = layers_of_trace(network, traced)
    live = adaptation_of(scope).live(layers)
    is_all = bool(live) and len(live) == len(layers.owner)
    frontiers = [] if is_all else _frontiers(traced, _live_nodes(network, traced, live))

    def cut(nodes: tuple[fx.Node, ...]) -> Cut:
        shapes = tuple(tuple(node.meta["value"].shape[1:]) for node in nodes)
        name = _named(network, traced, nodes, shapes)
        return Cut(shapes, name, live, layers.names, network, traced, nodes, original, layers.depths)

    candidates = [cut(nodes) for nodes in frontiers if nodes != (traced.image,)]
    candidates.sort(key=lambda one: one.values_per_view)
    return [*candidates, cut((traced.image,))]


def places_to_cut(network: nn.Module, image_size: int, scope: Scope) -> list[Cut]:
    """`cuts`, or for a network that cannot be traced the pixels alone."""
    try:
        return cuts(network, image_size, scope)
    except UntraceableError:
        return [whole(network, image_size, scope)]


def whole(network: nn.Module, image_size: int, scope: Scope) -> Cut:
    """The cut at the pixels for a network that cannot be traced: all of it is computed in every step."""
    original, network = network, adapted(network, scope)
    layers = layers_by_calls(network, image_size)
    shape = (3, image_size, image_size)
    return Cut(
        (shape,), PIXELS, adaptation_of(scope).live(layers), layers.names, network, None, (), original, layers.depths
    )


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
    live_nodes: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node.op == "call_module":
            parameters: Iterable[Any] = network.get_submodule(str(node.target)).parameters()
        elif node.op == "get_attr":
            parameters = (traced.attribute(network, str(node.target)),)
        else:
            parameters = ()
        reads_live = any(argument in live_nodes for argument in node.all_input_nodes)
        if node.op == "output" or reads_live or any(id(parameter) in own for parameter in parameters):
            live_nodes.add(node)
    return live_nodes


def _data_nodes(traced: Trace) -> set[fx.Node]:
    """Nodes that depend on the pixels; the others (weights alone, batch size) are computed where they are read."""
    dependent: set[fx.Node] = {traced.image}
    for node in traced.graph.nodes:
        if node not in (traced.batch, traced.device) and any(read in dependent for read in node.all_input_nodes):
            dependent.add(node)
    return dependent


def _frontiers(traced: Trace, live: set[fx.Node]) -> list[tuple[fx.Node, ...]]:
    """The smallest cut and the latest one, each in the order of computation."""
    data = _data_nodes(traced)
    latest = _latest(traced, live, data)
    if traced.output not in live:
        return [latest]
    count = len(traced.graph.nodes)
    lateness = {node: position / count for position, node in enumerate(traced.graph.nodes)}
    import networkx  # a worker that trains heads on features needs none of it

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

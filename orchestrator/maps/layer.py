"""The last layer of a network that still has places, and the network in two parts there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import fx, nn

from orchestrator.store.errors import InputError
from search_spaces.faults import nearest
from trainables.network.division import Cut, ancestors, shared_parts
from trainables.network.tracing import IMAGES, Trace, UntraceableError, trace

_PREFIXES = (0, 1, 5)
"""Tokens before those of patches: none, the class token, that and four registers."""


@dataclass(frozen=True)
class Layer:
    """name: of the part of the network that yields it. side: places each way. before: images float32 [N, 3, S, S] →
    values; after: values → features [N, D]; both share the network's tensors. asked: the name that was asked for, ""
    for the last. prefix: tokens before those of the patches.
    """

    name: str
    side: tuple[int, int]
    before: nn.Module
    after: nn.Module
    channels_last: bool = False
    asked: str = ""
    prefix: int | None = None
    """None where the values are maps, not tokens."""

    def places(self, values: torch.Tensor) -> torch.Tensor:
        """Values or their gradients as maps [N, C, h, w]."""
        if self.prefix is not None:
            patches = values[:, self.prefix :].transpose(1, 2)
            return patches.reshape(*patches.shape[:2], *self.side)
        return values.permute(0, 3, 1, 2) if self.channels_last else values


def spatial_layer(network: nn.Module, image_size: int, name: str, asked: str = "") -> Layer:
    """The last layer with more than one place through which all goes that the network sees, and whose places all have
    a say in the features: of a transformer that reads its class token the last block but one yields it. Or the one
    that is `asked` for.

    network: images → features [N, D], in eval mode. Raises InputError, naming the network `name`, where there is none.
    """
    try:
        traced = trace(network, image_size)
    except UntraceableError as error:
        raise InputError(
            f"{name}: expected a network that can be split at a layer with several places, found one that cannot: "
            f"{error.message}",
            "Choose a method that needs none: --method occlusion or --method integrated",
        ) from error
    through = [node for node in _maps(traced, network) if _all_goes_through(traced, node)]
    if asked:
        node = traced.yields.get(asked)
        if node not in through:
            known = [part for part, node in traced.yields.items() if node in through]
            raise InputError(
                f"{name}: --layer {asked[:80]!r}: expected a part whose output is feature maps or tokens, and "
                "through which everything passes that the network sees",
                f"Nearest names: {', '.join(nearest(asked, known) or known[-8:]) or 'there is none'}",
            )
        return replace(_layer(network, traced, node, asked), asked=asked)
    for node in reversed(through):
        layer = _layer(network, traced, node, _name(traced, node))
        if layer.prefix is None or _all_have_a_say(layer, node):
            return layer
    raise InputError(
        f"{name}: expected a layer with several places, such as the feature maps of a convolution or the "
        "tokens of a transformer, found none",
        "Choose a method that needs none: --method occlusion or --method integrated",
    )


def _maps(traced: Trace, network: nn.Module) -> Iterator[fx.Node]:
    """Nodes that yield maps or tokens with more than one place, in the order of computation."""
    for node in traced.graph.nodes:
        value = node.meta["value"] if node.op != "output" else None
        if node is traced.image or not isinstance(value, torch.Tensor) or not value.is_floating_point():
            continue
        if not 3 <= value.ndim <= 4 or len(value) != IMAGES:
            continue
        if value.ndim == 4:
            first, second = _side(value.shape, network)
            is_map = first == second > 1  # heads × widths of an attention are no places
        else:
            is_map = value.ndim == 3 and _prefix(network, value.shape[1]) is not None
        if is_map:
            yield node


def _all_goes_through(traced: Trace, node: fx.Node) -> bool:
    return traced.image not in ancestors((traced.output,), stop=(node, traced.batch, traced.device))


def _is_last(shape: torch.Size, network: nn.Module) -> bool:
    """Whether channels are the last dimension of maps, whose places are as many one way as the other."""
    _, first, second, third = shape
    return first == second and (second != third or getattr(network, "output_fmt", "") == "NHWC")


def _side(shape: torch.Size, network: nn.Module) -> tuple[int, int]:
    return (shape[1], shape[2]) if _is_last(shape, network) else (shape[2], shape[3])


def _prefix(network: nn.Module, tokens: int) -> int | None:
    """How many tokens stand before those of the patches, which fill a square of more than one. A network that was cut
    does not say it any more."""
    for prefix in (int(getattr(network, "num_prefix_tokens", 0)), *_PREFIXES):
        if tokens - prefix > 1 and math.isqrt(tokens - prefix) ** 2 == tokens - prefix:
            return prefix
    return None


def _layer(network: nn.Module, traced: Trace, node: fx.Node, name: str) -> Layer:
    shape = node.meta["value"].shape
    cut = Cut((tuple(shape[1:]),), name, (), (), network, traced, (node,), network, {})
    before, after = shared_parts(cut)
    if len(shape) == 4:
        return Layer(name, _side(shape, network), before, after, _is_last(shape, network))
    prefix = _prefix(network, shape[1])
    assert prefix is not None
    side = math.isqrt(shape[1] - prefix)
    return Layer(name, (side, side), before, after, prefix=prefix)


def _name(traced: Trace, node: fx.Node) -> str:
    """Of the innermost part that yields it, else of the one whose code does, else of the last one before it."""
    names = [part for part, yields in traced.yields.items() if yields is node and part]
    if names or node.meta.get("scope"):
        return max(names, key=len, default=str(node.meta["scope"]))
    before = [other for other in node.all_input_nodes if other is not traced.image]
    return f"after {_name(traced, max(before)).removeprefix('after ')}" if before else node.name


def _all_have_a_say(layer: Layer, node: fx.Node) -> bool:
    """Whether features depend on the patches' tokens, by their gradient at some values."""
    one = next(layer.after.parameters(), torch.empty(0))
    draw = torch.Generator().manual_seed(0)
    shape = node.meta["value"].shape[1:]
    values = torch.randn((1, *shape), generator=draw).to(one.device).requires_grad_()
    features = layer.after((values,))
    (gradient,) = torch.autograd.grad(features, values, torch.randn(features.shape, generator=draw).to(one.device))
    return bool(layer.places(gradient).abs().sum(dim=1).gt(0).all())

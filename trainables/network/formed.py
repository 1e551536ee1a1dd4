"""Networks that end earlier than their library lets them, or whose output is pooled otherwise.

The traced graph is cut behind the part that is asked for, and the mean over places, the class token or the mean of the
patches is taken of what it yields. Names of parameters stay those of the whole network, whose weights are loaded first.
"""

from __future__ import annotations

import math
import operator
from typing import Any, cast

import torch
from torch import fx, nn

from orchestrator.store.errors import InputError
from search_spaces.faults import nearest
from search_spaces.form import Form
from trainables.network.division import Cut, ancestors, together
from trainables.network.tracing import IMAGES, Trace, UntraceableError, trace

_NORMS = ("norm", "encoder.ln")
"""What timm and torchvision call the last norm of a transformer, which its tokens go through before one is taken."""


def formed(network: nn.Module, form: Form, image_size: int, name: str) -> nn.Module:
    """The network as its form has it, sharing its parts: float32 [N, 3, S, S] → float32 [N, D]; itself where the form
    says nothing of it.

    `ends_at`: the features are pooled from what this part yields. `joined` = k: from that of each of the last k blocks
    or stages, joined, as in the linear protocol of DINO (Caron et al. 2021); tokens of a transformer that ends nowhere
    earlier go through its last norm first. Raises InputError, naming the network `name`, for a part that there is not,
    for pooling without tokens, and for a network that cannot be traced.
    """
    if form.is_plain:
        return network
    try:
        traced = trace(network, image_size)
    except UntraceableError as error:
        raise InputError(
            f"{name}: expected a network that can be taken apart, found one that cannot ({error.message})",
            "Leave network.ends_at, network.pooling and network.joined out.",
        ) from error
    parts = _Parts(network, traced, name)
    ends = parts.ends(form)
    graph_module = cast(fx.GraphModule, together([_cut(network, traced, ends)]))
    graph = graph_module.graph
    output = next(node for node in graph.nodes if node.op == "output")
    values = cast(tuple[fx.Node, ...], output.args[0])
    with graph.inserting_before(output):
        pooled = []
        for copied, end in zip(values, ends, strict=True):
            if end in parts.before_norm(form):
                copied = graph.call_module(parts.norm, (copied,))
            pooled += parts.pooled(graph, copied, end, form)
        output.args = (graph.call_function(torch.cat, (pooled, 1)) if len(pooled) > 1 else pooled[0],)
    graph_module.recompile()
    return graph_module.eval()


class _Parts:
    """What parts of a traced network yield, and what is a token of it."""

    def __init__(self, network: nn.Module, traced: Trace, name: str) -> None:
        self.network = network
        self.traced = traced
        self.name = name
        self.norm = next((norm for norm in _NORMS if self._dimensions(traced.yields.get(norm)) == 3), "")

    def ends(self, form: Form) -> tuple[fx.Node, ...]:
        """Nodes whose values are pooled and joined, in order."""
        if form.ends_at:
            last = self._named(form.ends_at)
        elif self.norm:
            last = self.traced.yields[self.norm]
        elif form.pooling != "own":
            raise self._without_tokens(form)
        else:
            last = None
        if form.joined == 1:
            assert last is not None
            return (last,)
        stages = self._stages()
        earlier = stages if last is None else set(ancestors((last,), stop=())) - {last}
        before = [node for node in stages if node in earlier]
        if last is None:
            before, last = before[:-1], before[-1] if before else None
        elif not form.ends_at:
            before = before[:-1]  # the last block is what the norm reads
        if last is None or len(before) < form.joined - 1:
            available = "none that are known" if not stages else f"{len(before) + 1}"
            raise InputError(
                f"{self.name}: network.joined: expected at most as many as it has blocks or stages up to there, found "
                f"{form.joined} of {available}",
                "Choose fewer: --set network.joined=1",
            )
        return (*before[len(before) - form.joined + 1 :], last)

    def before_norm(self, form: Form) -> set[fx.Node]:
        """Those of the ends that the last norm has not seen."""
        if form.ends_at or not self.norm:
            return set()
        return set(self._stages())

    def pooled(self, graph: fx.Graph, copied: fx.Node, end: fx.Node, form: Form) -> list[fx.Node]:
        """Rows of features from what an end yields: one, or two where the class token and the mean are asked for."""
        shape = end.meta["value"].shape
        if len(shape) != 3:
            if form.pooling != "own":
                raise self._without_tokens(form)
            return [copied if len(shape) == 2 else graph.call_method("mean", (copied, self._places(shape)))]
        prefix = self._prefix_tokens(shape[1])
        pooling = form.pooling
        if pooling == "own":
            pooling = "class_token" if prefix and self._takes_class_token() else "mean"
        if pooling != "mean" and not prefix:
            raise InputError(
                f'{self.name}: network.pooling: expected "own" or "mean" (there is no class token there), '
                f'found "{pooling}"',
                "Choose another: --set network.pooling=mean",
            )
        rows = []
        if pooling in ("class_token", "both"):
            rows.append(graph.call_function(operator.getitem, (copied, (slice(None), 0))))
        if pooling in ("mean", "both"):
            patches = graph.call_function(operator.getitem, (copied, (slice(None), slice(prefix, None))))
            rows.append(graph.call_method("mean", (patches, 1)))
        return rows

    def _named(self, ends_at: str) -> fx.Node:
        node = self.traced.yields.get(ends_at)
        if node is not None and self._dimensions(node):
            return node
        known = [part for part, node in self.traced.yields.items() if self._dimensions(node)]
        near = nearest(ends_at, known) or [part for part in known if "." not in part]
        raise InputError(
            f"{self.name}: network.ends_at: expected the name of a layer or block that outputs maps, tokens or "
            f"features, found {ends_at[:80]!r}",
            f"Nearest names: {', '.join(near[:8])}",
        )

    def _stages(self) -> list[fx.Node]:
        """What blocks or stages yield, in order: as timm lists them, or the layers of torchvision's encoder."""
        listed: Any = getattr(self.network, "feature_info", ())
        names = [str(each["module"]) for each in getattr(listed, "info", listed)]
        encoder = getattr(getattr(self.network, "encoder", None), "layers", None)
        if not names and isinstance(encoder, nn.Sequential):
            names = [f"encoder.layers.{child}" for child, _ in encoder.named_children()]
        yielded = [node for each in names if (node := self.traced.yields.get(each)) is not None]
        return [node for node in dict.fromkeys(yielded) if self._dimensions(node)]

    def _dimensions(self, node: fx.Node | None) -> int:
        """2 of rows of features, 3 of tokens, 4 of maps; 0 of anything else."""
        value = node.meta["value"] if node is not None else None
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not 2 <= value.ndim <= 4:
            return 0
        return value.ndim if len(value) == IMAGES else 0

    def _places(self, shape: torch.Size) -> tuple[int, int]:
        """The dimensions of maps that are places, which are as many one way as the other; channels are the other."""
        _, first, second, third = shape
        is_last = first == second != third
        is_either = first == second == third
        if is_last or (is_either and getattr(self.network, "output_fmt", "") == "NHWC"):
            return 1, 2
        return 2, 3

    def _prefix_tokens(self, tokens: int) -> int:
        """How many tokens stand before those of the patches, which fill a square; the class token is the first."""
        usual = 1 if isinstance(getattr(self.network, "class_token", None), nn.Parameter) else 0
        prefix = int(getattr(self.network, "num_prefix_tokens", usual))
        return prefix if math.isqrt(tokens - prefix) ** 2 == tokens - prefix else 0

    def _takes_class_token(self) -> bool:
        return str(getattr(self.network, "global_pool", "token")) == "token"

    def _without_tokens(self, form: Form) -> InputError:
        return InputError(
            f'{self.name}: network.pooling: expected "own" (it has no tokens{" there" if form.ends_at else ""}), found '
            f'"{form.pooling}"',
            "Leave network.pooling out.",
        )


def _cut(network: nn.Module, traced: Trace, nodes: tuple[fx.Node, ...]) -> Cut:
    shapes = tuple(tuple(node.meta["value"].shape[1:]) for node in nodes)
    return Cut(shapes, "", (), (), network, traced, nodes, network, {})

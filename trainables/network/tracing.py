"""The graph of a backbone: torch.fx with real shapes, the number of images left open.

The trace runs on the meta device, so it costs neither memory nor arithmetic. Every proxy carries the meta value that it
stands for; Python code that looks at shapes (`if x.shape[-2] < 7`, `B, N, C = x.shape`, asserts) therefore runs as it
would with real images of that size. Only the batch size stays symbolic: the trace uses a prime number of images, and
every size divisible by it is expressed by the batch size of the input.
"""

from __future__ import annotations

import contextlib
import copy
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from orchestrator.store.errors import OrchError, first_line

IMAGES = 10007
"""Images in the traced batch: a prime larger than any width, so that a size divisible by it holds the batch."""

WEIGHT_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
_FACTORIES = ("arange", "zeros", "ones", "empty", "full", "tensor", "linspace", "eye")


class UntraceableError(OrchError):
    """The network's code cannot be written as a graph; training then goes through the whole network."""


@dataclass(frozen=True)
class Trace:
    """A backbone's graph, its nodes' targets being names in the backbone.

    Every node's `meta["value"]` is what it yields for a batch of `IMAGES` images: meta tensors, numbers, tuples.
    `batch` and `device` are the nodes (if any) of the batch size and of the device; they depend on no pixel.
    """

    graph: fx.Graph
    image: fx.Node
    batch: fx.Node | None
    device: fx.Node | None
    output: fx.Node
    constants: dict[str, torch.Tensor]
    """Tensors that the code makes itself, by the names under which the graph knows them."""
    yields: dict[str, fx.Node]
    """What each part of the network gave when it was called last, by the part's name; of those that give one value."""

    def attribute(self, network: nn.Module, name: str) -> Any:
        """The part of the network, or the tensor, that a node's target names."""
        return self.constants[name] if name in self.constants else operator.attrgetter(name)(network)


def trace(network: nn.Module, image_size: int) -> Trace:
    """Trace `network` in eval mode for float32 images [N, 3, image_size, image_size] to features [N, D].

    The network itself is not touched. Raises UntraceableError with the reason.
    """
    try:
        return _trace(network, image_size)
    except UntraceableError:
        raise
    except Exception as error:  # the network's own code may raise anything when it meets a proxy
        raise UntraceableError(
            f"{type(network).__name__} cannot be traced at {image_size} pixels: {first_line(error)}",
            "Nothing to do: it is trained through the whole network, without cached features.",
        ) from error


def on_meta(network: nn.Module) -> nn.Module:
    """A copy of `network` in eval mode whose tensors have shapes only; it takes no memory."""
    shapes: dict[int, Any] = {}
    for parameter in network.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in network.buffers():
        shapes[id(buffer)] = buffer.detach().to("meta")
    return copy.deepcopy(network, shapes).eval()


def images_on_meta(image_size: int) -> torch.Tensor:
    """float32 [IMAGES, 3, image_size, image_size] without memory."""
    return torch.empty(IMAGES, 3, image_size, image_size, device="meta")


def _trace(network: nn.Module, image_size: int) -> Trace:
    if isinstance(network, WEIGHT_LAYERS):
        raise UntraceableError(f"a single {type(network).__name__} is not a backbone")
    entry = _Entry(on_meta(network))
    tracer = _ShapeTracer(images_on_meta(image_size))
    with torch.no_grad(), _recorded_factories(tracer):
        graph = tracer.trace(entry)
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            node.target = str(node.target).removeprefix("network.")
    output = next(node for node in graph.nodes if node.op == "output").args[0]
    if not isinstance(output, fx.Node):
        raise UntraceableError(f"{type(network).__name__} yields {type(output).__name__} instead of one tensor")
    constants = {name: value for name, value in vars(entry).items() if name.startswith("_tensor_constant")}
    image = next(node for node in graph.nodes if node.op == "placeholder")
    return Trace(graph, image, tracer.batch_node, tracer.device_node, output, constants, tracer.yields)


class _Entry(nn.Module):
    """One input, whatever optional arguments the network's own forward has."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> Any:
        return self.network(images)


class _ShapedProxy(fx.Proxy):
    """Stands for a value whose type and shape are known, but not its numbers nor how many images there are."""

    tracer: _ShapeTracer

    @property
    def value(self) -> Any:
        return self.node.meta["value"]

    @property
    def shape(self) -> tuple[Any, ...]:
        return tuple(self.tracer.symbolic(size) for size in self.value.shape)

    @property
    def device(self) -> Any:
        return self.tracer.device()

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> Any:
        return self.tracer.symbolic(self.value.numel())

    def __len__(self) -> int:
        if isinstance(self.value, torch.Tensor) and self.value.shape[0] % IMAGES == 0:
            raise UntraceableError("the code counts the images of a batch")
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter([self[index] for index in range(len(self))])  # type: ignore[index]

    def __bool__(self) -> bool:
        if isinstance(self.value, torch.Tensor):
            raise UntraceableError("the code branches on the numbers in a tensor")
        return bool(self.value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self.value, name)
        if isinstance(value, torch.Tensor):
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        return super().__getattr__(name) if callable(value) else value


class _ShapeTracer(fx.Tracer):
    """Records each call and computes what it yields on the meta device."""

    proxy_buffer_attributes = True

    def __init__(self, images: torch.Tensor) -> None:
        super().__init__()
        self.images = images
        self.evaluating = False
        self.image_proxy: _ShapedProxy | None = None
        self.batch_node: fx.Node | None = None
        self.device_node: fx.Node | None = None
        self.yields: dict[str, fx.Node] = {}

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _ShapedProxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)

    def symbolic(self, size: int) -> Any:
        """The size itself, or the batch size times what it holds besides."""
        if size == 0 or size % IMAGES:
            return size
        assert self.image_proxy is not None
        if self.batch_node is None:
            self.batch_node = self.create_proxy("call_method", "size", (self.image_proxy, 0), {}).node
        batch = self.proxy(self.batch_node)
        return batch if size == IMAGES else batch * (size // IMAGES)  # type: ignore[operator]

    def device(self) -> fx.Proxy:
        if self.device_node is None:
            self.device_node = self.create_proxy("call_function", getattr, (self.image_proxy, "device"), {}).node
        return self.proxy(self.device_node)

    def create_proxy(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any | None = None,
        proxy_factory_fn: Callable[[fx.Node], fx.Proxy] | None = None,
    ) -> fx.Proxy:
        spelled = target if isinstance(target, str) else getattr(target, "__name__", "")
        in_place = spelled.endswith("_") and not spelled.endswith("__") and not spelled.startswith("_")
        if kind in ("call_function", "call_method") and (in_place or target is operator.setitem):
            raise UntraceableError(f"the code changes a tensor in place ({spelled})")
        if kwargs.get("inplace") is True:
            kwargs = {**kwargs, "inplace": False}
        proxy = super().create_proxy(kind, target, args, kwargs, name, type_expr, proxy_factory_fn)
        node = proxy.node
        node.meta["value"] = self._value(node)
        node.meta["scope"] = self.scope.module_path.removeprefix("network").removeprefix(".")
        if kind == "placeholder":
            assert isinstance(proxy, _ShapedProxy)
            self.image_proxy = proxy
        return proxy

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self.evaluating:
            return forward(*args, **kwargs)
        given = super().call_module(m, forward, args, kwargs)
        if isinstance(given, fx.Proxy):
            self.yields[self.path_of_module(m).removeprefix("network").removeprefix(".")] = given.node
        return given

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self.evaluating:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self.images
        args, kwargs = map_arg((node.args, node.kwargs), lambda argument: argument.meta["value"])
        self.evaluating = True
        try:
            with torch.device("meta"):
                if node.op == "get_attr":
                    value = operator.attrgetter(str(node.target))(self.root)
                    return value.to("meta") if isinstance(value, torch.Tensor) else value
                if node.op == "call_module":
                    return self.root.get_submodule(str(node.target))(*args, **kwargs)
                if node.op == "call_method":
                    return getattr(args[0], str(node.target))(*args[1:], **kwargs)
                assert callable(node.target)
                return node.target(*args, **kwargs)
        finally:
            self.evaluating = False


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one node: a weight layer, attention of torch itself, or anything without weight layers."""
    if isinstance(module, (*WEIGHT_LAYERS, nn.MultiheadAttention)):
        return True
    return not any(isinstance(part, (*WEIGHT_LAYERS, nn.MultiheadAttention)) for part in module.modules())


@contextlib.contextmanager
def _recorded_factories(tracer: _ShapeTracer) -> Iterator[None]:
    """While tracing, tensors made by the code (`torch.arange(n, device=x.device)`) become nodes of the graph."""

    def recorded(factory: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if tracer.evaluating or tracer.image_proxy is None:
                return factory(*args, **kwargs)
            return tracer.create_proxy("call_function", factory, args, kwargs)

        return call

    factories = {name: getattr(torch, name) for name in _FACTORIES}
    try:
        for name, factory in factories.items():
            setattr(torch, name, recorded(factory))
        yield
    finally:
        for name, factory in factories.items():
            setattr(torch, name, factory)

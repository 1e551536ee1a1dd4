"""On a GPU an optimiser step is recorded once as a CUDA graph and replayed: small kernels cost more to ask for than to
run."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import torch

from trainables.machine.arithmetic import undetermined
from trainables.machine.out_of_memory import is_out_of_memory

Step = Callable[..., None]


class Replay:
    """Calls `step(*inputs)`; on a GPU from the second call of the same shapes on as a recorded graph.

    What the step reads beside its inputs must stay at its address between calls, and nothing of it may be read on the
    host. The first call runs as written, so that libraries choose their algorithms; recording runs nothing. Kernels are
    the same either way, and so are the bits.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self.step = step
        self._graphs: dict[Hashable, tuple[torch.cuda.CUDAGraph, list[torch.Tensor]]] = {}
        self._seen: set[Hashable] = set()
        self._refused = device.type != "cuda"
        self.undetermined: set[str] = set()
        """Operations of the step that may give other bits each time, by the names that torch has for them."""

    def __call__(self, *inputs: torch.Tensor) -> None:
        if self._refused:
            self.step(*inputs)
            return
        shapes = tuple(tensor.shape for tensor in inputs)
        if shapes not in self._seen:
            self._seen.add(shapes)
            with undetermined(self.undetermined):
                self.step(*inputs)
            return
        if shapes not in self._graphs and not self._record(shapes, inputs):
            self.step(*inputs)
            return
        graph, held = self._graphs[shapes]
        for mine, given in zip(held, inputs, strict=True):
            mine.copy_(given, non_blocking=True)
        graph.replay()

    def _record(self, shapes: Hashable, inputs: tuple[torch.Tensor, ...]) -> bool:
        """Whether the step could be recorded; one that cannot (it reads a value on the host) goes on as written."""
        held = [tensor.clone(memory_format=torch.preserve_format) for tensor in inputs]
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values()))[0].pool() if self._graphs else None
        try:
            with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"), undetermined(set()):
                self.step(*held)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._refused = True
            return False
        self._graphs[shapes] = graph, held
        return True

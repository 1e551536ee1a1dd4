"""The model from pixels to probabilities as an ONNX file, written only when onnxruntime gives what torch gives."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from orchestrator.export.model import Preprocessing, probabilities, standardised

OPSET = 18
TOLERANCE = 1e-4


@dataclass(frozen=True)
class OnnxFile:
    """opset: of the file. images: on how many it was checked, in batches of several sizes. largest: the largest
    difference of a logit from torch's, relative where logits are larger than 1."""

    opset: int
    images: int
    largest: float


class FromPixels(nn.Module):
    """Squares uint8 [N, S, S, 3] as Pillow gives them → (logits [N, outputs], probabilities [N, classes]).

    What every reader of the model would have to do again, and could do otherwise, is inside: the centre crop, the
    scale, the standardisation, softmax or sigmoid.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: nn.Module, steps: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.first = (steps.store_size - steps.image_size) // 2
        self.size = steps.image_size
        self.register_buffer("mean", torch.tensor(steps.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(steps.std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inside = slice(self.first, self.first + self.size)
        images = pixels[:, inside, inside].permute(0, 3, 1, 2).float() / 255.0
        logits = self.network((images - self.mean) / self.std)
        # One output is the logit of the second class; that of the first is 0
        wide = torch.cat([torch.zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits
        return logits, wide.softmax(dim=1)


def write_onnx(network: nn.Module, steps: Preprocessing, squares: np.ndarray, path: Path) -> OnnxFile | str:
    """Write "pixels" uint8 [batch, S, S, 3] → "logits" [batch, outputs], "probabilities" [batch, classes], any batch.

    squares: of real images, uint8 [n, S, S, 3] with S the store size. Returns why there is no file where the network
    cannot be exported or differs by more than TOLERANCE; nothing is left at `path` then.
    """

    def wanted(some: np.ndarray) -> tuple[np.ndarray, ...]:
        logits = network(torch.from_numpy(np.stack([standardised(square, steps) for square in some])))
        return logits.numpy(), probabilities(logits).numpy()

    return write_graph(FromPixels(network, steps).eval(), ("logits", "probabilities"), squares, path, wanted)


def write_graph(
    module: nn.Module,
    outputs: Sequence[str],
    squares: np.ndarray,
    path: Path,
    wanted: Callable[[np.ndarray], tuple[np.ndarray, ...]],
) -> OnnxFile | str:
    """Of a module of "pixels" with these outputs; wanted: what they are of squares, by another way than the module."""
    try:
        with _quietly():
            example = torch.from_numpy(np.ascontiguousarray(squares[[0, -1]]))
            torch.onnx.export(
                module,
                (example,),
                str(path),
                input_names=["pixels"],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        checked = _checked(outputs, squares, path, wanted)
    except Exception as error:  # exporters raise whatever their parts raise
        path.unlink(missing_ok=True)
        return f"the network cannot be exported: {(str(error).strip().splitlines() or [type(error).__name__])[0][:200]}"
    if checked.largest > TOLERANCE:
        path.unlink(missing_ok=True)
        return f"onnxruntime differs from PyTorch by {checked.largest:.2g} on real images, more than {TOLERANCE:g}"
    return checked


@torch.no_grad()
def _checked(
    outputs: Sequence[str], squares: np.ndarray, path: Path, wanted: Callable[[np.ndarray], tuple[np.ndarray, ...]]
) -> OnnxFile:
    """Against the network as `orch predict` runs it, which shares nothing with FromPixels."""
    import onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for size in sorted({1, min(3, len(squares)), len(squares)}):
        got = session.run(list(outputs), {"pixels": np.ascontiguousarray(squares[:size])})
        for one, other in zip(got, wanted(squares[:size]), strict=True):
            largest = max(largest, float((np.abs(one - other) / np.maximum(1.0, np.abs(other))).max()))
    (opset,) = [
        entry.version for entry in onnx.load(str(path), load_external_data=False).opset_import if not entry.domain
    ]
    return OnnxFile(int(opset), len(squares), largest)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The exporter talks to stdout, stderr and the log; nothing of it is for the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)

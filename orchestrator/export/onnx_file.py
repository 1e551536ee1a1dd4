"""The network as an ONNX file, written only when onnxruntime gives what torch gives on real images."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

OPSET = 18
TOLERANCE = 1e-4
NEEDED = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class OnnxFile:
    """opset: of the file. images: on how many it was checked, in batches of several sizes. largest: the largest
    difference of a logit from torch's, relative where logits are larger than 1."""

    opset: int
    images: int
    largest: float


def missing_packages() -> list[str]:
    """Packages that ONNX needs and that are not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def write_onnx(network: nn.Module, images: torch.Tensor, path: Path) -> OnnxFile | str:
    """Write the network, float32 [batch, 3, S, S] "images" → [batch, outputs] "logits" with a free batch size.

    images: real ones, standardised. Returns why there is no file where it cannot be exported or differs by more than
    TOLERANCE; nothing is left at `path` then.
    """
    lacking = missing_packages()
    if lacking:
        return f"{' and '.join(lacking)} not installed: pip install onnx onnxscript onnxruntime"
    try:
        with _quietly():
            example = images[:2] if len(images) > 1 else images.repeat(2, 1, 1, 1)
            torch.onnx.export(
                network,
                (example,),
                str(path),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        found = _checked(network, images, path)
    except Exception as error:  # exporters raise whatever their parts raise
        path.unlink(missing_ok=True)
        return f"the network cannot be exported: {(str(error).strip().splitlines() or [type(error).__name__])[0][:200]}"
    if found.largest > TOLERANCE:
        path.unlink(missing_ok=True)
        return f"onnxruntime differs from torch by {found.largest:.2g} on real images, more than {TOLERANCE:g}"
    return found


@torch.no_grad()
def _checked(network: nn.Module, images: torch.Tensor, path: Path) -> OnnxFile:
    import onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for size in sorted({1, min(3, len(images)), len(images)}):
        batch = images[:size]
        wanted = network(batch).numpy()
        (got,) = session.run(None, {"images": batch.numpy()})
        largest = max(largest, float((np.abs(got - wanted) / np.maximum(1.0, np.abs(wanted))).max()))
    (opset,) = [
        entry.version for entry in onnx.load(str(path), load_external_data=False).opset_import if not entry.domain
    ]
    return OnnxFile(int(opset), len(images), largest)


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

"""How torch computes in a process of ours: the same bits each time, on a CPU and on GPUs of one kind."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator

import torch

_UNDETERMINED = re.compile(r"(\S+) does not have a deterministic implementation")


def settle_arithmetic(threads: int = 1) -> None:
    """So many threads, deterministic algorithms, IEEE float32; for the whole process, before it computes anything."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # fp32 is IEEE float32: the ten mantissa bits of TF32 would be another precision under the same name
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    if torch.cuda.is_available():
        ask_for_determinism()


def ask_for_determinism() -> None:
    """Operations that have no deterministic algorithm on this device go on with a warning; see `undetermined`."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Nothing here reads what it did not write
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)


@contextlib.contextmanager
def allowing_tf32() -> Iterator[None]:
    """Of products and convolutions on a GPU, in the whole process: autograd works in threads of its own there."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = True
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before


def multiplies_tf32(device: torch.device) -> bool:
    """Whether it has units for TF32: GPUs since Ampere."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


@contextlib.contextmanager
def undetermined(names: set[str]) -> Iterator[None]:
    """Add the names of operations that torch says have no deterministic algorithm; other warnings go on as they are."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        yield
    for warning in told:
        match = _UNDETERMINED.match(str(warning.message))
        if match is None:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        else:
            names.add(match[1])

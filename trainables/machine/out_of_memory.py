"""Whether an error says that memory did not suffice. No torch until something failed."""

from __future__ import annotations

_TOLD = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch says of the CPU's memory and of the libraries of a GPU, which has no type of its own."""


def is_out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _TOLD)

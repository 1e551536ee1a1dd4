"""How torch computes in a process of ours: the same bits each time, on a CPU and on GPUs of one kind."""

from __future__ import annotations

import torch


def settle_arithmetic(threads: int = 1) -> None:
    """So many threads, deterministic algorithms of cuDNN, IEEE float32; for the whole process."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # fp32 is IEEE float32: the ten mantissa bits of TF32 would be another precision under the same name
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False

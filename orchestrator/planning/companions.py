"""What stands for other workers beside the one that is measured: cores that share caches or memory slow each other."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

_BUSY = """
import os
import numpy as np
parent, square, long = os.getppid(), np.ones((256, 256), np.float32), np.ones(4_000_000, np.float32)
print(flush=True)
while os.getppid() == parent:
    for _ in range(10):
        np.matmul(square, square)
    long.sum()
"""
"""Products that stay in the caches and reading that does not, as steps have both; it ends with who began it."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@contextlib.contextmanager
def companions(count: int) -> Iterator[None]:
    """So many processes keep a core busy each while the context lasts."""
    command, environment = [sys.executable, "-c", _BUSY], {**os.environ, **_ONE_THREAD}
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(count):
            one = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            stack.enter_context(one)
            stack.callback(one.kill)
            started.append(one)
        for one in started:
            assert one.stdout is not None
            one.stdout.readline()
        yield

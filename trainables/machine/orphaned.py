"""Processes that Ray started end with the raylet that started them: Ray would let some live, and hold their leases."""

from __future__ import annotations

import functools
import os
import threading
import time

LOOK_EVERY_S = 0.5
EXIT_STATUS = 71


@functools.cache
def end_with_parent() -> None:
    """From now on this process ends soon after its parent, whatever it is doing."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY_S)
        os._exit(EXIT_STATUS)

    threading.Thread(target=watch, name="parent", daemon=True).start()

"""Ends the driver, with a plain message, once the Ray that it runs on is gone: calls into it might never return."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

from orchestrator.results.amounts import duration
from orchestrator.store.errors import OrchError

WATCH_EVERY_S = 0.5
ASK_EVERY_S = 2.0
ANSWERS_WITHIN_S = 2.0
HEAD_PATIENCE_S = 45.0
"""A head that keeps its state elsewhere may come back. After a minute of silence Ray would end the process in its own
words."""
HOW_TO_GO_ON = "Kept: all that was finished and the last checkpoints; the same command goes on from there."


@contextmanager
def ends_with_ray(why_gone: Callable[[], str], end: Callable[[int], None] = os._exit) -> Iterator[None]:
    """End this process once `why_gone`, which is asked all the time, gives more than ""."""
    left = threading.Event()

    def watch() -> None:
        while not left.wait(WATCH_EVERY_S):
            if why := why_gone():
                with contextlib.suppress(OSError):
                    os.write(2, f"\nError: {why} {HOW_TO_GO_ON}\n".encode())
                end(OrchError.exit_status)
                return

    thread = threading.Thread(target=watch, name="ray's processes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()  # what follows stops Ray on purpose


def private_ray() -> Callable[[], str]:
    """Why the Ray that this process started is gone, "" while it is there."""
    node: Any = ray._private.worker._global_node

    def why_gone() -> str:
        dead = {name for name, _ in node.dead_processes()} & {"raylet", "gcs_server"}
        return f"Ray's {' and '.join(sorted(dead))} has died: it was killed, or memory ran out." if dead else ""

    return why_gone


def joined_ray() -> Callable[[], str]:
    """Why the cluster that this process joined is gone, this node's raylet or the head; "" while both are there."""
    node: Any = ray._private.worker._global_node
    raylet, head = str(node.raylet_socket_name), str(node.gcs_address)
    host, _, port = head.rpartition(":")
    asked = heard = time.monotonic()

    def why_gone() -> str:
        nonlocal asked, heard
        if time.monotonic() - asked < ASK_EVERY_S:
            return ""
        asked = time.monotonic()
        if _is_deserted(raylet):
            return "Ray's raylet on this node has died: it was stopped or killed, or memory ran out."
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN_S):
            heard = time.monotonic()
        silent = time.monotonic() - heard
        if silent < HEAD_PATIENCE_S:
            return ""
        return f"Ray's head, {head}, has not answered for {duration(silent)}: it was stopped, or its node was lost."

    return why_gone


def _is_deserted(path: str) -> bool:
    """Whether nobody listens at a socket of this machine; one whose owner is too busy to accept is none."""
    with socket.socket(socket.AF_UNIX) as tried:
        tried.settimeout(ANSWERS_WITHIN_S)
        try:
            tried.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            pass
        return False

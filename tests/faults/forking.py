"""The process that those of the nursery are forked from: orders on stdin, answers on stdout. Nobody imports it."""

from __future__ import annotations

import base64
import os
import pickle
import select
import signal
import sys
import traceback

import timm  # noqa: F401

import tests.faults.learning  # noqa: F401  # what takes long to import
from tests.faults.lines import Lines


def _serve() -> None:
    """Fork for each job, tell its number and exit status; SIGCHLD writes to a pipe when a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    orders = Lines(sys.stdin.fileno())
    alive: set[int] = set()
    while True:
        ready = select.select([sys.stdin.fileno(), reader], [], [])[0]
        if reader in ready:
            os.read(reader, 4096)
        while alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            alive.discard(pid)
            print("ended", pid, os.waitstatus_to_exitcode(status), flush=True)
        if sys.stdin.fileno() in ready:
            line = orders.readline()
            if not line:
                break
            order = pickle.loads(base64.b64decode(line))  # noqa: S301  # its parent alone writes to this pipe
            if "send" in order:
                pid, number = order["send"]
                if pid in alive:
                    os.kill(pid, number)
            else:
                alive.add(_forked(order["job"]))
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)  # taking torch down in an orderly way takes seconds


def _forked(job: str) -> int:
    pid = os.fork()
    if pid:
        print("started", pid, 0, flush=True)
        return pid
    status = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        status = pickle.loads(base64.b64decode(job)).run()  # noqa: S301
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
    raise AssertionError("not reached")


_serve()

"""Processes that may be hurt: forked from one that has imported torch already, so that each begins at once.

Run as a script it is that process: it reads jobs from stdin, forks for each, and tells number and exit status.
"""

from __future__ import annotations

import base64
import os
import pickle
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.support.checkout import ROOT
from tests.support.waiting import PATIENCE_S


@dataclass
class Child:
    """A process at work. `started` is on the monotonic clock, `status` None while it runs, negative for a signal."""

    nursery: Nursery
    pid: int
    started: float
    status: int | None = None

    def send(self, number: signal.Signals) -> None:
        """It is not waited for before this process was told of its end, so its number stays its own."""
        if self.status is None:
            self.nursery.order({"send": [self.pid, int(number)]})

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit status; it is killed, and TimeoutError raised, when it takes longer."""
        deadline = time.monotonic() + timeout_s
        while self.status is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise TimeoutError(f"a process had not ended after {timeout_s:.0f} s\n{self.nursery.complaints()}")
            self.nursery.listen(0.1)
        return self.status


@dataclass
class Nursery:
    """The parent's end."""

    to: IO[str]
    answers: IO[str]
    errors: Path
    children: dict[int, Child] = field(default_factory=dict)
    _pids: list[int] = field(default_factory=list)

    def start(self, job: Any) -> Child:
        """Run `job.run()`, whose result is the exit status, in a process of its own."""
        started = time.monotonic()
        self.order({"job": base64.b64encode(pickle.dumps(job)).decode()})
        while not self._pids:
            self.listen(5.0)
        child = Child(self, self._pids.pop(), started)
        self.children[child.pid] = child
        return child

    def order(self, what: dict[str, Any]) -> None:
        self.to.write(f"{base64.b64encode(pickle.dumps(what)).decode()}\n")
        self.to.flush()

    def listen(self, seconds: float) -> None:
        """Take in what was told until then, at least one line if there is one."""
        if not select.select([self.answers], [], [], seconds)[0]:
            return
        line = self.answers.readline()
        if not line:
            raise RuntimeError(f"the nursery has ended\n{self.complaints()}")
        kind, pid, status = line.split()
        if kind == "started":
            self._pids.append(int(pid))
        elif int(pid) in self.children:
            self.children.pop(int(pid)).status = int(status)

    def complaints(self) -> str:
        """The end of what the processes wrote to stderr."""
        return self.errors.read_text()[-1500:]


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery with its complaints in `folder`; all its processes are gone afterwards."""
    errors = folder / "complaints"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    to = open(process.stdin.fileno(), "w", closefd=False)  # noqa: SIM115
    answers = _Lines(process.stdout.fileno())
    made = Nursery(to, answers, errors)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        for child in list(made.children.values()):
            child.send(signal.SIGKILL)
        to.close()
        process.stdin.close()
        process.wait()
        process.stdout.close()


class _Lines:
    """Lines of a pipe for `select`: what was read and not yet given out counts as readable."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def readline(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._descriptor, 1)
            if not byte:
                break
            line += byte
        return line.decode()


def _serve() -> None:
    """The nursery's end: orders on stdin; its children's ends through a pipe that SIGCHLD writes to."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    orders = _Lines(sys.stdin.fileno())
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


if __name__ == "__main__":
    import timm  # noqa: F401

    import tests.faults.learning  # noqa: F401  # what takes long to import

    _serve()

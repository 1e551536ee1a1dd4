"""Processes that may be hurt: forked from one that has imported torch already, so that each begins at once."""

from __future__ import annotations

import base64
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.faults.lines import Lines
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
            [sys.executable, "-m", "tests.faults.forking"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    to = open(process.stdin.fileno(), "w", closefd=False)  # noqa: SIM115
    answers = Lines(process.stdout.fileno())
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

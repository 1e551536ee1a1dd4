"""A process whose parent is killed ends too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.checkout import ROOT
from tests.support.waiting import wait_until

CHILD = """
import os, sys, time
from trainables.machine.orphaned import end_with_parent
if sys.argv[1] == "watched":
    end_with_parent()
os.write(1, f"{os.getpid()}\\n".encode())  # at once: the other one writes into the same pipe
time.sleep(3600)
"""
PARENT = """
import subprocess, sys, time
for kind in ("watched", "left alone"):
    subprocess.Popen([sys.executable, "-c", sys.argv[1], kind])
time.sleep(3600)
"""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return False


def test_it_ends_soon_after_its_parent() -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        try:
            children = [int(parent.stdout.readline()) for _ in range(2)]
            assert all(map(is_alive, children))
        finally:
            parent.kill()  # leaving the block waits for it
        parent.wait()
        wait_until(lambda: not all(map(is_alive, children)))
        alive = [pid for pid in children if is_alive(pid)]
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
    assert len(alive) == 1

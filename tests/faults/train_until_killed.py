"""Trains segments of tiny studies without a cluster, each in a process of its own that may be killed for good.

Imports take longer than the training, so this process imports once and forks for every order: a line of JSON on stdin
with the study, the segments to be trained one after the other, seconds to sleep in every step, and when to kill the
child ("kill_after", seconds from its first run or, with "from_start", from the fork; null: never). Answers with a
line of JSON: whether the child was killed, and its exit status.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import timm  # noqa: F401
import torch

from orchestrator.store.segments import Segment
from tests.support.tiny_study import TinyStudy
from trainables.bundles import checkpoints
from trainables.bundles.states import is_over
from trainables.learning.learner import Learner


def main() -> None:
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(order, writer)
        os.close(writer)
        killed = order["kill_after"] is not None and _killed(child, reader, order)
        _, status = os.waitpid(child, 0)
        os.close(reader)
        print(json.dumps({"killed": killed, "status": os.waitstatus_to_exitcode(status)}), flush=True)


def _killed(child: int, reader: int, order: dict[str, Any]) -> bool:
    """Kill the child at its moment; it is not waited for before, so that its number stays its own."""
    if not order["from_start"]:
        os.read(reader, 1)
    time.sleep(order["kill_after"])
    if select.select([reader], [], [], 0)[0] and os.read(reader, 1) == b"":
        return False
    os.kill(child, signal.SIGKILL)
    return True


def _child(order: dict[str, Any], writer: int) -> None:
    status = 1
    try:
        _train(order, writer)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _train(order: dict[str, Any], writer: int) -> None:
    given = order["study"]
    study = TinyStudy(
        Path(given["folder"]),
        Path(given["data"]),
        Path(given["cache"]),
        tuple(given["classes"]),
        given["partition"],
        given["fingerprint"],
    )
    torch.set_num_threads(1)
    checkpoints.WRITING_SHARE = 1.0
    _slow_down(order["pause"])
    bench, has_begun = study.bench(), order["from_start"]
    for segment in (Segment(p, tuple(names), tuple(repeats), *span) for p, names, repeats, *span in order["segments"]):
        if is_over(study.storage, segment):
            continue
        run = study.start(segment, bench)
        if not has_begun:
            os.write(writer, b"t")
            has_begun = True
        while not run.advance(0.0):
            pass


def _slow_down(seconds: float) -> None:
    """Makes a step take long enough to be killed in; what it computes stays the same."""
    step = Learner.train

    def train(self: Learner, rows: torch.Tensor, epoch: int, first: int) -> None:
        time.sleep(seconds)
        step(self, rows, epoch, first)

    Learner.train = train  # type: ignore[method-assign]


main()

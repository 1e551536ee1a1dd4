"""Trains a segment under a watchdog with a small limit; after some steps one of them never comes back.

usage: python -m tests.support.hanging_trial STUDY DATA CACHE PARTITION CONFIGURATION LEAST_S PACE_S STEPS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from orchestrator.store.leases import Lease, kept_alive
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.workbench import Workbench
from trainables.learning.learner import Learner
from trainables.machine.places import Places
from trainables.machine.watchdog import Watchdog

study, data, cache, partition, configuration, least, pace, steps = sys.argv[1:]
done = 0


def waits_for_ever(learner: Learner, rows: torch.Tensor, epoch: int, first: int) -> None:
    global done
    done += 1
    if done > int(steps):
        time.sleep(3600)
    time.sleep(float(pace))


Learner.train = waits_for_ever  # type: ignore[method-assign]
storage = LocalStorage(Path(study))
segment = Segment(partition, (configuration,), (0, 1), 0, 2)
lease = Lease.take(storage, segment.folder, 0)
assert lease is not None
bench = Workbench(storage, Places(Path(data), Path(cache), "none"), torch.device("cpu"))
run = SegmentRun.begin(bench, segment, lease)
watchdog = Watchdog(lambda: run.steps, run.hang, least_s=float(least), times=4.0, tick_s=0.05)
finished = False
while not finished:
    with kept_alive([lease]), watchdog.watching():
        finished = run.advance(0.2)

"""SIGTERM and SIGINT, also twice in a row, in a process that trains; the trap is the one that every search uses."""

from __future__ import annotations

import dataclasses
import random
import signal
import time

from tests.faults.rounds import World, wait_for_training
from tests.faults.tally import Tally

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def interrupted(world: World, count: int, seed: int, *, twice: bool) -> Tally:
    """Both signals in turn at random moments, then a run to the end.

    After one, the step under way is finished and a checkpoint written, so that nothing is trained again.
    """
    tally, draws = Tally(f"SIGTERM, SIGINT{', twice in a row' if twice else ''}"), random.Random(seed)
    for number in range(count):
        job = dataclasses.replace(world.fresh(), pause=0.02)
        child = world.processes.start(job)
        wait_for_training(job, child)
        time.sleep(draws.uniform(0.0, 0.4))
        act = SIGNALS[number % 2]
        child.send(act)
        if twice:
            time.sleep(draws.uniform(0.0, 0.03))
            child.send(act)
        status = child.wait()
        if status not in (0, 128 + act):
            tally.remarks.append(f"{act.name} ended a run with status {status}: {world.processes.complaints()}")
        world.end(job, tally, happened=status == 128 + act, allowed=1.01 if twice else 0.0)
    return tally

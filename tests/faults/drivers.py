"""Rounds with several drivers on one study, which are hurt or see it otherwise than it is."""

from __future__ import annotations

import dataclasses
import random
import signal
import time
from collections.abc import Sequence

from tests.faults.nursery import Child
from tests.faults.odd_views import ClockOff, SeenLate, Settling
from tests.faults.rounds import PLANS, WHOLE, Plan, World, wait_for_training
from tests.faults.tally import Tally


def drivers_hurt(
    world: World, count: int, seed: int, drivers: int = 3, plans: Sequence[Plan] = PLANS, of: str = "folder"
) -> Tally:
    """Several drivers on one folder, killed, paused and continued at random; killed ones are started again."""
    tally, draws = Tally(f"{drivers} drivers on one {of}, killed, paused, continued"), random.Random(seed)
    for number in range(count):
        plan = plans[number % len(plans)]
        job = dataclasses.replace(world.fresh(plan), pause=0.02, stale_after_s=0.6, renew_every_s=0.05)
        alive = [world.processes.start(job) for _ in range(drivers)]
        met = 0
        wait_for_training(job, alive[0])
        for _ in range(draws.randint(6, 12)):
            time.sleep(draws.uniform(0.02, 0.25))
            index = draws.randrange(drivers)
            act = draws.choice((signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP))
            met += alive[index].status is None
            alive[index].send(act)
            if act == signal.SIGKILL:
                alive[index].wait()
                alive[index] = world.processes.start(job)
        _all_end(alive, tally)
        world.end(job, tally, plan, happened=met > 0)
    return tally


def drivers_with_odd_views(world: World, count: int, *, minutes: int = 0, plan: Plan = WHOLE, of: str = "") -> Tally:
    """Three drivers whose clocks differ by so many minutes, or, by none, who see folders as they were a while ago; one
    is killed."""
    odd = f"clocks {minutes} minutes off" if minutes else "stale directory views"
    tally = Tally(f"{odd}, 3 drivers{of and f' on one {of}'}")
    for number in range(count):
        job = dataclasses.replace(world.fresh(plan), pause=0.02, stale_after_s=1.0, renew_every_s=0.1)
        if minutes:
            jobs = [dataclasses.replace(job, fault=ClockOff(60.0 * shift)) for shift in (-minutes, 0, minutes)]
        else:
            views = [SeenLate(0.3, seed) for seed in range(3 * number, 3 * number + 3)]
            jobs = [dataclasses.replace(job, study=dataclasses.replace(job.study, harm=view)) for view in views]
        alive = [world.processes.start(each) for each in jobs]
        wait_for_training(job, alive[0])
        alive[0].send(signal.SIGKILL)
        alive[0].wait()
        _all_end(alive, tally)
        world.end(job, tally, plan)
    return tally


def drivers_that_settle(world: World, count: int, seed: int, plan: Plan) -> Tally:
    """Three drivers on a folder that cannot create exclusively and is seen late; one is killed and started again."""
    tally, draws = Tally(f"3 drivers, {plan.name}, one killed and started again"), random.Random(seed)
    harm = Settling(late_s=0.1, settle_s=0.3)
    for _ in range(count):
        job = dataclasses.replace(world.fresh(plan, harm=harm), pause=0.02, stale_after_s=2.0, renew_every_s=0.2)
        alive = [world.processes.start(job) for _ in range(3)]
        wait_for_training(job, alive[0])
        time.sleep(draws.uniform(0.0, 3.0))
        alive[0].send(signal.SIGKILL)
        met = alive[0].wait() == -signal.SIGKILL
        alive[0] = world.processes.start(job)
        _all_end(alive, tally)
        world.end(job, tally, plan, happened=met, harm=harm)
    return tally


def _all_end(alive: Sequence[Child], tally: Tally) -> None:
    for child in alive:
        child.send(signal.SIGCONT)
    for child in alive:
        if (status := child.wait()) not in (0, -signal.SIGKILL):
            tally.remarks.append(f"a driver ended with status {status}: {child.nursery.complaints()}")

"""Rounds of one fault each with the whole command and Ray: hurt a search, run the same command again, compare."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import signal
import time
from collections.abc import Callable

import psutil

from orchestrator.store.segments import SEGMENTS
from tests.faults.searches import AT_ONCE, NAME, ORCH, PATIENCE_S, Place, Running, Searches
from tests.faults.signals import SIGNALS
from tests.faults.tally import Tally
from trainables.bundles.failures import Kind, failures_in

ENDS_WITHIN_S = 120.0
"""A driver whose Ray is gone, or that was sent a signal, must have ended by then, also on a busy machine."""
TRAINS_S = 6.0
"""Faults come within this time after the first step; an unbroken search of the rounds trains a little longer."""

VICTIMS: dict[str, Callable[[Running], list[psutil.Process]]] = {
    "the driver": lambda running: [one for one in running.family() if one.pid == running.process.pid],
    "the raylet": lambda running: running.named("raylet"),
    "the GCS server": lambda running: running.named("gcs_server"),
    "everything at once": lambda running: running.family(),
}


def killed(searches: Searches, victim: str, count: int, seed: int) -> Tally:
    """kill -9 at random moments; every third round while Ray starts or computes features, in a cache of its own."""
    tally, draws = Tally(f"Ray: kill -9 of {victim}"), random.Random(seed)
    for number in range(count):
        early = number % 3 == 2
        running = searches.start(searches.fresh(own_cache=early))
        if early:
            _wait_for_victim(running, victim)
            time.sleep(draws.uniform(0.0, 8.0))
        else:
            running.wait_for_training()
            time.sleep(draws.uniform(0.0, TRAINS_S))
        met = running.process.poll() is None and _kill(VICTIMS[victim](running))
        # While Ray starts the driver may begin it again, and end as if nothing had been
        status = running.wait(PATIENCE_S if early else ENDS_WITHIN_S)
        judge_end(running, status, tally)
        searches.end(running, tally, happened=bool(met), allowed=AT_ONCE)
    return tally


def worker_killed(searches: Searches, count: int, seed: int) -> Tally:
    """kill -9 of a process that trains: the same search notes it, tries again and ends well.

    Seconds to recover are those from the kill to the first step of a new process.
    """
    tally, draws = Tally("Ray: kill -9 of a worker"), random.Random(seed)
    for _ in range(count):
        running = searches.start(searches.fresh())
        running.wait_for_training()
        time.sleep(draws.uniform(0.0, TRAINS_S / 2))
        victims = running.trainers()
        moment = time.monotonic()
        met = _kill(draws.sample(victims, 1) if victims else [])
        status = running.wait(PATIENCE_S)
        if status != 0:
            tally.remarks.append(f"the search did not survive it: status {status}: {running.said()}")
        if (began := running.first_step(moment)) is not None:
            tally.seconds.append(began - moment)
        if met and not workers_lost(running.place):
            tally.remarks.append("no failure of the worker was kept in the study")
        searches.end(running, tally, happened=bool(met), allowed=AT_ONCE, again=False)
    return tally


def interrupted_with_ray(searches: Searches, count: int, seed: int) -> Tally:
    """SIGTERM to the driver, SIGINT to all of it as from a terminal, in turn; every other pair twice in a row."""
    tally, draws = Tally("Ray: SIGTERM, SIGINT, once and twice in a row"), random.Random(seed)
    for number in range(count):
        act, twice = SIGNALS[number % 2], number // 2 % 2 == 1
        send = os.kill if act == signal.SIGTERM else os.killpg
        running = searches.start(searches.fresh())
        running.wait_for_training()
        time.sleep(draws.uniform(0.0, TRAINS_S / 2))
        send(running.process.pid, act)
        if twice:
            time.sleep(draws.uniform(0.0, 0.5))
            with contextlib.suppress(ProcessLookupError):
                send(running.process.pid, act)
        status = running.wait(ENDS_WITHIN_S)
        if status not in (0, 128 + act):
            tally.remarks.append(f"{act.name} ended a search with status {status}: {running.said()}")
        searches.end(running, tally, happened=status == 128 + act, allowed=AT_ONCE)
    return tally


def head_gone(searches: Searches, count: int, seed: int) -> Tally:
    """Ray's temporary folder is removed under a search, then all its processes die; `orch resume` elsewhere goes on.

    Elsewhere: another folder to work in, with copies of study and images, another temporary folder, an empty cache.
    """
    tally, draws = Tally("Ray: head and temporary folder gone, resumed elsewhere"), random.Random(seed)
    for _ in range(count):
        running = searches.start(searches.fresh())
        running.wait_for_training()
        time.sleep(draws.uniform(0.0, TRAINS_S / 2))
        shutil.rmtree(running.place.temporary, ignore_errors=True)
        time.sleep(draws.uniform(0.0, 2.0))
        _kill(running.family())
        status = running.wait(ENDS_WITHIN_S)
        if left := running.end_all(60.0):
            tally.remarks.append(f"left behind: {left}")
        other = _moved(searches, running.place)
        told = ["--data-root", other.data, "--studies", other.studies, "--cache", other.cache, "--weights", "none"]
        resume = [*ORCH, "resume", NAME, *map(str, told)]
        searches.finish(searches.start(other, resume, cwd=other.folder), tally)
        searches.judge(other, tally, happened=status == -signal.SIGKILL, allowed=AT_ONCE)
    return tally


def _moved(searches: Searches, place: Place) -> Place:
    """What outlives a machine, in another place: study and images (and the harness' own notes)."""
    other = searches.fresh(own_cache=True)
    other = dataclasses.replace(other, data=other.folder / "pictures")
    shutil.copytree(place.data, other.data)
    shutil.copytree(place.studies, other.studies)
    shutil.copytree(place.log, other.log)
    shutil.rmtree(place.folder)
    return other


def _wait_for_victim(running: Running, victim: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while running.process.poll() is None and time.monotonic() < deadline:
        if running.named("gcs_server") and VICTIMS[victim](running):
            return
        time.sleep(0.1)


def _kill(processes: list[psutil.Process]) -> int:
    """How many were met."""
    met = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
            met += 1
    return met


def judge_end(running: Running, status: int | None, tally: Tally) -> None:
    """A driver that was not killed itself has to end, with a plain message."""
    if status is None:
        tally.remarks.append(f"the driver had not ended after {ENDS_WITHIN_S:.0f} s: {running.said()}")
    elif status not in (0, 1, -signal.SIGKILL):
        tally.remarks.append(f"the driver ended with status {status}: {running.said()}")
    elif status == 1 and "same command" not in " ".join(running.said().split()):
        tally.remarks.append(f"the driver did not say how to go on: {running.said()}")
    if "Traceback" in running.said():
        tally.remarks.append(f"a traceback reached the user: {running.said()}")


def workers_lost(place: Place) -> int:
    """Failures of the kind "worker" that the study keeps."""
    storage = place.storage
    folders = [f"{SEGMENTS}/{segment}" for segment in storage.list(SEGMENTS)]
    return sum(
        failure.kind in (Kind.WORKER, Kind.NODE) for folder in folders for failure in failures_in(storage, folder)
    )

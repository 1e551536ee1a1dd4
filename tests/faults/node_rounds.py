"""A node of a Ray cluster is lost in the middle of a search, or its head is; what it did goes on elsewhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from orchestrator.results.decided import Decided
from orchestrator.store.leases import current_lease
from orchestrator.store.segments import Segment
from orchestrator.store.storage import Storage
from tests.faults.nodes import Node, Nodes, nodes, why_not
from tests.faults.noting import PAUSE, trainers
from tests.faults.search_rounds import ENDS_WITHIN_S, judge_end
from tests.faults.searches import AT_ONCE, PATIENCE_S, Running, Searches
from tests.faults.tally import Tally
from trainables.bundles.failures import Kind, failures_of

SLOW_S, FAST_S = 8.0, 0.12
"""Seconds of a step until what was lost is trained again, and after that."""
CORES = 3
"""Of a node: two nodes have room for all segments of the search."""
SOON_S = 300.0
"""Whatever is waited for should have come by then."""

WAYS: dict[str, Callable[[Nodes, Node], None]] = {
    "killed": Nodes.end,
    "switched off": Nodes.switch_off,
    "cut off, then back": Nodes.cut_off,
}


def node_lost(searches: Searches, way: str, count: int, seed: int) -> Tally | None:
    """One that trains, while others have room for its work; None where no nodes can be made.

    Seconds to recover are those from the moment when the driver heard of it from Ray to the first step again of all
    that the node did.
    """
    if why_not():
        return None
    tally, draws = Tally(f"Ray: a node of three {way}"), random.Random(seed)
    for _ in range(count):
        place = searches.fresh(pause=SLOW_S)
        with nodes(place.temporary, 1, place.environment(), CORES) as cluster:
            command = cluster.inside(cluster.head, [*place.search(), "--address", cluster.address])
            running = searches.start(place, command, cluster.environment)
            _until(partial(segments_of, place.storage), running)  # divided for few workers, as in the unbroken search
            for _ in range(2):
                cluster.add()
            lost = _lose_one(running, cluster, draws, way, tally)
            (place.log / PAUSE).write_text(str(FAST_S))
            if lost is not None and way == "cut off, then back":
                cluster.join_again(lost)
            _finish(running, tally)
            if lost is not None:
                _judge_words(running, lost, tally)
                _judge_left(cluster, lost, tally)
        running.end_all(30.0)
        searches.judge(place, tally, happened=lost is not None, allowed=AT_ONCE)
    return tally


def node_replaced(searches: Searches, count: int, seed: int) -> Tally | None:
    """Nobody else has room: another node joins, and is used. Seconds are those from when it has joined."""
    if why_not():
        return None
    tally, draws = Tally("Ray: a node of three killed, another joined"), random.Random(seed)
    for _ in range(count):
        place = searches.fresh(pause=SLOW_S)
        with nodes(place.temporary, 3, place.environment(), cores=1) as cluster:
            command = cluster.inside(cluster.head, [*place.search(), "--address", cluster.address])
            running = searches.start(place, command, cluster.environment)
            happened = _replace_one(running, cluster, draws, tally)
            (place.log / PAUSE).write_text(str(FAST_S))
            _finish(running, tally)
        running.end_all(30.0)
        searches.judge(place, tally, happened=happened, allowed=AT_ONCE)
    return tally


def head_lost(searches: Searches, count: int, seed: int) -> Tally | None:
    """With the driver on another node, which must end with a plain message; the same command goes on without a cluster.

    In turn the head is killed and switched off.
    """
    if why_not():
        return None
    tally, draws = Tally("Ray: the head of a cluster lost"), random.Random(seed)
    for number in range(count):
        place = searches.fresh(pause=0.5)
        with nodes(place.temporary, 2, place.environment(), cores=1) as cluster:
            driving = cluster.all[1]
            command = cluster.inside(driving, [*place.search(), "--address", cluster.address])
            running = searches.start(place, command, cluster.environment)
            running.wait_for_training()
            time.sleep(draws.uniform(0.0, 3.0))
            (cluster.switch_off if number % 2 else cluster.end)(cluster.head)
            moment = time.monotonic()
            status = running.wait(ENDS_WITHIN_S)
            tally.noticed.append(time.monotonic() - moment)
            judge_end(running, status, tally)
            (place.log / PAUSE).write_text(str(FAST_S))
            again = searches.start(place, cluster.inside(driving, place.search()))
            _finish(again, tally)
            if (began := again.first_step()) is not None:
                tally.seconds.append(began - again.started)
        running.end_all()
        searches.judge(place, tally, happened=status == 1, allowed=AT_ONCE)
    return tally


def _lose_one(running: Running, cluster: Nodes, draws: random.Random, way: str, tally: Tally) -> Node | None:
    """Once all segments are under way lose a node that trains some, and wait until these are trained elsewhere; None
    where it did not come to that."""
    storage, log = running.place.storage, running.place.log
    if not _until(lambda: _all_are_trained(storage, log), running):
        tally.remarks.append(f"not all segments were begun: {running.said()}")
        return None
    of_host: dict[str, list[Segment]] = {}
    for segment, host in held(storage).items():
        of_host.setdefault(host, []).append(segment)
    lost = draws.choice([node for node in cluster.all[1:] if node.name in of_host])
    segments = of_host[lost.name]
    time.sleep(draws.uniform(0.0, 5.0))
    moment = time.monotonic()
    WAYS[way](cluster, lost)
    if not _until(lambda: all(_is_missed(storage, segment) for segment in segments), running):
        tally.remarks.append(f"Ray did not tell that {lost.name} is lost: {running.said()}")
        return None
    noticed = time.monotonic()
    tally.noticed.append(noticed - moment)

    def again() -> list[float]:
        return [at for one, at in trainers(log).items() if at > moment and one.host != lost.name]

    if not _until(lambda: len(again()) >= len(segments), running):
        tally.remarks.append(f"what {lost.name} did was not trained again: {running.said()}")
        return None
    tally.seconds.append(max(again()) - noticed)
    return lost


def _replace_one(running: Running, cluster: Nodes, draws: random.Random, tally: Tally) -> bool:
    storage = running.place.storage
    if not _until(lambda: len(set(held(storage).values())) >= 3, running):
        tally.remarks.append(f"only {sorted(set(held(storage).values()))} train: {running.said()}")
        return False
    lost = draws.choice(cluster.all[1:])
    cluster.end(lost)
    other = cluster.add()
    joined = time.monotonic()

    def begun() -> list[float]:
        return [at for one, at in trainers(running.place.log).items() if one.host == other.name]

    if not _until(begun, running):
        tally.remarks.append(f"the node that joined was not used: {running.said()}")
        return False
    tally.seconds.append(max(0.0, min(begun()) - joined))
    return True


def _finish(running: Running, tally: Tally) -> None:
    status = running.wait(PATIENCE_S)
    if status != 0:
        tally.remarks.append(f"the search did not survive it: status {status}: {running.said()}")


def _judge_words(running: Running, lost: Node, tally: Tally) -> None:
    """What was lost is named on the screen and in the study, and where it goes on."""
    wanted = (
        f"node {lost.address} on host {lost.name} was lost: Ray gets no answer from it; its work continues on node "
    )
    said = " ".join(running.said(100_000).split())
    storage = running.place.storage
    causes = [one.cause for segment in segments_of(storage) for one in failures_of(storage, segment)]
    if f"N{wanted[1:]}" not in said or not all(wanted in cause for cause in causes):
        tally.remarks.append(f"the node that was lost is not named: {running.said()} {causes}")
    if words := [word for word in ("Traceback", "raylet", "Trials") if word in said]:
        tally.remarks.append(f"{words} reached the user: {said}")


def _judge_left(cluster: Nodes, lost: Node, tally: Tally) -> None:
    """Of the node that was lost neither raylet nor worker may be left in the end; helpers of Ray's may."""

    def left() -> list[str]:
        names = [_name(process) for process in cluster.processes(lost)]
        return [name for name in names if name.startswith(("raylet", "ray::"))]

    if not _until(lambda: not left()):
        tally.remarks.append(f"left on {lost.name}: {left()}")


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text()
    except OSError:
        return ""


def segments_of(storage: Storage) -> list[Segment]:
    return list(Decided.of(storage).segments())


def held(storage: Storage) -> dict[Segment, str]:
    """The host of whoever works on each segment."""
    leases = {segment: current_lease(storage, segment.folder) for segment in segments_of(storage)}
    return {segment: lease.host for segment, lease in leases.items() if lease is not None and not lease.is_released}


def _all_are_trained(storage: Storage, log: Path) -> bool:
    segments = segments_of(storage)
    return bool(segments) and len(segments) == len(held(storage)) <= len(trainers(log))


def _is_missed(storage: Storage, segment: Segment) -> bool:
    return any(failure.kind in (Kind.WORKER, Kind.NODE) for failure in failures_of(storage, segment))


def _until(is_so: Callable[[], object], running: Running | None = None) -> bool:
    """Whether it came to that while the search ran, or where it has ended, in time."""
    deadline = time.monotonic() + SOON_S
    while (running is None or running.process.poll() is None) and time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.1)
    return False

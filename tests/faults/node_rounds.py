"""A node of a three-node Ray cluster is lost in the middle of a search, and another one joins and is used."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.nodes import PORT, Nodes, nodes, why_not
from tests.faults.noting import PAUSE
from tests.faults.searches import NAME, PATIENCE_S, Running, Searches
from tests.faults.tally import Tally

SLOW_S, FAST_S = 8.0, 0.12
"""Seconds of a step before and after the new node has begun to train: until then the others must be busy."""
ON_ONE_NODE = 2.01
"""Epochs of a bundle that may be lost with one node: two heads in one stack."""
USED_WITHIN_S = 300.0


def node_lost(searches: Searches, count: int, seed: int) -> Tally | None:
    """In turn all processes of a node are killed and its network is cut; None where no nodes can be made."""
    if why_not():
        return None
    tally, draws = Tally("Ray: a node of three lost, another joined"), random.Random(seed)
    for number in range(count):
        place = searches.fresh(pause=SLOW_S)
        with nodes(place.temporary, 3, place.environment()) as cluster:
            address = ["--address", f"{cluster.head.address}:{PORT}"]
            command = cluster.inside(cluster.head, [*place.search(), *address])
            running = searches.start(place, command, cluster.environment)
            happened = _lose_one(running, cluster, draws, cut=number % 2 == 1, tally=tally)
            (place.log / PAUSE).write_text(str(FAST_S))
            status = running.wait(PATIENCE_S)
            if status != 0:
                tally.remarks.append(f"the search did not survive it: status {status}: {running.said()}")
        running.end_all(30.0)
        searches.judge(place, tally, happened=happened, allowed=ON_ONE_NODE)
    return tally


def _lose_one(running: Running, cluster: Nodes, draws: random.Random, *, cut: bool, tally: Tally) -> bool:
    """Once all three nodes train lose one, and wait until another one trains; whether all of that was so."""
    studies = running.place.studies
    if not _wait_until(running, lambda: len(hosts(studies)) >= 3):
        tally.remarks.append(f"only {sorted(hosts(studies))} trained: {running.said()}")
        return False
    lost = draws.choice(cluster.all[1:])
    time.sleep(draws.uniform(0.0, 10.0))
    moment = time.monotonic()
    (cluster.cut_off if cut else cluster.kill)(lost)
    other = cluster.add()
    if not _wait_until(running, lambda: other.name in hosts(studies)):
        tally.remarks.append(f"the node that joined was not used, but {sorted(hosts(studies))}: {running.said()}")
        return False
    tally.seconds.append(time.monotonic() - moment)
    return True


def _wait_until(running: Running, is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + USED_WITHIN_S
    while running.process.poll() is None and time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.2)
    return False


def hosts(studies: Path) -> set[str]:
    """Where the attempts at segments were made."""
    begun = studies.glob(f"{NAME}/segments/*/attempt-*/started.json")
    return {json.loads(path.read_text())["host"] for path in begun}

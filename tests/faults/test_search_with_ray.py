"""The whole command with Ray: interrupted, killed with all its processes, short of a worker, a raylet, a node, a head.

`python -m tests.faults.report --full --with-ray` does it many times.
"""

from __future__ import annotations

import ipaddress
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.faults.node_rounds import WAYS, head_lost, node_lost, node_replaced
from tests.faults.nodes import why_not
from tests.faults.noting import PAUSE
from tests.faults.search_rounds import workers_lost
from tests.faults.searches import PATIENCE_S, Running, Searches, searches
from tests.faults.tally import Tally, compare
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def found() -> Iterator[Searches]:
    with searches() as made:
        yield made


def test_whatever_it_loses_it_ends_in_the_same_bits(found: Searches) -> None:
    """One study meets one fault after the other, for every start of Ray and its workers takes half a minute."""
    unbroken = found.alive[0]
    assert "Dashboard:" in unbroken.said()
    assert (unbroken.place.studies / "tiny" / "dashboard.html").stat().st_size > 1_000_000

    place = found.fresh(pause=0.3)
    interrupted(found.start(place))
    killed_with_everything(found.start(place))
    robbed_of_a_worker_and_its_raylet(found.start(place))

    (place.log / PAUSE).write_text("0.0")
    last = found.start(place)
    assert last.wait(PATIENCE_S) == 0, last.said()
    assert compare(place.storage, found.expected).is_equal

    again = found.start(place)
    assert again.wait(PATIENCE_S) == 0, again.said()
    assert "nothing is left to do" in " ".join(again.said().split())


def interrupted(running: Running) -> None:
    """By SIGTERM; before that all its processes listen on loopback alone."""
    running.wait_for_training()
    family = running.family()
    heard = [line.laddr.ip for one in family for line in one.net_connections("inet") if line.status == "LISTEN"]
    assert heard, "Ray's processes talk over sockets"
    assert all(ipaddress.ip_address(ip.removeprefix("::ffff:")).is_loopback for ip in heard), heard
    running.process.send_signal(signal.SIGTERM)
    assert running.wait(PATIENCE_S) == 143, running.said()
    assert "the same command goes on" in " ".join(running.said().split())


def killed_with_everything(running: Running) -> None:
    running.wait_for_training()
    os.killpg(running.process.pid, signal.SIGKILL)
    assert running.wait(PATIENCE_S) == -signal.SIGKILL


def robbed_of_a_worker_and_its_raylet(running: Running) -> None:
    """The first is survived, the second ends it with a word."""
    running.wait_for_training()
    running.trainers()[0].kill()
    wait_until(lambda: workers_lost(running.place) > 0 or running.process.poll() is not None)
    assert running.process.poll() is None, running.said()
    running.named("raylet")[0].kill()
    assert running.wait(PATIENCE_S) == 1, running.said()
    assert "Ray's raylet has died" in running.said()
    assert "Traceback" not in running.said()


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("way", WAYS)
def test_a_node_is_lost_and_its_work_goes_on_elsewhere(found: Searches, way: str) -> None:
    judge(node_lost(found, way, 1, seed=7))


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("rounds", [node_replaced, head_lost])
def test_nodes_come_and_heads_go(found: Searches, rounds: Callable[[Searches, int, int], Tally | None]) -> None:
    judge(rounds(found, 1, 7))


def judge(tally: Tally | None) -> None:
    assert tally is not None
    assert tally.happened == 1, tally.remarks
    assert tally.passed, (tally.cells(), tally.remarks)

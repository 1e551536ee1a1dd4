"""Why a worker is gone, in words: the node that it ran on was lost, or its process alone died."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from orchestrator.store.leases import LeaseView
from trainables.bundles.failures import LostError, NodeLostError

ANSWERS_WITHIN_S = 2.0
LOOK_EVERY_S = 10.0
"""Whether a node answers is asked at most so often: all its workers end at once."""
MOST_NAMED = 3
NO_ANSWER = "Ray gets no answer from it"
REASONS = {1: "its Ray was stopped", 3: "it was removed from the cluster", 4: "it was removed from the cluster"}
"""By the number that Ray's node table has of why a node is gone (NodeDeathInfo); others: `NO_ANSWER`."""

Node = Mapping[str, Any]
"""A row of Ray's node table."""


def ray_nodes() -> Sequence[Node]:
    """Those that Ray has or had."""
    nodes: list[Node] = ray.nodes()  # type: ignore[no-untyped-call]
    return nodes


def answers(node: Node) -> bool:
    """Whether its raylet can be reached: a node is lost some time before Ray counts it as dead."""
    try:
        with socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), ANSWERS_WITHIN_S):
            return True
    except OSError:
        return False


class Losses:
    """Of one driver."""

    def __init__(
        self,
        tell: Callable[[str], None],
        nodes: Callable[[], Sequence[Node]] = ray_nodes,
        answers: Callable[[Node], bool] = answers,
    ) -> None:
        """tell: called once for each node that was lost, with a message for the user."""
        self._tell = tell
        self._nodes = nodes
        self._answers = answers
        self._asked: dict[str, tuple[float, bool]] = {}
        self._told: set[str] = set()

    def why(self, lease: LeaseView | None) -> LostError:
        """Why the worker that held this lease is gone. None: it had taken none."""
        if lease is None:
            return LostError("the worker process died before it began; it was killed or ran out of memory")
        nodes = {node["NodeID"]: node for node in self._nodes()}
        node = nodes.get(lease.node)
        if node is None or self._is_there(node):
            return LostError(f"the worker process on host {lease.host} died; it was killed or ran out of memory")
        others = [one for one in nodes.values() if one is not node and one["Resources"].get("CPU") and one["Alive"]]
        cause = f"{_where(node, lease.host)} was lost: {_reason(node)}; its work continues {_on(others)}"
        if lease.node not in self._told:
            self._told.add(lease.node)
            self._tell(f"N{cause[1:]}.")
        return NodeLostError(cause)

    def _is_there(self, node: Node) -> bool:
        if not node["Alive"]:
            return False
        now, name = time.monotonic(), node["NodeID"]
        asked = self._asked.get(name)
        if asked is None or now - asked[0] >= LOOK_EVERY_S:
            self._asked[name] = asked = now, self._answers(node)
        return asked[1]


def _where(node: Node, host: str = "") -> str:
    return f"node {node['NodeManagerAddress']} on host {host or node['NodeManagerHostname']}"


def _reason(node: Node) -> str:
    return NO_ANSWER if node["Alive"] else REASONS.get(node.get("DeathReason", 0), NO_ANSWER)


def _on(others: Sequence[Node]) -> str:
    if not others:
        return "when another node joins"
    if len(others) > MOST_NAMED:
        return f"on {len(others)} other nodes"
    return f"on {' and '.join(_where(node) for node in others)}"

"""Several machines on one: nodes of a Ray cluster, each with a network and a host name of its own, joined by a bridge.

Everything lies in network namespaces made here, the bridge too, so that this machine's own network is not touched.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NETWORK = "198.18.0"
"""Of the addresses that are set apart for trying out networks."""
PORT = 6379
STARTS = 4
MEMORY = 80_000_000
"""Of the object store of a node; Ray takes no less than 75 MB."""


@dataclass(frozen=True)
class Node:
    name: str
    namespace: str
    address: str
    port: str
    """Its end at the bridge."""


@dataclass
class Nodes:
    """`folder` has a short name: sockets lie in it."""

    folder: Path
    environment: Mapping[str, str]
    mark: str = field(default_factory=lambda: f"of{os.getpid()}{secrets.token_hex(1)}")
    all: list[Node] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    @property
    def bridge(self) -> str:
        return f"{self.mark}-bridge"

    @property
    def head(self) -> Node:
        return self.all[0]

    def add(self) -> Node:
        """Another node that joins; the first one is the head."""
        number = len(self.all) + 1
        node = Node(f"node-{number}", f"{self.mark}-{number}", f"{NETWORK}.{number}", f"p{number}")
        self._namespace(node.namespace)
        self.all.append(node)
        ip(f"link add {node.port} netns {self.bridge} type veth peer name eth0 netns {node.namespace}")
        ip(f"-n {self.bridge} link set {node.port} master bridge up")
        ip(f"-n {node.namespace} addr add {node.address}/24 dev eth0")
        ip(f"-n {node.namespace} link set eth0 up")
        ip(f"-n {node.namespace} route add default dev eth0")  # leads nowhere; Ray learns its own address from it
        where = ["--head", f"--port={PORT}", f"--temp-dir={self.folder}/ray", "--include-dashboard=false"]
        if number > 1:
            where = [f"--address={self.head.address}:{PORT}"]
        own = [f"--node-ip-address={node.address}", "--num-cpus=1", f"--object-store-memory={MEMORY}"]
        self._start(node, [*where, *own, "--disable-usage-stats"])
        return node

    def _start(self, node: Node, options: Sequence[str]) -> None:
        """Ray gives up after 15 s of a start-up that a busy machine takes longer for: try again."""
        command = self.inside(node, [sys.executable, "-m", "ray.scripts.scripts", "start", *options])
        for _ in range(STARTS):
            with (self.folder / f"{node.name}.said").open("wb") as said:
                done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            if done.returncode == 0:
                return
            self.kill(node)
        raise RuntimeError(f"{node.name} could not be started: {(self.folder / f'{node.name}.said').read_text()}")

    def inside(self, node: Node, command: Sequence[str]) -> list[str]:
        """The command as it is run on a node: in its network, under its host name."""
        named = ["unshare", "--uts", "sh", "-c", f'hostname {node.name} && exec "$@"', "sh"]
        return ["ip", "netns", "exec", node.namespace, *named, *command]

    def kill(self, node: Node) -> None:
        """All its processes at once."""
        for _ in range(50):
            listed = subprocess.run(["ip", "netns", "pids", node.namespace], capture_output=True, text=True).stdout
            if not listed.split():
                return
            for pid in listed.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.1)

    def cut_off(self, node: Node) -> None:
        """Nothing gets from or to it any more; its processes live on and see the shared folder."""
        ip(f"-n {self.bridge} link set {node.port} down")

    def _namespace(self, name: str) -> None:
        ip(f"netns add {name}")
        self.namespaces.append(name)
        ip(f"-n {name} link set lo up")

    def make_bridge(self) -> None:
        self._namespace(self.bridge)
        ip(f"-n {self.bridge} link add bridge type bridge")
        ip(f"-n {self.bridge} link set bridge up")

    def close(self) -> None:
        """No process, namespace, bridge or file of it is left."""
        for node in self.all:
            self.kill(node)
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def ip(arguments: str) -> None:
    """Raises RuntimeError with what `ip` said."""
    done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {arguments}: {done.stderr.strip()}")


@contextlib.contextmanager
def nodes(folder: Path, count: int, environment: Mapping[str, str]) -> Iterator[Nodes]:
    """A cluster of so many nodes with one core each, which asks for a token."""
    found = Nodes(folder, {**environment, **cluster_environment()})
    try:
        found.make_bridge()
        for _ in range(count):
            found.add()
        yield found
    finally:
        found.close()


def cluster_environment() -> dict[str, str]:
    """For nodes and drivers alike. Lost nodes are noticed within some ten seconds."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "3000",
        "RAY_health_check_failure_threshold": "3",
    }


def why_not() -> str:
    """Why no nodes can be made here; "" where they can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    missing = [program for program in ("ip", "unshare", "hostname") if not shutil.which(program)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"of{os.getpid()}-try"
    try:
        ip(f"netns add {name}")
        ip(f"-n {name} link add bridge type bridge")
    except RuntimeError as error:
        return f"network namespaces are not permitted here: {error}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return ""

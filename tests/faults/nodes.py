"""Several machines on one: nodes of a Ray cluster, joined by a bridge. Each has, in namespaces of its own, a network, a
host name, processes that no other one sees, shared memory and a folder for Ray's temporary files.

Everything is made here, the bridge too, so that this machine's own network is not touched. What the machines share is
the disk with the study, the clock and the number of this boot.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NETWORK = "198.18.0"
"""Of the addresses that are set apart for trying out networks."""
PORT = 6379
STARTS = 4
MEMORY = 80_000_000
"""Of the object store of a node; Ray takes no less than 75 MB."""
SHARED_MEMORY = 200_000_000
UNSHARED = ("--uts", "--ipc", "--mount", "--pid")
"""What a machine has for itself beside its network."""

FIRST_PROCESS = """
import os, sys, time
print(flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(0.1)
"""
"""Of a node: it waits for those that have no parent any more; with it all others end."""


@dataclass(frozen=True)
class Node:
    name: str
    namespace: str
    address: str
    port: str
    """Its end at the bridge."""
    first: subprocess.Popen[bytes]
    """What holds its namespaces open; its only child is the first process in them."""

    @property
    def pid(self) -> int:
        """Of the first process, as this machine counts; 0 once the node is gone."""
        children = Path(f"/proc/{self.first.pid}/task/{self.first.pid}/children")
        return int(next(iter(children.read_text().split()), 0)) if children.exists() else 0


@dataclass
class Nodes:
    """`folder` has a short name: sockets lie in it."""

    folder: Path
    environment: Mapping[str, str]
    cores: int = 1
    mark: str = field(default_factory=lambda: f"of{os.getpid()}{secrets.token_hex(1)}")
    all: list[Node] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    @property
    def bridge(self) -> str:
        return f"{self.mark}-bridge"

    @property
    def head(self) -> Node:
        return self.all[0]

    @property
    def address(self) -> str:
        """Where nodes and drivers join."""
        return f"{self.head.address}:{PORT}"

    def add(self) -> Node:
        """Another node that joins; the first one is the head."""
        number = len(self.all) + 1
        name, namespace = f"node-{number}", f"{self.mark}-{number}"
        self._namespace(namespace)
        node = Node(name, namespace, f"{NETWORK}.{number}", f"p{number}", self._begin(name, namespace))
        self.all.append(node)
        ip(f"link add {node.port} netns {self.bridge} type veth peer name eth0 netns {node.namespace}")
        ip(f"-n {self.bridge} link set {node.port} master bridge up")
        ip(f"-n {node.namespace} addr add {node.address}/24 dev eth0")
        ip(f"-n {node.namespace} link set eth0 up")
        ip(f"-n {node.namespace} route add default dev eth0")  # leads nowhere; Ray learns its own address from it
        where = ["--head", f"--port={PORT}", f"--temp-dir={self.folder}/ray", "--include-dashboard=false"]
        if number > 1:
            where = [f"--address={self.address}"]
        own = [f"--node-ip-address={node.address}", f"--num-cpus={self.cores}", f"--object-store-memory={MEMORY}"]
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
            self.clear(node)
        raise RuntimeError(f"{node.name} could not be started: {(self.folder / f'{node.name}.said').read_text()}")

    def _begin(self, name: str, namespace: str) -> subprocess.Popen[bytes]:
        """Make what a machine has for itself; returns once it is there."""
        (self.folder / "ray").mkdir(exist_ok=True)
        own = f"size={SHARED_MEMORY}"
        script = f'hostname {name} && mount -t tmpfs -o {own} tmpfs /dev/shm && mount -t tmpfs tmpfs ray && exec "$@"'
        begun = subprocess.Popen(
            [
                *("ip", "netns", "exec", namespace, "unshare", *UNSHARED, "--fork", "--mount-proc", "--kill-child"),
                *("sh", "-c", script, "sh", sys.executable, "-c", FIRST_PROCESS),
            ],
            cwd=self.folder,
            stdout=subprocess.PIPE,
        )
        assert begun.stdout is not None
        with begun.stdout as told:
            is_there = bool(told.readline())
        if not is_there:
            raise RuntimeError(f"{name} could not be made: unshare ended with status {begun.wait()}")
        return begun

    def inside(self, node: Node, command: Sequence[str]) -> list[str]:
        """The command as it is run on a node."""
        entered = [f"--{name}" for name in ("net", "uts", "ipc", "mount", "pid")]
        return ["nsenter", f"--target={node.pid}", *entered, f"--wd={Path.cwd()}", *command]

    def end(self, node: Node) -> None:
        """All its processes at once, and what they had open is closed."""
        node.first.kill()
        node.first.wait()

    def switch_off(self, node: Node) -> None:
        """As when the power is lost: nobody hears of it."""
        self.cut_off(node)
        self.end(node)

    def cut_off(self, node: Node) -> None:
        """Nothing gets from or to it any more; its processes live on and see the shared folder."""
        ip(f"-n {self.bridge} link set {node.port} down")

    def join_again(self, node: Node) -> None:
        """Its network is back."""
        ip(f"-n {self.bridge} link set {node.port} up")

    def clear(self, node: Node) -> None:
        """End what runs on it but for its first process."""
        for pid in self.processes(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self, node: Node) -> list[int]:
        """What runs on it beside its first process, as this machine counts."""
        listed = subprocess.run(["ip", "netns", "pids", node.namespace], capture_output=True, text=True).stdout
        return [int(pid) for pid in listed.split() if int(pid) not in (node.pid, node.first.pid)]

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
            self.end(node)
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def ip(arguments: str) -> None:
    """Raises RuntimeError with what `ip` said."""
    done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {arguments}: {done.stderr.strip()}")


@contextlib.contextmanager
def nodes(folder: Path, count: int, environment: Mapping[str, str], cores: int) -> Iterator[Nodes]:
    """A cluster of so many nodes with so many cores each, which asks for a token."""
    found = Nodes(folder, {**environment, **cluster_environment()}, cores)
    try:
        found.make_bridge()
        for _ in range(count):
            found.add()
        yield found
    finally:
        found.close()


def cluster_environment() -> dict[str, str]:
    """For nodes and drivers alike. Nodes that give no answer are noticed within some ten seconds, where Ray's own
    settings take a minute."""
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
    missing = [program for program in ("ip", "unshare", "nsenter", "mount", "hostname") if not shutil.which(program)]
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
    trial = ["unshare", *UNSHARED, "--fork", "--mount-proc", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm"]
    done = subprocess.run(trial, capture_output=True, text=True)
    return f"namespaces are not permitted here: {done.stderr.strip()}" if done.returncode else ""

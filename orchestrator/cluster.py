"""Ray around a search: starting or joining it, and what its nodes can see."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.store import layout
from orchestrator.store.errors import Faults, InputError, OrchError
from orchestrator.store.open import FIRST_ANSWER_S, open_storage
from orchestrator.store.place import Place
from orchestrator.store.storage import TEMPORARY_PREFIX
from trainables import allocation
from trainables.orphaned import end_with_parent
from trainables.places import Places

_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
}
"""Ray's settings where the user has none: quiet, and nothing of Tune's own kept. Its token stays on by default."""

LEAST_OBJECT_STORE = 80 * allocation.MEBIBYTE
"""Ray's own limit is 75 MiB. Features are files, so that only small things go through its store."""
OBJECT_STORE_SHARE = 0.1
STARTS = 3
WATCH_EVERY_S = 0.5
HOW_TO_GO_ON = "Kept: all that was finished and the last checkpoints; the same command goes on from there."


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A private Ray on loopback without its dashboard, or the cluster at `address`; left again afterwards."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for logger in ("ray", "ray.tune"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if address:
        options["address"] = address
    else:
        # Ray puts the machine's own address in the place of loopback, and listens to all, where clusters are possible
        ray._private.ray_constants.ENABLE_RAY_CLUSTER = False
        # "local" says so even where the environment or a stray file names somebody's running cluster
        options |= {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        # Ray counts the machine's cores and memory, also where a batch system gave this process only a part of them
        options["num_cpus"] = allocation.cpus()
        if (memory := allocation.memory_bytes()) < psutil.virtual_memory().total:
            options["object_store_memory"] = max(LEAST_OBJECT_STORE, int(OBJECT_STORE_SHARE * memory))
    _start(options, 1 if address else STARTS)
    try:
        with _ends_with_ray():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _ends_with_ray(end: Callable[[int], None] = os._exit) -> Iterator[None]:
    """End this process, with a word, once its private Ray has died: calls into it might never return."""
    left = threading.Event()
    node: Any = ray._private.worker._global_node

    def watch() -> None:
        while not left.wait(WATCH_EVERY_S):
            dead = {name for name, _ in node.dead_processes()} & {"raylet", "gcs_server"}
            if dead:
                message = (
                    f"\nError: Ray's {' and '.join(sorted(dead))} has died: it was killed, or memory ran out. "
                    f"{HOW_TO_GO_ON}\n"
                )
                with contextlib.suppress(OSError):
                    os.write(2, message.encode())
                end(OrchError.exit_status)
                return

    thread = threading.Thread(target=watch, name="ray's processes", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()  # what follows stops Ray on purpose


def _start(options: dict[str, Any], tries: int) -> None:
    """Ray's own limits on its start (15 s for a helper process) are too short for a machine that is busy: try again."""
    for left in reversed(range(tries)):
        before = set(psutil.Process().children(recursive=True))
        try:
            ray.init(**options)
        except Exception as error:  # whatever Ray raises, the user needs one message
            ray.shutdown()
            for process in set(psutil.Process().children(recursive=True)) - before:  # Ray forgets those
                with contextlib.suppress(psutil.Error):
                    process.kill()
            if left:
                continue
            if "_node_ip_address" in options:
                raise OrchError(
                    f"Ray could not be started, {tries} times: {error}",
                    "The machine may be too busy, or Ray's folder (RAY_TMPDIR, else /tmp) full or its path too long. "
                    "The same command goes on later.",
                ) from error
            raise InputError(
                f"Ray could not join {options['address']}: {error}",
                "Check the address and RAY_AUTH_MODE=token, or leave --address out to run on this machine alone.",
            ) from error
        return


class Room:
    """GPUs and cores of all nodes that are up, looked up every few seconds."""

    LOOK_EVERY_S = 5.0

    def __init__(self) -> None:
        self._looked = -math.inf
        self._look()

    def _look(self) -> None:
        if time.monotonic() - self._looked < self.LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self.gpus, self.cpus = float(resources.get("GPU", 0)), float(resources.get("CPU", 1))

    def devices(self) -> int:
        """GPUs, or cores where there is none."""
        self._look()
        return max(1, int(self.gpus or self.cpus))

    def trials(self, share: float) -> int:
        """share: of a GPU that a trial takes; 0 where it takes a core."""
        self._look()
        return max(1, int(self.gpus / share if share else self.cpus))


def check_nodes(study: Place, places: Places) -> None:
    """Every living node must see the study, the images, the weights and the cache; InputError names what it does not.

    A study in a store is read with the node's own credentials. The cache is tried with a file of its own: features are
    computed on all nodes and read on all nodes.
    """
    faults = Faults("the cluster")
    probe = places.cache / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    places.cache.mkdir(parents=True, exist_ok=True)
    probe.touch()
    wanted = [places.data_root, probe]
    wanted += [Path(place) for _, place in places.known if place != "hub"]
    asked = {}
    try:
        for node in ray.nodes():  # type: ignore[no-untyped-call]
            if node["Alive"] and node["Resources"].get("CPU"):
                strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
                asked[node["NodeManagerAddress"]] = _unseen.options(scheduling_strategy=strategy).remote(study, wanted)
        for host, reference in asked.items():
            with contextlib.suppress(ray.exceptions.RayError):  # the node was lost since
                for unseen in ray.get(reference):
                    faults.add(f"node {host} does not see {places.cache if unseen == str(probe) else unseen}")
    finally:
        probe.unlink(missing_ok=True)
    faults.raise_if_any(
        "Put the study (--studies), the images (--data), the weights (--weights) and the cache (--cache) where all "
        "nodes see them under the same path."
    )


@ray.remote(num_cpus=0)
def _unseen(study: Place, wanted: list[Path]) -> list[str]:
    """What this node cannot see of the study, which is read as trials read it, and of the paths."""
    unseen = [str(path) for path in wanted if not path.exists()]
    try:
        open_storage(study, give_up_after_s=FIRST_ANSWER_S).read(layout.STUDY)
    except OrchError as error:
        unseen.insert(0, str(study / layout.STUDY) if study.path else f"{study}: {error.message}")
    return unseen


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class StopFlag:
    """Tells every trial of one driver, on whatever node, that it is time to write its checkpoint and end.

    A process by itself: it lies here, where it loads neither Tune nor torch.
    """

    def __init__(self) -> None:
        end_with_parent()
        self.raised = False

    def raise_it(self) -> None:
        self.raised = True

    def is_raised(self) -> bool:
        return self.raised

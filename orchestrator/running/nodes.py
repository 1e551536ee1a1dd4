"""What the nodes of the Ray that is up have room for, and what they can see."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.store import layout
from orchestrator.store.errors import Faults, OrchError
from orchestrator.store.open import FIRST_ANSWER_S, open_storage
from orchestrator.store.place import Place
from orchestrator.store.storage import TEMPORARY_PREFIX
from trainables.machine.places import Places


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

"""The one word that a driver sends to its trials while they run: end."""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.machine.orphaned import end_with_parent


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


def stop_flag() -> Any:
    """A new one, on the driver's own node: on another it could be lost while the search goes on."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return StopFlag.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]

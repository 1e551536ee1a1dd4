"""What stays of a repeat at the end of a segment: its history, its predictions, and how they came about."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import numpy as np

from orchestrator.store.concurrently import concurrently
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import Recipe
from trainables.bundles.checkpoints import WorkedOn
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import parameter_count
from trainables.learning.material import Material
from trainables.machine.devices import device_name
from trainables.network.adaptations import has_adapters


class FinalRecords:
    """Of a segment that is trained by its recipe."""

    def __init__(self, bench: Workbench, recipe: Recipe, material: Material) -> None:
        self.bench = bench
        self.recipe = recipe
        self.material = material

    def write(self, group: Group, worked_on: WorkedOn, digest: str) -> None:
        """One of each lane that did not end before, created exclusively: the first record of a repeat wins.

        digest: of the segment's end state.
        """
        segment = self.recipe.segment

        def write(lane: int) -> None:
            path = segment.final(segment.lanes[lane], group.state(lane))
            self.bench.storage.create(path, self._record(group, lane, worked_on, digest).to_bytes())

        concurrently(write, np.flatnonzero(~group.absent).tolist())

    def _record(self, group: Group, lane: int, worked_on: WorkedOn, digest: str) -> FinalRecord:
        selected, logits = group.selected(lane)
        diverged = int(group.diverged[lane])
        configuration = group.lanes[lane].configuration
        head = parameter_count(layers_of(configuration, self.material.width))
        added = self.material.live_parameters if has_adapters(configuration.live.scope) else 0
        meta = {
            "configuration": configuration.id,
            "partition": self.recipe.segment.partition,
            "repeat": group.lanes[lane].repeat,
            "epochs": self.recipe.segment.epochs,
            "state": group.state(lane).value,
            "diverged_epoch": None if diverged < 0 else diverged,
            "selected_epoch": selected,
            "selection": configuration.selection.metric,
            "attempts": list(worked_on.attempts),
            "seconds": float(group.seconds[lane]),
            "host": socket.gethostname(),
            "device": device_name(self.bench.device),
            "devices_mixed": worked_on.is_mixed(lane),
            "undetermined": ", ".join(sorted(group.learner.undetermined)),
            "recipe": self.recipe.model_dump(mode="json"),
            "end_state": digest,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "total_parameters": self.bench.facts(configuration).parameters + added + head,
            "trainable_parameters": head + self.material.live_parameters,
        }
        return FinalRecord(meta, group.history(lane), logits)

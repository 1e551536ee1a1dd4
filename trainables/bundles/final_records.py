"""What stays of a finished repeat: its history, its predictions, and how they came about."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator.store.concurrently import concurrently
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord, Recipe
from trainables.bundles.checkpoints import WorkedOn
from trainables.bundles.work import Work
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.heads.head import layers_of
from trainables.learning.heads.layer import parameter_count
from trainables.learning.material import Material
from trainables.machine.devices import device_name


class FinalRecords:
    """Of the works that a process holds; lanes of other bundles that were trained beside them get none from it."""

    def __init__(self, bench: Workbench, works: Sequence[Work], material: Material) -> None:
        self.bench = bench
        self.material = material
        self.epochs = works[0].epochs
        self._keys = {work.key.configuration: work.key for work in works}

    def write(self, group: Group, worked_on: WorkedOn, recipe: Recipe) -> None:
        """One of each lane, created exclusively: the first record of a repeat wins."""

        def write(index: int) -> None:
            lane = group.lanes[index]
            key = self._keys.get(lane.configuration.id)
            if key is not None:
                path = key.final(lane.repeat, self.epochs, group.state(index))
                self.bench.storage.create(path, self._record(group, index, key, worked_on, recipe).to_bytes())

        concurrently(write, range(len(group.lanes)))

    def _record(self, group: Group, index: int, key: BundleKey, worked_on: WorkedOn, recipe: Recipe) -> FinalRecord:
        selected, logits = group.selected(index)
        diverged = int(group.diverged[index])
        configuration = group.lanes[index].configuration
        head = parameter_count(layers_of(configuration, self.material.width))
        meta = {
            "configuration": configuration.id,
            "partition": key.partition,
            "repeat": group.lanes[index].repeat,
            "epochs": self.epochs,
            "state": group.state(index).value,
            "diverged_epoch": None if diverged < 0 else diverged,
            "selected_epoch": selected,
            "selection": configuration.selection.metric,
            "attempts": list(worked_on.attempts),
            "seconds": group.seconds / len(group.lanes),
            "host": socket.gethostname(),
            "device": device_name(self.bench.device),
            "devices_mixed": len(worked_on.devices) > 1,
            "undetermined": ", ".join(sorted(group.learner.undetermined)),
            "recipe": recipe.model_dump(mode="json"),
            "with_repeats": group.repeats,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "total_parameters": self.bench.facts(configuration).parameters + head,
            "trainable_parameters": head + self.material.live_parameters,
        }
        return FinalRecord(meta, group.history(index), logits)

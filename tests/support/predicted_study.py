"""A generated study whose kept predictions say something: some configurations are better, and groups differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord, StudyRecord, parse_toml
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.configurations import shown
from tests.support.generated_study import GeneratedStudy, UnsyncedStorage
from trainables.data.manifest import made_manifest, manifest_bytes
from trainables.data.partition import Partition

EPOCH_NOISE = 0.01


@dataclass
class PredictedStudy(GeneratedStudy):
    """quality(configuration) in logits: how far apart it keeps the classes. Two or more partitions where asked for."""

    qualities: Mapping[tuple[int, int], float] = field(default_factory=dict)
    partitions: int = 1
    groups: int = 40
    per_group: int = 4
    fingerprint: str = "d" * 64

    def split_of(self, partition: int) -> dict[str, str]:
        """A fifth of the groups is the test split of every partition; valid is another fifth, one after the other."""
        names = [f"slide {number:02d}" for number in range(self.groups)]
        fifth = self.groups // 5
        valid = names[fifth * (1 + partition) : fifth * (2 + partition)]
        return {n: "test" if n in names[:fifth] else "valid" if n in valid else "train" for n in names}

    def partition(self, number: int) -> Partition:
        return Partition(self.split_of(number), "stratified", 0, {})

    def labels(self) -> list[tuple[str, str]]:
        """(group, label) of every image, in manifest order."""
        names = list(self.split_of(0))
        return [
            (name, self.classes[place % len(self.classes)])
            for place, name in enumerate(names)
            for _ in range(self.per_group)
        ]

    def write_frame(self, storage: LocalStorage) -> None:
        super().write_frame(storage)
        study = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY)
        changes = {"data_fingerprint": self.fingerprint, "partition": self.ids()[0]}
        storage.replace(layout.STUDY, study.model_copy(update=changes).to_toml())
        numbers = {"width": 9, "height": 9, "bytes": 99, "reading": ""}
        rows: list[dict[str, object]] = [
            {"file": f"{i:04d}.png", "label": label, "group": group, "split": "", "content": f"{i:064x}", **numbers}
            for i, (group, label) in enumerate(self.labels())
        ]
        storage.replace(layout.MANIFEST, manifest_bytes(made_manifest(rows)))
        for number in range(self.partitions):
            storage.create(layout.partition(self.partition(number).id), self.partition(number).to_bytes())

    def ids(self) -> list[str]:
        return [self.partition(number).id for number in range(self.partitions)]

    def write_final(self, storage: LocalStorage, configuration: Configuration, repeat: int, epochs: int) -> FinalRecord:
        for number, name in enumerate(self.ids()):
            record = self.record(configuration, repeat, epochs, number)
            key = BundleKey.of_repeat(name, configuration.id, repeat)
            storage.create(key.final(repeat, epochs, record.state), record.to_bytes())
        return record

    def record(self, configuration: Configuration, repeat: int, epochs: int, number: int) -> FinalRecord:
        """Histories that end at the scores of the logits, a little noisy before."""
        record = super().final(configuration, repeat, epochs)
        split = self.split_of(number)
        kept = [(group, label) for group, label in self.labels() if split[group] == "valid"]
        truth = np.array([self.classes.index(label) for _, label in kept])
        slides = np.array([int(group.split()[1]) for group, _ in kept])
        depth = shown(configuration, "non_linearities", "unfrozen")
        draw = np.random.default_rng([self.seed, int(configuration.id, 16) % 2**31, repeat, number])
        shared = np.random.default_rng([self.seed, 7]).normal(size=self.groups)[slides]
        distance = self.qualities.get(depth, 1.0) + 0.5 * shared + 0.2 * draw.normal(size=len(kept))
        logits = np.where(truth == 1, distance, -distance)[:, None].astype(np.float16)
        losses = np.log1p(np.exp(-distance.astype(np.float16).astype(float)))
        confusion = np.zeros((2, 2), dtype=np.int32)
        np.add.at(confusion, (truth, (logits[:, 0] > 0).astype(int)), 1)
        selected, history = epochs, record.history
        if record.meta["state"] == "finished":
            rest = losses.mean() + 0.1 + EPOCH_NOISE * draw.random(epochs + 1)
            history.loss[:, 1] = rest
            history.loss[:, 0] = rest - 0.05
            history.loss[selected] = losses.mean() - 0.05, losses.mean()
            history.statistics[:, 1] = confusion
            record.meta["selected_epoch"] = selected
        record.meta["partition"] = self.ids()[number]
        record.meta["total_parameters"] = 1_000_000 + 10_000 * configuration.head.non_linearities
        return FinalRecord(record.meta, history, logits)


def predicted_study(studies: Path, name: str = "slides", **changes: object) -> tuple[LocalStorage, PredictedStudy]:
    """Depths (0, 0), (1, 0) and (0, 2), one lr and batch size, eight repeats; the second depth is clearly the best."""
    settings: dict[str, object] = {
        "name": name,
        "depths": ((0, 0), (1, 0), (0, 2)),
        "qualities": {(0, 0): 1.0, (1, 0): 2.0, (0, 2): 0.5},
        "lrs": (1e-3,),
        "batch_sizes": (16,),
        "repeats": 8,
        "epochs": 4,
        "synthetic": False,
        "group_meaning": "column slide",
    }
    study = PredictedStudy(**{**settings, **changes})  # type: ignore[arg-type]
    storage = UnsyncedStorage(studies / name)
    study.write(storage)
    return storage, study

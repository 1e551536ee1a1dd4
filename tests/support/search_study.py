"""Made-up studies whose configurations fill no grid, or that have several partitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord, History, StudyRecord, parse_toml
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.asked import Item, ask
from tests.support.configurations import changed
from tests.support.generated_study import PARTITION, GeneratedStudy, UnsyncedStorage
from trainables.data.partition import Partition

OTHERS = ("p00000001", "p00000002")


class DrawnStudy(GeneratedStudy):
    """Configurations at random points instead of a grid; learning depends on lr, little else."""

    drawn = 40

    def configurations(self) -> list[Configuration]:
        draw = np.random.default_rng(3)
        found = []
        for _ in range(self.drawn):
            depth = (int(draw.integers(1, 4)), 0)
            lr = float(f"{10 ** draw.uniform(-5, -1):.3g}")
            base = self.configuration(self.backbones[0], depth, lr, int(2 ** draw.integers(3, 8)))
            changes = {"momentum": round(float(draw.uniform(0.5, 0.99)), 3), "dropout": 0.1 * int(draw.integers(0, 6))}
            found.append(changed(base, **changes))
        return found


def off_grid_study(folder: Path, **changes: object) -> tuple[LocalStorage, GeneratedStudy]:
    """Forty configurations of the extension, drawn at random over five settings."""
    study = DrawnStudy(**{"repeats": 3, "epochs": 8, **changes})  # type: ignore[arg-type]
    storage = UnsyncedStorage(folder)
    study.write(storage)
    return storage, study


def partitioned_study(folder: Path) -> tuple[LocalStorage, GeneratedStudy]:
    """The same images divided three times; the study's own partition is the last by name.

    Losses on the others are those on its own plus 0.05 and 0.1.
    """
    study = GeneratedStudy(depths=((0, 0), (1, 0)), lrs=(1e-3, 1e-2), repeats=4, epochs=6)
    storage = UnsyncedStorage(folder)
    study.write(storage)
    record = parse_toml(StudyRecord, storage.read(layout.STUDY), layout.STUDY)
    storage.replace(layout.STUDY, record.model_copy(update={"partition": PARTITION}).to_toml())
    made = Partition.from_bytes(storage.read(layout.partition(PARTITION)))
    for place, name in enumerate(OTHERS, 1):
        storage.create(layout.partition(name), made.to_bytes())
        items = [Item(c.id, 4, 6) for c in study.configurations()]
        ask(storage, (name,), items, **{**study.about(), "command": "orch search more"})
        for configuration in study.configurations():
            for repeat in range(4):
                record = study.final(configuration, repeat, 6)
                loss = record.history.loss + 0.05 * place
                history = History(record.history.splits, loss, record.history.statistics)
                other = FinalRecord({**record.meta, "partition": name}, history, record.logits)
                key = BundleKey.of_repeat(name, configuration.id, repeat)
                storage.create(key.final(repeat, 6), other.to_bytes())
    return storage, study

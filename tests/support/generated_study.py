"""Writes a study with made-up but plausible histories through the store, in the form that a search leaves behind."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.results.decided import Decided
from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import BUNDLE_SIZE, FinalRecord, History, Metric, StudyRecord
from orchestrator.store.searches import SearchRecord
from orchestrator.store.segments import LaneKey, Recipe, Segment
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.asked import Item, ask
from tests.support.configurations import configured, shown
from trainables.data.partition import Partition
from trainables.learning.metrics import is_measured, selected_epoch

PARTITION = "p0a1b2c3"
NOW = "2026-03-01T12:00:00+00:00"
VERSIONS = {"orch": "0.1.0", "torch": "2.13.0", "timm": "1.0.31", "ray": "2.60.0"}


class UnsyncedStorage(LocalStorage):
    """Without fsync and links, so that thousands of records are written in seconds; for one writer."""

    def create(self, path: str, content: bytes) -> bool:
        target = self.local(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            return False
        target.write_bytes(content)
        return True


@dataclass
class GeneratedStudy:
    """What to write. `skip(configuration, repeat)` leaves a repeat without a result; `diverges` makes it diverge."""

    name: str = "generated"
    classes: tuple[str, ...] = ("differentiated", "poorly differentiated")
    backbones: tuple[str, ...] = ("timm:resnet18.tv_in1k",)
    depths: tuple[tuple[int, int], ...] = ((0, 0), (1, 0), (2, 0), (0, 2), (0, 4))
    lrs: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    batch_sizes: tuple[int, ...] = (16, 32)
    repeats: int = 5
    epochs: int = 20
    n_train: int = 420
    n_valid: int = 90
    synthetic: bool = True
    selection: Metric = "loss"
    rule: str = "valid"
    balance: str = "none"
    count: int = 1000
    score_augmented: bool = False
    in_turn: bool = False
    """Each repeat is a segment of its own, else ten of a configuration are one."""
    seed: int = 0
    frontier: str = "the pooled features"
    command: str = "orch search neuroblastoma resnet18"
    group_meaning: str = "source image"
    skip: Callable[[Configuration, int], bool] = field(default=lambda _configuration, _repeat: False)
    diverges: Callable[[Configuration, int], bool] = field(default=lambda _configuration, _repeat: False)

    def configurations(self) -> list[Configuration]:
        return [
            self.configuration(backbone, depth, lr, batch_size)
            for backbone in self.backbones
            for depth in self.depths
            for lr in self.lrs
            for batch_size in self.batch_sizes
        ]

    def configuration(self, backbone: str, depth: tuple[int, int], lr: float, batch_size: int) -> Configuration:
        return configured(
            study_seed=self.seed,
            task=self.task,
            classes=self.classes,
            backbone=backbone,
            weights="sha256:" + "0" * 64,
            image_size=224,
            store_size=224,
            standardisation="weights",
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            balance=self.balance,
            count=self.count,
            score_augmented=self.score_augmented,
            non_linearities=depth[0],
            unfrozen=depth[1],
            negative_slope=0.2,
            dropout=0.5,
            lr=lr,
            batch_size=batch_size,
            selection=self.selection,
            rule=self.rule,
        )

    @property
    def task(self) -> str:
        return "binary" if len(self.classes) == 2 else "multiclass"

    def write(self, storage: LocalStorage, items: Iterable[Item] | None = None) -> None:
        """Study, dataset, partition, configurations, one search and the final records."""
        configurations = self.configurations()
        self.write_frame(storage)
        for configuration in configurations:
            storage.create(layout.configuration(configuration.id), configuration.to_toml())
        self.ask(storage, items or [Item(c.id, self.repeats, self.epochs) for c in configurations])
        for configuration in configurations:
            for repeat in range(self.repeats):
                if not self.skip(configuration, repeat):
                    self.write_final(storage, configuration, repeat, self.epochs)

    def write_frame(self, storage: LocalStorage) -> None:
        study = StudyRecord(
            name=self.name,
            task=self.task,
            classes=self.classes,
            seed=self.seed,
            precision="fp32",
            selection=self.selection,
            synthetic=self.synthetic,
            group_meaning=self.group_meaning,
            data_fingerprint="d" * 64,
            test_fingerprint="e" * 64,
            space="neuroblastoma",
            created=NOW,
            versions=VERSIONS,
        )
        storage.create(layout.STUDY, study.to_toml())
        labels, groups, splits = [], [], []
        for split, count in (("train", self.n_train), ("valid", self.n_valid), ("test", self.n_valid)):
            for place in range(count):
                labels.append(self.classes[place % len(self.classes)])
                groups.append(f"{split} patient {place // 10}")
                splits.append(split)
        files = [f"{i}.png" for i in range(len(labels))]
        manifest: dict[str, list[Any]] = {"file": files, "label": labels, "group": groups, "split": [""] * len(labels)}
        manifest |= {"width": [250] * len(labels), "height": [250] * len(labels), "bytes": [99] * len(labels)}
        manifest |= {"content": [f"{i:064x}" for i in range(len(labels))], "intensity": [""] * len(labels)}
        storage.create(layout.MANIFEST, _parquet(pa.table(manifest)))
        made = Partition(dict(zip(groups, splits, strict=True)), "stratified", 0, {"distance": 0.02})
        storage.create(layout.partition(PARTITION), made.to_bytes())

    def ask(self, storage: LocalStorage, items: Iterable[Item]) -> SearchRecord:
        return ask(storage, self.ids(), items, in_turn=self.in_turn, **self.about())

    def ids(self) -> list[str]:
        """Of the partitions that are searched."""
        return [PARTITION]

    def about(self) -> dict[str, object]:
        """What a search says of who asked for it."""
        return {
            "command": self.command,
            "who": "someone",
            "created": NOW,
            "versions": VERSIONS,
            "revision": "abc1234",
        }

    def write_final(self, storage: LocalStorage, configuration: Configuration, repeat: int, epochs: int) -> FinalRecord:
        record = self.final(configuration, repeat, epochs)
        key = BundleKey.of_repeat(PARTITION, configuration.id, repeat)
        storage.create(key.final(repeat, epochs, record.state), record.to_bytes())
        return record

    def final(self, configuration: Configuration, repeat: int, epochs: int) -> FinalRecord:
        diverged_epoch = max(1, epochs // 3) if self.diverges(configuration, repeat) else None
        history = self.history(configuration, repeat, epochs, diverged_epoch)
        by_valid = configuration.selects_by_valid_alone
        selected = 0 if diverged_epoch else selected_epoch(self.selection, history, by_valid)
        minute = f"{(configuration.optimiser.batch_size * 7 + repeat) % 60:02d}"
        meta = {
            "configuration": configuration.id,
            "partition": PARTITION,
            "repeat": repeat,
            "epochs": epochs,
            "state": "diverged" if diverged_epoch else "finished",
            "diverged_epoch": diverged_epoch,
            "selected_epoch": selected,
            "selection": self.selection,
            "attempts": [0],
            "seconds": 0.4 * epochs,
            "host": f"worker-{repeat % 2}",
            "device": "cpu",
            "devices_mixed": False,
            "recipe": self.recipe(configuration, repeat, epochs).model_dump(mode="json"),
            "finished": f"2026-03-01T11:{minute}:00+00:00",
            "total_parameters": 11_200_000,
            "trainable_parameters": 513 + 40_000 * configuration.adaptation.unfrozen,
        }
        outputs = 1 if len(self.classes) == 2 else len(self.classes)
        return FinalRecord(meta, history, np.zeros((self.n_valid, outputs), dtype=np.float16))

    def begin(self, storage: LocalStorage, configuration: Configuration, repeat: int) -> None:
        """Leave what a worker leaves first in the segment of a repeat."""
        recipe = self.recipe(configuration, repeat, self.epochs)
        storage.create(recipe.segment.recipe, recipe.to_toml())

    def recipe(self, configuration: Configuration, repeat: int, epochs: int) -> Recipe:
        first = repeat // BUNDLE_SIZE * BUNDLE_SIZE
        repeats = tuple(range(first, max(repeat + 1, min(first + BUNDLE_SIZE, self.repeats))))
        repeats = (repeat,) if self.in_turn else repeats
        segment = Segment(PARTITION, (configuration.id,), repeats, 0, epochs)
        return Recipe(
            segment=segment,
            device="cpu",
            device_name="a processor",
            threads=1,
            scoring_batch=64,
            frontier=self.frontier,
        )

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        """Learning gets faster with lr and smaller batches, overfits when too fast, ends lower with a better depth."""
        draw = np.random.default_rng([self.seed, int(configuration.id, 16) % 2**31, repeat])
        epoch = np.arange(epochs + 1)
        classes, start = len(self.classes), float(np.log(len(self.classes)))
        lr, batch_size, n, u = shown(configuration, "lr", "batch_size", "non_linearities", "unfrozen")
        pace = np.log10(lr * 1e4) + 0.4 * np.log2(64 / batch_size)
        rate = 0.03 * 2.2**pace
        depth = 0.10 * np.tanh(n / 2) + 0.12 * np.tanh(u / 3)
        floor = start * (0.42 - depth) * (1 + 0.04 * draw.standard_normal())
        splits = ("train", "valid", *(("valid_views",) if self.score_augmented else ()))
        loss = np.zeros((epochs + 1, len(splits)))
        confusion = np.zeros((epochs + 1, len(splits), classes, classes), dtype=np.int32)
        offset = 0.05 * draw.standard_normal()
        for column, split in enumerate(splits):
            gap = 0.0 if split == "train" else 0.12 * start
            overfit = 0.0 if split == "train" else start * 0.004 * max(0.0, rate - 0.12) * epoch**1.3
            decay = np.exp(-rate * epoch)
            noise = 0.012 * draw.standard_normal(epochs + 1) * (1 if split == "train" else 2)
            loss[:, column] = (floor + gap) * (1 - decay) + (start + offset) * decay + overfit + noise
            right = np.clip(1 / classes + (1 - 1 / classes) * (1 - loss[:, column] / (start * 1.25)), 0.02, 0.98)
            total = {"train": self.n_train, "valid": self.n_valid}.get(split, 4 * self.n_valid)
            confusion[:, column] = _counts(right, total, classes, draw)
        if diverged is not None:
            loss, confusion = loss[: diverged + 1], confusion[: diverged + 1]
            loss[-1] = np.nan
        measured = np.exp(-loss) if is_measured(configuration.selection.metric) else None
        return History(splits, loss, confusion, measured)


def segment_of(storage: LocalStorage, configuration: Configuration, repeat: int) -> Segment:
    """The one that a repeat was last asked in."""
    lane = LaneKey(PARTITION, configuration.id, repeat)
    return [segment for segment in Decided.of(storage).segments() if lane in segment.lanes][-1]


def write_lease(
    storage: LocalStorage, segment: Segment, epoch: int, updated: str, released: bool = False, number: int = 1
) -> None:
    """Somebody works on the segment and has come so far."""
    lease = {
        "owner": "driver",
        "beat": 7,
        "released": released,
        "host": "worker-0",
        "device": "cpu",
        "epoch": epoch,
        "of": segment.epochs,
        "updated": updated,
    }
    storage.replace(layout.lease(segment.folder, number), json.dumps(lease).encode())


def write_failure(storage: LocalStorage, segment: Segment, cause: str, attempt: int = 1) -> None:
    failure = {
        "cause": cause,
        "kind": "exception",
        "traceback": "Traceback …",
        "attempt": attempt,
        "lease": attempt,
        "partition": segment.partition,
        "configurations": segment.configurations,
        "repeats": segment.repeats,
        "host": "worker-1",
        "time": NOW,
    }
    storage.replace(segment.failure(attempt), json.dumps(failure).encode())


def small_study(
    folder: Path, study: type[GeneratedStudy] = GeneratedStudy, **changes: object
) -> tuple[LocalStorage, GeneratedStudy]:
    """A study of a few configurations, written in well under a second."""
    settings: dict[str, object] = {"depths": ((0, 0), (1, 0)), "lrs": (1e-3, 1e-2), "repeats": 3, "epochs": 6}
    made = study(**{**settings, **changes})  # type: ignore[arg-type]
    storage = UnsyncedStorage(folder)
    made.write(storage)
    return storage, made


def _counts(right: np.ndarray, total: int, classes: int, draw: np.random.Generator) -> np.ndarray:
    """int32 [epochs + 1, K, K] with `total` images shared out evenly over the true classes."""
    sizes = np.full(classes, total // classes)
    sizes[: total % classes] += 1
    spread = np.clip(right[:, None] + 0.02 * draw.standard_normal((len(right), classes)), 0.0, 1.0)
    hits = np.rint(spread * sizes).astype(np.int32)
    confusion = np.zeros((len(right), classes, classes), dtype=np.int32)
    for truth in range(classes):
        confusion[:, truth, truth] = hits[:, truth]
        confusion[:, truth, (truth + 1) % classes] = sizes[truth] - hits[:, truth]
    return confusion


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()

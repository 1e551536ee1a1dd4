"""Makes a study of a few small images on disk, with its partition, and trains segments of it in a second or two."""

from __future__ import annotations

import contextlib
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import Lease, StaleWatch, current_lease
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from search_spaces.configuration import Configuration
from tests.support.configurations import configured
from trainables.bundles.failures import SupersededError
from trainables.bundles.recipe import is_stacked
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.work import all_parts, is_enough, longest_finals
from trainables.bundles.workbench import Workbench
from trainables.data.dataset import DatasetOptions, fingerprint, load_dataset, manifest_bytes
from trainables.data.partition import Partition
from trainables.machine.places import Places

SIZE = 32
BACKBONE = "timm:test_resnet.r160_in1k"
COUNTS = {"few": (7, 4, 3), "many": (18, 8, 4), "some": (12, 6, 3)}
"""Images per class in train, valid and test."""
KEEPS = 10_000_000
"""Bytes per lane that an end state may take: all of them stay."""


@dataclass(frozen=True)
class TinyStudy:
    """A study of two or three classes; `partition` is the id of the one it was made with."""

    folder: Path
    data: Path
    cache: Path
    classes: tuple[str, ...]
    partition: str
    fingerprint: str

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.folder)

    @property
    def places(self) -> Places:
        return Places(self.data, self.cache, "none")

    def bench(self) -> Workbench:
        return Workbench(self.storage, self.places, torch.device("cpu"))

    def configuration(self, **changes: Any) -> Configuration:
        """A linear probe, with changes, stored in the study."""
        task = "binary" if len(self.classes) == 2 else "multiclass"
        settings = {"task": task, "classes": self.classes, "data": self.fingerprint, **changes}
        configuration = configured(**settings)
        self.storage.create(layout.configuration(configuration.id), configuration.to_toml())
        return configuration

    def key(self, configuration: Configuration) -> BundleKey:
        return BundleKey(self.partition, configuration.id, 0)

    def segments(
        self, configuration: Configuration, repeats: tuple[int, ...], epochs: int, bench: Workbench | None = None
    ) -> list[Segment]:
        """What of it is owed, each repeat from where it is; stacked or in turn, as the rule says."""
        bench = bench or self.bench()
        there = longest_finals(self.storage, self.key(configuration))
        starts: dict[int, list[int]] = {}
        for repeat in repeats:
            final = there.get(repeat)
            if not is_enough(final, epochs):
                starts.setdefault(final.epochs if final else 0, []).append(repeat)
        whole = [
            Segment(self.partition, (configuration.id,), tuple(numbers), start, epochs)
            for start, numbers in starts.items()
        ]
        if is_stacked(configuration, bench.facts(configuration).feature_width, bench.device):
            return whole
        return [lane for segment in whole for lane in segment.in_turn()]

    def start(
        self, segment: Segment, bench: Workbench | None = None, *, keeps: int = KEEPS, restores: bool = False
    ) -> SegmentRun:
        """A run under a lease of its own; whoever held it before must be gone."""
        lease = current_lease(self.storage, segment.folder)
        assert StaleWatch().is_free(segment.folder, lease), "the segment is leased"
        taken = Lease.take(self.storage, segment.folder, lease.number if lease else 0, "cpu")
        assert taken is not None
        return SegmentRun.begin(bench or self.bench(), segment, taken, keeps=keeps, restores=restores)

    def train_segment(
        self, segment: Segment, bench: Workbench | None = None, *, keeps: int = KEEPS, restores: bool = False
    ) -> None:
        """Without a break; in parts where it is divided."""
        bench = bench or self.bench()
        with contextlib.suppress(SupersededError):
            run = self.start(segment, bench, keeps=keeps, restores=restores)
            while not run.advance(60.0):
                pass
            return
        parts = all_parts(self.storage, [segment])
        assert parts != [segment], "it could not begin"
        for part in parts:
            self.train_segment(part, bench, keeps=keeps, restores=restores)

    def train(
        self, configuration: Configuration, repeats: tuple[int, ...], epochs: int, bench: Workbench | None = None
    ) -> dict[int, FinalRecord]:
        """Train without a break; final records by repeat."""
        bench = bench or self.bench()
        for segment in self.segments(configuration, repeats, epochs, bench):
            self.train_segment(segment, bench)
        return self.finals(configuration, epochs)

    def finals(self, configuration: Configuration, epochs: int) -> dict[int, FinalRecord]:
        key = self.key(configuration)
        found = {}
        for name in self.storage.list(key.finals):
            parsed = layout.parse_final(name)
            assert parsed is not None, f"{name} is no final record"
            if parsed[1] == epochs:
                found[parsed[0]] = FinalRecord.from_bytes(self.storage.read(f"{key.finals}/{name}"), name)
        return found

    def add_partition(self, groups: dict[str, str]) -> str:
        partition = Partition(groups, "given")
        self.storage.create(layout.partition(partition.id), partition.to_bytes())
        return partition.id

    def groups(self) -> dict[str, str]:
        return dict(Partition.from_bytes(self.storage.read(layout.partition(self.partition))).groups)


def make_tiny_study(
    root: Path, classes: tuple[str, ...] = ("few", "many"), seed: int = 0, border: int = 0
) -> TinyStudy:
    """Images of SIZE pixels whose brightness and grain tell the classes apart, not too well; two per group.

    border: rows at the top of each that are black.
    """
    data = root / "images"
    generator = np.random.default_rng(seed)
    rows, groups = [], {}
    for index, label in enumerate(classes):
        (data / label).mkdir(parents=True)
        for split, count in zip(("train", "valid", "test"), COUNTS[label], strict=True):
            for number in range(count):
                file, group = f"{label}/{split}_{number:02d}.png", f"{label}-{split}-{number // 2}"
                pixels = generator.normal(100 + 12 * index, 30, size=(SIZE + 4, SIZE, 3)).clip(0, 255)
                pixels[:border] = 0
                Image.fromarray(pixels.astype(np.uint8)).save(data / file)
                rows.append((file, label, group))
                groups[group] = split
    with (data / "labels.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("file", "label", "group"), *rows])
    dataset = load_dataset(data, DatasetOptions())
    partition = Partition(groups, "given")
    storage = LocalStorage(root / "study")
    storage.create(layout.MANIFEST, manifest_bytes(dataset.manifest))
    storage.create(layout.partition(partition.id), partition.to_bytes())
    seen = dataset.manifest["group"].map(groups) != "test"
    content = fingerprint(dataset.manifest[seen])
    return TinyStudy(root / "study", data, root / "cache", classes, partition.id, content)


def assert_same_result(left: FinalRecord, right: FinalRecord) -> None:
    """Every bit of what a repeat learned, and how it was divided; not when, where and in how many attempts."""
    assert_same_learning(left, right)
    for name in ("recipe", "end_state"):
        assert left.meta[name] == right.meta[name], name


def assert_same_learning(left: FinalRecord, right: FinalRecord) -> None:
    """Every bit of what a repeat learned, in however many segments."""
    assert left.history.splits == right.history.splits
    for name in ("loss", "statistics"):
        one, other = getattr(left.history, name), getattr(right.history, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=True), name
    assert np.array_equal(left.logits, right.logits)
    for name in ("repeat", "state", "diverged_epoch", "selected_epoch", "epochs", "configuration", "devices_mixed"):
        assert left.meta[name] == right.meta[name], name


def another(images: TinyStudy, folder: Path) -> TinyStudy:
    """A study of its own on the same images, with their features already in the cache."""
    other = TinyStudy(folder / "s", images.data, images.cache, images.classes, images.partition, images.fingerprint)
    for path in ("dataset/manifest.parquet", f"partitions/{images.partition}.parquet"):
        other.storage.create(path, images.storage.read(path))
    return other

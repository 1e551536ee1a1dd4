"""With the partition given, the labels of the test images reach nothing before the evaluation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.results.histories import compact
from orchestrator.results.summary import summarise
from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.record import unpack
from orchestrator.store.schema import StudyRecord
from orchestrator.store.segments import SEGMENTS, parse_state
from orchestrator.store.storage import LocalStorage
from orchestrator.study.preparation import DataRequest, prepare
from orchestrator.study.studies import write_study
from search_spaces.loader import default_space
from tests.support.asked import Item, ask
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.data.options import DatasetOptions

CLASSES = ("few", "many", "some")
SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"lr": 0.001, "non_linearities": 1, "dropout": 0.3},
    {"unfrozen": 2, "lr": 0.01, "balance": "ngca"},
)
TIMES = ("seconds", "finished")
OF_BYTES = ("digest",)
"""Of a final record as it lies there, times included."""


class Prepared:
    """A study made by the product from images and a table with splits, then trained."""

    def __init__(self, images: Path, root: Path, shift: int) -> None:
        self.cache = root / "cache"
        table = root / "labels.csv"
        root.mkdir()
        write_table(images, table, shift)
        made = prepare(
            "mine",
            default_space("mine"),
            root / "studies",
            self.cache,
            DataRequest(table, DatasetOptions(data_root=images)),
            7,
            "fp32",
            lambda _: None,
        )
        study = write_study(made.study)
        self.record: StudyRecord = study.record
        self.storage = LocalStorage(study.place.path)
        self.tiny = TinyStudy(
            study.place.path, images, self.cache, CLASSES, self.record.partition, self.record.data_fingerprint
        )
        self.configurations = [self.tiny.configuration(**settings) for settings in SETTINGS]
        for configuration in self.configurations:
            self.tiny.train(configuration, (0, 1), 2)
        ask(self.storage, (self.record.partition,), [Item(c.id, 2, 2) for c in self.configurations])

    def features(self) -> dict[str, bytes]:
        """Everything in the cache: squares, features, statistics of fresh networks."""
        return {
            str(path.relative_to(self.cache)): path.read_bytes() for path in self.cache.rglob("*") if path.is_file()
        }

    def trained(self) -> dict[str, Any]:
        """Every final record, and every file of segments but leases and notes of attempts: times are taken out, arrays
        are bytes."""
        found: dict[str, Any] = {}
        paths: list[str] = []
        for configuration in self.configurations:
            finals = BundleKey(self.record.partition, configuration.id, 0).finals
            paths += [f"{finals}/{name}" for name in self.storage.list(finals)]
        for name in self.storage.list(SEGMENTS):
            folder = f"{SEGMENTS}/{name}"
            found[f"{folder}/recipe.toml"] = self.storage.read(f"{folder}/recipe.toml")
            names = self.storage.list(folder)
            paths += [f"{folder}/{state}" for state in names if parse_state(state)]
            attempts = [f"{folder}/{attempt}" for attempt in names if layout.parse_attempt(attempt)]
            paths += [f"{one}/{file}" for one in attempts for file in self.storage.list(one) if file.endswith("point")]
        for path in paths:
            meta, arrays = unpack(self.storage.read(path), path)
            meta.get("group", {}).pop("seconds", None)
            kept = {name: value for name, value in meta.items() if name not in TIMES}
            # the name of an end state says its bytes, which times are among
            found[path.partition(".b")[0]] = kept, {name: array.tobytes() for name, array in arrays.items()}
        return found

    def histories(self) -> list[bytes]:
        compact(self.storage)
        parts = sorted((self.tiny.folder / layout.HISTORIES).glob("*.parquet"))
        tables = [pd.read_parquet(part).drop(columns=[*TIMES, *OF_BYTES], errors="ignore") for part in parts]
        return sorted(table.to_csv(index=False).encode() for table in tables)

    def selection(self) -> list[tuple[object, ...]]:
        return [
            (entry.id, entry.rank, entry.selection.values.tobytes(), entry.selected_epochs.values.tobytes())
            for entry in summarise(self.storage).configurations
            if entry.selection is not None and entry.selected_epochs is not None
        ]


def write_table(images: Path, table: Path, shift: int) -> None:
    """Files with split, group and label; the labels of the test groups, which have one size, move on by `shift`."""
    tests = [(label, f"{label}-test-{number}") for label in CLASSES for number in (0, 1)]
    moved = {group: tests[(place + shift) % len(tests)][0] for place, (_, group) in enumerate(tests)}
    with (images / "labels.csv").open(newline="") as source, table.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["file", "label", "group", "split"])
        for row in csv.DictReader(source):
            split = row["group"].split("-")[1]
            writer.writerow([row["file"], moved.get(row["group"], row["label"]), row["group"], split])


def test_permuting_test_labels_changes_nothing_that_is_trained_or_selected(tmp_path: Path) -> None:
    images = make_tiny_study(tmp_path / "made", CLASSES).data
    one, other = (Prepared(images, tmp_path / name, shift) for name, shift in (("as it is", 0), ("permuted", 2)))
    assert one.record.test_fingerprint != other.record.test_fingerprint
    assert one.record.data_fingerprint == other.record.data_fingerprint
    assert one.record.partition == other.record.partition
    assert [c.id for c in one.configurations] == [c.id for c in other.configurations]
    left, right = one.features(), other.features()
    assert any(name.startswith("features/") for name in left)
    assert any(name.startswith("pixels/") for name in left)
    assert left == right
    assert len(one.trained()) >= 3 * (1 + 2 + 1)
    assert one.trained() == other.trained()
    assert one.histories()
    assert one.histories() == other.histories()
    assert len(one.selection()) == 3
    assert one.selection() == other.selection()


def test_the_comparison_would_see_a_label_that_matters(tmp_path: Path) -> None:
    """A permuted label of a training image changes identity and results: the test above can fail."""
    images = make_tiny_study(tmp_path / "made", CLASSES).data
    one = Prepared(images, tmp_path / "one", 0)
    manifest = (images / "labels.csv").read_text().replace("few/train_00.png,few", "few/train_00.png,many")
    (images / "labels.csv").write_text(manifest)
    other = Prepared(images, tmp_path / "other", 0)
    assert one.record.data_fingerprint != other.record.data_fingerprint
    left, right = (list(made.trained().values()) for made in (one, other))
    losses = [next(value[1]["loss"] for value in side if isinstance(value, tuple)) for side in (left, right)]
    assert not np.array_equal(np.frombuffer(losses[0]), np.frombuffer(losses[1]))

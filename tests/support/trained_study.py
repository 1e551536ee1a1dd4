"""A tiny trained study as a search leaves it, with study.toml and a search, in a folder of studies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from orchestrator.store import layout
from orchestrator.store.schema import StudyRecord
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import Study, open_study
from search_spaces.configuration import Configuration
from tests.support.asked import Item, ask
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.data.manifest import fingerprint, manifest_bytes, read_manifest
from trainables.data.partition import Partition, splits

NAME = "tiny"


def make_trained_study(
    root: Path,
    classes: tuple[str, ...] = ("few", "many"),
    repeats: int = 3,
    epochs: int = 2,
    settings: tuple[dict[str, object], ...] = ({}, {"lr": 0.001}),
    change: Callable[[pd.DataFrame, pd.Series[str]], pd.DataFrame] | None = None,
) -> tuple[Study, TinyStudy, list[Configuration]]:
    """Make it in root/studies and train it. change(manifest, splits) may alter the manifest before anything else."""
    tiny = make_tiny_study(root / "made", classes)
    folder = root / "studies" / NAME
    folder.parent.mkdir(parents=True)
    shutil.move(tiny.folder, folder)
    storage = LocalStorage(folder)
    manifest = read_manifest(storage.read(layout.MANIFEST))
    partition = Partition.from_bytes(storage.read(layout.partition(tiny.partition)))
    split = splits(manifest, partition)
    if change is not None:
        manifest = change(manifest, split)
        storage.replace(layout.MANIFEST, manifest_bytes(manifest))
    moved = TinyStudy(folder, tiny.data, tiny.cache, classes, tiny.partition, tiny.fingerprint)
    configurations = [moved.configuration(**one) for one in settings]
    record = StudyRecord(
        name=NAME,
        task="binary" if len(classes) == 2 else "multiclass",
        classes=classes,
        seed=5,
        precision="fp32",
        group_meaning="slide",
        data_fingerprint=fingerprint(manifest[split != "test"]),
        test_fingerprint=fingerprint(manifest[split == "test"]),
        partition=tiny.partition,
        data_source=str(tiny.data),
        created="2026-03-01T12:00:00+00:00",
    )
    storage.create(layout.STUDY, record.to_toml())
    ask(storage, (tiny.partition,), [Item(c.id, repeats, epochs) for c in configurations])
    for configuration in configurations:
        moved.train(configuration, tuple(range(repeats)), epochs)
    return open_study(root / "studies", NAME), moved, configurations


def copy_trained_study(root: Path, folder: Path) -> tuple[Study, TinyStudy]:
    """The study that was made in `root`, with its results, in folder/studies; images and their features are shared."""
    shutil.copytree(root / "studies", folder / "studies")
    study, made = open_study(folder / "studies", NAME), root / "made"
    classes, partition, fingerprint = study.record.classes, study.record.partition, study.record.data_fingerprint
    where = folder / "studies" / NAME
    return study, TinyStudy(where, made / "images", made / "cache", classes, partition, fingerprint)

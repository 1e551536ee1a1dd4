"""How many weights a study holds: whole configurations, the most wanted first, within the budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.store.layout import BundleKey
from orchestrator.store.storage import LocalStorage
from trainables.bundles.kept_weights import in_bundle, in_partition, keep, read_kept, retain


def stored(storage: LocalStorage, configuration: str, repeats: tuple[int, ...], values: int = 100) -> int:
    """Bytes kept of a configuration."""
    total = 0
    for repeat in repeats:
        key = BundleKey.of_repeat("p", configuration, repeat)
        weights = {"head.0.weight": np.full((values, 2), repeat, dtype=np.float32)}
        total += keep(storage, key, repeat, 5, weights, {"epoch": 3, "deviation": 0.0}).bytes
    return total


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    stored(storage, "a", (3,))
    key = BundleKey("p", "a", 0)
    found = read_kept(storage, key, 3, 5)
    assert found is not None
    assert found[0] == {"epoch": 3, "deviation": 0.0, "repeat": 3, "epochs": 5}
    assert (found[1]["head.0.weight"] == 3).all()
    assert read_kept(storage, key, 3, 6) is None
    assert read_kept(storage, key, 4, 5) is None
    (kept,) = in_bundle(storage, key)
    assert kept.bytes == storage.local(kept.path).stat().st_size


def test_the_most_wanted_configurations_stay_whole(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    size = stored(storage, "a", (0, 1, 12))
    stored(storage, "b", (0, 1, 12))
    small = stored(storage, "c", (0,))
    stored(storage, "unknown", (0, 1, 12))
    dropped = retain(storage, "p", ["b", "a", "c"], size + small)
    assert {kept.key.configuration for kept in dropped} == {"a", "unknown"}
    assert len(dropped) == 6
    assert {kept.key.configuration for kept in in_partition(storage, "p")} == {"b", "c"}
    assert retain(storage, "p", ["b", "a", "c"], size + small) == []
    assert len(retain(storage, "p", ["b"], 0)) == 4


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    stored(storage, "a", (0,))
    storage.create("bundles/p/a/0/weights/README", b"mine")
    retain(storage, "p", [], 0)
    assert storage.list("bundles/p/a/0/weights") == ["README"]

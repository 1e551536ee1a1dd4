"""Features belong to images: partitions, balances and studies share rows, which have the same bits in any shard."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.store.errors import StorageError
from tests.support.tiny_study import TinyStudy, another, make_tiny_study
from trainables.bundles.workbench import Workbench
from trainables.features import shards
from trainables.features import store as features
from trainables.features.frozen import Frozen
from trainables.features.shards import FeatureRows
from trainables.features.store import StoredInputs, compute_chunk, feature_rows

FIXED: dict[str, Any] = {"backbone": "timm:test_vit.r160_in1k", "standardisation": "half", "views": 2}
"""Nothing of a feature follows from the partition: this network has no statistics either."""
CALIBRATED = {**FIXED, "backbone": "timm:test_resnet.r160_in1k"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def study(images: TinyStudy, tmp_path: Path) -> TinyStudy:
    """With a cache of its own."""
    return dataclasses.replace(images, cache=tmp_path / "cache")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each part that is computed."""
    rows, real = list[int](), compute_chunk

    def noting(stores: Any, chunk: int, places: np.ndarray, *rest: Any) -> None:
        rows.append(len(places))
        real(stores, chunk, places, *rest)

    monkeypatch.setattr("trainables.features.frozen.compute_chunk", noting)
    return rows


def swapped(study: TinyStudy, left: str, right: str) -> str:
    """Another partition: groups of one number take turns in two splits."""
    turn = {left: right, right: left}
    return study.add_partition({g: turn.get(s, s) if g.endswith("-0") else s for g, s in study.groups().items()})


def rows_of(frozen: Frozen) -> FeatureRows:
    assert frozen.features is not None
    return frozen.features


def values(frozen: Frozen) -> dict[str, bytes]:
    """The stored bytes of each row by name."""
    stored = StoredInputs(rows_of(frozen), frozen.configuration.network.precision, torch.device("cpu"))
    gathered = [tensor.numpy() for tensor in stored.gather(torch.arange(frozen.samples.rows))]
    names = rows_of(frozen).names
    return {name: b"".join(array[row].tobytes() for array in gathered) for row, name in enumerate(names)}


def all_of(bench: Workbench, study: TinyStudy, partition: str, **settings: Any) -> Frozen:
    frozen = bench.frozen_ready(study.configuration(**settings), partition)
    bench.compute_missing(frozen)
    return frozen


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", ["resnet", "vit", "efficientnet", "convnext"])
def test_a_row_has_the_same_bits_in_any_shard(study: TinyStudy, network: str, precision: Any) -> None:
    """Wherever in a batch it is, whatever lies beside it, and in batches of its own."""
    bench = study.bench()
    settings = {**FIXED, "backbone": f"timm:test_{network}.r160_in1k", "precision": precision}
    frozen = all_of(bench, study, study.partition, **settings)
    expected, names = values(frozen), rows_of(frozen).names
    reader, prefix = frozen.reader(bench.device), bench.prefix([frozen])
    order = np.random.default_rng(1).permutation(len(names))
    for number, part in enumerate([order, order[:5], order[5:22], order[22:23]]):
        cache = study.cache / f"shard {number}"
        rows = feature_rows("k", cache, [names[row] for row in part], frozen.shapes, precision, "cpu")
        rows.prepare()
        for one in rows.missing():
            compute_chunk([rows.store(one)], one.chunk, part[rows.places(one)], prefix, reader, precision)
        stored = StoredInputs(rows, precision, bench.device).gather(torch.arange(len(part)))
        for place, name in enumerate(rows.names):
            assert b"".join(tensor[place].numpy().tobytes() for tensor in stored) == expected[name], name


def test_partitions_share_rows(study: TinyStudy, computed: list[int]) -> None:
    """Training images have two views, valid ones one: only views that no partition before had are computed."""
    bench, other = study.bench(), swapped(study, "train", "valid")
    first = rows_of(all_of(bench, study, study.partition, **FIXED))
    assert sum(computed) == len(set(first.names))
    frozen = all_of(bench, study, other, **FIXED)
    second = rows_of(frozen)
    assert second.key == first.key
    assert set(second.names) - set(first.names), "images that were valid have a second view"
    assert sum(computed) == len({*first.names, *second.names}), "each row once"
    assert len(second.stores()) == 2
    alone = all_of(dataclasses.replace(study, cache=study.cache / "alone").bench(), study, other, **FIXED)
    assert values(frozen) == values(alone)
    material, expected = bench.material(frozen.configuration, other), rows_of(alone)
    assert material.features is not None
    assert torch.equal(material.features, StoredInputs(expected, "fp32", bench.device).everything())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_frontier_tensors_are_gathered_from_several_shards(study: TinyStudy, precision: Any) -> None:
    settings, other = {**FIXED, "unfrozen": 2, "precision": precision}, swapped(study, "train", "valid")
    bench = study.bench()
    all_of(bench, study, study.partition, **settings)
    frozen = all_of(bench, study, other, **settings)
    assert len(rows_of(frozen).stores()) == 2
    alone = all_of(dataclasses.replace(study, cache=study.cache / "alone").bench(), study, other, **settings)
    assert values(frozen) == values(alone)


@pytest.mark.parametrize("settings", [{"balance": "class_weights"}, {"balance": "subsample"}, {"views": 1}])
def test_what_changes_no_row_computes_none(study: TinyStudy, computed: list[int], settings: dict[str, Any]) -> None:
    bench = study.bench()
    all_of(bench, study, study.partition, **FIXED)
    computed.clear()
    all_of(bench, study, study.partition, **{**FIXED, **settings})
    assert computed == []


def test_another_balance_computes_what_it_adds(study: TinyStudy, computed: list[int]) -> None:
    bench = study.bench()
    first = rows_of(all_of(bench, study, study.partition, **FIXED))
    computed.clear()
    second = rows_of(all_of(bench, study, study.partition, **{**FIXED, "balance": "ngca"}))
    assert sum(computed) == len(set(second.names) - set(first.names)) > 0


def test_studies_share_rows(study: TinyStudy, computed: list[int], tmp_path: Path) -> None:
    """Also where the test images are others."""
    bench = study.bench()
    first = rows_of(all_of(bench, study, study.partition, **FIXED))
    other = another(study, tmp_path)
    moved = swapped(other, "train", "test")
    computed.clear()
    second = rows_of(all_of(other.bench(), other, moved, **{**FIXED, "views": 1}))
    new = set(second.names) - set(first.names)
    assert sum(computed) == len(new)
    assert 0 < len(new) < len(second.names)


def test_a_learner_reads_no_row_of_a_test_image(study: TinyStudy) -> None:
    """Not where the image is trained on elsewhere either, and its features lie beside."""
    bench, other = study.bench(), swapped(study, "train", "test")
    all_of(bench, study, study.partition, **FIXED)
    frozen = all_of(bench, study, other, **FIXED)
    seen = {name.split()[0] for name in rows_of(frozen).names}
    assert seen == set(frozen.samples.images["content"])
    located = rows_of(frozen).located()
    assert len(located.row) == frozen.samples.rows


@pytest.mark.parametrize("settings", [CALIBRATED, {**FIXED, "standardisation": "train"}], ids=["norms", "mean and std"])
def test_what_follows_from_training_images_is_kept_apart(study: TinyStudy, settings: dict[str, Any]) -> None:
    bench, other = study.bench(), swapped(study, "train", "valid")
    first, second = (bench.frozen_ready(study.configuration(**settings), one) for one in (study.partition, other))
    assert rows_of(first).key != rows_of(second).key
    same = bench.frozen_ready(study.configuration(**{**settings, "balance": "class_weights"}), study.partition)
    assert rows_of(same).key == rows_of(first).key, "it is of the same training images"


def test_splits_that_are_standardised_by_their_own_share_no_row(study: TinyStudy) -> None:
    c = study.configuration(**{**FIXED, "standardisation": "each_split"})
    frozen = study.bench().frozen_ready(c, study.partition)
    names = dict(zip(rows_of(frozen).names, frozen.samples.names, strict=True))
    valid = {frozen.samples.names[row] for row in frozen.samples.scoring["valid"]}
    assert {name for name in names if name.startswith("valid ")} == {f"valid {name}" for name in valid}


def test_depths_that_share_a_cut_share_a_store(study: TinyStudy, computed: list[int]) -> None:
    """What is unfrozen may differ where the frozen part ends at one place: here at what the last block reads."""
    bench, several = study.bench(), [study.configuration(**FIXED, unfrozen=u) for u in (1, 2)]
    layers = [{cut.layer for cut in bench._networks.cuts(c) if not cut.is_pixels} for c in several]
    (layer,) = layers[0] & layers[1]
    first, second = (bench.frozen_ready(c, study.partition, layer) for c in several)
    assert rows_of(first).key == rows_of(second).key
    bench.reserve([first, second])
    (part,) = rows_of(first).missing()
    bench.compute([first, second], part)
    assert len(computed) == 1
    assert rows_of(second).missing() == []
    assert values(first) == values(second)


def test_an_interrupted_pass_keeps_what_it_finished(
    study: TinyStudy, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same search ends the same shard; another partition takes what is whole and makes one of the rest."""
    monkeypatch.setattr(features, "CPU_CHUNK", 16)
    bench = study.bench()
    frozen = bench.frozen_ready(study.configuration(**FIXED), study.partition)
    rows = rows_of(frozen)
    bench.reserve([frozen])
    parts = rows.missing()
    assert [part.rows for part in parts] == [16, 16, 16, 14][: len(parts)]
    bench.compute([frozen], parts[0])
    kept = study.cache.with_name("kept")
    shutil.copytree(study.cache, kept)
    computed.clear()
    all_of(study.bench(), study, study.partition, **FIXED)
    assert sum(computed) == len(rows.names) - 16
    assert len(rows.stores()) == 1
    computed.clear()
    moved = dataclasses.replace(study, cache=kept)
    other = rows_of(all_of(moved.bench(), moved, swapped(study, "train", "valid"), **FIXED))
    finished = {rows.names[row] for row in range(16)}
    assert sum(computed) == len(set(other.names) - finished)
    assert other.lacking() == []


def harm_rows(folder: Path) -> None:
    (folder / "rows").write_bytes((folder / "rows").read_bytes()[:-1])


def remove_rows(folder: Path) -> None:
    (folder / "rows").unlink()


@pytest.mark.parametrize("harm", [harm_rows, remove_rows, shutil.rmtree])
def test_a_shard_that_nobody_can_read_is_made_again(study: TinyStudy, harm: Callable[[Path], None]) -> None:
    frozen = all_of(study.bench(), study, study.partition, **FIXED)
    expected, rows = values(frozen), rows_of(frozen)
    folder = rows.stores()[0].folder
    harm(folder)
    shards._rows_of.cache_clear()  # as in another process
    assert len(rows.lacking()) == len(set(rows.names))
    with pytest.raises(StorageError, match=f"{len(expected)} of {len(expected)} rows of features are not in"):
        StoredInputs(rows, "fp32", torch.device("cpu"))
    assert values(all_of(study.bench(), study, study.partition, **FIXED)) == expected
    assert [path.name for path in (study.cache / "features").iterdir()] == [folder.name]


def test_equal_images_are_one_row(tmp_path: Path) -> None:
    rows = feature_rows("k", tmp_path, ["a 0", "b 0", "a 0", "c 1", "b 0"], ((2,),), "fp32", "cpu")
    rows.prepare()
    (part,) = rows.missing()
    assert rows.places(part).tolist() == [0, 1, 3]
    assert rows.total_bytes == 3 * 2 * 4
    rows.store(part).write(part.chunk, {"frontier0": np.arange(6).reshape(3, 2)})
    stored = StoredInputs(rows, "fp32", torch.device("cpu"))
    assert stored.everything().tolist() == [[0, 1], [2, 3], [0, 1], [4, 5], [2, 3]]
    assert stored.gather(torch.tensor([4, 2]))[0].tolist() == [[2, 3], [0, 1]]

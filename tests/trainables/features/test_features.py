"""Features are computed once, part by part, to the same bytes whoever computes them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from orchestrator.store.errors import InputError
from tests.support.checkout import ROOT
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.workbench import Workbench
from trainables.features import store as features
from trainables.features.arrays import ArraySpec, ChunkedArrays
from trainables.features.frozen import Frozen
from trainables.features.pixels import Standard
from trainables.features.store import StoredInputs, compute_chunk, feature_key


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path)


def bytes_of(store: ChunkedArrays) -> dict[str, bytes]:
    return {spec.name: (store.folder / f"{spec.name}.bin").read_bytes() for spec in store.specs}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each part that is computed from now on."""
    rows, real = list[int](), compute_chunk

    def noting(stores: Any, chunk: int, *rest: Any) -> None:
        rows.append(len(stores[0].rows_of(chunk)))
        real(stores, chunk, *rest)

    monkeypatch.setattr("trainables.features.frozen.compute_chunk", noting)
    return rows


def computed(bench: Workbench, frozen: Frozen) -> ChunkedArrays:
    """The one shard that its features lie in."""
    bench.compute_missing(frozen)
    assert frozen.features is not None
    (store,) = frozen.features.stores()
    return store


@pytest.mark.parametrize("unfrozen", [0, 1])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_bytes_do_not_depend_on_chunks_or_their_order(study: TinyStudy, unfrozen: int, precision: str) -> None:
    bench = study.bench()
    configuration = study.configuration(unfrozen=unfrozen, precision=precision, views=2)
    frozen = bench.frozen_ready(configuration, study.partition)
    expected = computed(bench, frozen)
    assert expected.rows == frozen.samples.rows == 2 * 25 + 12
    reader, prefix = frozen.reader(bench.device), bench.prefix([frozen])
    for chunk_rows in (16, 48):
        other = ChunkedArrays(study.cache / f"by-{chunk_rows}", expected.specs, expected.rows, chunk_rows)
        other.prepare()
        for chunk in reversed(other.missing()):
            compute_chunk([other], chunk, np.asarray(other.rows_of(chunk)), prefix, reader, precision)
        assert bytes_of(other) == bytes_of(expected)


@pytest.mark.parametrize("backbone", ["timm:test_resnet.r160_in1k", "timm:test_vit.r160_in1k"])
def test_bytes_do_not_depend_on_the_cuts_computed_beside(study: TinyStudy, tmp_path: Path, backbone: str) -> None:
    def frozen_of(bench: Workbench) -> list[Frozen]:
        configurations = [study.configuration(backbone=backbone, unfrozen=u) for u in (0, 1, 3)]
        return [bench.frozen_ready(c, study.partition) for c in configurations]

    bench = study.bench()
    alone = [bytes_of(computed(bench, frozen)) for frozen in frozen_of(bench)]
    other = Workbench(study.storage, dataclasses.replace(study.places, cache=tmp_path / "other"), torch.device("cpu"))
    several = frozen_of(other)
    other.reserve(several)
    assert several[0].features is not None
    (part,) = several[0].features.missing()
    other.compute(several, part)
    for frozen, expected in zip(several, alone, strict=True):
        assert frozen.features is not None
        assert frozen.features.missing() == []
        assert bytes_of(computed(other, frozen)) == expected


def test_a_tail_is_computed_in_a_batch_of_full_size(study: TinyStudy) -> None:
    bench = study.bench()
    frozen = bench.frozen_ready(study.configuration(), study.partition)
    sizes = []

    class Noting(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
            sizes.append(len(images))
            return (images.mean(dim=(2, 3)),)

    store = ChunkedArrays(study.cache / "t", [ArraySpec("frontier0", (3,), "float32")], frozen.samples.rows, 64)
    store.prepare()
    compute_chunk([store], 0, np.arange(store.rows), Noting(), frozen.reader(bench.device), "fp32")
    assert sizes == [16, 16, 16]
    assert store.open()["frontier0"].shape == (37, 3)
    assert np.abs(store.open()["frontier0"]).min(axis=1).all(), "every row is written"


OTHER_PROCESS = """
import sys, torch
from pathlib import Path
from orchestrator.store.storage import LocalStorage
from trainables.machine.places import Places
from trainables.bundles.workbench import Workbench
torch.set_num_threads(1)
folder, data, cache, partition, configuration_id = sys.argv[1:]
bench = Workbench(LocalStorage(Path(folder)), Places(Path(data), Path(cache), "none"), torch.device("cpu"))
frozen = bench.frozen_ready(bench.configuration(configuration_id), partition)
bench.compute_missing(frozen)
print(frozen.features.stores()[0].folder)
"""


def test_another_process_computes_the_same_bytes(study: TinyStudy, tmp_path: Path) -> None:
    bench, configuration = study.bench(), study.configuration(unfrozen=1)
    mine = computed(bench, bench.frozen_ready(configuration, study.partition))
    arguments = [study.folder, study.data, tmp_path / "other cache", study.partition, configuration.id]
    run = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    theirs = ChunkedArrays.load(Path(run.stdout.strip()))
    assert theirs.folder != mine.folder
    assert theirs.folder.name == mine.folder.name
    assert bytes_of(theirs) == bytes_of(mine)


def test_only_missing_chunks_are_computed(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "CPU_CHUNK", 16)
    bench, configuration = study.bench(), study.configuration()
    frozen = bench.frozen_ready(configuration, study.partition)
    store = computed(bench, frozen)
    assert store.chunks == 3
    before = bytes_of(store)
    store.discard(1)
    asked = counted(monkeypatch)
    study.bench().material(configuration, study.partition)
    assert asked == [16]
    assert bytes_of(store) == before


def test_an_image_changed_before_decoding_stops_the_stage(study: TinyStudy) -> None:
    bench, configuration = study.bench(), study.configuration()
    file = bench.samples(configuration, study.partition).images["file"][0]
    other = bench.samples(configuration, study.partition).images["file"][1]
    (study.data / file).write_bytes((study.data / other).read_bytes())
    with pytest.raises(InputError, match="is not the image that the study was made from"):
        bench.material(configuration, study.partition)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_gathered_is_what_was_computed(study: TinyStudy, precision: Any) -> None:
    bench = study.bench()
    frozen = bench.frozen_ready(study.configuration(unfrozen=1, precision=precision), study.partition)
    computed(bench, frozen)
    assert frozen.features is not None
    inputs = StoredInputs(frozen.features, precision, torch.device("cpu"))
    rows = np.arange(16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        expected = bench.prefix([frozen])(frozen.reader(bench.device).batch(rows))
    order = torch.tensor([5, 0, 15, 5])
    for got, value in zip(inputs.gather(order), expected, strict=True):
        assert got.dtype == torch.float32
        stored = value.to(torch.bfloat16) if precision == "bf16" else value
        assert torch.equal(got, stored.to(torch.float32)[order])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        everything = inputs.everything()
    assert torch.equal(everything[order], inputs.gather(order)[0])


def test_the_key_covers_what_changes_a_feature(study: TinyStudy) -> None:
    third = (0.2, 0.2, 0.2)

    def key(layer: str = "l", mean: float = 0.5, width: int = 8, purpose: str = "", **changes: Any) -> str:
        valid, calibration = changes.pop("valid", None), changes.pop("calibration", "")
        c = study.configuration(**changes)
        return feature_key(c, (mean,) * 3, third, layer, ((width,),), valid, calibration, purpose)

    base = key()
    assert key(lr=0.3, batch_size=3, optimiser="adam", dropout=0.1, non_linearities=2) == base
    assert key(views=2, balance="ngca", study_seed=6) == base, "of which rows says nothing of a row"
    assert key(balance="class_weights", classes=("many", "few")) == base
    others = [
        key("m"),
        key(mean=0.4),
        key(width=9),
        key(valid=Standard(third, third)),
        key(calibration="c"),
        key(purpose="check"),
        key(backbone="timm:test_vit.r160_in1k"),
        key(weights="init:6"),
        key(precision="bf16"),
        key(image_size=24),
        key(store_size=40),
        key(interpolation="lanczos"),
    ]
    assert len({base, *others}) == len(others) + 1

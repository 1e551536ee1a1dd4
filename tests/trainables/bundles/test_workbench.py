"""One workbench serves many configurations and partitions, and never hands one the things of another."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.store.errors import InputError
from orchestrator.store.schema import ENGINE
from search_spaces.form import Form
from search_spaces.live import Scope
from tests.support.checkout import ROOT
from tests.support.tiny_study import TinyStudy, assert_same_result, make_tiny_study
from trainables import chunks
from trainables.bundles.workbench import Workbench, open_bench
from trainables.features.arrays import ChunkedArrays
from trainables.features.frozen import calibration_rows
from trainables.features.shards import Part
from trainables.network.backbone import skeleton
from trainables.network.division import FEATURES, PIXELS
from trainables.network.frontier import places_to_cut


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return make_tiny_study(tmp_path)


def other_partition(study: TinyStudy) -> str:
    """The same test groups, train and valid exchanged in part: all images of the first are seen in both."""
    groups = study.groups()
    train = sorted(name for name, split in groups.items() if split == "train")
    valid = sorted(name for name, split in groups.items() if split == "valid")
    return study.add_partition({**groups, **dict.fromkeys(train[::3], "valid"), **dict.fromkeys(valid[::2], "train")})


@pytest.mark.parametrize("settings", [{}, {"unfrozen": 1, "lr": 0.02}], ids=["frozen", "unfrozen"])
def test_two_partitions_of_the_same_images(study: TinyStudy, settings: dict[str, Any]) -> None:
    """Features may be shared; who is trained on and who is scored may not."""
    c = study.configuration(standardisation="weights", mean=(0.4,) * 3, std=(0.2,) * 3, **settings)
    other = other_partition(study)
    bench = study.bench()
    one, two = bench.material(c, study.partition), bench.material(c, other)
    assert one.samples.training.tolist() != two.samples.training.tolist()
    alone = study.bench().material(c, other)
    assert two.samples.training.tolist() == alone.samples.training.tolist()
    assert two.samples.scoring["valid"].tolist() == alone.samples.scoring["valid"].tolist()
    if c.adaptation.unfrozen:
        assert two.suffix is not None
        assert alone.suffix is not None
        theirs = alone.suffix.state_dict()
        assert all(torch.equal(value, theirs[name]) for name, value in two.suffix.state_dict().items())
    again = bench.material(c, study.partition)
    assert again.samples.training.tolist() == one.samples.training.tolist()


def test_other_weights_beside_equal_features(study: TinyStudy) -> None:
    bench = study.bench()
    plain, weighted = study.configuration(), study.configuration(balance="class_weights")
    stores = [bench.frozen_ready(c, study.partition).features for c in (plain, weighted)]
    assert len({store.folder for store in stores if store}) == 1
    assert bench.material(plain, study.partition).weights is None
    assert bench.material(weighted, study.partition).weights is not None
    assert bench.material(plain, study.partition).weights is None


def test_an_extra_column(study: TinyStudy) -> None:
    bench = study.bench()
    plain, scored = (study.configuration(balance="ngca", score_augmented=also) for also in (False, True))
    assert list(bench.material(plain, study.partition).samples.scoring) == ["train", "valid"]
    assert list(bench.material(scored, study.partition).samples.scoring) == ["train", "valid", "valid_views"]
    assert list(bench.material(plain, study.partition).samples.scoring) == ["train", "valid"]


def test_one_image_standardised_in_two_ways(study: TinyStudy) -> None:
    bench = study.bench()
    by_train = study.configuration()
    by_weights = study.configuration(standardisation="weights", mean=(0.1,) * 3, std=(0.9,) * 3)
    first = bench.material(by_train, study.partition).features
    second = bench.material(by_weights, study.partition).features
    assert first is not None
    assert second is not None
    assert not torch.equal(first, second)
    alone = study.bench().material(by_weights, study.partition).features
    assert alone is not None
    assert torch.equal(alone, second)


def whole_network(study: TinyStudy, backbone: str) -> int:
    return study.bench().facts(study.configuration(backbone=backbone)).weight_layers


def test_networks_trained_from_the_pixels_are_told_apart(study: TinyStudy) -> None:
    """Two backbones with the same number of live layers read the same squares; and so do two sets of views."""
    one, two = "timm:test_resnet.r160_in1k", "timm:test_byobnet.r160_in1k"
    bench = study.bench()
    first = study.configuration(backbone=one, unfrozen=whole_network(study, one), lr=0.01)
    viewed = study.configuration(backbone=one, unfrozen=whole_network(study, one), lr=0.01, views=2)
    second = study.configuration(backbone=two, unfrozen=1, lr=0.01)
    materials = [bench.material(c, study.partition, PIXELS) for c in (first, second, viewed)]
    assert [material.layer for material in materials] == [PIXELS] * 3
    for material, c in zip(materials, (first, second, viewed), strict=True):
        expected = study.bench().material(c, study.partition, PIXELS)
        assert material.suffix is not None
        assert expected.suffix is not None
        assert material.width == expected.width
        theirs = expected.suffix.state_dict()
        mine = material.suffix.state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
        assert material.samples.rows == expected.samples.rows
        assert material.inputs is not None
        assert expected.inputs is not None
        rows = torch.tensor([material.samples.rows - 1, 0])
        assert torch.equal(material.inputs.gather(rows)[0], expected.inputs.gather(rows)[0])


def test_results_do_not_depend_on_what_the_process_did_before(study: TinyStudy, tmp_path: Path) -> None:
    """One workbench, many configurations and partitions in turn; and each in a process and a cache of its own."""
    settings: list[dict[str, Any]] = [
        {"unfrozen": 1, "lr": 0.02},
        {},
        {"backbone": "timm:test_vit.r160_in1k", "unfrozen": 1, "lr": 0.01},
        {"standardisation": "weights", "mean": (0.4,) * 3, "std": (0.2,) * 3},
        {"balance": "ngca"},
        {"precision": "bf16"},
        {"weights": "init:5", "views": 2, "unfrozen": 1, "lr": 0.02},
    ]
    bench = study.bench()
    together = [study.train(study.configuration(**s), (0, 1), 2, bench) for s in settings]
    for number, (s, finals) in enumerate(zip(settings, together, strict=True)):
        folder = tmp_path / f"alone-{number}"
        alone = TinyStudy(folder, study.data, folder / "c", study.classes, study.partition, study.fingerprint)
        for path in ("dataset/manifest.parquet", f"partitions/{study.partition}.parquet"):
            alone.storage.create(path, study.storage.read(path))
        for repeat, expected in alone.train(alone.configuration(**s), (0, 1), 2).items():
            assert_same_result(finals[repeat], expected)


def test_fresh_networks_are_calibrated_on_training_images_of_all_classes(study: TinyStudy) -> None:
    samples = study.bench().samples(study.configuration(views=2), study.partition)
    rows = calibration_rows(samples)
    assert len(set(rows.tolist())) == len(rows) == 25
    assert (samples.views[rows, 1] == 0).all()
    assert set(rows.tolist()) <= set(samples.training.tolist())
    assert set(samples.labels[rows[np.array([0, -1])]].tolist()) == {0, 1}


def test_what_partition_came_first_does_not_matter_to_fresh_networks(study: TinyStudy, tmp_path: Path) -> None:
    c = study.configuration(standardisation="weights", mean=(0.4,) * 3, std=(0.2,) * 3)
    other = other_partition(study)
    bench = study.bench()
    first = bench.material(c, study.partition).features
    bench.material(c, other)
    places = study.places.__class__(study.data, tmp_path / "elsewhere", "none")
    turned = Workbench(study.storage, places, torch.device("cpu"))
    turned.material(c, other)
    second = turned.material(c, study.partition).features
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_other_weights_than_the_studys_are_refused(study: TinyStudy) -> None:
    c = study.configuration(weights="init:77")
    with pytest.raises(InputError, match="the study was made with init:77, found init:5") as raised:
        study.bench().material(c, study.partition)
    assert "--weights FILE" in raised.value.advice


def test_the_frozen_part_ends_where_the_recipe_says(study: TinyStudy) -> None:
    bench = study.bench()
    c = study.configuration(unfrozen=2)
    chosen = bench.frozen_ready(c, study.partition)
    assert chosen.features is not None
    assert bench.frozen(c, study.partition, PIXELS).layer == PIXELS
    assert bench.frozen(c, study.partition, chosen.layer).layer == chosen.layer
    assert bench.frozen(study.configuration(), study.partition).layer == FEATURES


def test_cuts_of_one_layer_and_shape_are_kept_apart(study: TinyStudy) -> None:
    """With 2 and 3 live layers: the normed input of a block and its plain input, both beside the shortcut."""
    bench, backbone = study.bench(), "timm:convnext_atto"
    network = skeleton(Form(backbone, 32))
    folders, shapes = set(), set()
    for unfrozen in (2, 3):
        named = {"standardisation": "weights", "mean": (0.4,) * 3, "std": (0.2,) * 3}
        c = study.configuration(backbone=backbone, unfrozen=unfrozen, weights="sha256:0", **named)
        cut = places_to_cut(network, 32, Scope(unfrozen=unfrozen))[1]
        frozen = bench.frozen(c, study.partition, cut.layer)
        assert frozen.features is not None
        assert frozen.layer == cut.layer
        folders.add(frozen.features.key)
        shapes.add(cut.shapes)
    assert len(shapes) == 1
    assert len(folders) == 2


def test_features_that_are_there_fit_whatever_is_free(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    c = study.configuration(unfrozen=1)
    first = study.bench().material(c, study.partition)
    assert first.layer != PIXELS
    monkeypatch.setattr("trainables.features.frozen.room", lambda _: 0.0)
    assert study.bench().frozen(c, study.partition).layer == first.layer
    other = study.configuration(unfrozen=1, precision="bf16")
    assert study.bench().frozen(other, study.partition).layer == PIXELS


@pytest.mark.parametrize("unfrozen", [0, 1])
@pytest.mark.parametrize("harm", ["removed", "cut short", "flipped"])
@pytest.mark.parametrize("kind", ["features", "pixels"])
def test_harm_to_the_cache_is_repaired(study: TinyStudy, unfrozen: int, harm: str, kind: str) -> None:
    c = study.configuration(unfrozen=unfrozen)
    study.bench().material(c, study.partition)
    (file,) = (study.cache / kind).rglob("*.bin") if not unfrozen else sorted((study.cache / kind).rglob("*.bin"))[:1]
    content = file.read_bytes()
    if harm == "removed":
        file.unlink()
    elif harm == "cut short":
        file.write_bytes(content[: len(content) // 2])
    else:
        file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    bench = study.bench()
    store = ChunkedArrays.load(file.parent)
    bench.material(c, study.partition)
    assert store.missing() == []
    assert file.read_bytes() == content


def test_a_configuration_of_another_engine_is_refused(study: TinyStudy) -> None:
    c = study.configuration(engine=ENGINE + 1)
    with pytest.raises(InputError, match=f"{c.id}: expected engine {ENGINE}, .* found engine {ENGINE + 1}") as raised:
        study.bench().configuration(c.id)
    assert "with the version of orch that made it" in raised.value.advice
    assert study.bench().configuration(study.configuration().id).engine == ENGINE


@pytest.fixture
def process() -> Iterator[None]:
    """A process without a workbench; its settings are put back."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, matmul.allow_tf32
    chunks._kept = None
    yield
    chunks._kept = None
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic, matmul.allow_tf32 = before


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize("who", ["a worker", "a command"])
def test_whoever_opens_a_bench_computes_alike(study: TinyStudy, who: str) -> None:
    """fp32 is not TF32, and the bits are the same each time."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    cudnn.allow_tf32 = matmul.allow_tf32 = cudnn.benchmark = True
    cudnn.deterministic = False
    if who == "a worker":
        chunks.workbench(str(study.folder), study.places)
    else:
        open_bench(study.storage, study.places)
    assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic) == (False, False, False, True)


def test_there_is_one_way_to_open_a_bench() -> None:
    files = [path for room in ("trainables", "orchestrator", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    makers = [path.relative_to(ROOT).as_posix() for path in files if re.search(r"\bWorkbench\(", path.read_text())]
    assert makers == ["trainables/bundles/workbench.py"]


@pytest.mark.parametrize(("device", "expected"), [("cuda", ["computed", "emptied"]), ("cpu", ["computed"])])
def test_an_idle_feature_worker_holds_no_memory_of_the_gpu(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch, device: str, expected: list[str]
) -> None:
    bench, acts = Workbench(study.storage, study.places, torch.device(device)), []
    monkeypatch.setattr(chunks, "workbench", lambda *_: bench)
    monkeypatch.setattr(bench, "compute", lambda *_: acts.append("computed"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: acts.append("emptied"))
    told = str(study.folder), study.places, [(study.configuration().id, "")]
    chunks._feature_part(*told, study.partition, Part("shard", 0, 0, 1))
    assert acts == expected


def test_one_network_is_held_at_a_time(study: TinyStudy) -> None:
    """Of the one before nothing stays: neither what it was cut into nor what was learned from."""
    bench = study.bench()
    deep = study.configuration(unfrozen=1)
    frozen = bench.frozen_ready(deep, study.partition)
    first = [bench.network(frozen), bench.material(deep, study.partition).suffix, *bench.whole(frozen)]
    held = [weakref.ref(part) for part in first if part is not None]
    del first
    assert all(part() is not None for part in held)
    bench.material(study.configuration(backbone="timm:test_vit.r160_in1k"), study.partition)
    gc.collect()
    assert [part() for part in held] == [None] * len(held)


def test_a_network_that_is_drawn_anew_whole_is_not_calibrated(study: TinyStudy) -> None:
    bench = study.bench()
    whole, drawn = (
        study.configuration(adaptation="whole", start=start, norms="moving") for start in ("weights", "drawn")
    )
    assert bench.frozen_ready(whole, study.partition).calibration
    assert not bench.frozen_ready(drawn, study.partition).calibration
    body = bench.material(drawn, study.partition).fresh
    assert body is not None
    means = [value for name, value in body(0).items() if name.endswith("running_mean")]
    assert means
    assert not any(value.any() for value in means), "statistics begin as the library makes them"

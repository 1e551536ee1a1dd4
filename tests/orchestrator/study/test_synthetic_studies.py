"""Each study that comes with the program, without any data: images of its own kind are made, and it is searched."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.running.progress import Display
from orchestrator.search import Search, SearchOptions, resolve_search
from orchestrator.store.errors import InputError
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest, find_space, prepare, reopen
from orchestrator.study.studies import find_study
from search_spaces.changes import Changes
from search_spaces.loader import bundled, load_space
from search_spaces.synthetic import SYNTHETIC
from tests.support.configurations import asked
from tests.support.tiny_study import TinyStudy
from trainables.data.options import DatasetOptions
from trainables.data.synthetic.making import Kind, make_synthetic

STUDIES = [name for name in bundled() if name != "default"]
TINY = "timm:test_resnet.r160_in1k"


def small(kind: Kind) -> Kind:
    """Four groups of each class, small images."""
    each = len(kind.classes)
    return replace(kind, groups=(4,) * each, images=(5,) * each, image_size=48)


@pytest.fixture(autouse=True)
def small_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    load = SYNTHETIC.load
    monkeypatch.setattr(SYNTHETIC, "load", lambda name: small(load(name)))


def searched(folder: Path, name: str, changes: Changes | None = None) -> Search:
    options = SearchOptions(
        *(name, (TINY,), folder / "studies", folder / "cache"),
        changes=changes or Changes(),
        given=Given(weights="none", precision="fp32"),
    )
    return resolve_search(options, Display())


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_searched_from_nothing(name: str, tmp_path: Path) -> None:
    search = searched(tmp_path, name, asked(strategies=("straightforward",), lr=(0.01,), batch_size=(8,), epochs=1))
    record, kind = search.study.record, SYNTHETIC.load(load_space(name).synthetic)
    assert (record.name, record.synthetic, record.synthetic_kind) == (f"{name}-demo", True, kind.name)
    assert set(record.classes) == set(kind.classes)
    configuration = next(iter(search.asked.configurations.values()))
    data, partition = search.prepared.data_root, record.partition
    assert data == tmp_path / "cache" / "synthetic" / f"{kind.name}-0"
    folder = tmp_path / "studies" / record.name
    study = TinyStudy(folder, data, tmp_path / "cache", record.classes, partition, record.data_fingerprint)
    final = study.train(configuration, (0,), 1)[0]
    assert final.history.epochs == 1


@pytest.mark.parametrize("name", STUDIES)
def test_a_small_grid_is_asked_unless_all_of_it_is(name: str, tmp_path: Path) -> None:
    search = searched(tmp_path, name)
    assert sum(sum(epochs.values()) for epochs in search.epochs.values()) < 500
    assert {repeat for epochs in search.epochs.values() for repeat in epochs} <= {0, 1, 2}


def test_images_that_are_gone_are_made_again(tmp_path: Path) -> None:
    first = searched(tmp_path, "hep2")
    shutil.rmtree(first.prepared.data_root)
    study = find_study(tmp_path / "studies", "hep2-demo")
    assert study is not None
    again = reopen(study, None, tmp_path / "cache")
    assert again.data_root == first.prepared.data_root
    assert len([*again.data_root.rglob("*.png")]) == 30


def test_synthetic_images_that_somebody_gives_stay_his_own(tmp_path: Path) -> None:
    folder = make_synthetic(tmp_path / "given", SYNTHETIC.load("hep2"), seed=4)
    data, space = DataRequest(folder, DatasetOptions()), load_space("hep2")
    made = prepare("hep2", space, tmp_path / "studies", tmp_path / "cache", data, 0, "fp32", lambda _: None)
    record = made.study.record
    assert (record.name, record.synthetic, record.synthetic_kind) == ("hep2", True, "")
    assert reopen(made.study, None, tmp_path / "cache").data_root == folder


def test_a_file_whose_classes_no_kind_has(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nsynthetic = "hep2"\nclasses = ["a", "b"]\n')
    space = find_space(str(file), tmp_path, DataRequest())
    with pytest.raises(InputError, match=r"needs images.*of the kind hep2 have the classes homogeneous, speckled"):
        prepare(str(file), space, tmp_path / "studies", tmp_path / "cache", DataRequest(), 0, "fp32", lambda _: None)

"""Each study that comes with the program, without any data: images of its own kind are made, and it is searched."""

from __future__ import annotations

import functools
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.resolved import Search
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.stages import in_order
from orchestrator.store.errors import InputError
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest, find_space, prepare, reopen
from orchestrator.study.studies import find_study
from search_spaces.changes import Changes
from search_spaces.loader import bundled, load_space
from search_spaces.points import points
from search_spaces.synthetic import SYNTHETIC
from tests.support.checkout import ROOT
from tests.support.configurations import asked
from tests.support.tiny_study import TinyStudy
from trainables.data.options import DatasetOptions
from trainables.data.synthetic.making import Kind, make_synthetic
from trainables.network.backbone import architecture_of

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


@pytest.mark.parametrize(
    ("name", "strategy"), [(name, strategy) for name in STUDIES for strategy in load_space(name).strategies]
)
def test_a_study_is_searched_from_nothing(name: str, strategy: str, tmp_path: Path) -> None:
    """A repeat of each strategy, with the settings of the small preset."""
    search = searched(tmp_path, name, asked(strategies=(strategy,), epochs=1))
    record, kind = search.study.record, SYNTHETIC.load(load_space(name).synthetic)
    assert (record.name, record.synthetic, record.synthetic_kind) == (f"{name}-demo", True, kind.name)
    assert set(record.classes) == set(kind.classes)
    configuration = next(iter(search.asked.configurations.values()))
    assert configuration.strategy == strategy
    data, partition = search.prepared.data_root, record.partition
    assert data == tmp_path / "cache" / "synthetic" / f"{kind.name}-0"
    folder = tmp_path / "studies" / record.name
    study = TinyStudy(folder, data, tmp_path / "cache", record.classes, partition, record.data_fingerprint)
    final = study.train(configuration, (0,), 1)[0]
    assert final.history.epochs == 1


built = functools.cache(architecture_of)
"""Studies share networks."""


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("small", [True, False])
def test_every_network_can_be_built_as_the_file_asks(name: str, small: bool) -> None:
    space = load_space(name)
    for entry in space.backbones:
        stages = [stage for stage in space.stages if stage.backbones is None or entry.name in stage.backbones]
        found = points(space, entry.name, small=small)
        deepest = [point.unfrozen for stage in stages for point in points(space, entry.name, small=small, stage=stage)]
        for form in {point.form(entry.name) for point in found}:
            assert built(form).facts.weight_layers >= max([*deepest, 0]), form


def first_commands() -> dict[str, tuple[str, ...]]:
    """By study the backbones of its first command in the docs."""
    text = (ROOT / "docs" / "reproducing.md").read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for line in re.findall(r"^orch search .*$", text, re.M):
        name, *backbones = shlex.split(line, comments=True)[2:]
        found.setdefault(name, tuple(backbones))
    return found


@pytest.mark.parametrize("name", STUDIES)
def test_first_command_of_the_docs(name: str, tmp_path: Path) -> None:
    """All that it trains, its stages too, is possible and little; of the four that their reports made wide there is a
    network from scratch, an augmentation and a stage among it."""
    options = SearchOptions(
        *(name, first_commands()[name], tmp_path / "studies", tmp_path / "cache"),
        given=Given(weights="none", precision="fp32"),
    )
    turns = list(in_order(options, Display(), writes=False))
    found = [c for turn in turns for c in turn.search.asked.configurations.values()]
    assert sum(sum(epochs.values()) for turn in turns for epochs in turn.search.epochs.values()) < 500
    if name != "neuroblastoma":
        assert "scratch" in {c.strategy for c in found}
        assert {c.augmentation.names for c in found} != {("none",)}
        assert [turn for turn in turns if turn.title]
        assert all(c.image.size < 100 for c in found)


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

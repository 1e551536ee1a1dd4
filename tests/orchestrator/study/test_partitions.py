"""A search over several partitions: what is asked, what is written, what is owed, what is shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator.command_line import main
from orchestrator.resolved import Search
from orchestrator.results.decided import Decided
from orchestrator.results.summary import summarise
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.searches import search_file
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import find_study
from tests.support.configurations import asked
from tests.support.predicted_study import predicted_study
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, label in enumerate("ab"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for group in range(7):
            pixels = np.random.default_rng([index, group]).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"g{group}_{index}.png")
    return tmp_path


GROUPED = DatasetOptions(group_by=r"(g\d)")


def resolve(
    folder: Path,
    partitions: int | None,
    *,
    given: bool = True,
    writes: bool = True,
    data: str = "images",
    options: DatasetOptions = GROUPED,
) -> Search:
    source = folder / data if given else None
    options = options if given else DatasetOptions()
    changes = asked(strategies=("straightforward",), lr=(0.1, 0.2), batch_size=(4,), repeats=2, epochs=1)
    search = SearchOptions(
        *("mine", ("squeezenet1_1",), folder / "studies", folder / "cache"),
        data=DataRequest(source, options, partitions),
        changes=changes,
        given=Given(weights="none"),
    )
    return resolve_search(search, Display(), writes=writes)


def stored(folder: Path) -> list[Partition]:
    study = find_study(folder / "studies", "mine")
    assert study is not None
    names = study.storage.list(layout.PARTITIONS)
    return [Partition.from_bytes(study.storage.read(f"{layout.PARTITIONS}/{name}"), name) for name in names]


def test_every_configuration_is_owed_on_every_partition(folder: Path) -> None:
    search = resolve(folder, 3)
    own = search.study.record.partition
    assert len(search.epochs) == 2 * 3
    assert next(iter(search.epochs))[0] == own
    partitions = {partition for partition, _ in search.epochs}
    assert {lane.partition for lane in search.owed_lanes()} == partitions
    assert len(search.owed_lanes()) == 6 * 2
    found = stored(folder)
    assert {partition.id for partition in found} == partitions
    tests = {frozenset(g for g, s in partition.groups.items() if s == "test") for partition in found}
    assert len(tests) == 1


def with_folds(folder: Path) -> str:
    lines = ["file,label,group,fold"]
    lines += [f"{label}/g{g}_{i}.png,{label},g{g},{g % 3}" for i, label in enumerate("ab") for g in range(7)]
    (folder / "images" / "t.csv").write_text("\n".join(lines))
    return "images/t.csv"


FOLDED = DatasetOptions(fold_column="fold", test_fold="2")


def test_folds_of_the_data_are_the_partitions(folder: Path) -> None:
    search = resolve(folder, None, data=with_folds(folder), options=FOLDED)
    turned = {frozenset(g for g, split in partition.groups.items() if split == "valid") for partition in stored(folder)}
    assert turned == {frozenset({"g0", "g3", "g6"}), frozenset({"g1", "g4"})}
    tests = {frozenset(g for g, split in partition.groups.items() if split == "test") for partition in stored(folder)}
    assert tests == {frozenset({"g2", "g5"})}
    assert len(search.epochs) == 2 * 2
    assert resolve(folder, None, given=False).epochs.keys() == search.epochs.keys()
    assert len(resolve(folder, 1, given=False).epochs) == 2
    with pytest.raises(InputError, match="the data has 2 folds"):
        resolve(folder, 3, given=False)


def test_other_folds_are_another_study(folder: Path) -> None:
    data = with_folds(folder)
    resolve(folder, None, data=data, options=FOLDED)
    for other in (DatasetOptions(split_column="none"), DatasetOptions(fold_column="fold", test_fold="1")):
        with pytest.raises(InputError, match="groups, given splits, folds or names of some") as caught:
            resolve(folder, None, data=data, options=other)
    assert "--fold-column fold" in caught.value.advice
    assert "--test-fold 1" in caught.value.advice


def test_equal_images_in_two_folds_are_refused(folder: Path) -> None:
    """g1 and g3 both train in the first partition, where g2 is valid."""
    data = with_folds(folder)
    (folder / "images/a/g1_0.png").write_bytes((folder / "images/a/g0_0.png").read_bytes())
    table = (folder / data).read_text().replace("g2,2", "g2,4").replace("g5,2", "g5,4")
    (folder / data).write_text(table.replace("g6,0", "g6,-1").replace("a,g4,1", "a,g4,-1").replace("b,g4,1", "b,g4,-1"))
    with pytest.raises(InputError, match="equal pixels in different splits"):
        resolve(folder, None, data=data, options=DatasetOptions(fold_column="fold", test_fold="4"))


def test_later_searches_go_on_with_the_same_partitions(folder: Path) -> None:
    two, four = resolve(folder, 2), resolve(folder, 4, given=False)
    decided = Decided.of(two.study.storage)
    searches = sorted(decided.searches.values(), key=lambda search: len(search.partitions))
    assert [len(search.partitions) for search in searches] == [2, 4]
    assert searches[1].partitions[:2] == searches[0].partitions
    assert set(two.epochs) < set(four.epochs)
    assert {c for _, c in two.epochs} == {c for _, c in four.epochs}
    assert len(resolve(folder, 1, given=False).epochs) == 2
    assert len(resolve(folder, 3, given=False).epochs) == 6
    assert len(stored(folder)) == 4


def test_what_exists_is_gone_on_with_even_if_it_would_be_made_otherwise_today(folder: Path) -> None:
    two = resolve(folder, 2)
    study = two.study
    own, other = study.record.partition, next(iter(study.partitions))
    made = Partition.from_bytes(study.partitions[other]).groups
    test = {group: split for group, split in made.items() if split == "test"}
    free = sorted(set(made) - set(test))
    groups = test | {group: "valid" if place < 3 else "train" for place, group in enumerate(free)}
    stranger = Partition(groups, "of another version")
    study.storage.create(layout.partition(stranger.id), stranger.to_bytes())
    (search,) = Decided.of(study.storage).searches.values()
    older = search.model_copy(update={"partitions": (own, stranger.id)})
    study.storage.delete(search_file(search.id))
    study.storage.create(search_file(older.id), older.to_toml())
    assert next(iter(resolve(folder, 3, given=False).study.partitions)) == stranger.id


def test_a_plan_writes_nothing(folder: Path) -> None:
    search = resolve(folder, 3, writes=False)
    assert len(search.owed_lanes()) == 6 * 2
    assert not (folder / "studies").exists()
    resolve(folder, 1)
    resolve(folder, 3, given=False, writes=False)
    assert len(stored(folder)) == 1


def test_more_than_there_can_be_is_refused_before_anything_is_written(folder: Path) -> None:
    with pytest.raises(InputError, match="--partitions 100: only"):
        resolve(folder, 100)
    assert not (folder / "studies").exists()


@pytest.mark.parametrize("value", ["0", "-1", "x", "101"])
def test_numbers_that_are_none_are_refused(value: str) -> None:
    result = CliRunner().invoke(main, ["search", "neuroblastoma", "resnet18", "--partitions", value])
    assert result.exit_code == 2
    assert "--partitions" in result.output


def test_status_tells_partitions_apart_and_counts_configurations_once(tmp_path: Path) -> None:
    storage, study = predicted_study(tmp_path, partitions=3)
    result = CliRunner().invoke(main, ["status", "slides", "--studies", str(tmp_path)])
    assert result.exit_code == 0
    assert "slides: 3 configurations, 72 of 72 repeats done" in result.output
    assert f"3 partitions; {study.ids()[0]} is the study's own" in result.output
    for partition in study.ids():
        assert sum(line.split()[:1] == [partition] for line in result.output.splitlines()) == 3
    summary = summarise(storage)
    assert sorted((member.partition, member.rank) for member in summary.configurations) == sorted(
        (partition, rank) for partition in study.ids() for rank in (1, 2, 3)
    )
    shown = CliRunner().invoke(main, ["status", "slides", "--studies", str(tmp_path), "--json"])
    assert {row["partition"] for row in json.loads(shown.stdout)["configurations"]} == set(study.ids())

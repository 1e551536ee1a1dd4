"""Data with train and test alone: valid is drawn from train, the given test split stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from orchestrator.command_line import main
from orchestrator.resolved import Search
from orchestrator.results.policies import how_divided
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import find_study
from tests.support.configurations import asked
from trainables.data.options import DatasetOptions
from trainables.data.partition import Partition

TEST = {f"g{number}" for number in (6, 7)}
GROUPED = DatasetOptions(group_by=r"(g\d)", valid_from_train=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """train and test folders of classes a and b; eight groups with an image of each class, of which two are test."""
    for index, label in enumerate("ab"):
        for group in range(8):
            split = "test" if f"g{group}" in TEST else "train"
            place = tmp_path / "images" / split / label
            place.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng([index, group]).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"g{group}_{index}.png")
    return tmp_path


def resolve(
    folder: Path, partitions: int | None = None, data: str = "images", options: DatasetOptions = GROUPED
) -> Search:
    changes = asked(strategies=("straightforward",), lr=(0.1,), batch_size=(4,), repeats=2, epochs=1)
    search = SearchOptions(
        *("mine", ("squeezenet1_1",), folder / "studies", folder / "cache"),
        data=DataRequest(folder / data, options, partitions),
        changes=changes,
        given=Given(weights="none"),
    )
    return resolve_search(search, Display(), writes=True)


def stored(folder: Path) -> list[Partition]:
    study = find_study(folder / "studies", "mine")
    assert study is not None
    names = study.storage.list(layout.PARTITIONS)
    return [Partition.from_bytes(study.storage.read(f"{layout.PARTITIONS}/{name}"), name) for name in names]


def held(partition: Partition, split: str) -> set[str]:
    return {group for group, name in partition.groups.items() if name == split}


def as_table(folder: Path, splits: dict[int, str] | None = None) -> str:
    """The same images as a table; `splits` says those of some groups otherwise."""
    lines = ["file,label,group,split"]
    for file in sorted((folder / "images").rglob("*.png")):
        group = file.stem[:2]
        split = (splits or {}).get(int(group[1]), file.parts[-3])
        lines.append(f"{file.relative_to(folder / 'images')},{file.parts[-2]},{group},{split}")
    (folder / "images" / "t.csv").write_text("\n".join(lines) + "\n")
    return "images/t.csv"


def test_valid_is_drawn_from_train_and_test_stays(folder: Path) -> None:
    resolve(folder)
    (partition,) = stored(folder)
    assert partition.policy == "valid_from_train"
    assert held(partition, "test") == TEST
    assert held(partition, "valid")
    assert held(partition, "train") | held(partition, "valid") == {f"g{number}" for number in range(6)}


def test_each_partition_draws_another_valid_beside_one_test_split(folder: Path) -> None:
    assert len(resolve(folder, 3).epochs) == 3
    found = stored(folder)
    assert len({frozenset(held(partition, "valid")) for partition in found}) == 3
    assert {frozenset(held(partition, "test")) for partition in found} == {frozenset(TEST)}
    assert {partition.policy for partition in found} == {"valid_from_train"}
    resolve(folder, 2)
    assert {partition.id for partition in stored(folder)} == {partition.id for partition in found}


def test_a_table_of_train_and_test(folder: Path) -> None:
    options = DatasetOptions(valid_from_train=True)
    resolve(folder, data=as_table(folder), options=options)
    (partition,) = stored(folder)
    assert held(partition, "test") == TEST


@pytest.mark.parametrize("table", [False, True])
def test_without_the_option_it_is_named_before_images_are_read(folder: Path, table: bool) -> None:
    data = as_table(folder) if table else "images"
    for file in (folder / "images").rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        resolve(folder, data=data, options=DatasetOptions(group_by=None if table else r"(g\d)"))
    assert len(caught.value.faults) == 1
    assert "the given splits are train and test only, without valid" in str(caught.value)
    assert "Add --valid-from-train, which draws valid from train by groups" in caught.value.advice
    assert "--layout -/class (for folders)" in caught.value.advice


@pytest.mark.parametrize(
    ("splits", "found"),
    [({0: "valid"}, "only test and train and valid"), ({6: "train", 7: "train"}, "only train")],
)
def test_data_that_have_other_splits_are_refused(folder: Path, splits: dict[int, str], found: str) -> None:
    with pytest.raises(InputError, match=f"expected given splits of train and test only, found {found}"):
        resolve(folder, data=as_table(folder, splits), options=DatasetOptions(valid_from_train=True))


def test_a_group_in_train_and_test_is_refused(folder: Path) -> None:
    (folder / "images/test/a/g6_0.png").rename(folder / "images/test/a/g0_7.png")
    with pytest.raises(InputError, match=r"1 group \(g0 \(test, train\)\) in more than one split"):
        resolve(folder)


def test_what_is_said_of_it(folder: Path) -> None:
    search = ["search", "mine", "squeezenet1_1", "--weights", "none", "--lr", "0.1", "--plan"]
    places = ["--studies", str(folder / "studies"), "--cache", str(folder / "cache")]
    data = ["--data", str(folder / "images"), "--group-by", r"(g\d)", "--valid-from-train"]
    result = CliRunner().invoke(main, [*search, *data, *places])
    assert result.exit_code == 0, result.output
    assert "partition valid_from_train" in result.output
    assert "valid was drawn from the given train split" in how_divided("valid_from_train", 3)
    assert how_divided("given", 0) == "The splits came with the data"
    assert how_divided("stratified", 3) == "Groups are divided by the policy stratified (seed 3)"

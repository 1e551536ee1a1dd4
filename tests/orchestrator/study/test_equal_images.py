"""Published splits that hold a picture twice: what a study makes of them, and that it goes on as it began."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.resolved import Search
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import Duplicates
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import find_study
from tests.support.configurations import asked
from trainables.data.manifest import read_manifest
from trainables.data.options import DatasetOptions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """train, valid and test folders of classes a and b; the first image of a is in train and in test."""
    for index, label in enumerate("ab"):
        for place, split in enumerate(("train", "valid", "test")):
            for number in range(3):
                seed = (
                    [0, 0]
                    if (label, number, split) in (("a", 0, "train"), ("a", 0, "test"))
                    else [index, place, number]
                )
                pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
                path = tmp_path / "images" / split / label / f"{split}_{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return tmp_path


def resolve(folder: Path, duplicates: Duplicates | None = None, partitions: int | None = None) -> Search:
    options = DatasetOptions(group_by="none", duplicates=duplicates)
    search = SearchOptions(
        *("mine", ("squeezenet1_1",), folder / "studies", folder / "cache"),
        data=DataRequest(folder / "images", options, partitions),
        changes=asked(strategies=("straightforward",), lr=(0.1,), batch_size=(4,), repeats=2, epochs=1),
        given=Given(weights="none"),
    )
    return resolve_search(search, Display(), writes=True)


def test_it_is_refused_with_what_can_be_said(folder: Path) -> None:
    with pytest.raises(InputError, match="equal pixels in different splits") as caught:
        resolve(folder)
    assert "--duplicates keep-one or keep-all" in caught.value.advice
    assert find_study(folder / "studies", "mine") is None


def test_one_is_kept_and_the_same_command_goes_on(folder: Path) -> None:
    search = resolve(folder, "keep-one")
    files = read_manifest(search.study.storage.read(layout.MANIFEST))["file"].tolist()
    assert len(files) == 17
    assert "test/a/test_0.png" in files
    assert "train/a/train_0.png" not in files
    assert b'train/a/train_0.png,"equal pixels to test/a/test_0.png, which is kept"' in search.study.storage.read(
        layout.REFUSED
    )
    assert "1 image was left out because an equal one is kept." in search.study.storage.read(layout.NOTES).decode()
    again = resolve(folder)  # as it began, whatever is not said
    assert again.study.record == search.study.record
    with pytest.raises(InputError, match="was made from other data"):
        resolve(folder, "keep-all")


def test_all_are_kept_and_the_study_says_so(folder: Path) -> None:
    search = resolve(folder, "keep-all")
    assert len(read_manifest(search.study.storage.read(layout.MANIFEST))) == 18
    assert "2 images were kept on purpose although an equal one is in another split" in (
        search.study.storage.read(layout.NOTES).decode()
    )
    assert search.study.record.duplicates == "keep-all"
    assert len(resolve(folder, partitions=2).keys) == 2, "on other partitions too"

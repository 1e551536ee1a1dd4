"""Making a study beside somebody else who makes one of the same name, and opening one again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.resolved import Search
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, resolve_search
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.storage import LocalStorage
from orchestrator.study.asked import Given
from orchestrator.study.preparation import DataRequest, Precision, Prepared, find_space, prepare, reopen
from orchestrator.study.studies import Study, find_study, write_study
from orchestrator.study.unwritten import UnwrittenStudy
from tests.support.configurations import asked
from trainables.data.manifest import read_manifest
from trainables.data.options import DatasetOptions

GROUPED = DatasetOptions(group_by=r"(g\d)")


def write_images(folder: Path, seed: int) -> Path:
    """Classes a and b, six groups each with one image of noise."""
    for index, label in enumerate("ab"):
        (folder / label).mkdir(parents=True)
        for group in range(6):
            pixels = np.random.default_rng([seed, index, group]).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"g{group}_{index}.png")
    return folder


@dataclass(frozen=True)
class Place:
    """Two sets of images, and one folder of studies."""

    folder: Path

    @property
    def studies(self) -> Path:
        return self.folder / "studies"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def data(self, which: str) -> DataRequest:
        return DataRequest(self.folder / which, GROUPED)

    def made(self, which: str, seed: int = 0, precision: Precision | None = "fp32") -> Prepared:
        """A study in memory: its maker has seen that there is none of this name."""
        data = self.data(which)
        space = find_space("mine", self.studies, data)
        return prepare("mine", space, self.studies, self.cache, data, seed, precision, lambda _: None)

    def resolve(self, seed: int | None, fit: str = "crop", writes: bool = True, **settings: Any) -> Search:
        tried = {"lr": (0.1,), "batch_size": (4,), "fit": (fit,), **settings}
        changes = asked(strategies=("straightforward",), **tried, repeats=1, epochs=1)
        options = SearchOptions(
            *("mine", ("squeezenet1_1",), self.studies, self.cache, self.data("one"), changes),
            seed=seed,
            given=Given(weights="none"),
        )
        return resolve_search(options, Display(), writes=writes)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_images(tmp_path / "one", 1)
    write_images(tmp_path / "two", 2)
    return Place(tmp_path)


def assert_whole(place: Place, maker: Study) -> None:
    """The study on disk is that of `maker`, record and images."""
    found = find_study(place.studies, "mine")
    assert found is not None
    assert found.record == maker.record
    assert read_manifest(found.storage.read(layout.MANIFEST)).equals(read_manifest(maker.storage.read(layout.MANIFEST)))


def test_features_are_float32_whatever_the_machine_is_fast_at(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (9, 0))
    assert place.made("one", precision=None).study.record.precision == "fp32"
    assert place.made("one", precision="bf16").study.record.precision == "bf16"


@pytest.mark.parametrize(("fit", "told"), [("crop", 1), ("pad", 0), ("squash", 0)])
@pytest.mark.parametrize("writes", [True, False], ids=["search", "plan"])
def test_what_is_cut_off_is_told_before_anything_is_trained(
    place: Place, capsys: pytest.CaptureFixture[str], fit: str, told: int, writes: bool
) -> None:
    for file, size in (("a/g0_0.png", (32, 64)), ("b/g1_1.png", (40, 32))):
        Image.open(place.folder / "one" / file).resize(size).save(place.folder / "one" / file)
    place.resolve(None, fit=fit, writes=writes)
    words = (
        "2 of 12 images are not square; cropping to the centre leaves out 5.8% of the area on average over all images, "
        "50.0% at worst. --set image.fit=pad keeps all of it"
    )
    assert " ".join(capsys.readouterr().err.split()).count(words) == told


@pytest.mark.parametrize("writes", [True, False], ids=["search", "plan"])
def test_counts_of_a_class_that_cannot_be_reached_are_refused_before_anything_is_trained(
    place: Place, writes: bool
) -> None:
    """Four of six images of each class are trained on."""
    with pytest.raises(InputError) as told:
        place.resolve(None, writes=writes, balance=("count",), count=(32, 33, 40))
    words = "balance.count: expected 32 or less (8 views of each of the 4 training images of 'a'), found"
    assert told.value.message == f"study mine: 2 faults\n  - {words} 33\n  - {words} 40"
    assert told.value.advice == "Ask for fewer: --set balance.count=32"
    assert find_study(place.studies, "mine") is None
    place.resolve(None, writes=writes, balance=("count",), count=(32,))


def test_nothing_is_told_of_square_images(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.resolve(None)
    assert "not square" not in capsys.readouterr().err


def test_the_first_of_two_makers_from_different_images_has_the_name(place: Place) -> None:
    first, second = place.made("one").study, place.made("two").study
    write_study(first)
    with pytest.raises(InputError, match="somebody else began to make it, from other data") as raised:
        write_study(second)
    assert raised.value.advice.startswith("Choose another name")
    assert_whole(place, first)


@pytest.mark.parametrize("after", [layout.MANIFEST, layout.REFUSED])
def test_two_makers_step_by_step(place: Place, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """The second begins and ends between any two writes of the first."""
    first, second = place.made("one").study, place.made("two").study
    create, replace_file, others = LocalStorage.create, LocalStorage.replace, [second]

    def interleave(path: str) -> None:
        if path == after and others:
            with pytest.raises(InputError, match="from other data"):
                write_study(others.pop())

    def created(storage: LocalStorage, path: str, content: bytes) -> bool:
        done = create(storage, path, content)
        interleave(path)
        return done

    def replaced(storage: LocalStorage, path: str, content: bytes) -> None:
        replace_file(storage, path, content)
        interleave(path)

    monkeypatch.setattr(LocalStorage, "create", created)
    monkeypatch.setattr(LocalStorage, "replace", replaced)
    write_study(first)
    assert others == []
    assert_whole(place, first)


def test_two_makers_from_the_same_images_make_one_study(place: Place) -> None:
    first, second = place.made("one").study, place.made("one").study
    second = replace(second, record=second.record.model_copy(update={"created": "2026-01-01T00:00:00+00:00"}))
    assert write_study(first).record == write_study(second).record == first.record


def test_two_makers_with_different_seeds_are_told(place: Place) -> None:
    first, second = place.made("one").study, place.made("one", seed=7).study
    write_study(first)
    with pytest.raises(InputError, match="made by somebody else at the same moment, with seed 0, not 7") as raised:
        write_study(second)
    assert raised.value.advice.startswith("Run the same command again")
    assert_whole(place, first)


def test_a_start_that_was_killed_leaves_no_study_and_can_be_made_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = place.made("one").study
    assert isinstance(study.storage, UnwrittenStudy)
    LocalStorage(study.place.path).create(layout.MANIFEST, study.storage.files[layout.MANIFEST])
    LocalStorage(study.place.path).create(layout.REFUSED, b"of an earlier day")
    assert find_study(place.studies, "mine") is None
    written = write_study(place.made("one").study)
    assert written.storage.read(layout.REFUSED) == study.storage.files[layout.REFUSED]


def test_without_a_seed_the_study_s_own_is_used(place: Place) -> None:
    first = place.resolve(seed=3)
    assert first.study.record.seed == 3
    (made,) = first.asked.configurations
    assert list(place.resolve(seed=None).asked.configurations) == [made]
    (other,) = place.resolve(seed=0).asked.configurations.values()
    assert (other.data.seed, other.id == made) == (0, False)


def test_a_new_study_has_the_seed_0(place: Place) -> None:
    search = place.resolve(seed=None)
    assert search.study.record.seed == 0
    assert {c.data.seed for c in search.asked.configurations.values()} == {0}


def test_a_missing_data_root_is_told_with_the_option_that_helps(place: Place) -> None:
    study = write_study(place.made("one").study)
    told: list[str] = []
    reopen(study, None, place.cache, told.append)
    assert told == []
    (place.folder / "one").rename(place.folder / "moved")
    assert reopen(study, None, place.cache, told.append).data_root == place.folder / "one"
    (note,) = told
    assert f"expected a folder {place.folder / 'one'}, found none" in note
    assert "orch resume mine --data-root DIR" in note
    told.clear()
    reopen(study, place.folder / "moved", place.cache, told.append)
    assert told == []


def test_what_was_typed_about_the_data_is_said_again() -> None:
    data = DataRequest(Path("my images"), DatasetOptions(group_column="patient", join_groups=True))
    assert data.typed() == "--data 'my images' --group-column patient --join-groups"

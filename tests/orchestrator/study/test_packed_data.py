"""Studies from archives and arrays: made, asked again, with a cache that was cleaned, and by commands of every kind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.resolved import Search
from orchestrator.running.progress import Display
from orchestrator.search import SearchOptions, reopen_search, resolve_search
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.asked import Given
from orchestrator.study.duplicates_report import look_now
from orchestrator.study.preparation import DataRequest
from orchestrator.study.studies import Study, find_study
from tests.support.checkout import ROOT
from tests.support.configurations import asked
from tests.support.desk import Desk, refused
from tests.support.packing import below, image_archive, image_stack, packed
from trainables.data.manifest import read_manifest
from trainables.data.options import DatasetOptions

GROUPED = DatasetOptions(group_by=r"(g\d)")


class Heard(Display):
    """What a command says, kept."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = list[str]()

    def say(self, message: str) -> None:
        self.lines.append(message)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Place:
    """An archive of images and a folder of studies; searches stop before they train."""

    folder: Path
    heard: Heard = field(default_factory=Heard)

    @property
    def archive(self) -> Path:
        return self.folder / "images.zip"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def study(self) -> Study:
        found = find_study(self.folder / "studies", "mine")
        assert found is not None
        return found

    def search(self, source: Path | None, options: DatasetOptions = GROUPED, writes: bool = True) -> Search:
        self.heard.lines.clear()
        changes = asked(strategies=("straightforward",), lr=(0.1,), batch_size=(4,), repeats=1, epochs=1)
        request = DataRequest(source, options)
        options_ = SearchOptions(
            *("mine", ("squeezenet1_1",), self.folder / "studies", self.cache, request, changes),
            given=Given(weights="none"),
        )
        return resolve_search(options_, self.heard, writes=writes)

    def resume(self, data_root: Path | None = None, cache: Path | None = None) -> Search:
        self.heard.lines.clear()
        return reopen_search(self.study, data_root, None, cache or self.cache, self.heard)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    image_archive(made.archive, tmp_path / "scratch")
    return made


def test_the_study_says_what_it_was_unpacked_from(place: Place) -> None:
    root = place.search(place.archive).places.data_root
    record = place.study.record
    assert record.data_packed == str(place.archive)
    assert record.data_source == str(root)
    assert root == place.cache / "unpacked" / record.data_sha256[:32] / "files" / "images"
    assert f"{place.archive} (SHA-256 {record.data_sha256[:12]}…) is read from {root}." in place.heard.text
    assert set(below(root)) == set(below(place.folder / "scratch"))
    told = place.search(place.archive), place.heard.text
    assert told[0].places.data_root == root
    assert "Unpacking" not in told[1]
    assert place.search(None).places.data_root == root
    assert str(place.archive) not in place.heard.text


def test_a_plan_unpacks_and_stores_no_study(place: Place) -> None:
    assert place.search(place.archive, writes=False).places.data_root.is_dir()
    assert not (place.folder / "studies").exists()


@pytest.mark.parametrize("damage", ["cache", "file", "elsewhere"])
def test_what_is_gone_from_the_cache_is_unpacked_again(place: Place, damage: str) -> None:
    root = place.search(place.archive).places.data_root
    before, cache = below(root), place.cache
    if damage == "cache":
        shutil.rmtree(place.cache)
    elif damage == "file":
        (root / "a" / "g0_0.png").unlink()
    else:  # another machine that sees the study and the archive, with a cache of its own
        place.cache.rename(place.folder / "away")
        cache = place.folder / "own"
    found = place.resume(cache=cache).places.data_root
    assert found == cache / root.relative_to(place.cache)
    assert below(found) == before
    assert "not here" not in place.heard.text
    assert place.search(place.archive).places.data_root == root


def test_without_cache_and_archive_it_says_what_to_give(place: Place) -> None:
    root = place.search(place.archive).places.data_root
    shutil.rmtree(place.cache)
    moved = place.archive.rename(place.folder / "moved.zip")
    place.resume()
    assert f"expected a folder {root}, found none. They were unpacked from {place.archive}" in place.heard.text
    assert "orch resume mine --data-root images.zip" in place.heard.text
    assert place.resume(moved).places.data_root == root
    assert root.is_dir()
    shutil.rmtree(place.cache)
    assert place.search(moved).places.data_root == root


def test_an_archive_that_changed_is_not_taken_for_the_studys(place: Place) -> None:
    place.search(place.archive)
    shutil.rmtree(place.cache)
    image_archive(place.archive, place.folder / "again", top="others/")
    with pytest.raises(InputError, match=r"images.zip is not what study 'mine' was made from: expected SHA-256"):
        place.resume()
    (place.folder / "again" / "a" / "g0_0.png").unlink()
    packed(place.archive, below(place.folder / "again"))
    with pytest.raises(InputError, match="was made from other data: 1 image missing"):
        place.search(place.archive)


def test_a_packed_data_root_beside_a_table(place: Place) -> None:
    table = place.folder / "labels.csv"
    names = sorted(below(place.folder / "scratch"))
    table.write_text("file,label,group\n" + "".join(f"{name},{name[0]},{name[2:4]}\n" for name in names))
    root = place.search(table, DatasetOptions(data_root=place.archive)).places.data_root
    record = place.study.record
    assert (record.data_packed, record.data_source) == (str(place.archive), str(root))
    shutil.rmtree(place.cache)
    assert place.search(None).places.data_root == root
    assert len(below(root)) == 12


def test_a_stack_keeps_its_splits(place: Place) -> None:
    source = image_stack(place.folder / "pathmnist.npz")
    place.search(source, DatasetOptions(group_by="none"))
    manifest = read_manifest(place.study.storage.read(layout.MANIFEST))
    assert manifest.groupby(["split", "label"]).size().to_dict() == {
        **{("train", label): 6 for label in "01"},
        **{(split, label): 3 for split in ("valid", "test") for label in "01"},
    }
    assert "images of 'train_images' (uint8 12 × 32 × 32 × 3), labels of 'train_labels'" in place.heard.text
    shutil.rmtree(place.cache)
    assert place.resume().places.data_root.is_dir()


def test_duplicates_and_the_page_take_an_archive_too(place: Place) -> None:
    root = place.search(place.archive).places.data_root
    shutil.rmtree(place.cache)
    place.archive.rename(place.folder / "moved.zip")
    study, said = place.study, list[str]()
    study.storage.delete(layout.NEAR_DUPLICATES)
    arguments = ["dashboard", "mine", "--with-images", "--data-root", str(place.folder / "moved.zip")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place.folder / "home"))
        look_now(study, place.folder / "moved.zip", said.append)
        result = CliRunner().invoke(main, [*arguments, "--studies", str(place.folder / "studies")])
    assert result.exit_code == 0, result.output
    assert said[0].startswith("Unpacking 12 files")
    assert layout.NEAR_DUPLICATES.partition("/")[2] in study.storage.list("dataset")
    assert (place.folder / "home" / "orch" / root.relative_to(place.cache)).is_dir()


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_training")
def test_faults_of_an_archive_are_one_message_and_status_2(desk: Desk) -> None:
    names = ("../out.png", "/etc/out.png", "a/1.png")
    archive = packed(desk.place / "a.zip", dict.fromkeys(names, b"x"))
    told = refused(
        desk.own("--data", archive), "files that would land outside the folder", "'../out.png', '/etc/out.png'"
    )
    assert "Nothing was unpacked" in told
    refused(desk.run("plan", "mine", "squeezenet1_1", "--data", archive), "would land outside the folder")
    (desk.place / "a.7z").write_bytes(b"x")
    refused(desk.own("--data", desk.place / "a.7z"), "archives of this kind are not supported", "7z x")
    refused(desk.own("--data", desk.place / "gone.zip"), "found nothing there")
    empty = packed(desk.place / "b.tar", {"a/1.txt": b"x"})
    told = refused(desk.own("--data", empty), "no images among 1 files", f"They were unpacked from {empty}")
    assert not desk.studies.exists()


def test_patches_are_cut_from_an_archive(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(desk.place / "home"))
    archive = packed(desk.place / "a.tar.gz", below(desk.data))
    arguments = ["data", "patches", "--size", "32", "--margin", "0", "--json"]
    plain = desk.run(*arguments, desk.data, "--output", desk.place / "one")
    result = desk.run(*arguments, archive, "--output", desk.place / "two")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["patches"] == json.loads(plain.stdout)["patches"]
    assert below(desk.place / "two")["labels.csv"] == below(desk.place / "one")["labels.csv"]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "group_by"), [("images.zip", r"(g\d)"), ("images.tar.xz", r"(g\d)"), ("pathmnist.npz", "none")]
)
def test_from_what_is_packed_to_a_finished_search_and_predictions(tmp_path: Path, name: str, group_by: str) -> None:
    """Every command in a process of its own, as a user types them; the cache is cleaned in between."""
    source = tmp_path / name
    if name.endswith(".npz"):
        image_stack(source)
    else:
        image_archive(source, tmp_path / "scratch")
    home = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "home"), "ORCH_STUDIES": str(tmp_path / "studies")}

    def orch(*arguments: str | Path) -> str:
        command = [sys.executable, "-c", "from orchestrator.command_line import main; main()", *map(str, arguments)]
        ended = subprocess.run(
            command, cwd=tmp_path, env={**home, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    few = ("--weights", "none", "--strategy", "straightforward", "--lr", "0.1", "--batch-size", "4", "--epochs", "1")
    said = orch("search", "mine", "squeezenet1_1", *few, "--repeats", "2", "--data", name, "--group-by", group_by)
    assert "n=2" in said
    shutil.rmtree(tmp_path / "home" / "orch" / "unpacked")
    assert "n=3" in orch("search", "mine", "squeezenet1_1", *few, "--repeats", "3")
    orch("evaluate", "mine", "--tta", "none")
    orch("export", "mine", "--output", "model")
    rows = orch("predict", "model", name).splitlines()
    assert len(rows) == 1 + len(read_manifest((tmp_path / "studies/mine" / layout.MANIFEST).read_bytes()))
    assert all(row.startswith(f"{name}/") and row.endswith(",") for row in rows[1:])

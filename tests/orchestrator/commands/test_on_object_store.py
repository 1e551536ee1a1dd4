"""Every command on a study in an S3 bucket, over the real protocol on loopback. Starts no Ray."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

import orchestrator as orch
from orchestrator.command_line import main
from orchestrator.proposing.deciding import Machine
from orchestrator.resolved import Search
from orchestrator.results.decided import Decided
from orchestrator.running.decider import Decider
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.open import open_storage
from orchestrator.store.place import Place
from orchestrator.store.schema import FinalRecord
from orchestrator.store.storage import LocalStorage, Storage
from orchestrator.study.owed import owed
from tests.support.finished_study import FinishedStudy, finished_study
from tests.support.object_server import SECRET, new_bucket, object_server
from tests.support.tiny_study import assert_same_result, make_tiny_study
from tests.support.waiting import PatientClock, wait_until
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.workbench import Workbench

pytestmark = pytest.mark.usefixtures("to_server")


@dataclass(frozen=True)
class Shelf:
    """A finished study in a bucket; `studies` is the address of its studies, `made` the same study on disk."""

    endpoint: str
    studies: str
    made: FinishedStudy

    @property
    def storage(self) -> Storage:
        return open_storage(f"{self.studies}/study")

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--studies", self.studies])

    def done(self, *arguments: str) -> str:
        """What a command that must succeed wrote to stdout."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with object_server() as address:
        yield address


@pytest.fixture
def to_server(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual variable is all that points to the server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server)


@pytest.fixture(scope="module")
def shelf(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    made = finished_study(tmp_path_factory.mktemp("shelf"), ("few", "many"), probe={}, fast={"lr": 0.1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", server)
        found = Shelf(server, f"s3://{new_bucket(server)}/my/studies", made)
        for path in sorted(made.tiny.folder.rglob("*")):
            if path.is_file():
                found.storage.replace(path.relative_to(made.tiny.folder).as_posix(), path.read_bytes())
        yield found


def refused(result: Result, *parts: str, status: int = 2) -> None:
    """One message, no traceback, no secret."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert SECRET not in result.output
    told = " ".join(result.stderr.split())
    for part in parts:
        assert part in told, told


def test_what_is_read_is_what_lies_on_disk(shelf: Shelf) -> None:
    here = ["--studies", str(shelf.made.studies)]
    for command in (
        ["table", "study", "--per", "epoch"],
        ["best", "study", "--rounds", "50"],
        ["compare", "--study", "study", *[c.id for c in shelf.made.configurations.values()]],
        ["mistakes", "study"],
        ["cost", "study"],
    ):
        assert shelf.done(*command) == CliRunner().invoke(main, [*command, *here]).stdout, command
    assert "4 of 4 repeats done" in shelf.done("status", "study")
    assert "study 'other' is not in " + shelf.studies in shelf.run("status", "other").stderr
    assert "Studies here: study." in shelf.run("status", "other").stderr


def test_the_page_goes_to_the_store_and_elsewhere_when_asked(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shelf.done("dashboard", "study").strip() == f"{shelf.studies}/study/dashboard.html"
    page = shelf.storage.read("dashboard.html")
    assert b"test_resnet" in page
    output = tmp_path / "page.html"
    assert shelf.done("dashboard", "study", "--output", str(output)).strip() == str(output)
    assert b"test_resnet" in output.read_bytes()
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shelf.done("dashboard", "study", "--open")
    (copy,) = opened
    assert copy == (tmp_path / "orch" / "pages" / "study-dashboard.html").as_uri()
    assert (tmp_path / "orch" / "pages" / "study-dashboard.html").read_bytes() == shelf.storage.read("dashboard.html")
    with urllib.request.urlopen(_signed(shelf, "dashboard.html")) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def _signed(shelf: Shelf, path: str) -> str:
    """An address by which a browser reads the file from the bucket."""
    files: Any = shelf.storage.inner.files  # type: ignore[attr-defined]
    return str(files.url(f"{shelf.studies.removeprefix('s3://')}/study/{path}"))


def test_figures_and_comparisons(shelf: Shelf, tmp_path: Path) -> None:
    other = open_storage(f"{shelf.studies}/study2")
    for path in ("study.toml", "dataset/manifest.parquet"):
        content = shelf.storage.read(path)
        other.replace(path, content.split(b"\n", 1)[1] if path == "study.toml" else content)
    told = shelf.done("dashboard", "study", "study2", "--compare")
    assert told.strip() == f"{shelf.studies}/comparison.html"
    assert b"study" in open_storage(shelf.studies).read("comparison.html")
    shelf.run("figures", "study", "--only", "best-repeats")
    assert "captions.md" in shelf.storage.list("figures")
    shelf.run("figures", "study", "--only", "best-repeats", "--output", str(tmp_path / "f"))
    table = next(name for name in shelf.storage.list("figures") if name.endswith(".csv"))
    assert (tmp_path / "f" / table).read_bytes() == shelf.storage.read(f"figures/{table}")


def test_evaluate_counts_looks_beside_the_studies_and_export_writes_here(shelf: Shelf, tmp_path: Path) -> None:
    where = ["--cache", str(shelf.made.tiny.cache)]
    told = shelf.run("evaluate", "study", "--tta", "none", *where)
    assert told.exit_code == 0, told.output
    assert "First look at 7 test images" in told.stderr
    assert "looked at once" in told.stdout
    assert len(open_storage(shelf.studies).list(".looks")) == 1
    assert shelf.run("evaluate", "study", "--tta", "none", *where).stderr.count("no further look") == 1
    model = tmp_path / "model"
    shelf.done("export", "study", "--output", str(model), "--no-onnx", *where)
    image = next((shelf.made.tiny.data / "few").glob("*.png"))
    predicted = CliRunner().invoke(main, ["predict", str(model), str(image)])
    assert predicted.exit_code == 0, predicted.output
    assert str(image) in predicted.stdout


def test_a_study_is_renamed_by_the_stores_own_tool(shelf: Shelf) -> None:
    move = f"aws s3 mv --recursive {shelf.studies}/study {shelf.studies}/other"
    refused(shelf.run("rename", "study", "other"), "expected a study in a folder, found one in an object store", move)
    refused(shelf.run("rename", "study", "study"), "expected nothing there, found something")


def test_a_notebook_and_the_shell(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    here = orch.open(shelf.made.tiny.folder)
    there = orch.open(f"{shelf.studies}/study/")
    pd.testing.assert_frame_equal(there.epochs, here.epochs)
    monkeypatch.setenv("ORCH_STUDIES", shelf.studies)
    assert orch.open("study").name == "study"
    assert "study" in _completed("status", "st")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setattr("orchestrator.study.studies.FIRST_ANSWER_S", 0.5)
    assert _completed("status", "st") == []


def _completed(command: str, begun: str) -> list[str]:
    return [item.value for item in ShellComplete(main, {}, "orch", "_ORCH_COMPLETE").get_completions([command], begun)]


def trained_here(search: Search, *_: object) -> int:
    """In place of Ray: the same decisions and segments under the same leases, in this process."""
    bench = Workbench(open_storage(str(search.study.place.absolute())), search.places, torch.device("cpu"))
    storage = bench.storage
    machine = Machine(1, "cpu", lambda wanted: divide_into_stacks(bench, wanted, 1))
    keys = frozenset(search.keys)
    with Decider(Decided.of(storage), search.searches, keys, machine) as decider:
        wait_until(lambda: decider.poll(1.0))
    for segment in owed(storage, decider.said.segments):
        lease = current_lease(storage, segment.folder)
        taken = Lease.take(storage, segment.folder, lease.number if lease else 0, "cpu")
        assert taken is not None
        run = SegmentRun.begin(bench, segment, taken)
        while not run.advance(60.0):
            pass
    return 0


def finals(storage: Storage) -> dict[str, FinalRecord]:
    """Final records of a study, by the path that names them."""
    found, folders = {}, ["bundles"]
    while folders:
        folder = folders.pop()
        for name in storage.list(folder):
            path = f"{folder}/{name}"
            if folder.endswith("/final"):
                found[path] = FinalRecord.from_bytes(storage.read(path), path)
            elif not name.startswith("attempt") and "." not in name:
                folders.append(path)
    return found


def test_a_search_that_goes_on_ends_in_the_bits_of_one_on_disk(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.train.run", trained_here)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    images = make_tiny_study(tmp_path / "images")
    asked = ["search", "tiny", "timm:test_resnet.r160_in1k", "--weights", "none", "--strategy", "straightforward"]
    asked += ["--lr", "0.01", "--batch-size", "8", "--epochs", "2", "--data", str(images.data)]
    asked += ["--cache", str(tmp_path / "cache")]
    address = f"s3://{new_bucket(server)}/studies"

    def search(studies: str, repeats: int, *more: str) -> Result:
        return CliRunner().invoke(main, [*asked, "--studies", studies, "--repeats", str(repeats), *more])

    planned = search(address, 2, "--plan")
    assert planned.exit_code == 0, planned.output
    assert open_storage(address).list("") == [], "a plan writes nothing"
    first = search(address, 2)
    assert first.exit_code == 0, first.output
    assert f"New study tiny in {address}/tiny." in " ".join(first.stderr.split())
    assert f"Dashboard: {address}/tiny/dashboard.html" in first.stdout
    assert b"test_resnet" in open_storage(f"{address}/tiny").read("dashboard.html")
    assert search(address, 3).exit_code == 0
    again = search(address, 3)
    assert "nothing is left to do" in " ".join(again.stderr.split())
    resumed = CliRunner().invoke(main, ["resume", "tiny", "--studies", address, "--cache", str(tmp_path / "cache")])
    assert "nothing is left to do" in " ".join(resumed.stderr.split())

    for repeats in (2, 3):  # what is trained together has its bits together
        assert search(str(tmp_path / "studies"), repeats).exit_code == 0
    expected = finals(LocalStorage(tmp_path / "studies" / "tiny"))
    found = finals(open_storage(f"{address}/tiny"))
    assert sorted(found) == sorted(expected)
    assert len(found) == 3
    for name, record in expected.items():
        assert_same_result(found[name], record)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("s3://no-such-bucket/studies", ("cannot", "s3://no-such-bucket/studies", "NoSuchBucket", "Make the bucket")),
        ("s3://No_Bucket!/studies", ("cannot", "Invalid bucket name")),
        ("s3://", ("expected a folder or s3://BUCKET/PREFIX", "--studies s3://my-bucket/studies")),
        ("s3:/bucket/studies", ("address 's3:/bucket/studies': expected a folder or s3://BUCKET/PREFIX",)),
        ("simplecache::s3://bucket/studies", ("expected a folder or s3://BUCKET/PREFIX",)),
        ("s3://me:hunter2hunter2@bucket/studies", ("address s3://…@bucket/studies: holds a user name", "AWS_PROFILE")),
        ("memory://studies", ("its files are lost when the process ends", "s3://BUCKET/PREFIX")),
    ],
)
@pytest.mark.parametrize("command", [["status", "x"], ["search", "neuroblastoma", "resnet18"]], ids=" ".join)
def test_a_place_that_cannot_be_used_is_told_before_anything_is_done(
    address: str, parts: tuple[str, ...], command: list[str]
) -> None:
    result = CliRunner().invoke(main, [*command, "--studies", address])
    refused(result, *parts)
    assert "hunter2" not in result.output
    assert result.stdout == ""


def test_a_server_that_is_not_there_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setattr("orchestrator.study.studies.FIRST_ANSWER_S", 1.0)
    clock = PatientClock(monkeypatch)
    for command in (["status", "x"], ["search", "neuroblastoma", "resnet18"], ["compare", "x", "y"]):
        clock.slept_s = 0.0
        result = CliRunner().invoke(main, [*command, "--studies", "s3://bucket/studies"])
        refused(result, "cannot", "Could not connect", "Check the network and AWS_ENDPOINT_URL")
        assert 0.0 < clock.slept_s <= 1.0


def test_keys_that_are_refused(shelf: Shelf) -> None:
    def from_now(count: str) -> None:
        """How many further requests the server answers without a look at their keys."""
        address, kind = f"{shelf.endpoint}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, count.encode(), kind)).close()

    from_now("0")
    try:
        refused(shelf.run("status", "study"), "InvalidAccessKeyId", "Check AWS_ACCESS_KEY_ID")
        refused(shelf.run("search", "neuroblastoma", "resnet18"), "InvalidAccessKeyId", "Check AWS_ACCESS_KEY_ID")
        with pytest.raises(Exception, match="InvalidAccessKeyId"):
            orch.open(f"{shelf.studies}/study")
    finally:
        from_now("Infinity")
    assert shelf.run("status", "study").exit_code == 0


def test_one_may_read_what_one_may_not_write(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError("Access Denied")

    files: Any = shelf.storage.inner.files  # type: ignore[attr-defined]
    monkeypatch.setattr(files, "pipe_file", denied)
    for command in (["status", "study"], ["table", "study"], ["best", "study", "--rounds", "0"]):
        assert shelf.run(*command).exit_code == 0, command
    refused(shelf.run("search", "new", "resnet18", "--data", "nowhere"), "cannot write", "Access Denied", "Check AWS_")
    refused(shelf.run("dashboard", "study"), "cannot write", "dashboard.html", "Access Denied", status=1)
    assert shelf.run("dashboard", "study", "--output", str(tmp_path / "page.html")).exit_code == 0


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setenv("AWS_PROFILE", "another")  # no file system was made with it yet
    result = CliRunner().invoke(main, ["status", "x", "--studies", "s3://bucket/studies"])
    refused(result, "address s3://…: its package is not installed", "Install it: pip install 'orch-search[s3]'")


@pytest.mark.parametrize(
    "option",
    [
        ["search", "x", "resnet18", "--cache"],
        ["search", "x", "resnet18", "--data"],
        ["dashboard", "x", "--output"],
        ["export", "x", "--output"],
        ["figures", "x", "--output"],
    ],
    ids=" ".join,
)
def test_images_cache_and_output_lie_on_this_machine(option: list[str]) -> None:
    result = CliRunner().invoke(main, [*option, "s3://bucket/x"])
    refused(result, "expected a path on this machine, found an address; only --studies takes one")
    assert not Path("s3:").exists()


def test_places() -> None:
    place = Place.of("S3://Bucket/my/studies/")
    assert str(place / "x") == "s3://Bucket/my/studies/x"
    assert (place / "x").parent == place
    assert (place.name, place.path, place.absolute()) == ("studies", None, place)
    assert Place.of(f"file://{Path.cwd()}").path == Path.cwd()
    assert Place.of("studies").absolute().path == Path.cwd() / "studies"
    assert Place.of(Path("a:b/c")).path == Path("a:b/c")
    assert json.dumps(str(Place.of(Path("x")) / "y")) == '"x/y"'
    with pytest.raises(Exception, match="expected s3://BUCKET/STUDY, found a bucket"):
        _ = Place.of("s3://bucket").parent

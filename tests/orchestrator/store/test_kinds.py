"""How large files of a study may be, and how deep what they hold."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.kinds import GIB, KINDS, MIB, OTHER, check_size, holding, kind_of
from orchestrator.store.layout import BundleKey
from orchestrator.store.parsing import parsed_json, parsed_toml
from orchestrator.store.schema import StudyRecord
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage

BUNDLE = BundleKey("0" * 12, "a" * 12, 1)
SEGMENT = Segment("0" * 12, ("a" * 12,), (0,), 0, 4)
PATHS = {
    layout.STUDY: "study file",
    layout.MANIFEST: "manifest",
    layout.REFUSED: "refused files",
    layout.NEAR_DUPLICATES: "near-duplicates",
    layout.NOTES: "notes of the data",
    layout.FORGOTTEN: "forgotten",
    layout.remark(3): "remark",
    layout.EPOCH_TIMES: "expected times",
    layout.partition("b" * 12): "partition",
    layout.configuration("a" * 12): "configuration",
    "searches/x/search.toml": "search",
    "searches/x/budget-2.toml": "budget",
    "searches/x/3.toml": "decision",
    BUNDLE.final(12, 40): "final record",
    layout.damaged(BUNDLE.final(12, 40)): "final record",
    f"{BUNDLE.folder}/weights/12.e40.b1000": "kept weights",
    SEGMENT.state("f" * 64, 1000): "state",
    f"{SEGMENT.attempt(1)}/e3.p0.b1000.checkpoint": "checkpoint",
    f"{SEGMENT.attempt(1)}/started.json": "note of an attempt",
    SEGMENT.recipe: "recipe",
    SEGMENT.divided: "division",
    SEGMENT.failure(2): "failure",
    layout.lease(SEGMENT.folder, 3): "lease",
    "histories/part-0123456789abcdef.epochs.parquet": "compacted histories",
    "results/evaluation-0123456789ab.json": "evaluation",
    "results/ensemble-0123456789ab.json": "evaluation",
    "results/predictions-0123456789ab.parquet": "predictions",
    "results/looks/0123456789ab.json": "look",
    ".looks/0123456789ab.json": "look",
    "results/nested/0123456789ab/fold-1.record": "outer fold",
    "results/leak/0123456789ab/1-2.record": "leak experiment",
    "results/ensembles/0123456789ab.json": "ensemble",
    "results/mistakes.json": "mistakes",
    "results/maps/0123456789ab.json": "maps",
    "results/reviews/0123456789ab.json": "review",
    "results/energy/abc.json": "energy reading",
    "results/cost/pass-abc.json": "measured time",
    "cut.json": "patches",
    "verdicts.jsonl": "verdicts",
    layout.DASHBOARD: "page",
    "anything else": OTHER.name,
}


@pytest.mark.parametrize("path", PATHS)
def test_every_file_has_a_kind(path: str) -> None:
    assert kind_of(path).name == PATHS[path]


def test_every_kind_is_of_a_file() -> None:
    assert {kind.name for kind in KINDS} == set(PATHS.values()) - {OTHER.name}


def test_what_was_lost_is_told() -> None:
    assert holding(BUNDLE.final(12, 40)) == f"repeat 12 of configuration {'a' * 12}, 40 epochs"
    assert holding("searches/x/3.toml") == "what decision 3 of search x asked for"


@pytest.mark.parametrize("path", [path for path in PATHS if ".b1000" in path])
def test_a_size_in_a_name_is_the_limit(path: str) -> None:
    check_size(path, 1000, lambda _: b"")
    with pytest.raises(DamagedRecordError, match="expected at most 1000 bytes"):
        check_size(path, 1001, lambda _: b"")


@pytest.mark.parametrize(
    ("images", "classes", "most"), [(1000, 2, 64 * MIB), (4_000_000, 20, 305 * MIB), (9, 999, GIB)]
)
def test_a_final_record_may_be_as_large_as_its_study_makes_it(images: int, classes: int, most: int) -> None:
    names = tuple(f"class {number}" for number in range(classes))
    record = StudyRecord(
        **dict.fromkeys(("name", "group_meaning", "data_fingerprint", "test_fingerprint", "created"), "x"),
        task="multiclass",
        classes=names,
        precision="fp32",
    )
    files = {layout.STUDY: record.to_toml(), layout.MANIFEST: bytes(32 * images)}
    path = BUNDLE.final(12, 60)
    check_size(path, most, files.__getitem__)
    with pytest.raises(DamagedRecordError, match="expected at most"):
        check_size(path, 2 * most, files.__getitem__)


@pytest.mark.parametrize(
    "content",
    [
        b"a = " + b"[" * 100_000 + b"]" * 100_000,
        b"a = " + b"[" * 100 + b"]" * 100,
        b"a = " + b"{a=" * 100 + b"1" + b"}" * 100,
        b"a." * 100_000 + b"a = 1",
        b'"a" . ' * 100_000 + b"a = 1",
        b"[" + b"a." * 100_000 + b"a]",
    ],
)
def test_toml_is_as_deep_as_records_are(content: bytes) -> None:
    with pytest.raises(DamagedRecordError, match="expected at most 64 levels, found more"):
        parsed_toml(content, "x")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100 + b"]" * 100])
def test_json_is_as_deep_as_records_are(content: bytes) -> None:
    with pytest.raises(DamagedRecordError, match="x is not valid JSON: expected at most 64 levels, found more"):
        parsed_json(content, "x")


def test_what_records_hold_is_read() -> None:
    assert parsed_toml(b'a.b.c = "1.2.3.4"\nd = [[1, 2], ["x.y"]]', "x") == {
        "a": {"b": {"c": "1.2.3.4"}},
        "d": [[1, 2], ["x.y"]],
    }
    assert parsed_json(b'{"a": [{"b": null}]}', "x") == {"a": [{"b": None}]}


def test_a_file_of_no_kind_is_neither_waited_for_nor_read(tmp_path: Path) -> None:
    storage, found = LocalStorage(tmp_path), {}
    os.mkfifo(tmp_path / "a pipe")
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a device").symlink_to("/dev/zero")
    (tmp_path / "a link to itself").symlink_to("a link to itself")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 10 * GIB)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "a socket"))
        for path in sorted(tmp_path.iterdir()):
            with pytest.raises(DamagedRecordError) as raised:
                storage.read(path.name)
            found[path.name] = raised.value.message
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert found.pop("huge") == "huge: expected at most 64 MiB (file), found 10 GiB"
    assert found.pop("a socket") == "a socket: expected a file, found a socket or device"
    assert found == {name: f"{name}: expected a file, found {name}" for name in found}


def test_a_state_of_zeros_is_refused_at_its_first_bytes(tmp_path: Path) -> None:
    path = SEGMENT.state("f" * 64, 10 * GIB)
    LocalStorage(tmp_path).replace(path, b"")
    os.truncate(tmp_path / path, 10 * GIB)
    with pytest.raises(DamagedRecordError, match="its header has no length"):
        LocalStorage(tmp_path).read(path)

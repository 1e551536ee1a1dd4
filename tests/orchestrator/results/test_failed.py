"""What failed is shown with its kind and cause, and can be tried again by itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from orchestrator.commands import search as commands
from orchestrator.report import status_report
from orchestrator.resolved import Search
from orchestrator.running.progress import Display
from orchestrator.search import reopen_search
from orchestrator.store import layout
from orchestrator.store.place import Place
from orchestrator.store.schema import StudyRecord, parse_toml
from orchestrator.study.studies import Study
from tests.support.generated_study import NOW, segment_of, small_study, write_failure, write_lease


def test_status_tells_kind_cause_and_where_the_traceback_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.report.now", lambda: NOW)
    storage, generated = small_study(tmp_path / "made", skip=lambda _configuration, repeat: repeat > 0)
    failed, fine = generated.configurations()[:2]
    write_failure(storage, segment_of(storage, failed, 1), "ValueError: not today\nsecond line")
    study = Study(Place.of(tmp_path / "made"), storage, parse_toml(StudyRecord, storage.read(layout.STUDY), "study"))
    report = status_report(study)
    (line,) = [line for line in report.lines if line.startswith("Failed")]
    assert line.startswith("Failed (exception): ")
    assert "2 repeats: ValueError: not today   [segments/" in line
    assert report.lines[-1] == f"To retry only what failed: orch resume {study.name} --failed"
    entries = {entry["id"]: entry for entry in report.data["configurations"]}
    (failure,) = entries[failed.id]["failures"]
    assert (failure["kind"], failure["cause"], failure["repeats"]) == ("exception", "ValueError: not today", [1, 2])
    assert json.loads(storage.read(failure["record"]))["traceback"]
    assert entries[failed.id]["repeats"]["failed"] == 2
    assert entries[fine.id]["failures"] == []


def test_while_a_worker_trains_nobody_is_told_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.report.now", lambda: NOW)
    storage, generated = small_study(tmp_path / "made", skip=lambda _configuration, repeat: repeat > 0)
    study = Study(Place.of(tmp_path / "made"), storage, parse_toml(StudyRecord, storage.read(layout.STUDY), "study"))
    assert f"orch resume {study.name}" in "\n".join(status_report(study).lines)
    write_lease(storage, segment_of(storage, generated.configurations()[0], 1), epoch=1, updated=NOW)
    assert "orch resume" not in "\n".join(status_report(study).lines)


def test_only_what_has_failed_and_is_owed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, generated = small_study(tmp_path / "made", skip=lambda _configuration, repeat: repeat > 1)
    failed, recovered = generated.configurations()[:2]
    study = Study(Place.of(tmp_path / "made"), storage, parse_toml(StudyRecord, storage.read(layout.STUDY), "study"))
    write_failure(storage, segment_of(storage, failed, 2), "MemoryError")
    write_failure(storage, segment_of(storage, recovered, 0), "OSError")
    generated.write_final(storage, recovered, 2, generated.epochs)
    monkeypatch.setattr("orchestrator.search.reopen", lambda *_: SimpleNamespace(study=study, data_root=tmp_path))
    monkeypatch.setattr("orchestrator.search.show_partition", lambda *_: None)
    monkeypatch.setattr("orchestrator.search.find_weights", lambda *_: {})

    again = reopen_search(study, None, None, tmp_path, Display(), only_failed=True)
    assert again.only == {segment_of(storage, failed, 2)}
    every = reopen_search(study, None, None, tmp_path, Display())
    assert every.only is None
    others = {c.id for c in generated.configurations()} - {recovered.id}
    assert {lane.configuration for lane in every.owed_lanes()} == others


def test_nothing_to_try_again_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def nothing(search: Search, display: Display, *given: object) -> int:
        seen.append(str(given[-1]))
        return 0

    monkeypatch.setattr(commands, "_run", nothing)
    monkeypatch.setattr("orchestrator.study.studies.open_study", lambda *_: None)
    monkeypatch.setattr("orchestrator.search.reopen_search", lambda *_, **__: None)
    for option in ([], ["--failed"]):
        result = CliRunner().invoke(main, ["resume", "slides", "--studies", str(tmp_path), *option])
        assert result.exit_code == 0, result.output
    assert seen == [commands.ALL_DONE, commands.NONE_FAILED]


@pytest.mark.parametrize("seconds", ["0", "soon"])
def test_a_grace_of_nothing_is_refused(seconds: str) -> None:
    result = CliRunner().invoke(main, ["resume", "slides", "--grace", seconds])
    assert result.exit_code == 2
    assert "--grace" in result.output

"""Whatever adds results to a study writes its page again."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dashboards.page.page import render
from dashboards.page.sample_images import Shown
from orchestrator.command_line import main
from orchestrator.store import layout
from orchestrator.store.storage import LocalStorage
from tests.support.generated_study import NOW
from tests.support.predicted_study import predicted_study

COMMANDS = (("ensemble", "slides", "--rounds", "5"), ("mistakes", "slides"))


def run(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--studies", str(folder)])
    assert result.exit_code == 0, result.output
    return result.stderr


def with_page(folder: Path, shown: Shown | None = None) -> LocalStorage:
    storage, _ = predicted_study(folder)
    storage.replace(layout.DASHBOARD, render(storage, now=NOW, shown=shown or Shown()).encode())
    return storage


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_the_page_of_a_study_is_written_again(tmp_path: Path, command: tuple[str, ...]) -> None:
    storage = with_page(tmp_path)
    before = storage.read(layout.DASHBOARD)
    assert f"Dashboard: {tmp_path / 'slides' / layout.DASHBOARD}" in run(tmp_path, *command)
    after = storage.read(layout.DASHBOARD)
    said = {"ensemble": b"Configurations together", "mistakes": b'<section id="errors"'}[command[0]]
    assert said not in before
    assert said in after


ANSWER = {"ensemble": "members", "mistakes": "slides", "evaluate": '"look": 7'}


@pytest.mark.parametrize("command", [*COMMANDS, ("evaluate", "slides", "--json")], ids=lambda command: command[0])
def test_a_page_that_cannot_be_drawn_hides_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    class Record:
        def model_dump_json(self) -> str:
            return '{"look": 7}'

    def no_page(*_: object, **more: object) -> str:
        raise ValueError("no page today")

    storage = with_page(tmp_path)
    before = storage.read(layout.DASHBOARD)
    monkeypatch.setattr("orchestrator.evaluation.run.evaluate", lambda *_: Record())
    monkeypatch.setattr("dashboards.page.page.render", no_page)
    result = CliRunner().invoke(main, [*command, "--studies", str(tmp_path)])
    assert result.exit_code == 0
    assert result.stderr.splitlines()[-2:] == [
        "Warning: the page could not be updated: no page today",
        "The results are stored. To write the page: orch dashboard slides",
    ]
    assert ANSWER[command[0]] in result.output.partition("Warning")[0], "the result comes first"
    assert storage.read(layout.DASHBOARD) == before


def test_a_page_that_holds_names_is_left_alone_and_that_is_said(tmp_path: Path) -> None:
    storage = with_page(tmp_path, Shown(names=True))
    before = storage.read(layout.DASHBOARD)
    told = run(tmp_path, *COMMANDS[0])
    assert "so it was not updated. To update it: orch dashboard slides --with-names" in told
    assert storage.read(layout.DASHBOARD) == before


def test_no_page_is_made_where_there_is_none(tmp_path: Path) -> None:
    storage, _ = predicted_study(tmp_path)
    assert "Dashboard" not in run(tmp_path, *COMMANDS[0])
    assert layout.DASHBOARD not in storage.list("")

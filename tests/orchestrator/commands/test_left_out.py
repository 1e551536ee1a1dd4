"""What a command leaves out of its answer because it cannot be read is told, and makes its status 1."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from orchestrator.command_line import main
from tests.support.predicted_study import predicted_study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    predicted_study(folder)
    return folder


@pytest.fixture
def studies(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "studies")
    return tmp_path / "studies"


def name_of(studies: Path) -> str:
    (study,) = studies.glob("*/study.toml")
    return study.parent.name


def ask(studies: Path, command: str, *more: str) -> Result:
    return CliRunner().invoke(main, [command, name_of(studies), *more, "--studies", str(studies)])


def hurt(studies: Path, pattern: str) -> Path:
    path = sorted(studies.glob(f"*/{pattern}"))[0]
    path.write_bytes(path.read_bytes()[:100])
    return path


def test_rows_that_are_left_out_are_told(studies: Path) -> None:
    before = pd.read_csv(io.StringIO(ask(studies, "table", "--per", "epoch").stdout))
    path = hurt(studies, "bundles/*/*/*/final/*")
    told = ask(studies, "table", "--per", "epoch")
    assert told.exit_code == 1
    assert len(pd.read_csv(io.StringIO(told.stdout))) == len(before) - 2 * 5, "two splits of five epochs"
    repeat, epochs = path.name.split(".e")
    (line,) = told.stderr.splitlines()
    study = studies / name_of(studies)
    assert line.startswith(f"Left out: {study}: {path.relative_to(study)} is not")
    assert line.endswith(
        f"It held repeat {repeat} of configuration {path.parts[-4]}, {epochs} epochs. `orch resume` trains it again."
    )


def test_json_and_pages_say_it_too(studies: Path) -> None:
    path = hurt(studies, "bundles/*/*/*/final/*")
    for command in ("status", "best"):
        told = ask(studies, command, "--json")
        (damaged,) = json.loads(told.stdout)["damaged"]
        assert (told.exit_code, damaged["file"]) == (1, str(path.relative_to(studies / name_of(studies))))
        assert set(damaged) == {"study", "file", "reason", "held", "back"}
    assert ask(studies, "dashboard").exit_code == 1
    page = (studies / name_of(studies) / "dashboard.html").read_text()
    assert "1 file of what is shown here cannot be read" in page
    assert f"{path.name}.damaged cannot be read and was set aside" in page
    assert str(studies) not in page, "pages name no folder"


def test_what_was_set_aside_is_told_until_it_is_trained_again(studies: Path) -> None:
    path = hurt(studies, "bundles/*/*/*/final/*")
    whole = path.with_name(path.name)
    ask(studies, "dashboard")
    assert not whole.exists()
    told = ask(studies, "status")
    assert (told.exit_code, f"{path.name}.damaged cannot be read and was set aside" in told.stderr) == (1, True)
    other = sorted(path.parent.glob("*"))
    shutil.copy(next(one for one in other if not one.name.endswith(".damaged")), whole)
    assert "was set aside" not in ask(studies, "status").stderr


@pytest.mark.parametrize("pattern", ["partitions/*", "dataset/manifest.parquet"])
@pytest.mark.parametrize("command", ["status", "table", "best", "dashboard"])
def test_a_partition_that_cannot_be_read_is_told_by_all(studies: Path, command: str, pattern: str) -> None:
    path = hurt(studies, pattern)
    told = ask(studies, command)
    assert told.exit_code == 1
    assert f"{path.parent.name}/{path.name} is not a whole Parquet file" in told.stderr


def test_what_is_known_from_elsewhere_is_not_told(studies: Path) -> None:
    assert ask(studies, "dashboard").exit_code == 0
    path = sorted(studies.glob("*/bundles/*/*/*/final/*"))[0]
    content = path.read_bytes()
    path.write_bytes(b"torn")
    assert ask(studies, "table").exit_code == 0, "compacted histories hold it"
    path.write_bytes(content)
    hurt(studies, "histories/*.epochs.parquet")
    assert ask(studies, "table").exit_code == 0, "final records hold it"

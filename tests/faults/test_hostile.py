"""A study's folder may be hostile: no command waits, shows a traceback or takes memory for it, and each tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from tests.faults.hostile import SUBJECTS
from tests.support.checkout import ROOT
from tests.support.finished_study import finished_study


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and evaluated study with every kind of file."""
    made = finished_study(tmp_path_factory.mktemp("hostile"), ("few", "many"), one={}, other={"optimiser.lr": 0.03})
    folder = made.studies / "study"
    (folder / "dataset/near_duplicates.csv").write_text("file,other,similarity,symmetry\n")
    (folder / "results/energy").mkdir(parents=True)
    reading = {"host": "h", "started": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "joules": {"cpu": 1.0}}
    (folder / "results/energy/one.json").write_text(json.dumps({**reading, "sources": ["RAPL"], "act": "search"}))
    tested = CliRunner().invoke(main, ["evaluate", "study", "--tta", "none", "--weights", "none", *made.options])
    assert tested.exit_code == 0, tested.output
    assert CliRunner().invoke(main, ["ensemble", "study", "--studies", str(made.studies)]).exit_code == 0
    assert CliRunner().invoke(main, ["dashboard", "study", "--studies", str(made.studies)]).exit_code == 0
    return made.studies


def wrongs(studies: Path, *more: str) -> str:
    command = [sys.executable, "-m", "tests.faults.hostile", str(studies), str(studies / "cache"), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout + (done.stderr[-2000:] if done.returncode else "")


def test_every_kind_of_harm_is_told(studies: Path) -> None:
    assert wrongs(studies) == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUBJECTS)
def test_every_harm_with_every_command(studies: Path, kind: str) -> None:
    assert wrongs(studies, "--every", kind) == ""

"""`orch dashboard --live` and `orch status --watch` as a user starts and ends them."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.command_line import main
from tests.support.generated_study import small_study


@pytest.fixture
def studies(tmp_path: Path) -> str:
    small_study(tmp_path / "slides", name="slides")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["dashboard", "slides", "--port", "8000"], "--port and --host go with --live"),
        (["dashboard", "slides", "--host", "0.0.0.0"], "--port and --host go with --live"),
        (["dashboard", "slides", "--live", "--output", "x.html"], "--output and --live cannot be used together"),
        (["dashboard", "slides", "--live", "--port", "99999"], "99999"),
        (["dashboard", "slides", "--live", "--host", "256.1.1.1"], "cannot serve on port 0 of '256.1.1.1'"),
        (["dashboard", "other", "--live"], "is not in"),
        (["status", "slides", "--watch", "--json"], "--watch and --json cannot be used together"),
    ],
)
def test_wrong_usage(studies: str, arguments: list[str], told: str) -> None:
    run = CliRunner().invoke(main, [*arguments, "--studies", studies])
    assert run.exit_code == 2
    assert told in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("command", ["dashboard", "status", "figures"])
def test_help_has_an_example(command: str) -> None:
    run = CliRunner().invoke(main, [command, "--help"])
    assert "Example" in run.output
    assert f"orch {command} neuroblastoma" in run.output


@pytest.mark.slow
def test_served_until_it_is_interrupted(studies: str) -> None:
    script = "from orchestrator.command_line import main; main()"
    command = [sys.executable, "-c", script, "dashboard", "slides", "--live", "--studies", studies]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url) as answer:
            assert b"slides" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.slow
def test_watched_until_it_is_interrupted(studies: str) -> None:
    script = "from orchestrator.command_line import main; main()"
    command = [sys.executable, "-c", script, "status", "slides", "--watch", "--studies", studies]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("slides: 24 of 24 repeats")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert "Traceback" not in process.stdout.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

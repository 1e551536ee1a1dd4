"""The audit of pinned packages: what pip-audit says decides, and no network is no failure."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "TOOL", tmp_path / "pip-audit")
    return module


def says(audit: ModuleType, status: int, err: str, out: str = "") -> None:
    lines = ("#!/bin/sh", "cat >&2 <<'X'", err, "X", "cat <<'X'", out, "X", 'echo "$@" > $0.asked', f"exit {status}")
    audit.TOOL.write_text("\n".join(lines))
    audit.TOOL.chmod(0o755)


@pytest.mark.parametrize(
    ("status", "err", "expected", "told"),
    [
        (0, "No known vulnerabilities found", 0, "No known vulnerabilities found"),
        (1, "Found 2 known vulnerabilities in 1 package", 1, "PYSEC-1"),
        (1, "requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded", 0, "left out"),
        (1, "ERROR: 503 Server Error: Service Unavailable", 0, "left out"),
        (1, "ERROR: invalid requirement on line 3", 2, "could not read"),
    ],
)
def test_what_it_says_decides(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], status: int, err: str, expected: int, told: str
) -> None:
    says(audit, status, err, "Name Version ID\npkg 1.0 PYSEC-1")
    assert audit.main([]) == expected
    captured = capsys.readouterr()
    assert told in captured.out + captured.err
    asked = (audit.TOOL.parent / "pip-audit.asked").read_text()
    assert "--require-hashes --disable-pip" in asked
    assert str(audit.REQUIREMENTS) in asked


def test_without_the_tool_it_is_left_out_and_says_so(
    audit: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert audit.main([]) == 0
    assert "left out: pip-audit is not installed" in capsys.readouterr().err

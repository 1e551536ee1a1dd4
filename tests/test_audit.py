"""The audit of pinned packages: a finding is shouted, no answer is told, and neither fails a run that is not strict."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.checkout import ROOT

SCRIPT = ROOT / ".ci" / "audit.py"
PINS = """\
alpha==1.0 \\
    --hash=sha256:aa \\
beta-two==2.0rc1 ; sys_platform == 'linux' \\
    --hash=sha256:bb
"""


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "requirements.txt").write_text(PINS)
    monkeypatch.setattr(module, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.delenv("ORCH_AUDIT", raising=False)
    return module


@pytest.fixture
def answer(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Any], list[Any]]]:
    """Has a server answer so; returns the list of what it was asked."""
    asked: list[Any] = []
    given: list[tuple[int, bytes]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(given[-1][0])
            self.send_header("Content-Length", str(len(given[-1][1])))
            self.end_headers()
            self.wfile.write(given[-1][1])

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setattr(audit, "ADDRESS", f"http://127.0.0.1:{server.server_address[1]}")

    def so(status: int, content: Any) -> list[Any]:
        given.append((status, json.dumps(content).encode()))
        return asked

    yield so
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "content", "expected", "told"),
    [
        (200, {"results": [{}, {}]}, (0, 0), "No known vulnerabilities in 2 pinned packages."),
        (200, {"results": [{}, {"vulns": [{"id": "PYSEC-1"}]}]}, (0, 1), "beta-two==2.0rc1: https://osv.dev/vul"),
        (200, {"results": [{}]}, (0, 2), "left out"),
        (200, [], (0, 2), "left out"),
        (503, {}, (0, 2), "left out"),
    ],
)
def test_what_it_answers_decides(
    audit: ModuleType,
    answer: Callable[[int, Any], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: int,
    content: Any,
    expected: tuple[int, int],
    told: str,
) -> None:
    asked = answer(status, content)
    assert audit.main() == expected[0]
    monkeypatch.setenv("ORCH_AUDIT", "strict")
    assert audit.main() == expected[1]
    assert told in capsys.readouterr().err
    packages = [(one["package"]["ecosystem"], one["package"]["name"], one["version"]) for one in asked[0]["queries"]]
    assert packages == [("PyPI", "alpha", "1.0"), ("PyPI", "beta-two", "2.0rc1")]


def test_nobody_there_and_nobody_who_answers(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ADDRESS", "http://127.0.0.1:9")
    assert audit.main() == 0
    assert "The audit of 2 pinned packages was left out" in capsys.readouterr().err
    monkeypatch.setattr(audit, "LONGEST_S", 0.2)
    told = threading.Event()
    monkeypatch.setattr(audit, "known", lambda *_: told.wait())
    assert audit.main() == 0, "it would wait for ever"
    told.set()
    assert "0.2 s passed" in capsys.readouterr().err


def test_every_pin_of_the_project_is_asked_for(audit: ModuleType) -> None:
    text = SCRIPT.parent.with_name("requirements.txt").read_text()
    pins = audit._PIN.findall(text)
    assert len(pins) == sum(line[:1].isalnum() for line in text.splitlines())
    assert ("torch", "2.13.0") in pins

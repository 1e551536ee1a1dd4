"""Whom the server of patches lets in, what it shows, and from whom it takes a verdict."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dashboards.patches.page import page
from dashboards.patches.server import PatchServer
from orchestrator.patches.verdicts import verdicts_of
from orchestrator.store.errors import StorageError
from tests.support.checkout import ROOT
from tests.support.cut_fields import cut_fields, shown

Answer = tuple[http.client.HTTPResponse, bytes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cut_fields(tmp_path_factory.mktemp("fields"))


@pytest.fixture
def server(folder: Path) -> Iterator[PatchServer]:
    (folder / "verdicts.jsonl").unlink(missing_ok=True)
    with shown(folder) as serving:
        yield serving


def ask(server: PatchServer, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, {"Cookie": f"{server.cookie}={server.token}", **named})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def say(server: PatchServer, body: bytes = b'{"set":{"0":true}}', path: str = "/verdicts", **headers: str) -> Answer:
    origin = f"http://127.0.0.1:{server.server_address[1]}"
    return ask(server, path, "POST", body, **{"Origin": origin, "Content_Type": "application/json", **headers})


def test_it_listens_on_loopback_and_asks_for_its_token(server: PatchServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url.startswith(f"http://127.0.0.1:{server.server_address[1]}/?token=")
    for path in ("/", "/fields", "/verdicts", "/overview/0", "/patch/0"):
        assert ask(server, path, Cookie="")[0].status == 403
        assert ask(server, path, Cookie=f"{server.cookie}=wrong")[0].status == 403
        assert ask(server, path, Host="evil.example")[0].status == 421
    answer, _ = ask(server, f"/?token={server.token}", Cookie="")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie == f"{server.cookie}={server.token}; HttpOnly; SameSite=Lax; Path=/"
    assert say(server, Cookie="")[0].status == 403


def test_two_servers_do_not_take_each_others_cookie(server: PatchServer, folder: Path) -> None:
    with shown(folder) as other:
        assert other.cookie != server.cookie
        assert ask(server, "/fields", Cookie=f"{server.cookie}={other.token}")[0].status == 403


def test_it_shows_fields_patches_and_pictures(server: PatchServer, folder: Path) -> None:
    answer, body = ask(server, "/")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'nonce-")
    assert b"<script nonce=" in body
    assert "http" not in page("N").replace("http://www.w3.org/2000/svg", ""), "nothing is asked of other servers"
    told = json.loads(ask(server, "/fields")[1])
    assert [len(field["squares"]) for field in told["fields"]] == [12] * 6
    assert ask(server, "/patch/65")[1] == (folder / server.review.files[65]).read_bytes()  # type: ignore[attr-defined]
    answer, picture = ask(server, "/overview/5")
    assert (answer.headers["Content-Type"], picture[:2]) == ("image/jpeg", b"\xff\xd8")


@pytest.mark.parametrize("path", ["/patch/66", "/patch/-1", "/patch/../cut.json", "/overview/6", "/cut.json", "/x"])
def test_nothing_else_is_there(server: PatchServer, path: str) -> None:
    assert ask(server, path)[0].status == 404


def test_a_verdict_is_stored_before_it_is_answered(server: PatchServer, folder: Path) -> None:
    answer, body = say(server, b'{"set":{"0":true,"3":false}}')
    assert answer.status == 200
    assert json.loads(body)["counts"]["rejected"] == 1
    files = server.review.files  # type: ignore[attr-defined]
    assert {file: one.is_rejected for file, one in verdicts_of(folder).items()} == {files[0]: True, files[3]: False}
    assert json.loads(ask(server, "/verdicts")[1]) == json.loads(body)
    assert json.loads(say(server, b'{"set":{"0":null}}')[1])["counts"]["rejected"] == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "null"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 421),
        ({"path": "/fields"}, 404),
        ({"Content_Length": "2000000"}, 413),
        ({"body": b"{"}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b'{"set":{"a":true}}'}, 400),
        ({"body": b'{"set":{"0":"yes"}}'}, 400),
        ({"body": b'{"set":{"0":1}}'}, 400),
        ({"body": b'{"set":{"66":true}}'}, 400),
        ({"body": b'{"set":{}}'}, 400),
    ],
)
def test_whose_verdicts_are_not_taken(server: PatchServer, folder: Path, headers: dict[str, str], status: int) -> None:
    assert say(server, **headers)[0].status == status  # type: ignore[arg-type]
    assert verdicts_of(folder) == {}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(server: PatchServer, method: str) -> None:
    answer, _ = ask(server, "/verdicts", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


def test_a_full_disk_is_told(server: PatchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_said: object) -> None:
        raise StorageError("cannot write verdicts.jsonl: No space left on device", "Free some space.")

    monkeypatch.setattr(server.review, "decide", full)
    answer, body = say(server)
    assert answer.status == 507
    assert b"No space left" in body


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """The command itself, with its token and port."""
    # where the tests run in the background, Ctrl-C would be ignored by whatever they start
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    probe = f"{heard}; import sys; from orchestrator.command_line import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", probe, "data", "cut", str(folder), "--name", "Ada"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        asked = urlsplit(process.stdout.readline().strip())
        assert asked.port is not None
        yield process, asked.query.removeprefix("token="), asked.port


def test_a_killed_server_has_lost_nothing_that_it_answered(tmp_path: Path) -> None:
    folder = cut_fields(tmp_path)
    for number, stop in ((0, signal.SIGKILL), (1, signal.SIGINT)):
        with running(folder) as (process, token, port):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {
                "Cookie": f"orch-patches-{port}={token}",
                "Origin": f"http://127.0.0.1:{port}",
                "Content-Type": "application/json",
            }
            connection.request("POST", "/verdicts", json.dumps({"set": {number: True}}), headers)
            assert connection.getresponse().status == 200
            connection.close()
            process.send_signal(stop)
            said, _ = process.communicate(timeout=120)
        assert len(verdicts_of(folder)) == number + 1
        assert len((folder / "labels.csv").read_text().splitlines()) == 1 + 66 - (number + 1)
    assert process.returncode == 0
    assert said == f"64 of 66 patches are used, 2 rejected: {folder}\n"

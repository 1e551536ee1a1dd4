"""The live server without a browser: what it answers, whom it refuses, what it sends again."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from dashboards.live.guarded import COOKIE
from dashboards.live.server import LiveServer
from dashboards.live.state import LOOK_EVERY_S, LiveState
from dashboards.page.page import render
from dashboards.page.parts import put_together, take_apart
from orchestrator.store.errors import InputError
from orchestrator.study.studies import now
from tests.support.generated_study import small_study
from tests.support.waiting import wait_until

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta http-equiv="Content-Security-Policy" content="default-src 'none'"><title>t</title></head>\
<body><header>{head}</header><main id="main"><section id="one">{one}<section>inner</section></section>\
<section id="two"><div data-payload="payload-0"></div></section></main>\
<script type="application/json" id="dark-colours">{{}}</script>
<script type="application/gzip" id="payload-0">{data}</script>
<script>library("<section id=x></section>")</script>
<script>page()</script></body></html>
"""


def page(head: str = "h", one: str = "1", data: str = "AAAA") -> str:
    return PAGE.format(head=head, one=one, data=data)


class Told:
    """Stands in for a study: what the next look and the next page say."""

    def __init__(self, text: str = "") -> None:
        self.stamp, self.text, self.now = "0", text or page(), {"repeats": [0, 1]}
        self.written = 0

    def look(self) -> tuple[str, dict[str, Any]]:
        return self.stamp, self.now

    def write(self) -> str:
        self.written += 1
        if self.text == "torn":
            raise OSError("disk\nsecond line")
        return self.text


@contextmanager
def serving(host: str = "127.0.0.1", told: Told | None = None) -> Iterator[LiveServer]:
    said = told or Told()
    server = LiveServer(host, 0, said.look, said.write)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(
    server: LiveServer, path: str = "/", method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def asked_until(server: LiveServer, path: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The first answer of which `holds` is true; the server looks once a second, and writes beside its answers."""
    while not holds(update := json.loads(ask(server, path)[1])):
        time.sleep(0.05)
    return update


def test_a_page_taken_apart_and_put_together() -> None:
    parts = take_apart(page())
    assert "Content-Security-Policy" not in parts.head
    assert parts.frame == (
        '<header>h</header><main id="main"><section id="one"></section><section id="two"></section></main>\n\n\n'
    )
    assert parts.sections["one"] == "1<section>inner</section>"
    name = re.search(r'data-payload="([^"]+)"', parts.sections["two"])
    assert name is not None
    assert name[1].startswith("payload-0-")
    assert set(parts.data) == {"dark-colours", name[1]}
    assert parts.libraries == ('library("<section id=x></section>")',)
    assert parts.script == "page()"
    whole = "".join(put_together(parts, "N", "before()", ("run(() => {", "})"), "p{}"))
    assert re.findall(r"<script nonce=\"N\">(.*)</script>", whole) == [
        *parts.libraries,
        "before()",
        "run(() => {page()})",
    ]
    again = take_apart(page(data="BBBB"))
    assert again.frame == parts.frame
    assert set(again.data) != set(parts.data), "changed data are other data"
    with pytest.raises(ValueError, match="expected a page"):
        take_apart("<p>no page</p>")


def test_a_real_page_loses_nothing(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    text = render(storage, now=now())
    parts = take_apart(text)
    assert parts.libraries == (get_plotlyjs(),)
    whole = "".join(put_together(parts, "N", "", ("", ""), "")).replace(parts.libraries[0], "")
    for pattern in (r"<[a-z0-9]+", r'id="payload-\d+', r"</section>", r"<table", r"<select"):
        expected, found = len(re.findall(pattern, text)), len(re.findall(pattern, whole))
        assert abs(found - expected) <= 2, pattern
    assert len(parts.sections) >= 6
    assert "plotly" in parts.libraries[0][:2000].lower()


def test_headers_let_no_script_run_but_ours() -> None:
    with serving() as server:
        first, body = ask(server)
        second, _ = ask(server)
        policy = first.headers["Content-Security-Policy"]
        nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
        assert nonce is not None
        assert f'<script nonce="{nonce[1]}">'.encode() in body
        assert policy != second.headers["Content-Security-Policy"], "a nonce is used once"
        assert "unsafe-eval" not in policy
        assert "script-src 'unsafe-inline'" not in policy
        assert "connect-src 'self'" in policy
        assert "style-src 'unsafe-inline'; img-src data: blob:" in policy
        assert b"http-equiv" not in body
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        assert first.headers["Access-Control-Allow-Origin"] is None
        assert "Python" not in first.headers["Server"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1:1", "localhost", "a@127.0.0.1", "", "["]
)
def test_another_host_is_refused(host: str) -> None:
    with serving() as server:
        answer, body = ask(server, Host=host)
        assert answer.status == 421
        assert b"<script" not in body
        answer, _ = ask(server, "/update", Host=host)
        assert answer.status == 421


def test_names_of_this_machine_are_taken() -> None:
    with serving() as server:
        for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
            answer, _ = ask(server, Host=f"{name}:{server.server_address[1]}")
            assert answer.status == 200, name


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"])
def test_nothing_can_be_written(method: str) -> None:
    with serving() as server:
        answer, _ = ask(server, "/", method)
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET, HEAD"


def test_head_has_no_body_and_other_paths_nothing() -> None:
    with serving() as server:
        answer, body = ask(server, "/", "HEAD")
        assert (answer.status, body) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 100
        for path in ("/study.toml", "/../study.toml", "/%2e%2e/study.toml", "/update/x"):
            assert ask(server, path)[0].status == 404, path


def test_an_update_holds_what_changed_and_nothing_twice() -> None:
    told = Told()
    with serving(told=told) as server:
        ask(server)
        answer, body = ask(server, "/update?since=")
        everything = json.loads(body)
        assert set(everything["sections"]) == {"one", "two"}
        revision = everything["revision"]
        answer, body = ask(server, f"/update?since={revision}")
        nothing, tag = json.loads(body), answer.headers["ETag"]
        assert (nothing["frame"], nothing["sections"], nothing["data"]) == (None, {}, {})
        assert nothing["now"] == {"repeats": [0, 1]}
        answer, body = ask(server, f"/update?since={revision}", **{"If-None-Match": tag})
        assert (answer.status, body) == (304, b"")
        told.stamp, told.text, told.now = "1", page(one="2", data="BBBB"), {"repeats": [1, 1]}
        update = asked_until(server, f"/update?since={revision}", lambda update: update["revision"] != revision)
        assert update["frame"] is None
        assert set(update["sections"]) == {"one", "two"}, "the second one refers to other data"
        assert len(update["data"]) == 1
        assert update["kept"] == ["dark-colours", *update["data"]]
        assert update["now"] == {"repeats": [1, 1]}
        assert told.written == 2
        stranger = json.loads(ask(server, "/update?since=another-7")[1])
        assert stranger["frame"] is not None


def test_nothing_is_looked_at_while_nobody_asks_and_little_when_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr("dashboards.live.state.time", clock)
    looks = []
    state = LiveState(lambda: (looks.append(1) or "0", {}), page)
    assert looks == []
    for _ in range(50):
        state.update("")
    assert len(looks) == 1
    clock.now = LOOK_EVERY_S
    state.update("")
    assert len(looks) == 2


def test_a_study_that_cannot_be_read_is_told_and_tried_again() -> None:
    told = Told("torn")
    with serving(told=told) as server:
        answer, body = ask(server)
        assert answer.status == 503
        assert body == b"The page cannot be written now: disk."
        told.text = page()
        asked_until(server, "/update?since=", lambda update: update["frame"])
        assert ask(server)[0].status == 200
        told.stamp, told.text = "1", "torn"
        update = asked_until(server, "/update?since=", lambda update: "disk" in update["error"])
        assert update["frame"], "what is known stays"


def test_elsewhere_only_with_the_token() -> None:
    with serving("0.0.0.0") as server:
        assert len(server.token) >= 24
        assert server.token in server.url
        assert ask(server)[0].status == 403
        assert ask(server, "/update")[0].status == 403
        assert ask(server, "/?token=wrong")[0].status == 403
        assert ask(server, "/", Cookie=f"{COOKIE}=wrong")[0].status == 403
        answer, _ = ask(server, f"/?token={server.token}")
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite" in cookie
        answer, body = ask(server, "/", Cookie=cookie.partition(";")[0])
        assert answer.status == 200
        assert server.token.encode() not in body
        assert ask(server, "/", Host="evil.example", Cookie=cookie.partition(";")[0])[0].status == 421
    with serving() as server:
        assert server.token == ""


def test_over_tls_the_cookie_is_for_tls_alone() -> None:
    with serving("0.0.0.0") as server:
        plain = ask(server, f"/?token={server.token}")[0].headers["Set-Cookie"]
        secure = ask(server, f"/?token={server.token}", **{"X-Forwarded-Proto": "https"})[0].headers["Set-Cookie"]
    assert "Secure" not in plain
    assert secure == f"{plain}; Secure"


def test_readers_who_take_nothing_are_cut_off_and_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asks for a page of 40 MB and never reads: less than one page is made for all of them."""
    monkeypatch.setattr(LiveServer, "piece_takes_s", 0.5)
    monkeypatch.setattr(LiveServer, "most_connections", 20)
    told = Told(page(data="A" * 20_000_000, one="B" * 20_000_000))
    with serving(told=told) as server:
        request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_address[1]}\r\n\r\n".encode()
        assert ask(server)[0].status == 200
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            readers = [socket.create_connection(server.server_address[:2]) for _ in range(20)]
            for reader in readers:
                reader.sendall(request)
            answer, body = ask(server)
            assert answer.status == 503
            assert body == b"Too many readers at once. Try again later.\n"
            wait_until(lambda: ask(server, "/nothing")[0].status == 404)  # some have been cut off
            most = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        assert most < 40_000_000
        for reader in readers:
            reader.close()


@pytest.mark.parametrize("text", ["ä" * 70_000, "a" * 200_000 + "€", ""])
def test_an_answer_in_pieces_is_whole(text: str) -> None:
    with serving(told=Told(page(one=text))) as server:
        answer, body = ask(server)
    assert len(body) == int(answer.headers["Content-Length"])
    assert text in body.decode()


def test_a_port_that_is_taken_and_an_address_that_is_none() -> None:
    with serving() as server:
        with pytest.raises(InputError, match="another program uses it"):
            LiveServer("127.0.0.1", server.server_address[1], Told().look, Told().write)
        with pytest.raises(InputError, match="cannot serve"):
            LiveServer("256.1.1.1", 0, Told().look, Told().write)

"""A line to an S3 server that is busy, slow or cut, as a plan says request by request."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Plan = Callable[[str, str], str]
"""(method, path) of a request → what happens to it: one of FAULTS, or "" for nothing."""

SILENT = "silent"
"""The request is taken and never answered; one that a client with short patience alone should meet."""
FAULTS = ("503", "500", "delayed", "cut before", "cut in the upload", "cut before the answer", "cut in the answer")
DELAY_S = 0.3
_BUSY = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>Please reduce your request rate.</Message></Error>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up on a line that was cut is what is wanted here."""


@contextlib.contextmanager
def bad_line(endpoint: str, plan: Plan) -> Iterator[tuple[str, list[str]]]:
    """(address of the line, list of the faults that happened so far)."""
    happened: list[str] = []
    is_over = threading.Event()
    upstream = urlsplit(endpoint)

    class Line(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            fault = plan(self.command, self.path)
            if fault:
                happened.append(fault)
            self.close_connection = True
            length = int(self.headers.get("Content-Length") or 0)
            if fault == "cut before":
                return self._cut()
            if fault == "cut in the upload":
                self.rfile.read(length // 2)
                return self._cut()
            body = self.rfile.read(length)
            if fault == SILENT:
                is_over.wait()
                return self._cut()
            if fault in ("503", "500"):
                code = b"SlowDown" if fault == "503" else b"InternalError"
                return self._answer(int(fault), [("Content-Type", "application/xml")], _BUSY % code)
            if fault == "delayed":
                time.sleep(DELAY_S)
            status, headers, content = self._forwarded(body)
            if fault == "cut before the answer":
                return self._cut()
            return self._answer(status, headers, content, cut=fault == "cut in the answer")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

        def _forwarded(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            server = http.client.HTTPConnection(upstream.hostname or "", upstream.port)
            try:
                server.request(self.command, self.path, body, dict(self.headers))
                answer = server.getresponse()
                return answer.status, answer.getheaders(), answer.read()
            finally:
                server.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            length = next((value for name, value in headers if name.lower() == "content-length"), len(content))
            self.send_header("Content-Length", str(length if self.command == "HEAD" else len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)

        def _cut(self) -> None:
            self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is printed."""

    server = _Server(("127.0.0.1", 0), Line)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", happened
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
        thread.join(10)

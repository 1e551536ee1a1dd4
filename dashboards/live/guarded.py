"""A server of pages for people on this machine, or for those who have a token; nothing is kept about readers.

A request must name the host that the server was bound to, so that no page elsewhere can read this one through a name of
its own (DNS rebinding). Where there is a token it comes with the address once, and is a cookie from then on.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orchestrator.store.errors import InputError

LOOPBACK = "127.0.0.1"
COOKIE = "orch-token"
_IDLE_S = 30.0
"""A connection on which nobody asks anything is closed after this time."""
PIECE = 65_536
"""Characters, or bytes, of an answer that are sent at once, and all that is made of it for one reader."""
PIECE_TAKES_S = 10.0
"""A reader that does not take a piece within this time is cut off."""
MOST_CONNECTIONS = 64
"""Of all readers together; a further one is asked to come again."""


_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 43\r\nConnection: close\r\n\r\nToo many readers at once. Try again later.\n"
)


class GuardedServer(ThreadingHTTPServer):
    """`token` is empty where whoever can ask may read: on loopback, unless a token is asked for there too."""

    daemon_threads = True
    cookie = COOKIE
    most_connections = MOST_CONNECTIONS
    piece_takes_s = PIECE_TAKES_S

    def __init__(self, host: str, port: int, handler: type[GuardedHandler], always_token: bool = False) -> None:
        self.bound_to = host
        self._names = {"localhost", socket.gethostname().lower()}
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), handler)
        except (OSError, OverflowError) as error:
            raise InputError(_why_not(host, port, error), "Choose another one with --port, or leave it out.") from error
        self._free = threading.BoundedSemaphore(self.most_connections)
        self.token = "" if _is_loopback(host) and not always_token else secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """What to open; with the token where there is one."""
        host = self.bound_to
        if _is_wildcard(host):
            host = socket.gethostname()
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.server_address[1]}/" + (f"?token={self.token}" if self.token else "")

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this server. An address is no name that somebody else could point here."""
        try:
            parsed = urlsplit(f"//{host}")
            name, port = (parsed.hostname or "").lower(), parsed.port or 80
        except ValueError:
            return False
        if port != self.server_address[1] or parsed.username is not None or parsed.path:
            return False
        if _is_loopback(self.bound_to):
            return name in {"127.0.0.1", "localhost", "::1", self.bound_to.lower()}
        if _is_wildcard(self.bound_to):
            return _is_address(name) or name in self._names
        return name == self.bound_to.lower()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, while there are not too many."""
        if not self._free.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.settimeout(1.0)
                request.sendall(_FULL)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no further thread can be started
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that goes away in the middle is no news."""


class GuardedHandler(BaseHTTPRequestHandler):
    """Answers `GET` and `HEAD` with what `route` sends; every other method is refused."""

    server: GuardedServer
    allowed = "GET, HEAD"
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "orch", ""
    timeout = _IDLE_S

    def do_GET(self) -> None:
        self.answer(self.route)

    def do_HEAD(self) -> None:
        self.answer(self.route)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is kept about readers."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refusals are plain text; every method but GET and HEAD ends here."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self.send(HTTPStatus.METHOD_NOT_ALLOWED, f"Only {self.allowed}.", {"Allow": self.allowed})
        else:
            self.send(HTTPStatus(code), message or HTTPStatus(code).phrase)
        self.close_connection = True

    def route(self, path: str, query: dict[str, list[str]]) -> None:
        """Send the answer to a request that may be answered."""
        raise NotImplementedError

    def answer(self, route: Callable[[str, dict[str, list[str]]], None]) -> None:
        """Go on to `route`, unless the request is for another server or its sender may not read."""
        if not self.server.is_ours(self.headers.get("Host", "")):
            return self.send(HTTPStatus.MISDIRECTED_REQUEST, "This server has another name.")
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        if self.server.token and not self._may_read():
            return self._let_in(query.get("token", [""])[0])
        return route(asked.path, query)

    def _may_read(self) -> bool:
        try:
            kept = SimpleCookie(self.headers.get("Cookie", "")).get(self.server.cookie)
        except CookieError:
            return False
        return kept is not None and hmac.compare_digest(kept.value.encode(), self.server.token.encode())

    def _let_in(self, token: str) -> None:
        """The token goes from the address into a cookie, so that no copied address carries it."""
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return self.send(HTTPStatus.FORBIDDEN, "Open the address with the token that the server printed.")
        cookie = f"{self.server.cookie}={self.server.token}; HttpOnly; SameSite=Lax; Path=/"
        if self.headers.get("X-Forwarded-Proto", "").lower() == "https":  # behind a server of the site that speaks TLS
            cookie += "; Secure"
        return self.send(HTTPStatus.SEE_OTHER, "", {"Location": "/", "Set-Cookie": cookie})

    def send(
        self,
        status: HTTPStatus,
        content: str | bytes | Sequence[str],
        headers: dict[str, str] | None = None,
        kind: str = "text/plain",
    ) -> None:
        """content: whole, or in parts that follow each other, which may be shared with other answers."""
        parts = [content] if isinstance(content, str | bytes) else content
        self.send_response(status)
        fixed = {
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }
        if status != HTTPStatus.NOT_MODIFIED:
            fixed |= {
                "Content-Type": kind if kind.startswith("image/") else f"{kind}; charset=utf-8",
                "Content-Length": str(sum(map(_byte_count, parts))),
            }
        for name, value in {**fixed, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status != HTTPStatus.NOT_MODIFIED:
            self.connection.settimeout(self.server.piece_takes_s)
            for part in parts:
                for start in range(0, len(part), PIECE):
                    piece = part[start : start + PIECE]
                    self.wfile.write(piece if isinstance(piece, bytes) else piece.encode())
            self.connection.settimeout(self.timeout)


def _byte_count(part: str | bytes) -> int:
    if isinstance(part, bytes) or part.isascii():
        return len(part)
    return sum(len(part[start : start + PIECE].encode()) for start in range(0, len(part), PIECE))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_wildcard(host: str) -> bool:
    return host == "" or (_is_address(host) and ipaddress.ip_address(host).is_unspecified)


def _why_not(host: str, port: int, error: OSError | OverflowError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} of {host}: another program uses it"
    return f"cannot serve on port {port} of {host!r}: {getattr(error, 'strerror', None) or error}"

"""A study's page, served while the study is being searched: loopback by default, read-only.

`GET /` is the page, `GET /update?since=REVISION` what changed since as JSON, with an ETag. Who is let in:
`dashboards/live/guarded.py`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from http import HTTPStatus

from dashboards.live.guarded import GuardedHandler, GuardedServer
from dashboards.live.script import AROUND, STYLE, script
from dashboards.live.state import LiveState, Look
from dashboards.page.parts import put_together


class LiveServer(GuardedServer):
    """Serves one page. `token` is empty on loopback, where only this machine's users can ask."""

    def __init__(self, host: str, port: int, look: Look, write: Callable[[], str]) -> None:
        self.state = LiveState(look, write)
        super().__init__(host, port, _Handler)

    def at(self, path: str) -> tuple[LiveState | None, str]:
        """What is known of the page at a path, None where there is none, and what of it is asked: "/" or "/update"."""
        return self.state, path


class _Handler(GuardedHandler):
    server: LiveServer

    def route(self, path: str, query: dict[str, list[str]]) -> None:
        state, asked = self.server.at(path)
        if state is not None and asked == "/":
            return self._page(state)
        if state is not None and asked == "/update":
            return self._update(state, query.get("since", [""])[0])
        return self.send(HTTPStatus.NOT_FOUND, "There is nothing here but the page.")

    def _page(self, state: LiveState) -> None:
        try:
            revision, parts = state.page()
        except RuntimeError as error:
            return self.send(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "2"})
        nonce = secrets.token_urlsafe(18)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data: blob:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        pieces = put_together(parts, nonce, script(revision), AROUND, STYLE)
        return self.send(HTTPStatus.OK, pieces, {"Content-Security-Policy": policy}, "text/html")

    def _update(self, state: LiveState, since: str) -> None:
        content = state.update(since).content
        digest = hashlib.sha256()
        for part in content:
            digest.update(part.encode())
        tag = f'"{digest.hexdigest()[:20]}"'
        if self.headers.get("If-None-Match") == tag:
            return self.send(HTTPStatus.NOT_MODIFIED, "", {"ETag": tag})
        return self.send(HTTPStatus.OK, content, {"ETag": tag}, "application/json")

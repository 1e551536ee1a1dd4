"""Patches to look through, served to one person on this machine: `GET` shows them, `POST /verdicts` says what is out.

It listens on loopback alone and lets in only whoever has the address with its token, for it shows images and changes a
table. A verdict is taken from this page alone: JSON, with the page's own origin, which no other page can send. Files
are asked for by number, so that no request names a path.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from dashboards.live.guarded import LOOPBACK, GuardedHandler, GuardedServer
from dashboards.patches.page import page
from orchestrator.store.errors import InputError, OrchError
from orchestrator.store.storage import LocalStorage

_MOST_BYTES = 1_000_000


class Reviewed(Protocol):
    """What is looked through: `orchestrator.patches.review.Review`."""

    def fields(self) -> dict[str, Any]:
        """What never changes, as JSON."""
        ...

    def verdicts(self) -> dict[str, Any]:
        """What was said so far, as JSON."""
        ...

    def decide(self, said: Mapping[int, bool | None]) -> dict[str, Any]:
        """Store it, and answer as `verdicts`. Raises InputError for numbers that there are not."""
        ...

    def overview(self, number: int) -> Path | None:
        """JPEG of a field."""
        ...

    def patch(self, number: int) -> Path | None:
        """PNG of a patch."""
        ...


class PatchServer(GuardedServer):
    """Serves one folder of patches on loopback."""

    def __init__(self, port: int, review: Reviewed) -> None:
        self.review = review
        super().__init__(LOOPBACK, port, _Handler, always_token=True)
        # cookies know no ports: each server's has a name of its own
        self.cookie = f"orch-patches-{self.server_address[1]}"


class _Handler(GuardedHandler):
    server: PatchServer
    allowed = "GET, HEAD, POST"

    def do_POST(self) -> None:
        self.answer(self._take)

    def route(self, path: str, query: dict[str, list[str]]) -> None:
        kind, _, number = path.removeprefix("/").partition("/")
        if path == "/":
            return self._page()
        if path == "/fields":
            return self._json(self.server.review.fields())
        if path == "/verdicts":
            return self._json(self.server.review.verdicts())
        if kind == "overview" and number.isdecimal():
            return self._image(self.server.review.overview(int(number)), "image/jpeg")
        if kind == "patch" and number.isdecimal():
            return self._image(self.server.review.patch(int(number)), "image/png")
        return self.send(HTTPStatus.NOT_FOUND, "There is nothing here but the page.")

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(18)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self.send(HTTPStatus.OK, page(nonce), {"Content-Security-Policy": policy}, "text/html")

    def _image(self, path: Path | None, kind: str) -> None:
        content = b""
        if path is not None:
            with contextlib.suppress(FileNotFoundError, OrchError):
                content = LocalStorage(path.parent).read(path.name)
        if not content:
            return self.send(HTTPStatus.NOT_FOUND, "This image is not there any more.")
        return self.send(HTTPStatus.OK, content, {"Cache-Control": "private, max-age=3600"}, kind)

    def _take(self, path: str, query: dict[str, list[str]]) -> None:
        # what is not read of a request would be taken for the next one
        self.close_connection = True
        if path != "/verdicts":
            return self.send(HTTPStatus.NOT_FOUND, "There is nothing here but the page.")
        if self.headers.get("Origin", "") != f"http://{self.headers.get('Host', '')}":
            return self.send(HTTPStatus.FORBIDDEN, "Verdicts are taken from this server's own page alone.")
        if self.headers.get_content_type() != "application/json":
            return self.send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Expected JSON.")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            return self.send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Expected at most a million bytes.")
        try:
            return self._json(self.server.review.decide(_said(self.rfile.read(int(length)))))
        except InputError as error:
            return self.send(HTTPStatus.BAD_REQUEST, error.message)
        except OrchError as error:
            return self.send(HTTPStatus.INSUFFICIENT_STORAGE, str(error))

    def _json(self, content: dict[str, Any]) -> None:
        self.send(HTTPStatus.OK, json.dumps(content, separators=(",", ":")), kind="application/json")


def _said(body: bytes) -> dict[int, bool | None]:
    """{"set": {"17": true}} → {17: True}; raises InputError for anything else."""
    try:
        said = json.loads(body)["set"].items()
        numbered = {int(number): is_rejected for number, is_rejected in said}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError("expected numbers of patches with true, false or null") from error
    if not all(value is None or isinstance(value, bool) for value in numbered.values()):
        raise InputError("expected true, false or null for every patch")
    return numbered

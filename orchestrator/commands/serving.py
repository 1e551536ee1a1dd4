"""Pages that are served until Ctrl-C."""

from __future__ import annotations

import contextlib
import webbrowser
from typing import TYPE_CHECKING

from orchestrator.commands.said import echo, say

if TYPE_CHECKING:
    from dashboards.live.server import LiveServer


def serve(server: LiveServer, what: str, caution: str, *, opens: bool) -> None:
    """Serve until Ctrl-C; the address goes to stdout. what: "slides is". caution: what whoever has the address can
    do, said where it holds a token."""
    echo(server.url)
    say(f"{what} served, read-only, until Ctrl-C.")
    if server.token:
        say(f"Anyone who has this address can {caution}")
    if opens:
        webbrowser.open(server.url)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    server.server_close()

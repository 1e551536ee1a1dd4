"""All studies of a folder, served: a home page, and the page of each study behind its link."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from urllib.parse import quote, unquote

from dashboards.live.server import LiveServer
from dashboards.live.state import LiveState, Look
from orchestrator.results.overview import Overview
from orchestrator.store.errors import OrchError

PLACE = "studies/"
"""Of the pages of studies, below the home page."""

Opened = Callable[[str], tuple[Look, Callable[[], str]]]
"""Name of a study → how it is looked at, and how its page is written. Raises OrchError where there is none."""


def live_link(study: Overview) -> str:
    return f"{PLACE}{quote(study.name)}/"


class HomeServer(LiveServer):
    """look, write: of the home page. opened: of a study, once somebody asks for its page."""

    def __init__(self, host: str, port: int, look: Look, write: Callable[[], str], opened: Opened) -> None:
        self._opened = opened
        self._states: dict[str, LiveState] = {}
        self._guard = threading.Lock()
        super().__init__(host, port, look, write)

    def at(self, path: str) -> tuple[LiveState | None, str]:
        name, slash, rest = path.removeprefix(f"/{PLACE}").partition("/")
        if not path.startswith(f"/{PLACE}"):
            return super().at(path)
        return (self._state(unquote(name)) if slash else None), f"/{rest}"

    def _state(self, name: str) -> LiveState | None:
        with self._guard, contextlib.suppress(OrchError):
            if name not in self._states:
                self._states[name] = LiveState(*self._opened(name))
            return self._states[name]
        return None

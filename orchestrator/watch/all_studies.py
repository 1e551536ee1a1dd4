"""Looking at all studies of a folder while others write to them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from orchestrator.results.overview import Overview, overview, unreadable
from orchestrator.store.errors import OrchError
from orchestrator.store.place import Place
from orchestrator.store.record import short_hash
from orchestrator.study.studies import find_study, now, studies_in
from orchestrator.watch.now import ROWS, StudyNow


class AllStudies:
    """Looks again and again; what has not changed since is not read again. `look` and `overviews` may be called by two
    threads, each by one."""

    def __init__(self, studies: Place) -> None:
        self.studies = studies
        self._watched: dict[str, StudyNow] = {}
        self._stamps: dict[str, str] = {}
        self._known: dict[str, tuple[str, Overview]] = {}

    def look(self) -> tuple[str, dict[str, Any]]:
        """A stamp that changes with any study, and all of them together in the form of `StudyNow.look`."""
        stamps, told = dict[str, str](), list[tuple[str, dict[str, Any]]]()
        names = studies_in(self.studies)
        self._watched = {name: one for name, one in self._watched.items() if name in names}
        for name in names:
            with contextlib.suppress(OrchError):  # its state says so
                if name not in self._watched and (study := find_study(self.studies, name)) is not None:
                    self._watched[name] = StudyNow(study.storage)
                stamps[name], doing = self._watched[name].look()
                told.append((name, doing))
        self._stamps = stamps
        return short_hash([[name, stamps.get(name, "")] for name in names]), _together(told)

    def overviews(self) -> list[Overview]:
        """The one that changed last comes first."""
        stamps, overviews = self._stamps, []
        for name in studies_in(self.studies):
            stamp, known = self._known.get(name, ("", None))
            if known is None or stamp != stamps.get(name, ""):
                known = glance(self.studies, name)
                self._known[name] = (stamps.get(name, ""), known)
            overviews.append(known)
        return by_change(overviews)


def glance(studies: Place, name: str) -> Overview:
    try:
        study = find_study(studies, name)
    except OrchError:
        return unreadable(name)
    return overview(study.storage, name, now()) if study is not None else Overview(name, "was deleted")


def by_change(overviews: list[Overview]) -> list[Overview]:
    return sorted(overviews, key=lambda one: (one.changed, one.name), reverse=True)


def glances(studies: Place, tell: Callable[[int, int], None] = lambda done, total: None) -> list[Overview]:
    """Of all studies of a place, the one that changed last first."""
    names, overviews = studies_in(studies), []
    for done, name in enumerate(names):
        tell(done, len(names))
        overviews.append(glance(studies, name))
    return by_change(overviews)


def _together(told: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    running = [{**row, "name": f"{name}: {row['name']}"} for name, one in told for row in one["running"]]
    paces = [one["per_second"] for _, one in told if one["per_second"] is not None]
    hidden = sum(one["hidden"] for _, one in told)
    return {
        "repeats": [sum(one["repeats"][place] for _, one in told) for place in (0, 1)],
        "epochs": [sum(one["epochs"][place] for _, one in told) for place in (0, 1)],
        "per_second": round(sum(paces), 2) if paces else None,
        "seconds_left": None,
        "running": running[:ROWS],
        "hidden": hidden + max(0, len(running) - ROWS),
        "idle": "" if running else "No repeat of any study is being trained now.",
    }

"""What the live server knows: the newest page in parts, what runs now, and which parts changed when.

Nothing is done while nobody asks. A question makes one look at the study, at most one a second; when something that the
page shows has changed, the page is written anew in a thread of its own, while looks go on.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.page.parts import Parts, take_apart

LOOK_EVERY_S = 1.0
LOOKING_SHARE = 0.03
"""Looks take at most this share of the time, unless that would make them rarer than every four seconds."""
LOOK_AT_LEAST_EVERY_S = 4.0
REST_AFTER_WRITING = 2.0
"""After a page that took t seconds to write, the next one is begun 2·t seconds later at the earliest."""

MOST_ANSWERS = 8
"""To readers of so many different revisions an answer is kept."""

Look = Callable[[], tuple[str, Mapping[str, Any]]]
"""A stamp that changes whenever the page would, and what runs now as plain JSON; cheap."""


@dataclass(frozen=True)
class Update:
    """An answer to somebody who has the page of revision `since`.

    now: revision, now (what runs) and error, as a JSON object. changed: the same of what that page lacks: frame (null
    where it did not change), sections and data (by id), and kept, the ids of all data that the page refers to now. It
    is one text for all who lack the same.
    """

    now: str
    changed: str

    @property
    def content(self) -> tuple[str, str]:
        """Both as one object, in parts."""
        return f"{self.now[:-1]},", self.changed[1:]


class LiveState:
    """Thread-safe. `write` returns the whole page; what either raises is told to the reader, and tried again."""

    def __init__(self, look: Look, write: Callable[[], str]) -> None:
        self._look, self._write = look, write
        self._guard, self._looking = threading.Lock(), threading.Lock()
        self._instance = uuid.uuid4().hex[:8]
        self._number = 0
        self._parts: Parts | None = None
        self._changed: dict[tuple[str, str], int] = {}
        self._answers: dict[int, str] = {}
        self._written = ""
        self._now: Mapping[str, Any] = {}
        self._errors = {"look": "", "write": ""}
        self._next_look = self._next_write = 0.0
        self._writer: threading.Thread | None = None

    def page(self) -> tuple[str, Parts]:
        """(revision, parts); written here where there is none yet. Raises what `write` raises for the first page."""
        self._refresh()
        with self._guard:
            writer = self._writer
        if self._parts is None and writer is not None:
            writer.join()
        with self._guard:
            if self._parts is None:
                raise RuntimeError(self._errors["write"] or self._errors["look"] or "the page could not be written")
            return self._revision(), self._parts

    def update(self, since: str) -> Update:
        """What somebody with the page of revision `since` lacks; everything for a revision of another server."""
        self._refresh()
        instance, _, number = since.rpartition("-")
        known = int(number) if instance == self._instance and number.isdecimal() else 0
        with self._guard:
            if known not in self._answers and len(self._answers) < MOST_ANSWERS:
                self._answers[known] = self._changed_since(known)
            changed = self._answers.get(known) or self._changed_since(known)
            error = " ".join(message for message in self._errors.values() if message)
            return Update(_json({"revision": self._revision(), "now": self._now, "error": error}), changed)

    def _changed_since(self, known: int) -> str:
        parts = self._parts or Parts("", "", {}, {}, (), "")
        newer = {part for part, changed in self._changed.items() if changed > known}
        return _json(
            {
                "frame": parts.frame if ("frame", "") in newer else None,
                "sections": {name: text for name, text in parts.sections.items() if ("section", name) in newer},
                "data": {name: element for name, element in parts.data.items() if ("data", name) in newer},
                "kept": list(parts.data) if newer else [],
            }
        )

    def _revision(self) -> str:
        return f"{self._instance}-{self._number}"

    def _refresh(self) -> None:
        """Look, unless somebody has just done so or is doing it; begin to write where something changed."""
        if not self._looking.acquire(blocking=self._parts is None):
            return
        try:
            began = time.monotonic()
            if began < self._next_look:
                return
            stamp = self._written
            try:
                stamp, self._now = self._look()
                self._errors["look"] = ""
            except Exception as error:
                self._errors["look"] = _told("The study cannot be read now", error)
            took = time.monotonic() - began
            self._next_look = began + min(max(LOOK_EVERY_S, took / LOOKING_SHARE), LOOK_AT_LEAST_EVERY_S)
            is_idle = self._writer is None or not self._writer.is_alive()
            if is_idle and began >= self._next_write and (stamp != self._written or self._parts is None):
                self._writer = threading.Thread(target=self._write_page, args=(stamp,), daemon=True)
                self._writer.start()
        finally:
            self._looking.release()

    def _write_page(self, stamp: str) -> None:
        began = time.monotonic()
        try:
            parts = take_apart(self._write())
        except Exception as error:
            with self._guard:
                self._errors["write"] = _told("The page cannot be written now", error)
        else:
            with self._guard:
                self._take(parts)
                self._errors["write"] = ""
                self._written = stamp
        self._next_write = time.monotonic() + REST_AFTER_WRITING * (time.monotonic() - began)

    def _take(self, parts: Parts) -> None:
        """Make `parts` the page, and note which of them differ from what was."""
        before, after = _pieces(self._parts), _pieces(parts)
        different = {piece for piece, content in after.items() if before.get(piece) != content}
        if different or before.keys() - after.keys():
            self._number += 1
        self._changed = {piece: self._changed.get(piece, 0) for piece in after} | dict.fromkeys(different, self._number)
        self._parts = parts
        self._answers.clear()


def _pieces(parts: Parts | None) -> dict[tuple[str, str], str]:
    if parts is None:
        return {}
    return {
        ("frame", ""): parts.frame,
        **{("section", name): content for name, content in parts.sections.items()},
        **{("data", name): element for name, element in parts.data.items()},
    }


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _told(what: str, error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{what}: {lines[0] if lines else type(error).__name__}."

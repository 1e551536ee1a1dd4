"""A study at a glance, among others: where it stands, its best configuration, and when something last changed in it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.results.names import counted, names_of
from orchestrator.results.remarks import read_remarks
from orchestrator.results.report import finite
from orchestrator.results.statistic import Statistic
from orchestrator.results.summary import Summary, summarise
from orchestrator.store import layout
from orchestrator.store.errors import OrchError
from orchestrator.store.storage import LocalStorage, Storage
from search_spaces.settings.selection import METRICS


@dataclass(frozen=True)
class Overview:
    """name: of its folder. state: in words. best: of the study's own partition, by what it selects by; "" where nothing
    is ranked yet, with `by` and `score`. changed: UTC, ISO 8601; "" where it is not known. has_page: whether its page
    was written. is_running: whether somebody trains it now."""

    name: str
    state: str
    configurations: int = 0
    done: int = 0
    asked: int = 0
    best: str = ""
    by: str = ""
    score: Statistic | None = None
    changed: str = ""
    has_page: bool = False
    is_running: bool = False
    synthetic: bool = False
    tags: tuple[str, ...] = ()
    note: str = ""
    """The last one."""

    def as_json(self) -> dict[str, Any]:
        score = self.score
        return {
            "study": self.name,
            "state": self.state,
            "synthetic": self.synthetic,
            "configurations": self.configurations,
            "repeats": {"done": self.done, "asked": self.asked},
            "best": {
                "configuration": self.best,
                "by": self.by,
                "mean": finite(score.mean),
                "std": finite(score.std),
                "n": score.n,
            }
            if score is not None
            else None,
            "changed": self.changed or None,
            "tags": list(self.tags),
            "note": self.note or None,
        }


def overview(storage: Storage, name: str, now: str | None = None) -> Overview:
    """What cannot be read is told as the state of the study, and noted as damage is."""
    try:
        summary = summarise(storage, now)
    except OrchError:
        return unreadable(name)
    totals = summary.totals
    ranked = [one for one in summary.configurations if one.rank == 1 and one.partition == summary.study.partition]
    ranked = ranked or [one for one in summary.configurations if one.rank == 1]
    best = ranked[0] if ranked else None
    remarks = read_remarks(storage)
    names = names_of(one.configuration for one in summary.configurations)
    return Overview(
        name,
        _state(summary),
        totals.configurations,
        totals.done,
        totals.asked,
        names[best.id] if best is not None else "",
        METRICS.variants[best.configuration.selection.metric].label if best is not None else "",
        best.selection if best is not None else None,
        _changed(storage, summary),
        layout.DASHBOARD in storage.list(""),
        totals.running > 0,
        summary.study.synthetic,
        remarks.tags,
        remarks.notes[-1][1].text if remarks.notes else "",
    )


def unreadable(name: str) -> Overview:
    """Why is not said on a page, as it names files of a machine."""
    return Overview(name, f"cannot be read: orch status {name}")


def _state(summary: Summary) -> str:
    totals = summary.totals
    if not totals.asked:
        return "nothing searched yet"
    parts = [f"{counted(totals.running, 'repeat')} running"] if totals.running else []
    if waiting := totals.owed - totals.running - totals.failed:
        parts.append(f"{waiting} waiting" if totals.running else f"stopped, {waiting} waiting")
    parts += [f"{totals.failed} failed"] if totals.failed else []
    return ", ".join(parts) or "done"


def _changed(storage: Storage, summary: Summary) -> str:
    """Of a study on a disk the newest of its folders, as a file that is made or replaced changes the one that it lies
    in, but for what is derived from the others; of one in an object store, which is not asked for times, what was asked
    last."""
    if isinstance(storage, LocalStorage):
        newest = 0.0
        for folder, inner, _ in os.walk(storage.root):
            if Path(folder) == storage.root:
                inner[:] = [name for name in inner if name != layout.HISTORIES]
                continue
            with contextlib.suppress(OSError):  # it was deleted meanwhile
                newest = max(newest, Path(folder).stat().st_mtime)
        return datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds") if newest else ""
    times = [budget.created for budgets in summary.budgets.values() for budget in budgets]
    return max([summary.study.created, *times])

"""What a study is doing right now as plain values: for the live page, the terminal and scripts."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.results.names import and_more, names_of
from orchestrator.running.time_left import Left
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.storage import Storage
from orchestrator.watch.curves import CurvesSoFar
from orchestrator.watch.study_watch import Look, Running, StudyWatch
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration

ROWS = 24
"""Segments at work that are told one by one; the others are counted."""
QUIET_S = 15.0
"""A heartbeat comes every few seconds; silence is told from here on, in steps of ten seconds."""


class StudyNow:
    """Looks again and again. Not shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.watch = StudyWatch(storage)
        self.curves = CurvesSoFar(storage)
        self._seen: dict[str, Configuration] = {}

    def look(self) -> tuple[str, dict[str, Any]]:
        """The stamp of `Look` and, as JSON can hold it:

        repeats, epochs: [done, asked]. per_second: epochs of all repeats, or null. left: how long what is left takes,
        in words, or "".
        running: [{name (of several configurations the first, and how many more), repeats (numbers), epoch (so far), of,
        host, device, silent_s (0 while it beats), loss ({train, valid: [per epoch]} or null), n}], at most ROWS.
        hidden: how many more there are. idle: a sentence where nothing runs, else "".
        """
        look = self.watch.look()
        self.curves.forget_all_but({running.segment for running in look.running})
        shown = look.running[:ROWS]
        names = self._names(shown)
        return look.stamp, {
            "repeats": [look.repeats_done, look.repeats_asked],
            "epochs": [look.epochs_done, look.epochs_asked],
            "per_second": _rounded(look.epochs_per_second, 2),
            "left": _left(look.left),
            "running": [self._row(running, names) for running in shown],
            "hidden": len(look.running) - len(shown),
            "idle": "" if shown else _idle(look),
        }

    def _row(self, running: Running, names: Mapping[str, str]) -> dict[str, Any]:
        so_far = self.curves.read(running)
        first, *others = running.configurations
        return {
            "name": and_more(names[first], len(others)),
            "repeats": list(running.repeats),
            "epoch": running.epoch,
            "of": running.of,
            "host": running.host,
            "device": running.device,
            "silent_s": math.floor(running.silent_s / 10) * 10 if running.silent_s >= QUIET_S else 0,
            "loss": {split: [_rounded(v, 4) for v in values] for split, values in so_far.loss.items()}
            if so_far is not None
            else None,
            "n": so_far.n if so_far is not None else 0,
        }

    def _names(self, shown: Iterable[Running]) -> dict[str, str]:
        """By id; they tell apart all that were ever at work here, so that a name stays while others come and go."""
        ids = {running.configurations[0] for running in shown}
        for identity in ids - set(self._seen):
            with contextlib.suppress(FileNotFoundError, DamagedRecordError):
                self._seen[identity] = read_configuration(self.storage, identity)
        return {**dict(zip(ids, ids, strict=True)), **names_of(self._seen.values())}


def _idle(look: Look) -> str:
    if look.repeats_done >= look.repeats_asked:
        return "All repeats are done."
    return "No repeat is being trained now. A search that reads images or computes features is not shown here."


def _left(left: Left) -> str:
    """In steps that grow with the time: an estimate that changes with every look says nothing."""
    seconds = left.seconds
    if seconds is not None:
        step = 10.0 ** max(0, math.floor(math.log10(max(seconds, 1.0))) - 1)
        left = replace(left, seconds=max(1.0, round(seconds / step) * step))
    return left.words


def _rounded(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None

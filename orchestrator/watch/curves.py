"""Learning curves of repeats that are still being trained, from the histories in their newest checkpoint.

A checkpoint can be large; only its history is read, by its place in the file, on file systems alone. What is read is
shown and nothing else, so the file's checksum is not verified here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.kinds import check_size
from orchestrator.store.parsing import json_object
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import LocalStorage, Storage
from orchestrator.watch.study_watch import Running
from trainables.bundles.attempts import checkpoints


@dataclass(frozen=True)
class SoFar:
    """Mean loss over `n` repeats in nats, per split float64 [epochs + 1], epoch 0 first."""

    loss: Mapping[str, NDArray[np.float64]]
    n: int


class CurvesSoFar:
    """Reads each checkpoint once. Not shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._kept: dict[Segment, tuple[str, SoFar | None]] = {}

    def read(self, running: Running) -> SoFar | None:
        """Curves of its lanes from the furthest checkpoint; None where there is none to be read."""
        segment = running.segment
        if not isinstance(self.storage, LocalStorage):
            return None
        newest = next(iter(checkpoints(self.storage, segment)), None)
        if newest is None:
            return None
        kept = self._kept.get(segment)
        if kept is None or kept[0] != newest.path:
            kept = newest.path, _history(self.storage, newest.path, running.lanes)
            self._kept[segment] = kept
        return kept[1]

    def forget_all_but(self, segments: Collection[Segment]) -> None:
        """Drop what was kept of segments that nobody works on any more."""
        self._kept = {segment: kept for segment, kept in self._kept.items() if segment in segments}


def _history(storage: LocalStorage, name: str, owed: Collection[LaneKey]) -> SoFar | None:
    path = storage.local(name)
    try:
        if not path.is_file():
            return None  # a pipe would be waited for
        check_size(name, path.stat().st_size, storage.read)
        with safe_open(path, framework="np") as file:
            wanted = {(lane.configuration, lane.repeat) for lane in owed}
            lanes = json_object(file.metadata()["record"], path.name)["group"]
            loss = np.asarray(file.get_tensor("history.loss"), dtype=np.float64)
            stopped = file.get_tensor("stopped") if "stopped" in file.keys() else np.full(loss.shape[-1], -1)  # noqa: SIM118
        mine = [
            place
            for place, lane in enumerate(zip(lanes["configurations"], lanes["repeats"], strict=True))
            if lane in wanted
        ]
        if loss.ndim != 3 or not mine:
            return None
        # a lane that stopped goes on in its stack, but what it learns there is no part of it
        ends = np.where(stopped[mine] < 0, len(loss), stopped[mine])
        loss = loss[: int(ends.max()) + 1, :2, mine]
        counts = np.broadcast_to(np.arange(len(loss))[:, None, None] <= ends, loss.shape)
        mean = np.where(counts, loss, 0.0).sum(axis=2) / counts.sum(axis=2)
    except (DamagedRecordError, OSError, SafetensorError, KeyError, TypeError, ValueError, IndexError):
        return None  # gone by now, or of another version: the page goes without
    return SoFar({"train": mean[:, 0], "valid": mean[:, 1]}, len(mine))

"""Which patches people rejected, who and when: lines that are only ever added, and the table that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.patches.record import LABELS, VERDICTS, labels_csv
from orchestrator.store.appended import append, appended, held
from orchestrator.store.storage import LocalStorage


@dataclass(frozen=True)
class Verdict:
    """The last word on a patch. is_rejected: False for one that was looked at and kept."""

    is_rejected: bool
    by: str
    at: str


def verdicts_of(folder: Path) -> dict[str, Verdict]:
    """File → the last verdict on it; a verdict that was taken back leaves none."""
    verdicts: dict[str, Verdict] = {}
    for line in appended(folder / VERDICTS):
        said = line.get("set")
        for file, is_rejected in said.items() if isinstance(said, dict) else ():
            if isinstance(is_rejected, bool):
                verdicts[file] = Verdict(is_rejected, str(line.get("by", "")), str(line.get("at", "")))
            else:
                verdicts.pop(file, None)
    return verdicts


def decide(folder: Path, record: Mapping[str, Any], by: str, said: Mapping[str, bool | None]) -> dict[str, Verdict]:
    """Add what somebody said: rejected (True), kept (False), or taken back (None); returns all verdicts after it."""
    with held(folder / VERDICTS):
        append(folder / VERDICTS, {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": by, "set": dict(said)})
        return _written(folder, record)


def write_labels(folder: Path, record: Mapping[str, Any]) -> dict[str, Verdict]:
    """Bring the table of a search to what the verdicts say; returns them."""
    with held(folder / VERDICTS):
        return _written(folder, record)


def _written(folder: Path, record: Mapping[str, Any]) -> dict[str, Verdict]:
    verdicts = verdicts_of(folder)
    rejected = frozenset(file for file, verdict in verdicts.items() if verdict.is_rejected)
    LocalStorage(folder).replace(LABELS, labels_csv(record, rejected))
    return verdicts

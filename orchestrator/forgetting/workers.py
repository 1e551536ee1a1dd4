"""Whether somebody works on a study now."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.results.at_work import SILENT_AFTER_S
from orchestrator.store.errors import InputError
from orchestrator.store.layout import SEARCHES
from orchestrator.store.leases import LeaseView, current_lease
from orchestrator.store.segments import SEGMENTS
from orchestrator.study.studies import Study


def check_idle(study: Study) -> None:
    """Raise InputError while a driver decides for a search of the study, or a worker trains a segment of it."""
    for folder in (SEARCHES, SEGMENTS):
        for name in study.storage.list(folder):
            lease = current_lease(study.storage, f"{folder}/{name}")
            if lease is not None and _is_held(lease):
                raise InputError(
                    f"study {study.name!r}: expected nobody working on it, found a process on "
                    f"{lease.host or 'some machine'}",
                    "Wait for it to end, or end it with Ctrl-C; what it did is kept. A process that died counts as "
                    f"gone {SILENT_AFTER_S / 60:.0f} minutes after its last sign of life.",
                )


def _is_held(lease: LeaseView) -> bool:
    if lease.is_released or lease.owner_is_dead():
        return False
    try:
        heard = datetime.fromisoformat(str(lease.content.get("updated")))
    except ValueError:
        return False
    heard = heard if heard.tzinfo is not None else heard.replace(tzinfo=UTC)
    return (datetime.now(UTC) - heard).total_seconds() < SILENT_AFTER_S

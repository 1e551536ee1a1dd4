"""Who works on a study, when each was last heard of, how fast results come and how long the rest will take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from dashboards.figures.choice import Source
from dashboards.figures.markup import whole_name
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import current_lease
from orchestrator.store.schema import RepeatState

RECENT_S = 3600.0
"""The pace is that of the last so many seconds before the newest result."""
SILENT_AFTER_S = 600.0
"""A worker that was not heard of for longer is shown as silent."""


def worker_data(source: Source, now: str) -> pd.DataFrame:
    """One row per lease that is held on repeats still owed, last heard of first.

    Columns: host, device, configuration, repeats (how many it works on), epochs (done of those repeats), of, heard
    (UTC), age_s (seconds before `now`), silent.
    """
    rows = []
    moment = _time(now)
    for member in source.summary.configurations:
        owed = [s for s in member.standings if s.state in (RepeatState.RUNNING, RepeatState.WAITING)]
        for index in sorted({BundleKey.of_repeat(member.partition, member.id, s.repeat).index for s in owed}):
            key = BundleKey(member.partition, member.id, index)
            lease = current_lease(source.storage, key)
            if lease is None or lease.is_released or not lease.content or lease.owner_is_dead():
                continue
            done = lease.content.get("done")
            trained = list(done.values()) if isinstance(done, dict) else []
            heard = str(lease.content.get("updated", ""))
            at = _time(heard)
            age = (moment - at).total_seconds() if moment and at else float("nan")
            where = whole_name(member)
            rows.append(
                (
                    str(lease.content.get("host", "–")),
                    str(lease.content.get("device", "–")),
                    where,
                    len(trained),
                    sum(int(epochs) for epochs in trained),
                    len(trained) * int(lease.content.get("of", 0) or 0),
                    heard,
                    age,
                    not age < SILENT_AFTER_S,
                )
            )
    columns = ["host", "device", "configuration", "repeats", "epochs", "of", "heard", "age_s", "silent"]
    return pd.DataFrame(rows, columns=columns).sort_values("age_s", ignore_index=True)


@dataclass(frozen=True)
class Pace:
    """epochs_per_s: of all workers together, by the clock, over the last hour of results; left_s: for what is owed."""

    epochs_per_s: float
    left_s: float


def pace(source: Source) -> Pace | None:
    """None before there are two results to measure between; what is owed is then not foretold either."""
    table = source.summary.repeats.table
    finished = pd.to_datetime(table["finished"], utc=True, errors="coerce", format="ISO8601")
    known = finished.notna()
    if known.sum() < 2:
        return None
    newest = finished[known].max()
    recent = known & ((newest - finished).dt.total_seconds() <= RECENT_S)
    first = finished[recent].min()
    seconds = (newest - first).total_seconds()
    epochs = int(table.loc[recent & (finished > first), "history_epochs"].sum())
    if seconds <= 0 or epochs == 0:
        return None
    rate = epochs / seconds
    totals = source.summary.totals
    return Pace(rate, max(0, totals.epochs_asked - totals.epochs_done) / rate)


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

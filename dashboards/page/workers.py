"""Who works on a study, when each was last heard of, how fast results come and how long the rest will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from dashboards.figures.choice import Source
from dashboards.figures.markup import whole_name
from orchestrator.results.at_work import SILENT_AFTER_S, AtWork
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import and_more

RECENT_S = 3600.0
"""The pace is that of the last so many seconds before the newest result."""


def worker_data(source: Source, now: str) -> pd.DataFrame:
    """One row per lease that is held on repeats still owed, last heard of first.

    Columns: host, device, configuration (of several that are trained together the first, and how many more), repeats
    (how many it works on), epochs (done of those repeats), of, heard (UTC), age_s (seconds before `now`), silent.
    """
    rows = []
    moment = _time(now)
    members = {(member.partition, member.id): member for member in source.summary.configurations}
    for work in source.summary.at_work:
        if not work.is_leased:
            continue
        at = _time(work.heard)
        age = (moment - at).total_seconds() if moment and at else float("nan")
        owed = len(work.lanes)
        rows.append(
            (
                work.host or "–",
                work.device or "–",
                _configurations(members, work),
                owed,
                owed * work.epoch,
                owed * work.segment.epochs,
                work.heard,
                age,
                not age < SILENT_AFTER_S,
            )
        )
    columns = ["host", "device", "configuration", "repeats", "epochs", "of", "heard", "age_s", "silent"]
    return pd.DataFrame(rows, columns=columns).sort_values("age_s", ignore_index=True)


def _configurations(members: Mapping[tuple[str, str], ConfigurationSummary], work: AtWork) -> str:
    names = list(dict.fromkeys(lane.configuration for lane in work.lanes))
    first = members.get((work.segment.partition, names[0]))
    return and_more(names[0] if first is None else whole_name(first), len(names) - 1)


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

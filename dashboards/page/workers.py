"""Who works on a study, when each was last heard of, how fast results come and how long the rest will take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
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


def epochs_per_s(source: Source) -> float | None:
    """Of all workers together, by the clock, over the last hour of results; None before there are two results to
    measure between."""
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
    return epochs / seconds if seconds > 0 and epochs else None


def left_s(source: Source, workers: int) -> float | None:
    """Seconds until so many workers have trained what is owed, each epoch at what those of its configuration took, or
    of others with as many layers on the same backbone; None where nobody works, or of some of it that is not known."""
    members = source.summary.configurations
    kinds = {member.id: _kind(member) for member in members}
    table = source.summary.repeats.table.groupby("configuration", sort=False)[["seconds", "history_epochs"]].sum()
    spent: dict[object, np.ndarray] = defaultdict(lambda: np.zeros(2))
    for name, *seconds_and_epochs in table.itertuples():
        for key in (name, kinds.get(name)):
            spent[key] += seconds_and_epochs
    left = 0.0
    for member in members:
        owed = sum(max(0, one.epochs_asked - one.epochs_done) for one in member.standings)
        if owed:
            seconds, epochs = spent.get(member.id, spent.get(kinds[member.id], np.zeros(2)))
            if not epochs:
                return None
            left += owed * seconds / epochs
    return left / workers if workers else None


def _kind(member: ConfigurationSummary) -> tuple[object, ...]:
    configuration = member.configuration
    return configuration.network.backbone, configuration.image.size, *member.depth


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

"""Head of the progress section: how far the study is, and who works on it."""

from __future__ import annotations

import math

import pandas as pd

from dashboards.figures.choice import Source
from dashboards.figures.markup import duration, table, text
from dashboards.page.controls import nothing
from dashboards.page.names import without_names_of
from dashboards.page.workers import epochs_per_s, left_s, worker_data
from orchestrator.results.names import thousands


def section_standing(source: Source, now: str, energy: str = "", with_names: bool = False) -> str:
    """Counts, pace, time left, workers and failures."""
    totals = source.summary.totals
    share = totals.done / totals.asked if totals.asked else 0.0
    waiting = totals.owed - totals.running - totals.failed
    states = f"{totals.running} running, {waiting} waiting, {totals.failed} failed, {totals.diverged} diverged"
    states += f", {totals.stopped} stopped early" if totals.stopped else ""
    spent = f" {text(energy)}" if energy else ""
    workers = worker_data(source, now)
    at_work = len(workers[~workers["silent"].astype(bool)])
    parts = [
        f"<p>{totals.done:,} of {thousands(totals.asked, 'repeat')} done ({share:.0%}), {states}; "
        f"{totals.epochs_done:,} of {thousands(totals.epochs_asked, 'epoch')}. {_pace(source, at_work)}{spent}</p>",
        f'<p class="meter" role="img" aria-label="{share:.0%} of the repeats done">'
        f'<span style="width:{share:.2%}"></span></p>',
    ]
    if totals.owed:
        parts.append(_workers(workers, with_names))
        parts.append(_failures(source, with_names))
    return "".join(parts)


def _pace(source: Source, at_work: int) -> str:
    totals = source.summary.totals
    words = []
    if math.isfinite(totals.epochs_per_second):
        words.append(f"One worker trains {totals.epochs_per_second:.2f} epochs per second")
    if totals.owed:
        together, left = epochs_per_s(source), left_s(source, at_work)
        if together is not None:
            words.append(f"all together {together:.2f} by the clock, over the last hour of results")
        if left is not None:
            words.append(f"about {duration(left)} left")
    words.append(f"{duration(totals.seconds)} of training so far")
    sentence = ", ".join(words)
    return sentence[:1].upper() + sentence[1:] + "."


def _workers(data: pd.DataFrame, with_names: bool) -> str:
    if data.empty:
        return nothing("Nothing is being trained: no worker has taken any of the repeats that are still to be done.")
    hosts = dict.fromkeys(data["host"])
    shown = {host: host if with_names else f"machine {number}" for number, host in enumerate(hosts, 1)}
    rows = [
        [
            shown[row["host"]],
            row["device"],
            row["configuration"],
            row["repeats"],
            f"{row['epochs']} of {row['of']}",
            f"{duration(row['age_s'])} ago" + (" – silent" if row["silent"] else ""),
        ]
        for row in data.head(40).to_dict("records")
    ]
    columns = ["Worker", "Device", "Configuration", "Repeats", "Epochs", "Last sign of life"]
    return table(columns, rows, "Workers", "workers cards")


def _failures(source: Source, with_names: bool) -> str:
    causes: dict[str, int] = {}
    for member in source.summary.configurations:
        for standing in member.standings:
            if standing.cause:
                causes[standing.cause] = causes.get(standing.cause, 0) + 1
    if not causes:
        return ""
    shown = str if with_names else without_names_of(source.storage, causes)
    rows = sorted(causes.items(), key=lambda item: -item[1])[:10]
    return table(["Cause", "Repeats"], [[shown(cause)[:200], count] for cause, count in rows], "Failures", "cards")

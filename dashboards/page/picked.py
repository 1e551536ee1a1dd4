"""The configuration that a reader chooses: marked in figures that have it, its settings beside those of the best."""

from __future__ import annotations

import math
from typing import Any

from dashboards.figures.choice import Source
from dashboards.figures.markup import METRIC_NAMES
from dashboards.figures.setting_text import label_of, shown_value, value_of
from dashboards.page.chart import Charts
from dashboards.page.controls import controls, select
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import counted
from orchestrator.statistics.partitions import partitions_of
from search_spaces.configuration import column_names

PICKED = "picked"
"""What the page's script calls the choice."""


def pick(source: Source) -> str:
    """The choice; a click on a mark in a figure makes it too."""
    members = source.summary.configurations
    return controls(
        select("Marked configuration", PICKED, {"": "none"} | {one.id: source.names[one.id] for one in members})
    )


def picked(source: Source, charts: Charts) -> str:
    """An empty place at the end of a section, which the page's script fills and keeps in view."""
    number = charts.table(picked_data(source))
    return f'<div class="picked" data-of="{PICKED}" data-payload="payload-{number}" role="status" hidden></div>'


def picked_data(source: Source) -> dict[str, Any]:
    """settings: labels of those in which configurations differ. configurations: by id name, values as text in the order
    of settings, and what is told of each. best: id of the first-ranked one of each partition, "" where there is none.
    """
    summary = source.summary
    members = list({member.id: member for member in summary.configurations[::-1]}.values())[::-1]
    columns = [name for name in column_names() if len({_value(member, name) for member in members}) > 1]
    first = {member.partition: member.id for member in summary.configurations[::-1] if member.rank is not None}
    return {
        "settings": [label_of(name) for name in columns],
        "configurations": {
            member.id: {
                "name": source.names[member.id],
                "values": [_value(member, name) for name in columns],
                "told": _told(source, member.id),
            }
            for member in members
        },
        "best": [first.get(name, "") for name in partitions_of(summary)],
    }


def _value(member: ConfigurationSummary, name: str) -> str:
    return value_of(name, shown_value(member.configuration, name))


def _told(source: Source, name: str) -> list[str]:
    """How it stands on each partition, and what the last search that stopped it says."""
    several = [member for member in source.summary.configurations if member.id == name]
    told = [_standing(member, len(several) > 1) for member in several]
    stop = next((course.stops[name] for course in source.courses.values() if name in course.stops), None)
    if stop is not None and several[0].stopped_by_search:
        told.append(f"{stop.words[:1].upper()}{stop.words[1:]}. Why: {stop.reason}.")
    return told


def _standing(member: ConfigurationSummary, named: bool) -> str:
    metric = member.configuration.selection.metric
    score = member.score(metric, "valid")
    rank = f"rank {member.rank}" if member.rank is not None else "no rank"
    told = f"{member.id}{f', partition {member.partition}' if named else ''}: {rank}"
    if score is None:
        return f"{told}, no result yet"
    std = f" ± {score.std:.4f}" if math.isfinite(score.std) else ""
    epochs = counted(member.epochs, "epoch")
    return f"{told}, valid {METRIC_NAMES[metric].lower()} {score.mean:.4f}{std}, n = {score.n}, {epochs}"

"""The settings of a search that does not fill a grid: which of them vary, and the table behind its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from dashboards.figures.choice import Choice, Source, is_loss
from dashboards.figures.declaration import Control
from dashboards.figures.markup import METRIC_NAMES, plot_text, whole_name
from dashboards.figures.scales import number_text
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.how_ended import how_many_stopped
from orchestrator.results.tried import tried
from search_spaces.configuration import by_column, shown_settings
from search_spaces.settings.declaration import Touch

LEAST_SETTINGS = 3
RESULT = ("mean", "std", "n", "rank")

NAMES: dict[str, str] = {
    one.column: one.setting.label
    for one in shown_settings()
    if one.path not in ("network.backbone", "network.weights") and set(one.setting.touches) != {Touch.SELECTION}
}
"""Settings that a search can vary within one backbone by column, and what figures call them."""
_ON_HEAT_MAPS = {"lr", "batch_size", "non_linearities", "unfrozen"}


def varying_settings(members: Sequence[ConfigurationSummary]) -> list[str]:
    """Columns of settings with two values or more where they matter, without those that another setting decides.

    Such a one takes no two values beside one of the other's.
    """
    varying = []
    for name in NAMES:
        one = by_column()[name]
        mine = [member.configuration for member in members if member.configuration.matters(one)]
        deciding = [condition.path for condition in one.setting.conditions]
        pairs = {(*map(c.value, deciding), c.column(name)) for c in mine}
        if len(pairs) > len({pair[:-1] for pair in pairs}):
            varying.append(name)
    return varying


def off_grid(members: Sequence[ConfigurationSummary]) -> list[ConfigurationSummary]:
    """Configurations of the strategies that vary three settings or more, of which heat maps do not show all.

    They do where only their own settings vary and a strategy fills its grid: as many different points as the product
    of its numbers of values. Whatever was asked for counts, with or without a result.
    """
    members_off_grid: list[ConfigurationSummary] = []
    for strategy in dict.fromkeys(member.configuration.strategy for member in members):
        part = [member for member in members if member.configuration.strategy == strategy]
        names = varying_settings(part)
        points = {tuple(tried(member.configuration, name) for name in names) for member in part}
        whole = math.prod(len({point[place] for point in points}) for place in range(len(names)))
        if len(names) >= LEAST_SETTINGS and (len(points) < whole or not _ON_HEAT_MAPS.issuperset(names)):
            members_off_grid += part
    return members_off_grid


def search_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration off a grid that has a result; empty where the search fills its grids.

    Columns: configuration, id, the settings that vary (missing where one cannot matter), mean, std and n of the
    validation score at selected epochs, rank (NaN before all repeats are done). Best mean first.
    """
    key = ("search", choice.partition, choice.backbone, choice.score)
    return source.once(key, lambda: _search_data(source, choice)).copy()


def searched(source: Source, choice: Choice) -> list[ConfigurationSummary]:
    """Those off a grid of the choice's partition and backbone."""
    key = ("off grid", choice.partition, choice.backbone)
    return source.once(key, lambda: off_grid(source.members(choice)))


def _tried(source: Source, choice: Choice) -> tuple[list[str], dict[str, list[Any]]]:
    """The settings that vary among those, and by id their values."""
    members = searched(source, choice)
    names = varying_settings(members)
    return names, {member.id: [tried(member.configuration, name) for name in names] for member in members}


def _search_data(source: Source, choice: Choice) -> pd.DataFrame:
    members = searched(source, choice)
    names, values = source.once(("tried", choice.partition, choice.backbone), lambda: _tried(source, choice))
    rows = []
    for member in members:
        score = member.score(choice.score, "valid")
        if score is None or not math.isfinite(score.mean):
            continue
        where = whole_name(member)
        rank = math.nan if member.rank is None else member.rank
        rows.append((where, member.id, *values[member.id], score.mean, score.std, score.n, rank))
    data = pd.DataFrame(rows, columns=["configuration", "id", *names, *RESULT])
    ordered = data.sort_values("mean", ascending=is_loss(choice.score), kind="stable", ignore_index=True)
    return ordered if len(ordered) > 1 else ordered.iloc[:0]


def stopped_sentence(source: Source, choice: Choice) -> str:
    """What follows a reading where some of what is drawn was stopped by its search."""
    told = how_many_stopped(searched(source, choice))
    return f" {told}" if told else ""


def settings_of(data: pd.DataFrame) -> list[str]:
    """The columns of `search_data` that are settings."""
    return [name for name in data.columns if name in NAMES]


def row_words(data: pd.DataFrame, score: str) -> list[str]:
    names = settings_of(data)
    hovers = []
    for row in data.to_dict("records"):
        there = [name for name in names if not pd.isna(row[name])]
        settings = "<br>".join(f"{NAMES[name]} {plot_text(_shown(row[name]))}" for name in there)
        std = f" ± {row['std']:.4f}" if math.isfinite(row["std"]) else ""
        hovers.append(f"{settings}<br>valid {score.lower()} {row['mean']:.4f}{std}, n = {row['n']}")
    return hovers


def _shown(value: Any) -> str:
    return number_text(float(value)) if isinstance(value, (int, float)) else str(value)


CONTROL = Control("search", "Show", {str(key): name for key, name in METRIC_NAMES.items()})

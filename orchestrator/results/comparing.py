"""By which value configurations that are ranked together are compared: one rule for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.store.errors import Faults
from orchestrator.store.schema import Metric
from search_spaces.configuration import Configuration
from search_spaces.settings.selection import METRICS, RULES

if TYPE_CHECKING:
    from orchestrator.results.configuration_summary import ConfigurationSummary


def compared_by_valid(configurations: Iterable[Configuration]) -> frozenset[Metric]:
    """Of configurations that are ranked together, the metrics by which valid alone compares them.

    Each selects its epochs by its own rule. Valid alone is never below the worse of train and valid, so where one of
    them selects by it, all are compared by it.
    """
    return frozenset(c.selection.metric for c in configurations if c.selects_by_valid_alone)


def compared_alike(member: ConfigurationSummary, by_valid: Collection[Metric]) -> ConfigurationSummary:
    """The same beside configurations of other studies, where these metrics are compared by valid alone."""
    metric = member.configuration.selection.metric
    if member.by_valid or metric not in by_valid:
        return member
    return replace(member, by_valid=True, selection=member.score(metric, "valid"))


def check_comparable(configurations: Iterable[Configuration], where: str) -> None:
    """Raise InputError where one metric has several values of its settings: it would say something else in each."""
    faults = Faults(where)
    values_of: dict[tuple[Metric, str], set[Any]] = defaultdict(set)
    for c in configurations:
        for name in METRICS.variants[c.selection.metric].uses:
            values_of[c.selection.metric, name].add(getattr(c.selection, name))
    for (metric, name), values in sorted(values_of.items()):
        if len(values) > 1:
            told = " and ".join(f'"{value}"' if isinstance(value, str) else f"{value:g}" for value in sorted(values))
            faults.add(f"selection.{name}: expected one value for all that select by {metric}, found {told}")
    faults.raise_if_any("Scores for different values cannot be compared: search each value in a study of its own.")


def ranked_with(one: ConfigurationSummary, members: Iterable[ConfigurationSummary]) -> list[ConfigurationSummary]:
    """Those of its partition that select by its metric, itself too: what it is compared with."""
    metric = one.configuration.selection.metric
    return [m for m in members if m.partition == one.partition and m.configuration.selection.metric == metric]


def are_mixed(members: Iterable[ConfigurationSummary]) -> bool:
    """Whether some of these are compared by valid though the worse of train and valid selected their epochs."""
    return any(member.by_valid and not member.configuration.selects_by_valid_alone for member in members)


def looked_at(members: Iterable[ConfigurationSummary]) -> str:
    """In words, what the values of these are of that rank and compare them; all select by one metric."""
    several = list(members)
    if not any(member.by_valid for member in several):
        return RULES["worse_of_both"]
    return "valid for all, because some select their epochs by valid alone" if are_mixed(several) else RULES["valid"]


def selected_by(members: Iterable[ConfigurationSummary]) -> str:
    """In words, by what the epochs of these were selected, each by its own rule."""
    rules = dict.fromkeys(RULES[member.configuration.selection.rule] for member in members)
    return " or ".join(sorted(rules, reverse=True)) + (", depending on the configuration" if len(rules) > 1 else "")

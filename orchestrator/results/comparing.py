"""By which value configurations that are ranked together are compared: one rule for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.store.schema import Metric
from search_spaces.configuration import Configuration

if TYPE_CHECKING:
    from orchestrator.results.configuration_summary import ConfigurationSummary


def compared_by_valid(configurations: Iterable[Configuration]) -> frozenset[Metric]:
    """Of configurations that are ranked together, the metrics by which valid alone compares them.

    Each selects its epochs by its own rule. Valid alone is never below the worse of train and valid, so where one of
    them selects by it, all are compared by it.
    """
    return frozenset(c.selection.metric for c in configurations if c.selects_by_valid_alone)


def are_mixed(members: Iterable[ConfigurationSummary]) -> bool:
    """Whether some of these are compared by valid though the worse of train and valid selected their epochs."""
    return any(member.by_valid and not member.configuration.selects_by_valid_alone for member in members)


def looked_at(members: Iterable[ConfigurationSummary]) -> str:
    """In words, what the values of these are that rank and compare them; all select by one metric."""
    several = list(members)
    if not any(member.by_valid for member in several):
        return "the worse of train and valid"
    return "valid for all, because some select their epochs by valid alone" if are_mixed(several) else "valid"

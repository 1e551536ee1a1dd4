"""The search section: when a study has one, and what stands above its figures."""

from __future__ import annotations

from dashboards.figures.choice import Choice, Source, backbones
from dashboards.figures.search_settings import searched
from dashboards.page.controls import reading
from dashboards.page.picked import pick
from orchestrator.statistics.partitions import partitions_of

_SCORES = "Scores are means over repeats on the validation split, at selected epochs."


def has_search_view(source: Source) -> bool:
    """Whether any backbone of any partition was searched off a grid."""
    members = source.summary.configurations
    places = ((one, two) for one in partitions_of(source.summary) for two in backbones(members))
    return any(searched(source, Choice(*place)) for place in places)


def has_search_section(source: Source) -> bool:
    """Whether there is such a view, or a search that decided what to train next."""
    return bool(source.courses) or has_search_view(source)


def search_head(source: Source) -> str:
    """What stands first: how the section is read, and which configuration is marked in its figures."""
    return search_introduction(source) + pick(source)


def search_introduction(source: Source) -> str:
    if not has_search_view(source):
        return reading(_SCORES)
    return reading(
        _SCORES,
        "These figures appear where a strategy varies three settings or more and the heat maps do not show all of its "
        "configurations: they do not fill the grid of their values, or differ in more than learning rate, batch size, "
        "n and u.",
    )

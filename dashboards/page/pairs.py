"""Which two settings stand down and across in a section: the choice among pairs, and a block for each of them."""

from __future__ import annotations

from collections.abc import Callable

from dashboards.figures.choice import Choice, Source, backbones
from dashboards.figures.declaration import Figure
from dashboards.figures.facets import Pair
from dashboards.page.controls import select, when
from orchestrator.statistics.partitions import partitions_of


def pair_control(figure: Figure) -> str:
    """What the page's script calls it."""
    return f"pair-{figure.name}"


def choose_pair(figure: Figure, source: Source) -> str:
    """The choice, hidden where there is one pair."""
    names = [pair.label for pair in source.pairs]
    return select("Rows × columns", pair_control(figure), names, len(names) < 2)


def by_pair(figure: Figure, source: Source, block: Callable[[Pair], str]) -> str:
    """The blocks of all pairs, of which the page shows that of the chosen one."""
    return "".join(when(block(pair), **{pair_control(figure): place}) for place, pair in enumerate(source.pairs))


def place_tag(source: Source, choice: Choice) -> str:
    """Numbers in place of the names of partition and backbone, for the page's controls."""
    summary = source.summary
    numbers = partitions_of(summary).index(choice.partition), backbones(summary.configurations).index(choice.backbone)
    return "-".join(map(str, numbers))

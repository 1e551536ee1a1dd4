"""Every figure, a line each, in the order of the page.

FIGURES["curves"].data(source, choice) gives a DataFrame, FIGURES["curves"].draw(data, choice) a plain plotly figure
for plotly.graph_objects.Figure; `source` comes from `open_source`, a choice from FIGURES["curves"].choices(summary).
"""

from __future__ import annotations

from dashboards.figures import (
    against_validation,
    best_repeats,
    classes,
    confusion,
    cost,
    curves,
    decisions,
    deletion,
    density,
    depth,
    differences,
    families,
    gap,
    heat_maps,
    image_slices,
    importance,
    losses,
    parallel,
    partition_map,
    partition_spread,
    progress,
    race,
    reliability,
    rungs,
    shared_errors,
    single_repeats,
    slices,
    spread,
    standings,
    thresholds,
    untrained,
    validation_confusion,
)
from dashboards.figures.choice import Source
from dashboards.figures.declaration import Figure, Per
from orchestrator.results.summary import summarise
from orchestrator.store.storage import Storage

_EVERY = (
    differences.FIGURE,
    best_repeats.FIGURE,
    validation_confusion.FIGURE,
    progress.FIGURE,
    heat_maps.FIGURE,
    curves.FIGURE,
    single_repeats.BEST,
    single_repeats.EVERY,
    depth.NON_LINEARITIES,
    depth.UNFROZEN,
    families.FIGURE,
    losses.FIGURE,
    spread.FIGURE,
    gap.FIGURE,
    untrained.FIGURE,
    density.FIGURE,
    partition_spread.FIGURE,
    decisions.FIGURE,
    rungs.FIGURE,
    race.FIGURE,
    cost.FIGURE,
    parallel.FIGURE,
    slices.FIGURE,
    importance.FIGURE,
    classes.FIGURE,
    partition_map.FIGURE,
    standings.FIGURE,
    image_slices.FIGURE,
    shared_errors.FIGURE,
    deletion.FIGURE,
    confusion.IMAGES,
    confusion.GROUPS,
    thresholds.ROC,
    thresholds.PRECISION_RECALL,
    reliability.FIGURE,
    against_validation.FIGURE,
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _EVERY}


def figures_of(section: str, *per: Per) -> list[Figure]:
    """Those that stand in a section of the page, or a part of one; `per`: what they are of, by default anything."""
    return [figure for figure in _EVERY if figure.section == section and figure.per in (per or Per)]


def open_source(storage: Storage, now: str | None = None) -> Source:
    """A study ready for figures; raises what `orchestrator.results.summary.summarise` raises."""
    return Source(summarise(storage, now), storage)

"""Faults of a study's file that only show when several keys are read together."""

from __future__ import annotations

from collections.abc import Iterator

from search_spaces.schema import STRATEGIES, Backbone, Grid, Optimiser, Small, Space


def crossed_faults(space: Space) -> list[str]:
    """All of them, as "key: expected …, found …"; empty for a sound file."""
    return [*_of_classes(space), *_of_image(space), *_of_optimiser("optimiser", space.optimiser), *_of_tables(space)]


def _of_classes(space: Space) -> Iterator[str]:
    if space.task == "binary" and space.classes is not None and len(space.classes) != 2:
        yield f'classes: expected two for the task "binary", found {len(space.classes)}'
    if space.positive is None:
        return
    if space.task == "multiclass" or (space.task is None and space.classes is not None and len(space.classes) > 2):
        yield f'positive: expected only with the task "binary", found "{space.positive}" with several classes'
    elif space.classes is not None and space.positive not in space.classes:
        yield f'positive: expected one of the classes {", ".join(space.classes)}, found "{space.positive}"'


def _of_image(space: Space) -> Iterator[str]:
    if space.image.crops > 1 and space.image.store_size is None:
        yield f"image.store_size: expected a size to cut {space.image.crops} crops from, found nothing"


def _of_optimiser(key: str, optimiser: Optimiser) -> Iterator[str]:
    idle = "betas" if optimiser.name == "sgd" else "momentum"
    if idle in optimiser.model_fields_set:
        yield f'{key}.{idle}: expected nothing with the optimiser "{optimiser.name}", found {getattr(optimiser, idle)}'


def _of_tables(space: Space) -> Iterator[str]:
    yield from _of_grid("grid", space.grid)
    yield from _of_strategies("", space)
    if space.small is not None:
        yield from _of_strategies("small.", space.small)
        if not any(getattr(space.small, strategy) for strategy in STRATEGIES):
            yield f"small: expected a table for at least one of {', '.join(STRATEGIES)}, found none"
    seen: dict[str, int] = {}
    for index, backbone in enumerate(space.backbones):
        key = f"backbones[{index}]"
        if backbone.name in seen:
            yield f'{key}.name: expected each backbone once, found "{backbone.name}" at {seen[backbone.name]} too'
        seen.setdefault(backbone.name, index)
        yield from _of_grid(f"{key}.grid", backbone.grid)
        yield from _of_strategies(f"{key}.", backbone)
        yield from _of_choice(key, backbone, space)


def _of_choice(key: str, backbone: Backbone, space: Space) -> Iterator[str]:
    """A table for a strategy that the backbone does not run would be read by nobody."""
    known = space.strategies or STRATEGIES
    for strategy in backbone.strategies or ():
        if strategy not in known and getattr(backbone, strategy) is None:
            yield f"{key}.strategies: expected some of {', '.join(known)} (the tables of this file), found {strategy}"
    for strategy in STRATEGIES:
        if backbone.strategies and strategy not in backbone.strategies and getattr(backbone, strategy) is not None:
            yield f"{key}.{strategy}: expected nothing, as its strategies leave it out, found a table"


def _of_strategies(prefix: str, tables: Space | Backbone | Small) -> Iterator[str]:
    for strategy in STRATEGIES:
        grid = getattr(tables, strategy)
        if grid is not None:
            yield from _of_grid(f"{prefix}{strategy}", grid)


def _of_grid(key: str, grid: Grid) -> Iterator[str]:
    if grid.pairs is not None:
        for axis in ("lr", "batch_size"):
            if getattr(grid, axis) is not None:
                yield f"{key}.{axis}: expected either pairs or lr and batch_size, found both"
    if grid.optimiser is not None:
        yield from _of_optimiser(f"{key}.optimiser", grid.optimiser)

"""Faults of a study's file that only show when several keys are read together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from search_spaces.configuration import by_path, unmet
from search_spaces.faults import shown
from search_spaces.presets import PRESETS, Strategy
from search_spaces.schema import Backbone, ByStrategy, Grid, Space
from search_spaces.settings.declaration import When
from search_spaces.tables import Values, as_values, twice_given, values_of, written_as

LR, BATCH_SIZE = "optimiser.lr", "optimiser.batch_size"


def crossed_faults(space: Space) -> list[str]:
    """All of them, as "key: expected …, found …"; empty for a sound file."""
    return [*_of_classes(space), *_of_image(space), *_idle("", space, {}), *_of_tables(space)]


def _of_classes(space: Space) -> Iterator[str]:
    if space.task == "binary" and space.classes is not None and len(space.classes) != 2:
        yield f'classes: expected two for the task "binary", found {len(space.classes)}'
    names = [*space.class_names.values()]
    yield from (f'class_names: "{name}" is given twice' for name in sorted({*names}) if names.count(name) > 1)
    if unknown := sorted({*names} - {*(space.classes or names)}):
        yield f"class_names: expected names of the classes {', '.join(space.classes or ())}, found {shown(unknown)}"
    if space.positive is None:
        return
    has_several = space.classes is not None and len(space.classes) > 2
    if space.task not in ("binary", None) or (space.task is None and has_several):
        yield f'positive: expected only with the task "binary", found "{space.positive}" with several classes'
    elif space.classes is not None and space.positive not in space.classes:
        yield f'positive: expected one of the classes {", ".join(space.classes)}, found "{space.positive}"'


def _of_image(space: Space) -> Iterator[str]:
    given = values_of(space)
    most = max(given.get("image.crops", (1,)))
    if most > 1 and "image.store_size" not in given:
        yield f"image.store_size: expected a size to cut {most} crops from, found nothing"


def _idle(prefix: str, table: Space | Grid, wider: Mapping[str, Values]) -> Iterator[str]:
    """Settings that cannot matter beside what the table says of the setting that they hang on, else a wider one.

    wider: by path, what holds where the table leaves a key out.
    """
    given = values_of(table)
    for path, values in given.items():
        others = {**_defaults(path, by_path()[path].setting.conditions), **wider, **given}
        if conditions := unmet(by_path()[path], others):
            told = " and ".join(f"{one.path} {_listed(others[one.path])}" for one in conditions)
            key = f"{prefix}{written_as(table, by_path()[path])}"
            yield f"{key}: expected nothing with {told}, found {_listed(values)}"


def _defaults(path: str, conditions: Iterable[When]) -> dict[str, Values]:
    """Of choices of the same part, which hold where a table leaves them out."""
    several = [by_path()[one.path] for one in conditions if one.among]
    part = by_path()[path].part
    return {one.path: default for one in several if one.part == part and (default := _default(one.path))}


def _listed(values: Values) -> str:
    return ", ".join(map(shown, values))


def _of_tables(space: Space) -> Iterator[str]:
    file = values_of(space)
    yield from _of_grid("grid", space.grid, file)
    wider = {strategy: {**file, **values_of(space.grid), **_held(strategy)} for strategy in PRESETS}
    yield from _of_strategies("", space, wider)
    wider = {strategy: {**values, **_values(space, strategy)} for strategy, values in wider.items()}
    if space.small is not None:
        yield from _of_strategies("small.", space.small, wider)
        if not space.small.grids:
            yield f"small: expected a table for at least one of {', '.join(PRESETS)}, found none"
    yield from _of_stages(space, wider)
    seen: dict[str, int] = {}
    for index, backbone in enumerate(space.backbones):
        key = f"backbones[{index}]"
        if backbone.name in seen:
            yield (
                f'{key}.name: expected each backbone once, found "{backbone.name}" already at '
                f"backbones[{seen[backbone.name]}]"
            )
        seen.setdefault(backbone.name, index)
        yield from _of_grid(f"{key}.grid", backbone.grid, _any_of(wider.values()))
        own = values_of(backbone.grid)
        yield from _of_strategies(f"{key}.", backbone, {name: {**values, **own} for name, values in wider.items()})
        yield from _of_choice(key, backbone, space)


def _of_choice(key: str, backbone: Backbone, space: Space) -> Iterator[str]:
    """A table for a strategy that the backbone does not run would be read by nobody."""
    known = space.strategies or tuple(PRESETS)
    for strategy in backbone.strategies or ():
        if strategy not in known and strategy not in backbone.grids:
            yield (
                f"{key}.strategies: expected some of {', '.join(known)} (those with a table in this file), found "
                f"{strategy}"
            )
    for strategy in backbone.grids:
        if backbone.strategies and strategy not in backbone.strategies:
            yield f"{key}.{strategy}: expected no table, as its strategies leave it out, found one"


def _held(strategy: Strategy) -> dict[str, Values]:
    return {path: (value,) for path, value in PRESETS[strategy].fixed.items()}


def _values(tables: ByStrategy, strategy: Strategy) -> dict[str, Values]:
    grid = tables.grids.get(strategy)
    return {} if grid is None else values_of(grid)


def _any_of(several: Iterable[Mapping[str, Values]]) -> dict[str, Values]:
    """Every value that a path has in one of these, its default where one leaves it open."""
    every = list(several)
    paths = {path for one in every for path in one}
    return {path: sum((one.get(path, _default(path)) for one in every), ()) for path in paths}


def _default(path: str) -> Values:
    one = by_path()[path]
    return () if one.field.is_required() else as_values(one, one.field.default)


def _of_strategies(prefix: str, tables: ByStrategy, wider: Mapping[Strategy, Mapping[str, Values]]) -> Iterator[str]:
    for strategy, grid in tables.grids.items():
        yield from _of_strategy(f"{prefix}{strategy}", strategy, grid, wider[strategy])


def _of_strategy(key: str, strategy: Strategy, grid: Grid, wider: Mapping[str, Values]) -> Iterator[str]:
    yield from _of_grid(key, grid, wider)
    given = values_of(grid)
    for path in PRESETS[strategy].fixed:
        if path in given:
            name = written_as(grid, by_path()[path])
            yield f"{key}.{name}: expected nothing, as the strategy fixes it, found {given[path][0]}"


def _of_stages(space: Space, wider: Mapping[Strategy, Mapping[str, Values]]) -> Iterator[str]:
    seen: dict[str, int] = {}
    known = [backbone.name for backbone in space.backbones]
    for index, stage in enumerate(space.stages):
        key = f"stages[{index}]"
        if stage.name in seen:
            yield f'{key}.name: expected each stage once, found "{stage.name}" already at stages[{seen[stage.name]}]'
        seen.setdefault(stage.name, index)
        yield from _of_strategy(key, stage.strategy, stage, wider[stage.strategy])
        if stage.small is not None:
            beside = {**wider[stage.strategy], **values_of(stage)}
            yield from _of_strategy(f"{key}.small", stage.strategy, stage.small, beside)
        for name in stage.backbones or ():
            if name not in known:
                yield f'{key}.backbones: expected some of the backbones of this file, found "{name}"'


def _of_grid(key: str, grid: Grid, wider: Mapping[str, Values]) -> Iterator[str]:
    for one in twice_given(grid):
        yield f"{key}.{one.path}: expected one of {one.setting.short} and {one.path}, found both"
    if grid.pairs is not None:
        given = values_of(grid)
        for path in (LR, BATCH_SIZE):
            if path in given:
                name = written_as(grid, by_path()[path])
                yield f"{key}.{name}: expected either pairs or lr and batch_size, found both"
    yield from _idle(f"{key}.", grid, wider)

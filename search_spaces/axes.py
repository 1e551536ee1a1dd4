"""Lays the tables of a study's file over one another: which values hold for a strategy of a backbone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search_spaces.configuration import by_path
from search_spaces.loader import default_space
from search_spaces.presets import PRESETS, Strategy
from search_spaces.schema import Backbone, ByStrategy, Grid, Small, Space, Stage
from search_spaces.settings.choice import REGISTRIES
from search_spaces.tables import Values, from_file, values_of

LR, BATCH_SIZE = "optimiser.lr", "optimiser.batch_size"
Pairs = tuple[tuple[float, int], ...]
Layer = Space | Grid


@dataclass(frozen=True)
class Axes:
    """Everything that one strategy of one backbone is to try.

    values: by path, of every setting but learning rate and batch size, which `pairs` holds together. A setting that
    nothing gives is left out: the network or the declaration decides it.
    """

    strategy: Strategy
    pairs: Pairs
    epochs: int
    repeats: int
    values: Mapping[str, Values] = field(default_factory=dict)

    @property
    def lr(self) -> tuple[float, ...]:
        return tuple(sorted({lr for lr, _ in self.pairs}))

    @property
    def batch_size(self) -> tuple[int, ...]:
        return tuple(sorted({size for _, size in self.pairs}))

    def points(self) -> list[dict[str, Any]]:
        """The product of all axes: values by path, of what has a distribution that."""
        names = [*self.values]
        return [
            {**dict(zip(names, chosen, strict=True)), LR: lr, BATCH_SIZE: size}
            for chosen in itertools.product(*self.values.values())
            for lr, size in self.pairs
        ]


def axes_for(
    space: Space, entry: Backbone | None, strategy: Strategy, *, small: bool, stage: Stage | None = None
) -> Axes:
    """Each setting from the narrowest table that has it, in the end from the default space; a stage's is the
    narrowest."""
    default = default_space()
    layers: list[Layer] = [default, *_tables(default, strategy, PRESETS[strategy].grid)]
    layers += [space, *_tables(space, strategy)] if space != default else []
    layers += _tables(entry, strategy) if entry else []
    if small:
        layers += [*_small(default, strategy), *_small(space, strategy)]
    if stage is not None:
        layers += [stage, *([stage.small] if small and stage.small else [])]
    values = {path: given for layer in layers for path, given in values_of(layer).items()}
    if small and (crops := small_of(space).crops) is not None:
        values["image.crops"] = (crops,)
    preset = PRESETS[strategy]
    values |= {path: (value,) for path, value in preset.fixed.items()}
    values |= {path: some for path, some in preset.among.items() if not {*values.get(path, ("",))} <= {*some}}
    ordered = {one.path: values[one.path] for one in from_file() if one.path in values}
    held = {path: given for path, given in ordered.items() if path not in (LR, BATCH_SIZE)}
    return Axes(strategy, _pairs(layers), _last(layers, "epochs"), _last(layers, "repeats"), held)


def given_by_file(space: Space, entry: Backbone | None) -> set[str]:
    """Paths of the settings that the study's own file gives anywhere for a backbone."""
    grids = [grid for name in PRESETS for grid in _tables(space, name) + (_tables(entry, name) if entry else [])]
    return {path for layer in (space, *grids) for path in values_of(layer)}


def with_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """What chosen variants bring along, below what was given."""
    brought: dict[str, Any] = {}
    for path, registry in REGISTRIES.items():
        if path not in by_path() or not by_path()[path].setting.from_file:
            continue
        chosen, part = values.get(path, by_path()[path].field.default), path.partition(".")[0]
        for variant in chosen if isinstance(chosen, tuple) else (chosen,):
            brought |= {f"{part}.{name}": value for name, value in registry.variants[variant].defaults.items()}
    return {**brought, **values}


def small_of(space: Space) -> Small:
    """The preset for synthetic data: the file's, else the default space's."""
    return space.small or default_space().small or Small()


def product(lr: tuple[float, ...], batch_size: tuple[int, ...]) -> Pairs:
    return tuple((rate, size) for rate in lr for size in batch_size)


def _tables(tables: Space | Backbone, strategy: Strategy, otherwise: Mapping[str, Any] | None = None) -> list[Layer]:
    """Widest first. otherwise: keys of the strategy's table where there is none."""
    own = _given(tables, strategy)
    return [tables.grid, *(own or ([Grid.model_validate(otherwise)] if otherwise else []))]


def _small(space: Space, strategy: Strategy) -> list[Layer]:
    return _given(space.small, strategy) if space.small else []


def _given(tables: ByStrategy, strategy: Strategy) -> list[Layer]:
    return [tables.grids[strategy]] if strategy in tables.grids else []


def _last(layers: Sequence[Layer], key: str) -> int:
    return [int(value) for layer in layers if (value := getattr(layer, key, None)) is not None][-1]


def _pairs(layers: Sequence[Layer]) -> Pairs:
    """A table's pairs stand for both axes of the wider ones; one axis given later is tried with all of the other."""
    lr: tuple[float, ...] = ()
    batch_size: tuple[int, ...] = ()
    pairs: Pairs = ()
    for layer in layers:
        given, own = values_of(layer), getattr(layer, "pairs", None)
        if own is not None:
            pairs = own
            lr, batch_size = tuple(sorted({rate for rate, _ in pairs})), tuple(sorted({size for _, size in pairs}))
        elif LR in given or BATCH_SIZE in given:
            lr, batch_size = given.get(LR, lr), given.get(BATCH_SIZE, batch_size)
            pairs = product(lr, batch_size)
    return pairs

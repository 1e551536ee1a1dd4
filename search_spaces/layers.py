"""Lays the tables of a study's file over one another: which grid holds for a strategy of a backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.store.schema import Metric, Strategy
from search_spaces.loader import default_space
from search_spaces.schema import Backbone, Balance, Grid, Head, Optimiser, Small, Space


@dataclass(frozen=True)
class Settings:
    """Everything that one strategy of one backbone is to try, nothing left open."""

    strategy: Strategy
    pairs: tuple[tuple[float, int], ...]
    """(lr, batch size)."""
    non_linearities: tuple[int, ...]
    unfrozen: tuple[int, ...]
    epochs: int
    repeats: int
    optimiser: Optimiser
    head: Head
    balance: Balance
    selection: Metric

    @property
    def lr(self) -> tuple[float, ...]:
        return tuple(sorted({lr for lr, _ in self.pairs}))

    @property
    def batch_size(self) -> tuple[int, ...]:
        return tuple(sorted({batch_size for _, batch_size in self.pairs}))


def settings_for(space: Space, entry: Backbone | None, strategy: Strategy, *, small: bool) -> Settings:
    """The grid of a strategy: each key from the narrowest table that has it, in the end from the default space."""
    layers = [*_default_layers(strategy, small=False), *_own_layers(space, entry, strategy)]
    own = _own_layers(space, entry, strategy)
    if small:
        layers += [*_default_layers(strategy, small=True), *_small_layers(space, strategy)]
        own += _small_layers(space, strategy)
    return Settings(
        strategy=strategy,
        pairs=_pairs(layers),
        non_linearities=_last(layers, "non_linearities", (0,)),
        unfrozen=_last(layers, "unfrozen", (0,)),
        epochs=_last(layers, "epochs", None),
        repeats=_last(layers, "repeats", None),
        # The rest has its widest value in the study's own file, which therefore stands above the default space.
        optimiser=_last(own, "optimiser", space.optimiser),
        head=_last(own, "head", space.head),
        balance=_last(own, "balance", space.balance),
        selection=_last(own, "selection", space.selection),
    )


def small_of(space: Space) -> Small:
    """The preset for synthetic data: the file's, else the default space's."""
    return space.small or default_space().small or Small()


def product(lr: tuple[float, ...], batch_size: tuple[int, ...]) -> tuple[tuple[float, int], ...]:
    return tuple((rate, size) for rate in lr for size in batch_size)


def _default_layers(strategy: Strategy, *, small: bool) -> list[Grid]:
    default = default_space()
    return _present(getattr(default.small, strategy, None)) if small else _tables(default, strategy)


def _own_layers(space: Space, entry: Backbone | None, strategy: Strategy) -> list[Grid]:
    return [*_tables(space, strategy), *(_tables(entry, strategy) if entry else [])]


def _small_layers(space: Space, strategy: Strategy) -> list[Grid]:
    return _present(getattr(space.small, strategy, None))


def _tables(tables: Space | Backbone, strategy: Strategy) -> list[Grid]:
    """Widest first."""
    return _present(tables.grid, getattr(tables, strategy))


def _present(*tables: Grid | None) -> list[Grid]:
    return [table for table in tables if table is not None]


def _last(layers: list[Grid], key: str, otherwise: Any) -> Any:
    found = [value for layer in layers if (value := getattr(layer, key, None)) is not None]
    return found[-1] if found else otherwise


def _pairs(layers: list[Grid]) -> tuple[tuple[float, int], ...]:
    """A table's pairs stand for both axes of the wider ones; one axis given later is tried with all of the other."""
    lr: tuple[float, ...] = ()
    batch_size: tuple[int, ...] = ()
    pairs: tuple[tuple[float, int], ...] = ()
    for layer in layers:
        if layer.pairs is not None:
            pairs = layer.pairs
            lr, batch_size = tuple(sorted({rate for rate, _ in pairs})), tuple(sorted({size for _, size in pairs}))
        elif layer.lr is not None or layer.batch_size is not None:
            lr, batch_size = layer.lr or lr, layer.batch_size or batch_size
            pairs = product(lr, batch_size)
    return pairs

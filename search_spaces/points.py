"""Expands a study's axes to the points that one backbone is to be trained at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.store.record import canonical_json
from search_spaces.axes import BATCH_SIZE, LR, axes_for, small_of, with_defaults
from search_spaces.backbones import find_backbone
from search_spaces.changes import Changes
from search_spaces.configuration import by_path, matters
from search_spaces.form import Form, form_of
from search_spaces.live import Scope, moves_statistics
from search_spaces.loader import default_space
from search_spaces.presets import NON_LINEARITIES, PRESETS, UNFROZEN, Strategy, strategy_of
from search_spaces.ranges import Range
from search_spaces.schema import Backbone, Space, Stage
from search_spaces.tables import from_file, values_of


@dataclass(frozen=True)
class Point:
    """One training to repeat, as far as it is known without the network and the data."""

    backbone: str
    """The file's name for a backbone it lists, else the name as asked."""
    values: Mapping[str, Any]
    """By path; a setting that is left out follows from the network or its declaration."""
    epochs: int
    repeats: int
    drawn: Mapping[str, Range] = field(default_factory=dict)
    """Distributions by path, of settings that matter; `values` holds the middle of each."""

    @property
    def strategy(self) -> Strategy:
        """What the values amount to, whichever strategy they were asked for by."""
        return strategy_of(self.values.__getitem__)

    @property
    def non_linearities(self) -> int:
        return int(self.values[NON_LINEARITIES])

    @property
    def unfrozen(self) -> int:
        return int(self.values[UNFROZEN])

    @property
    def scope(self) -> Scope:
        return Scope(*(self.values[f"adaptation.{name}"] for name in Scope._fields))

    @property
    def moves_statistics(self) -> bool:
        return moves_statistics(self.values.__getitem__)

    def matters(self, path: str) -> bool:
        """Whether a setting can change anything here."""
        return matters(by_path()[path], self.values.__getitem__)

    def keeps_no_weights(self, weight_layers: int) -> bool:
        """Whether all of a network of so many weight layers is drawn anew in each repeat: no file says any of it."""
        is_whole = self.values.get("adaptation.name") == "whole" or self.unfrozen == weight_layers
        return is_whole and bool(self.values["adaptation.start"] == "drawn")

    @property
    def has_foreign_statistics(self) -> bool:
        """Whether layers that are drawn would be standardised by statistics of other weights."""
        return bool(self.values["adaptation.start"] == "drawn" and self.values["adaptation.norms"] == "kept")

    def form(self, backbone: str) -> Form:
        """How the network is built, under whatever name it is known."""
        return form_of(backbone, self.values.get)

    @property
    def lr(self) -> float:
        return float(self.values[LR])

    @property
    def batch_size(self) -> int:
        return int(self.values[BATCH_SIZE])


@dataclass(frozen=True)
class Tried:
    """The values tried, ascending, of one (strategy, n, u)."""

    lr: tuple[float, ...]
    batch_size: tuple[int, ...]


NOTHING = Changes()


def points(
    space: Space,
    backbone: str,
    changes: Changes = NOTHING,
    *,
    small: bool,
    stage: Stage | None = None,
    held: Mapping[str, Any] | None = None,
) -> tuple[Point, ...]:
    """All points of one backbone, each training once, in the order strategy, u, n, lr, batch size.

    A backbone that the file does not list gets the file's grids; what a file leaves open comes from the default space.
    Where two strategies amount to the same training, it is kept with the larger repeats and epochs. `small` takes the
    preset for synthetic data. Raises InputError for changes that cannot be followed, all faults together.

    stage: those of one stage alone, whose own table stands above the changes too, but for epochs and repeats. held:
    values by path that it has from its parent; they stand above all but its own table.
    """
    entry = find_backbone(space, backbone)
    own = set() if stage is None else given_by_stage(stage, small=small)
    chosen = _strategies(space, entry, changes, small=small) if stage is None else (stage.strategy,)
    if stage is None:
        changes.check(chosen)
    else:
        changes = replace(changes, values={path: few for path, few in changes.values.items() if path not in own})
    above = {path: value for path, value in (held or {}).items() if path not in own}
    name = backbone if entry is None else entry.name
    kept: dict[str, Point] = {}
    for strategy in chosen:
        axes = changes.applied_to(axes_for(space, entry, strategy, small=small, stage=stage), chosen)
        for values in axes.points():
            given = {**values, **above}
            drawn = {path: value for path, value in given.items() if isinstance(value, Range)}
            values = settled({**given, **{path: value.middle for path, value in drawn.items()}})
            drawn = {path: value for path, value in drawn.items() if matters(by_path()[path], values.__getitem__)}
            key = canonical_json([values, {path: str(value) for path, value in drawn.items()}])
            other = kept.get(key)
            epochs, repeats = (
                max(axes.epochs, other.epochs if other else 0),
                max(axes.repeats, other.repeats if other else 0),
            )
            kept[key] = Point(name, values, epochs, repeats, drawn)
    if stage is None:
        changes.check_matters(point.values for point in kept.values())
    return tuple(sorted(kept.values(), key=_order))


def given_by_stage(stage: Stage, *, small: bool) -> set[str]:
    """Paths of the settings that its own table gives."""
    tables = [stage, *([stage.small] if small and stage.small else [])]
    pairs = (LR, BATCH_SIZE) if any(table.pairs is not None for table in tables) else ()
    return {*pairs, *(path for table in tables for path in values_of(table))}


def settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same training with every value that cannot matter at its idle one, so that equal trainings are equal."""
    given = with_defaults(values)
    every = {one.path: given.get(one.path, one.field.default) for one in from_file()}
    effective = {}
    for one in from_file():
        if not matters(one, every.__getitem__):
            effective[one.path] = one.setting.idle
        elif one.path in given or not one.field.is_required():
            effective[one.path] = every[one.path]
    return effective


def grid_axes(several: Iterable[Point]) -> dict[tuple[Strategy, int, int], Tried]:
    """The lr and batch sizes tried per (strategy, n, u), none where they do not matter."""
    grouped: dict[tuple[Strategy, int, int], list[Point]] = {}
    for point in several:
        grouped.setdefault((point.strategy, point.non_linearities, point.unfrozen), []).append(point)
    return {
        key: Tried(
            *(
                tuple(sorted({point.values[path] for point in group if point.matters(path)}))
                for path in (LR, BATCH_SIZE)
            )
        )
        for key, group in grouped.items()
    }


def _strategies(space: Space, entry: Backbone | None, changes: Changes, *, small: bool) -> tuple[Strategy, ...]:
    """Those asked for, else of the backbone, the file, the default space; on synthetic data some are left out."""
    if changes.strategies is not None:
        return changes.strategies
    chosen = (entry.strategies if entry else None) or space.strategies or default_space().strategies
    in_small = [one for one in chosen if not small or one in small_of(space).grids]
    return tuple(strategy for strategy in PRESETS if strategy in (in_small or chosen))


def _order(point: Point) -> tuple[float, ...]:
    rank = list(PRESETS).index(point.strategy)
    return (rank, point.unfrozen, point.non_linearities, point.lr, point.batch_size)

"""Expands a study's grids to the points that one backbone is to be trained at."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from orchestrator.store.schema import Metric, Strategy
from search_spaces.backbones import find_backbone
from search_spaces.layers import Settings, settings_for, small_of
from search_spaces.overrides import Overrides
from search_spaces.schema import STRATEGIES, Backbone, Balance, Interpolation, OptimiserName, Space, Standardisation


@dataclass(frozen=True)
class Point:
    """One training to repeat, as far as it is known without the network and the data."""

    strategy: Strategy
    """What the numbers amount to: u > 0 is unfreezing, n > 0 extension, neither is straightforward."""
    backbone: str
    """The file's name for a backbone it lists, else the name as asked."""
    non_linearities: int
    unfrozen: int
    lr: float
    batch_size: int
    epochs: int
    repeats: int
    optimiser: OptimiserName
    momentum: float
    beta1: float
    beta2: float
    weight_decay: float
    balance: Balance
    score_augmented: bool
    selection: Metric
    negative_slope: float
    dropout: float
    standardisation: Standardisation
    interpolation: Interpolation | None
    store_size: int | None
    crops: int
    views: int


@dataclass(frozen=True)
class Axes:
    """The values tried, ascending, of one (strategy, n, u)."""

    lr: tuple[float, ...]
    batch_size: tuple[int, ...]


NOTHING = Overrides()


def points(space: Space, backbone: str, overrides: Overrides = NOTHING, *, small: bool) -> tuple[Point, ...]:
    """All points of one backbone, each training once, in the order strategy, u, n, lr, batch size.

    A backbone that the file does not list gets the file's grids; what a file leaves open comes from the default space.
    Where two strategies amount to the same training, it is kept with the larger repeats and epochs. `small` takes the
    preset for synthetic data. Raises InputError for overrides that cannot be followed, all faults together.
    """
    entry = find_backbone(space, backbone)
    chosen = _strategies(space, entry, overrides, small=small)
    overrides.check(chosen)
    name = backbone if entry is None else entry.name
    kept: dict[Point, Point] = {}
    for strategy in chosen:
        settings = overrides.applied_to(settings_for(space, entry, strategy, small=small), strategy, chosen)
        for point in _expanded(space, name, settings, small=small):
            key = dataclasses.replace(point, epochs=0, repeats=0)
            other = kept.get(key, point)
            kept[key] = dataclasses.replace(
                point, epochs=max(point.epochs, other.epochs), repeats=max(point.repeats, other.repeats)
            )
    return tuple(sorted(kept.values(), key=_order))


def grid_axes(several: Iterable[Point]) -> dict[tuple[Strategy, int, int], Axes]:
    """The lr and batch sizes tried per (strategy, n, u), so that a best value at an edge can be pointed out."""
    grouped: dict[tuple[Strategy, int, int], list[Point]] = {}
    for point in several:
        grouped.setdefault((point.strategy, point.non_linearities, point.unfrozen), []).append(point)
    return {
        key: Axes(tuple(sorted({point.lr for point in group})), tuple(sorted({point.batch_size for point in group})))
        for key, group in grouped.items()
    }


def normalised(point: Point) -> Point:
    """The same training with every value that cannot matter at its neutral one, so that equal trainings are equal."""
    n, u = point.non_linearities, point.unfrozen
    sgd = point.optimiser == "sgd"
    return dataclasses.replace(
        point,
        strategy="unfreezing" if u else "extension" if n else "straightforward",
        negative_slope=point.negative_slope if n else 0.0,
        dropout=point.dropout if n else 0.0,
        momentum=point.momentum if sgd else 0.0,
        beta1=0.0 if sgd else point.beta1,
        beta2=0.0 if sgd else point.beta2,
        views=1 if point.balance == "ngca" else point.views,
        score_augmented=point.score_augmented and point.balance == "ngca",
    )


def _strategies(space: Space, entry: Backbone | None, overrides: Overrides, *, small: bool) -> tuple[Strategy, ...]:
    """Those asked for, else those of the backbone, else those of the file, else all; the preset leaves some out."""
    if overrides.strategies is not None:
        return tuple(strategy for strategy in STRATEGIES if strategy in overrides.strategies) or overrides.strategies
    chosen = (entry.strategies if entry else None) or space.strategies or STRATEGIES
    preset = small_of(space) if small else None
    in_preset = tuple(one for one in chosen if preset is None or getattr(preset, one) is not None)
    return tuple(strategy for strategy in STRATEGIES if strategy in (in_preset or chosen))


def _expanded(space: Space, name: str, settings: Settings, *, small: bool) -> Iterator[Point]:
    image, optimiser, head = space.image, settings.optimiser, settings.head
    crops = (small_of(space).crops if small else None) or image.crops
    depths = itertools.product(settings.unfrozen, settings.non_linearities)
    for (u, n), (lr, batch_size) in itertools.product(depths, settings.pairs):
        yield normalised(
            Point(
                strategy=settings.strategy,
                backbone=name,
                non_linearities=n,
                unfrozen=u,
                lr=lr,
                batch_size=batch_size,
                epochs=settings.epochs,
                repeats=settings.repeats,
                optimiser=optimiser.name,
                momentum=optimiser.momentum,
                beta1=optimiser.betas[0],
                beta2=optimiser.betas[1],
                weight_decay=optimiser.weight_decay,
                balance=settings.balance,
                score_augmented=space.score_augmented,
                selection=settings.selection,
                negative_slope=head.negative_slope,
                dropout=head.dropout,
                standardisation=image.standardisation,
                interpolation=image.interpolation,
                store_size=image.store_size,
                crops=crops,
                views=image.views,
            )
        )


def _order(point: Point) -> tuple[float, ...]:
    rank = STRATEGIES.index(point.strategy)
    return (rank, point.unfrozen, point.non_linearities, point.lr, point.batch_size)

"""A study's space in words and numbers, for the reader of `orch spaces show`."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.points import Point, grid_axes, points
from search_spaces.presets import NON_LINEARITIES, Strategy
from search_spaces.schema import Space
from search_spaces.settings.image import REFERENCE_MODE
from search_spaces.settings.selection import RULES
from search_spaces.tables import first_of, values_of


@dataclass(frozen=True)
class Row:
    """One strategy of one backbone: what is tried and how much work it is."""

    backbone: str
    strategy: Strategy
    non_linearities: tuple[int, ...]
    """Of the heads that it says anything of."""
    unfrozen: tuple[int, ...]
    lr: tuple[float, ...]
    """None where all are fitted, like the batch sizes."""
    batch_size: tuple[int, ...]
    configurations: int
    repeats: int
    """Of all configurations together."""
    epochs: int
    """Of all repeats together."""


ANY_BACKBONE = "any other"


def rows(space: Space, *, small: bool = False) -> tuple[Row, ...]:
    """One row per backbone of the file and strategy, then those of any backbone that the file does not list."""
    names = [backbone.name for backbone in space.backbones]
    return tuple(row for name in [*names, ANY_BACKBONE] for row in _rows_of(space, name, small=small))


def describe(space: Space, *, small: bool = False) -> str:
    """The space as plain text of several lines."""
    classes = ", ".join(space.ordered_classes or ()) or "as in the data"
    shares = " / ".join(f"{100 * share:g}" for share in space.partition.targets)
    given = values_of(space)
    most = max(given.get("image.crops", (1,)))
    crops = f", {most} crops from {given['image.store_size'][0]} px" if most > 1 else ""
    standardised = _BY[first_of(space, "image.standardisation")]
    lines = [
        f"{space.name}: {space.title}" if space.title else space.name,
        f"  task        {space.task or 'by the number of classes'}; classes {classes}"
        + (f"; positive {space.positive}" if space.positive else ""),
        f"  partition   {space.partition.policy}, {shares} % of the images",
        f"  images      normalised with {standardised}{crops}; balance {first_of(space, 'balance.name')}",
        f"  selection   {first_of(space, 'selection.metric')}, of {RULES[first_of(space, 'selection.rule')]}",
    ]
    if space.stages:
        lines.append(f"  stages      {', then '.join(f'{one.name} ({one.strategy})' for one in space.stages)}")
    for row in rows(space, small=small):
        depths = _values("n", row.non_linearities) + _values("u", row.unfrozen)
        lines.append(f"  {row.backbone}, {row.strategy}{depths}")
        rates = f"lr {_joined(row.lr)} × batch size {_joined(row.batch_size)}" if row.lr else "fitted without steps"
        lines.append(f"    {rates}: configurations {row.configurations}, repeats {row.repeats}, epochs {row.epochs:,}")
    return "\n".join(lines)


_BY = {
    "weights": "the weights' mean and std",
    "train": "the training split's mean and std",
    "half": "0.5 and 0.5",
    "each_split": f"each split's own mean and std ({REFERENCE_MODE})",
}


def _rows_of(space: Space, backbone: str, *, small: bool) -> list[Row]:
    all_points = points(space, backbone, small=small)
    result = []
    for strategy in dict.fromkeys(point.strategy for point in all_points):
        own = [point for point in all_points if point.strategy == strategy]
        axes = list(grid_axes(own).values())
        result.append(
            Row(
                backbone=backbone,
                strategy=strategy,
                non_linearities=tuple(sorted({point.non_linearities for point in own if _has_n(point)})),
                unfrozen=tuple(sorted({point.unfrozen for point in own})),
                lr=tuple(sorted({lr for one in axes for lr in one.lr})),
                batch_size=tuple(sorted({size for one in axes for size in one.batch_size})),
                configurations=len(own),
                repeats=sum(point.repeats for point in own),
                epochs=sum(point.repeats * point.epochs for point in own),
            )
        )
    return result


def _has_n(point: Point) -> bool:
    return point.matters(NON_LINEARITIES)


def _values(letter: str, values: tuple[int, ...]) -> str:
    return "" if values in ((), (0,)) else f", {letter} = {_joined(values)}"


def _joined(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)

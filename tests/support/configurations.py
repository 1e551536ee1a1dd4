"""Configurations by the short names of their settings, as tests find handy: `lr`, `unfrozen`, `image_size`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.changes import Changes
from search_spaces.configuration import Configuration
from search_spaces.configuration import by_path as declared_by_path
from search_spaces.points import Point
from search_spaces.presets import Strategy

_NAMES = {
    **{one.name: path for path, one in declared_by_path().items()},
    **{one.column: path for path, one in declared_by_path().items()},
    "study_seed": "data.seed",
    "data": "data.content",
    "optimiser": "optimiser.name",
    "balance": "balance.name",
    "augmentation": "augmentation.names",
    "head": "head.name",
    "adaptation": "adaptation.name",
    "schedule": "schedule.name",
    "ending": "ending.name",
    "selection": "selection.metric",
    "precision": "network.precision",
    "engine": "engine",
    "parent": "parent",
}
PLAIN: dict[str, Any] = {
    "study_seed": 5,
    "task": "binary",
    "classes": ("few", "many"),
    "data": "d" * 64,
    "backbone": "timm:test_resnet.r160_in1k",
    "weights": "init:5",
    "precision": "fp32",
    "image_size": 32,
    "store_size": 32,
    "interpolation": "bilinear",
    "standardisation": "train",
    "negative_slope": 0.1,
    "dropout": 0.0,
    "lr": 0.05,
    "batch_size": 8,
}
"""A linear probe."""


def configured(**settings: Any) -> Configuration:
    """The linear probe of `PLAIN` with other settings."""
    return Configuration.made(by_path({**PLAIN, **settings}))


def changed(configuration: Configuration, **settings: Any) -> Configuration:
    return configuration.with_values(by_path(settings))


def shown(of: Configuration | Point, *names: str) -> tuple[Any, ...]:
    """Values of settings by the same names."""
    return tuple(of.values[_NAMES[name]] if isinstance(of, Point) else of.value(_NAMES[name]) for name in names)


def by_path(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings by path."""
    return {name if "." in name else _NAMES[name]: value for name, value in settings.items()}


def asked(
    strategies: Sequence[Strategy] | None = None, epochs: int | None = None, repeats: int | None = None, **settings: Any
) -> Changes:
    """What a command line asks; of each setting several values, or one."""
    several = {name: value if isinstance(value, tuple) else (value,) for name, value in settings.items()}
    return Changes(tuple(strategies) if strategies else None, by_path(several), epochs, repeats)

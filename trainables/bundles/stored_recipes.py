"""Recipes as the study keeps them: which bundles are trained in one stack, and how a stack is taken apart. No torch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import Recipe, parse_toml
from orchestrator.store.storage import Storage
from trainables.bundles.work import Work


def stored_recipe(storage: Storage, key: BundleKey) -> Recipe | None:
    """What a bundle was begun with; None where it was not begun, or the file is torn."""
    with contextlib.suppress(FileNotFoundError, DamagedRecordError):
        return parse_toml(Recipe, storage.read(key.recipe), key.recipe)
    return None


def members(recipe: Recipe, key: BundleKey) -> list[BundleKey]:
    """All bundles of the stack that a bundle with this recipe is trained in, in the order of lanes; else itself."""
    return [BundleKey.parse(name) for name in recipe.with_bundles] or [key]


def stacked_with(storage: Storage, works: Sequence[Work]) -> list[BundleKey]:
    """All bundles of the stack that these works were trained in, as its recipe says; else the works' own."""
    for work in works:
        recipe = stored_recipe(storage, work.key)
        if recipe is not None and recipe.with_bundles:
            return members(recipe, work.key)
    return [work.key for work in works]


def go_alone(storage: Storage, keys: Iterable[BundleKey]) -> None:
    """Have every bundle of a stack train by itself from now on, from its first epoch."""
    for key in keys:
        recipe = stored_recipe(storage, key)
        if recipe is not None and recipe.with_bundles:
            divide_stack(storage, recipe, ([key],))


def divide_stack(storage: Storage, recipe: Recipe, parts: Iterable[Sequence[BundleKey]]) -> None:
    """Write the recipes of parts of a stack, which know nothing of each other any more."""
    for part in parts:
        names = tuple(str(key) for key in part) if len(part) > 1 else ()
        smaller = recipe.model_copy(update={"with_bundles": names})
        for key in part:
            storage.replace(key.recipe, smaller.to_toml())


def train_in_turn(storage: Storage, recipe: Recipe, key: BundleKey) -> Recipe:
    """Have a bundle that trains by itself go on one repeat at a time; returns what its recipe says from now on."""
    narrow = recipe.model_copy(update={"stacked": False})
    storage.replace(key.recipe, narrow.to_toml())
    return narrow

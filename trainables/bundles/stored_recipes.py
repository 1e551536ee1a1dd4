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


def stacked_with(storage: Storage, works: Sequence[Work]) -> list[BundleKey]:
    """All bundles of the stack that these works were trained in, as its recipe says; else the works' own."""
    recipes = (stored_recipe(storage, work.key) for work in works)
    names: tuple[str, ...] = next((found.with_bundles for found in recipes if found and found.with_bundles), ())
    return [BundleKey.parse(name) for name in names] or [work.key for work in works]


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

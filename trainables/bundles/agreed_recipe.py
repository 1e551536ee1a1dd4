"""The recipe that all who work on a bundle or a stack keep to: the stored one, or a new one by the rule."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from orchestrator.store.concurrently import concurrently
from orchestrator.store.schema import Recipe
from trainables.bundles.failures import SupersededError
from trainables.bundles.recipe import decide
from trainables.bundles.stored_recipes import stored_recipe
from trainables.bundles.work import Work
from trainables.bundles.workbench import Workbench


def agree_on_recipe(bench: Workbench, works: Sequence[Work], layer: str = "") -> Recipe:
    """Read it, or decide and store it with every bundle; the first writer's counts.

    layer: where the frozen part of a new one ends, by default where the bench decides. Raises SupersededError where one
    of the bundles belongs to another stack.
    """
    storage = bench.storage
    stored = {work: stored_recipe(storage, work.key) for work in works}
    begun = next((work for work, found in stored.items() if found is not None), works[0])
    recipe = stored[begun] or _decided(bench, works, layer)
    members = recipe.with_bundles or (str(begun.key),)

    def is_shared(work: Work) -> bool:
        if str(work.key) not in members:
            return False
        found = stored[work]
        if found is None and not storage.create(work.key.recipe, recipe.to_toml()):
            found = stored_recipe(storage, work.key)
            if found is None:
                storage.replace(work.key.recipe, recipe.to_toml())  # a torn one
        return found in (None, recipe)

    shared = concurrently(is_shared, works)
    if not all(shared):
        raise SupersededError(f"bundle {works[shared.index(False)].key} belongs to another stack")
    return recipe


def _decided(bench: Workbench, works: Sequence[Work], layer: str) -> Recipe:
    key = works[0].key
    configuration = bench.configuration(key.configuration)
    frozen = bench.frozen_ready(configuration, key.partition, layer)
    values = sum(torch.Size(shape).numel() for shape in frozen.shapes)
    width = bench.facts(configuration).feature_width
    recipe = decide(configuration, width, frozen.layer, values, bench.device)
    if len(works) == 1:
        return recipe
    return recipe.model_copy(update={"with_bundles": tuple(str(work.key) for work in works)})

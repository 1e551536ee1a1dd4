"""The recipe that all who work on a segment keep to: the stored one, or a new one by the rule."""

from __future__ import annotations

import contextlib

import torch

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import parse_toml
from orchestrator.store.segments import Recipe, Segment
from orchestrator.store.storage import Storage
from trainables.bundles.recipe import decide
from trainables.bundles.workbench import Workbench


def stored_recipe(storage: Storage, segment: Segment) -> Recipe | None:
    """What a segment was begun with; None where it was not begun, or the file is torn."""
    with contextlib.suppress(FileNotFoundError, DamagedRecordError):
        return parse_toml(Recipe, storage.read(segment.recipe), segment.recipe)
    return None


def agree_on_recipe(bench: Workbench, segment: Segment, layer: str = "") -> Recipe:
    """Read it, or decide and store it; the first writer's counts.

    layer: where the frozen part of a new one ends, by default where the bench decides.
    """
    storage = bench.storage
    stored = stored_recipe(storage, segment)
    if stored is not None:
        return stored
    recipe = _decided(bench, segment, layer)
    if storage.create(segment.recipe, recipe.to_toml()):
        return recipe
    stored = stored_recipe(storage, segment)
    if stored is None:
        storage.replace(segment.recipe, recipe.to_toml())  # a torn one
    return stored or recipe


def _decided(bench: Workbench, segment: Segment, layer: str) -> Recipe:
    configuration = bench.configuration(segment.configurations[0])
    frozen = bench.frozen_ready(configuration, segment.partition, layer)
    values = sum(torch.Size(shape).numel() for shape in frozen.shapes)
    return decide(segment, configuration, frozen.layer, values, bench.device)

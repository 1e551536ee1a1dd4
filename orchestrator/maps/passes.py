"""Configurations that share a pass over the images: those whose frozen network, and what it is given, are the same."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from orchestrator.maps.layer import Layer, spatial_layer
from orchestrator.maps.methods.rollout import attention_of
from orchestrator.maps.network import Repeats
from orchestrator.maps.plan import Member, Plan
from orchestrator.maps.registry import Variant
from trainables.bundles.prediction import squares_of, standard_of
from trainables.bundles.trained import Trained
from trainables.bundles.workbench import Workbench
from trainables.features.frozen import Frozen
from trainables.features.pixels import ViewReader
from trainables.network.adaptations import adapted
from trainables.network.opened import network_key


@dataclass(frozen=True)
class Pass:
    """members: those that share it, one where layers of the backbone are trained. frozen: of the first. backbone: a
    copy that weights may be put into; layer: of it, where the method reads one."""

    members: tuple[Member, ...]
    frozen: Frozen
    backbone: nn.Module
    layer: Layer | None

    def repeats(self, bench: Workbench, several: Sequence[Sequence[Trained]]) -> Repeats:
        """The trained repeats of all members, as networks to explain on the bench's device."""
        models = [one for trained in several for one in trained]
        configurations = [
            member.choice.entry.configuration
            for member, trained in zip(self.members, several, strict=True)
            for _ in trained
        ]
        width = bench.facts(self.frozen.configuration).feature_width
        weights = [model.weights for model in models]
        return Repeats(configurations, self.backbone, width, weights, bench.device, self.layer)


def passes(bench: Workbench, plan: Plan, asked: str) -> list[Pass]:
    """In the order of their first members. asked: a layer, "" for the last with places. Raises InputError for a network
    that has not what the method needs."""
    together: dict[object, list[tuple[Member, Frozen]]] = {}
    for member in plan.members:
        entry = member.choice.entry
        frontier = str(next(iter(member.finals.values())).meta["recipe"]["frontier"])
        frozen = bench.frozen_ready(entry.configuration, entry.partition, frontier)
        together.setdefault(_key(frozen), []).append((member, frozen))
    shared = []
    for several in together.values():
        frozen = several[0][1]
        opened = opened_backbone(bench, frozen, plan.variant, asked)
        shared.append(Pass(tuple(member for member, _ in several), frozen, *opened))
    return shared


def opened_backbone(
    bench: Workbench, frozen: Frozen, variant: Variant, asked: str = ""
) -> tuple[nn.Module, Layer | None]:
    """A copy of the backbone that weights of repeats may be put into, and its layer where the method reads one. Raises
    InputError where it has not what the method needs."""
    c = frozen.configuration
    backbone = copy.deepcopy(adapted(bench.network(frozen), c.live.scope)).eval().requires_grad_(False)
    if variant.reads_attention:
        attention_of(backbone, c.network.backbone)
    if not variant.has_layer:
        return backbone, None
    return backbone, spatial_layer(backbone, c.image.size, c.network.backbone, asked)


@contextlib.contextmanager
def reader_of(bench: Workbench, frozen: Frozen, plan: Plan) -> Iterator[tuple[ViewReader, np.ndarray]]:
    """Of the chosen images, and the row of each, upright. Squares of others than valid ones are gone afterwards."""
    if plan.split == "valid":
        yield frozen.reader(bench.device), frozen.samples.scoring["valid"][[image.row for image in plan.images]]
        return
    root, count = bench.places.data_root, len(plan.chosen)
    standard = standard_of(bench, frozen, plan.rows, root)
    views = np.column_stack([np.arange(count), np.zeros(count)]).astype(np.int32)
    with squares_of(bench, frozen, plan.chosen, root) as store:
        yield ViewReader(store, views, frozen.configuration, *standard, bench.device), np.arange(count)


def _key(frozen: Frozen) -> object:
    """All that the network's values of these images follow from; each configuration's own where it trains layers."""
    c = frozen.configuration
    if c.live.trains_body:
        return c.id
    pixels, standard = frozen.pixels.folder.name, (frozen.mean, frozen.std, frozen.valid)
    return network_key(c), c.form, frozen.calibration, pixels, c.image.size, standard

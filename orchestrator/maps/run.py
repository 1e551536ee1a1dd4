"""One call of `orch maps` from what was typed to maps: choice → images → weights → maps, batch by batch."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from orchestrator.evaluation.again import AGAIN, telling
from orchestrator.maps.explained import Explained
from orchestrator.maps.layer import Layer, spatial_layer
from orchestrator.maps.making import Batches, Progress, checked, made
from orchestrator.maps.methods.rollout import attention_of
from orchestrator.maps.network import Repeats
from orchestrator.maps.plan import MapOptions, Plan, make_plan
from orchestrator.maps.registry import Variant
from orchestrator.maps.sanity import Sanity
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import LaneKey
from orchestrator.study.asked import find_weights
from orchestrator.study.data_root import root_of
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study
from trainables.bundles.kept_weights import in_bundle
from trainables.bundles.prediction import squares_of, standard_of
from trainables.bundles.trained import Trained, keep_in_room, trained
from trainables.bundles.workbench import Workbench, open_bench
from trainables.features.frozen import Frozen
from trainables.features.pixels import ViewReader
from trainables.machine.places import Places
from trainables.network.adaptations import adapted

Show = Callable[[str], None]


Pictures = Callable[[Sequence[int]], np.ndarray]
"""Images by their places among the chosen, as `Batches.pictures` has them."""


@contextlib.contextmanager
def explain(
    study: Study, options: MapOptions, cache: Path, show: Show, progress: Progress
) -> Iterator[tuple[Explained, Pictures]]:
    """Maps of the images that are chosen, and their pictures while the context lasts.

    progress(act, done, total). Raises InputError before anything is trained or read, where something is missing or
    wrong; for a network without what the method needs before the first image.
    """
    plan = make_plan(study, options)
    entry, variant = plan.choice.entry, plan.variant
    bench = _bench(study, plan, options, cache, show)
    frontier = str(next(iter(plan.finals.values())).meta["recipe"]["frontier"])
    frozen = bench.frozen_ready(entry.configuration, entry.partition, frontier)
    backbone, layer = opened_backbone(bench, frozen, variant, options.layer)
    if layer is not None:
        show(f"Places: {' × '.join(map(str, layer.side))}, those of {layer.name}.")
    models = _trained(plan, bench, show, progress)
    repeats = repeats_of(bench, frozen, backbone, models, layer)
    with _reader(bench, frozen, plan) as (reader, rows):
        chosen = Batches(reader, rows, plan.targets, bench.device, variant.at_once)
        maps = made(variant, repeats, chosen, progress, "images explained")
        sanity = None
        if options.sanity:
            contents, seed = plan.chosen["content"].tolist(), study.record.seed
            sanity = checked(variant, repeats, chosen, maps, plan.images, contents, seed, progress)
        yield _explained(study, plan, options, repeats, maps, models, sanity), chosen.pictures


@contextlib.contextmanager
def _reader(bench: Workbench, frozen: Frozen, plan: Plan) -> Iterator[tuple[ViewReader, np.ndarray]]:
    """Of the chosen images, and the row of each, upright. Squares of test images are gone afterwards."""
    if plan.split == "valid":
        yield frozen.reader(bench.device), frozen.samples.scoring["valid"][[image.row for image in plan.images]]
        return
    root, count = bench.places.data_root, len(plan.images)
    standard = standard_of(bench, frozen, plan.rows, root)
    views = np.column_stack([np.arange(count), np.zeros(count)]).astype(np.int32)
    with squares_of(bench, frozen, plan.chosen, root) as store:
        yield ViewReader(store, views, frozen.configuration, *standard, bench.device), np.arange(count)


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


def repeats_of(
    bench: Workbench, frozen: Frozen, backbone: nn.Module, models: Sequence[Trained], layer: Layer | None
) -> Repeats:
    """The trained repeats, as networks to explain on the bench's device."""
    c = frozen.configuration
    width = bench.facts(c).feature_width
    return Repeats(c, backbone, width, [model.weights for model in models], bench.device, layer)


def _bench(study: Study, plan: Plan, options: MapOptions, cache: Path, show: Show) -> Workbench:
    """Says before what is made, and what is trained again for it."""
    entry, count = plan.choice.entry, len(plan.finals)
    root = reopen(study, root_of(study, options.data_root, cache, show), cache).data_root
    lacking = sum(not _is_kept(study, plan, repeat, record) for repeat, record in plan.finals.items())
    show(f"{plan.choice.name} ({entry.id}), {plan.choice.how}: {count} repeats.")
    show(
        f"{plan.variant.words}: {len(plan.images)} {plan.split} images × {count} repeats; for each image "
        f"{plan.variant.cost}, shared by repeats where the network is frozen."
        f"{'' if lacking else ' Their weights are kept: nothing is trained again.'}"
    )
    show("Test images are left out." if plan.split == "valid" else "Test images, which these models have seen before.")
    weights = find_weights([entry.configuration], plan.summary.searches, options.weights)
    return open_bench(study.storage, Places.here(root, cache, weights))


def _trained(plan: Plan, bench: Workbench, show: Show, progress: Progress) -> list[Trained]:
    """The repeats at their selected epochs; what is trained again is kept as far as there is room."""
    entry = plan.choice.entry
    where = bench, entry.partition, entry.id, tuple(plan.finals)
    found = trained(*where, None, partial(progress, AGAIN), telling(show, bench.device))
    lane = LaneKey(entry.partition, entry.id, next(iter(found)))
    keep_in_room(bench, lane, plan.finals, found.values())
    return list(found.values())


def _is_kept(study: Study, plan: Plan, repeat: int, record: FinalRecord) -> bool:
    entry = plan.choice.entry
    key = BundleKey.of_repeat(entry.partition, entry.id, repeat)
    there = {(kept.repeat, kept.epochs) for kept in in_bundle(study.storage, key)}
    return (repeat, int(record.meta["epochs"])) in there


def _explained(
    study: Study,
    plan: Plan,
    options: MapOptions,
    repeats: Repeats,
    maps: np.ndarray,
    models: Sequence[Trained],
    sanity: Sanity | None,
) -> Explained:
    entry, variant = plan.choice.entry, plan.variant
    return Explained(
        study=study.name,
        partition=entry.partition,
        configuration=entry.id,
        name=plan.choice.name,
        chosen=plan.choice.how,
        method=variant.words,
        layer=repeats.layer.name if variant.has_layer else "",
        split=plan.split,
        explains=options.explains if variant.has_class else "",
        repeats=tuple(plan.finals),
        images=plan.images,
        maps=maps,
        notes=tuple(_notes(study, plan, repeats, models)),
        sanity=sanity,
    )


def _notes(study: Study, plan: Plan, repeats: Repeats, models: Sequence[Trained]) -> Iterator[str]:
    if study.record.synthetic:
        yield "SYNTHETIC images: these maps say nothing about real ones."
    yield from plan.choice.notes
    diverged = sum(record.meta["state"] == "diverged" for record in plan.finals.values())
    if diverged:
        yield f"{diverged} of {len(models)} repeats diverged: their maps are of an untrained network."
    if not plan.variant.has_class and not repeats.trains_body:
        yield "Head and class are not in these maps, and the backbone is frozen: they are the same in all repeats."
    if any(not model.is_same for model in models):
        yield "Some repeats were trained again with other bits than in the search: their maps are of these."

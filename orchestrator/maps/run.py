"""One call of `orch maps` from what was typed to maps: choice → images → weights → maps, batch by batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from orchestrator.evaluation.calibration import probabilities
from orchestrator.evaluation.choice import Choice, choose, split_images
from orchestrator.evaluation.keeping import parents_needed
from orchestrator.export.pseudonyms import pseudonyms
from orchestrator.maps.explained import Explained
from orchestrator.maps.images import Image, Wanted, choose_images
from orchestrator.maps.layer import Layer, spatial_layer
from orchestrator.maps.making import Batches, Progress, checked, made
from orchestrator.maps.methods.rollout import attention_of
from orchestrator.maps.network import Repeats
from orchestrator.maps.registry import METHODS, Variant
from orchestrator.maps.sanity import Sanity
from orchestrator.results.summary import Summary, summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord
from orchestrator.study.asked import find_weights
from orchestrator.study.data_root import root_of
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study
from search_spaces.classes import check_confusion
from trainables.bundles.kept_weights import DEFAULT_BUDGET_BYTES, in_bundle, retain
from trainables.bundles.trained import Trained, keep_trained, results, trained
from trainables.bundles.workbench import Workbench, open_bench
from trainables.data.manifest import read_manifest
from trainables.features.frozen import Frozen
from trainables.machine.places import Places
from trainables.network.adaptations import adapted

Show = Callable[[str], None]


@dataclass(frozen=True)
class MapOptions:
    """What `orch maps` takes. explains: whose map is made, of the "predicted" or the "true" class. layer: another than
    the last with places. sanity: whether maps are held against those of random networks, and deletion curves made."""

    method: str = "gradcam"
    wanted: Wanted = field(default_factory=Wanted)
    explains: str = "predicted"
    layer: str = ""
    sanity: bool = False
    configuration: str | None = None
    partition: str | None = None
    data_root: Path | None = None
    weights: str | None = None


@dataclass(frozen=True)
class Plan:
    """What is going to be explained. rows: of the split, with the class index as `truth`."""

    summary: Summary
    choice: Choice
    finals: dict[int, FinalRecord]
    rows: pd.DataFrame
    images: tuple[Image, ...]
    variant: Variant


Pictures = Callable[[Sequence[int]], np.ndarray]
"""Images by their places among the chosen, as `Batches.pictures` has them."""


def explain(
    study: Study, options: MapOptions, cache: Path, show: Show, progress: Progress
) -> tuple[Explained, Pictures]:
    """Maps of the images that are chosen, and their pictures.

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
    models = _trained(study, plan, bench, progress)
    repeats = repeats_of(bench, frozen, backbone, models, layer)
    c, seed = entry.configuration, study.record.seed
    rows = frozen.samples.scoring["valid"][[image.row for image in plan.images]]
    chosen = Batches(frozen.reader(bench.device), rows, targets_of(plan.images, c.data.classes), bench.device)
    maps = made(variant, repeats, chosen, progress, "images explained")
    sanity = None
    if options.sanity:
        contents = plan.rows["content"].iloc[[image.row for image in plan.images]].tolist()
        sanity = checked(variant, repeats, chosen, maps, plan.images, contents, seed, progress)
    return _explained(study, plan, options, repeats, maps, models, sanity), chosen.pictures


def make_plan(study: Study, options: MapOptions) -> Plan:
    """Choose and check; no image is read."""
    check_confusion(study.record.task, f"study {study.name}, maps")
    variant = METHODS[options.method]
    if options.layer and not variant.has_layer:
        raise InputError(
            f"--layer {options.layer}: expected a method that reads a layer, found {variant.name}",
            f"Leave it out, or choose one of {', '.join(one.name for one in METHODS.values() if one.has_layer)}.",
        )
    summary = summarise(study.storage)
    choice = choose(summary, options.configuration, options.partition)
    entry = choice.entry
    finals = results(study.storage, entry.partition, entry.id, entry.with_result)
    rows = split_images(study.storage, entry).valid
    chances = probabilities(np.stack([record.logits for record in finals.values()]))
    images = choose_images(
        rows,
        chances,
        entry.configuration.data.classes,
        options.wanted,
        study.record.seed,
        pseudonyms(read_manifest(study.storage.read(layout.MANIFEST))["file"], "image", study.record.seed),
        explains_truth=options.explains == "true",
    )
    return Plan(summary, choice, finals, rows, images, variant)


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


def targets_of(images: Sequence[Image], classes: Sequence[str]) -> np.ndarray:
    """Class index of each, int64 [N]."""
    return np.array([classes.index(image.target) for image in images], dtype=np.int64)


def _bench(study: Study, plan: Plan, options: MapOptions, cache: Path, show: Show) -> Workbench:
    """Says before what is made, and what is trained again for it."""
    entry, count = plan.choice.entry, len(plan.finals)
    root = reopen(study, root_of(study, options.data_root, cache, show), cache).data_root
    lacking = sum(not _is_kept(study, plan, repeat, record) for repeat, record in plan.finals.items())
    show(f"{plan.choice.name} ({entry.id}), {plan.choice.how}: {count} repeats.")
    again = f"Weights of {lacking} repeats are not kept: they are trained again, then kept."
    show(
        f"{plan.variant.words}: {len(plan.images)} valid images × {count} repeats. "
        f"{again if lacking else 'Their weights are kept: nothing is trained again.'}"
    )
    weights = find_weights([entry.configuration], plan.summary.searches, options.weights)
    return open_bench(study.storage, Places.here(root, cache, weights))


def _trained(study: Study, plan: Plan, bench: Workbench, progress: Progress) -> list[Trained]:
    """The repeats at their selected epochs; what is trained again is kept as far as there is room."""
    entry = plan.choice.entry

    def done(epochs: int, total: int) -> None:
        progress("epochs trained again", epochs, total)

    found = trained(bench, entry.partition, entry.id, tuple(plan.finals), None, done)
    for repeat, model in found.items():
        keep_trained(bench, entry.partition, entry.id, [model], int(plan.finals[repeat].meta["epochs"]))
    order = [*parents_needed(plan.summary), entry.id, *(one.id for one in plan.summary.configurations)]
    retain(study.storage, entry.partition, list(dict.fromkeys(order)), DEFAULT_BUDGET_BYTES)
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
        configuration=entry.id,
        name=plan.choice.name,
        chosen=plan.choice.how,
        method=variant.words,
        layer=repeats.layer.name if variant.has_layer else "",
        split="valid",
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

"""One call of `orch maps` from what was typed to maps: choice → images → weights → maps, batch by batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from orchestrator.evaluation.again import AGAIN, telling
from orchestrator.maps.explained import Explained, Made
from orchestrator.maps.given import GIVEN
from orchestrator.maps.making import Batches, Progress, checked, made
from orchestrator.maps.network import Repeats
from orchestrator.maps.passes import Pass, passes, reader_of
from orchestrator.maps.plan import MapOptions, Member, Plan, make_plan
from orchestrator.maps.ranks import scaled
from orchestrator.maps.sanity import Sanity
from orchestrator.results.names import counted
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord
from orchestrator.store.segments import LaneKey
from orchestrator.study.asked import find_weights
from orchestrator.study.data_root import root_of
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study
from trainables.bundles.kept_weights import in_bundle
from trainables.bundles.trained import Trained, keep_in_room, trained
from trainables.bundles.workbench import Workbench, open_bench
from trainables.machine.places import Places

Show = Callable[[str], None]
_SAID = {
    "valid": "Test images are left out.",
    "test": "These are test images, on which these models were evaluated before.",
    GIVEN: "None of them is an image of the study.",
}


@contextlib.contextmanager
def explain(study: Study, options: MapOptions, cache: Path, show: Show, progress: Progress) -> Iterator[list[Made]]:
    """Maps of the images that are chosen by each configuration, and their pictures while the context lasts.

    progress(act, done, total). Raises InputError before anything is trained or read, where something is missing or
    wrong; for a network without what the method needs before the first image.
    """
    plan = make_plan(study, options)
    bench = _bench(study, plan, options, cache, show)
    by_id: dict[str, Made] = {}
    with contextlib.ExitStack() as readers:
        every = passes(bench, plan, options.layer)
        for one in every:
            if one.layer is not None:
                show(f"Places of a map: {' × '.join(map(str, one.layer.side))}, from layer {one.layer.name}.")
        ready: Iterable[Opened] = (_opened(one, bench, plan, readers, show, progress) for one in every)
        if plan.split == GIVEN:
            ready = list(ready)
            plan = plan.predicted(_chances(plan, ready, progress))
        for each in ready:
            for explained in _explained(study, plan, options, each, progress):
                by_id[explained.configuration] = Made(explained, each.images.pictures)
        yield [by_id[member.choice.entry.id] for member in plan.members]


class Opened(NamedTuple):
    """A pass that can begin. models: of each member, in the order of `repeats`."""

    of: Pass
    models: list[list[Trained]]
    repeats: Repeats
    images: Batches

    @property
    def parts(self) -> dict[str, slice]:
        """Of each member, by its id, where its repeats stand."""
        ends = np.cumsum([len(models) for models in self.models]).tolist()
        return {
            member.choice.entry.id: slice(end - len(models), end)
            for member, models, end in zip(self.of.members, self.models, ends, strict=True)
        }


def _opened(
    one: Pass, bench: Workbench, plan: Plan, readers: contextlib.ExitStack, show: Show, progress: Progress
) -> Opened:
    reader, rows = readers.enter_context(reader_of(bench, one.frozen, plan))
    models = [_trained(member, bench, show, progress) for member in one.members]
    images = Batches(reader, rows, plan.targets, bench.device, plan.variant.at_once)
    return Opened(one, models, one.repeats(bench, models), images)


def _chances(plan: Plan, ready: Iterable[Opened], progress: Progress) -> list[np.ndarray]:
    """Of each member probabilities of the images float64 [repeats, N, K]."""
    chances: dict[str, np.ndarray] = {}
    for each in ready:
        parts = []
        for part, images, _ in each.images:
            parts.append(each.repeats.chances(images).cpu().numpy())
            progress("images predicted", part.start + len(images), len(plan.chosen))
        whole = np.concatenate(parts, axis=1)
        chances |= {name: whole[part] for name, part in each.parts.items()}
    return [chances[member.choice.entry.id] for member in plan.members]


def _explained(study: Study, plan: Plan, options: MapOptions, each: Opened, progress: Progress) -> Iterator[Explained]:
    """Of the members of a pass, in their order."""
    repeats, images = each.repeats, replace(each.images, targets=plan.targets)
    of_sources = [[tile.place for tile in source.tiles] for source in plan.members[0].sources]
    maps = scaled(made(plan.variant, repeats, images, progress, "images explained"), of_sources)
    parts = each.parts
    sanity: Sequence[Sanity | None] = [None] * len(parts)
    if options.sanity:
        contents, seed, several = plan.chosen["content"].tolist(), study.record.seed, list(parts.values())
        sanity = checked(plan.variant, repeats, several, images, maps, plan.images, contents, seed, progress)
    members = {member.choice.entry.id: member for member in plan.members}
    for (name, part), models, checks in zip(parts.items(), each.models, sanity, strict=True):
        member = members[name]
        entry, variant = member.choice.entry, plan.variant
        image = entry.configuration.image
        yield Explained(
            study=study.name,
            partition=entry.partition,
            configuration=entry.id,
            name=member.choice.name,
            chosen=member.choice.how,
            method=variant.words,
            layer=repeats.layer.name if variant.has_layer else "",
            split=plan.split,
            explains=options.explains if variant.has_class else "",
            repeats=tuple(member.finals),
            images=member.images,
            maps=maps[part],
            notes=tuple(_notes(study, plan, member, models, repeats.trains_body)),
            sanity=checks,
            sources=member.sources,
            seen=image.size / image.store_size,
        )


def _bench(study: Study, plan: Plan, options: MapOptions, cache: Path, show: Show) -> Workbench:
    """Says before what is made, and what is trained again for it."""
    root = reopen(study, root_of(study, options.data_root, cache, show), cache).data_root
    for member in plan.members:
        choice, count = member.choice, len(member.finals)
        show(f"{choice.name} ({choice.entry.id}), {choice.how}: {counted(count, 'repeat')}.")
    count = sum(len(member.finals) for member in plan.members)
    lacking = sum(not _is_kept(study, member, *one) for member in plan.members for one in member.finals.items())
    show(
        f"{plan.variant.words}: {counted(len(plan.chosen), f'{plan.split} image')} × {counted(count, 'repeat')}; "
        f"each image takes {plan.variant.cost}; repeats of a frozen network share the forward passes."
        f"{'' if lacking else ' Their weights are kept, so nothing is trained again.'}"
    )
    show(_SAID[plan.split])
    configurations = [member.choice.entry.configuration for member in plan.members]
    weights = find_weights(configurations, plan.summary.searches, options.weights)
    return open_bench(study.storage, Places.here(root, cache, weights))


def _trained(member: Member, bench: Workbench, show: Show, progress: Progress) -> list[Trained]:
    """The repeats at their selected epochs; what is trained again is kept as far as there is room."""
    entry = member.choice.entry
    where = bench, entry.partition, entry.id, tuple(member.finals)
    models = trained(*where, None, partial(progress, AGAIN), telling(show, bench.device))
    lane = LaneKey(entry.partition, entry.id, next(iter(models)))
    keep_in_room(bench, lane, member.finals, models.values())
    return list(models.values())


def _is_kept(study: Study, member: Member, repeat: int, record: FinalRecord) -> bool:
    entry = member.choice.entry
    key = BundleKey.of_repeat(entry.partition, entry.id, repeat)
    there = {(kept.repeat, kept.epochs) for kept in in_bundle(study.storage, key)}
    return (repeat, int(record.meta["epochs"])) in there


def _notes(study: Study, plan: Plan, member: Member, models: Sequence[Trained], trains_body: bool) -> Iterator[str]:
    if study.record.synthetic:
        yield "SYNTHETIC images: these maps say nothing about real ones."
    yield from member.choice.notes
    yield from plan.notes
    diverged = sum(record.meta["state"] == "diverged" for record in member.finals.values())
    if diverged:
        yield f"{diverged} of {counted(len(models), 'repeat')} diverged: these maps show an untrained network."
    if not plan.variant.has_class and not trains_body:
        yield "These maps depend on neither head nor class, and the backbone is frozen: all repeats have the same ones."
    if any(not model.is_same for model in models):
        yield "Some repeats, trained again, differ in their last bits from the search; the maps are of the new ones."

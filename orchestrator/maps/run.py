"""One call of `orch maps` from what was typed to maps: choice → images → weights → maps, batch by batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from orchestrator.evaluation.again import AGAIN, telling
from orchestrator.maps.explained import Explained, Made
from orchestrator.maps.making import Batches, Progress, checked, made
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


@contextlib.contextmanager
def explain(study: Study, options: MapOptions, cache: Path, show: Show, progress: Progress) -> Iterator[list[Made]]:
    """Maps of the images that are chosen by each configuration, and their pictures while the context lasts.

    progress(act, done, total). Raises InputError before anything is trained or read, where something is missing or
    wrong; for a network without what the method needs before the first image.
    """
    plan = make_plan(study, options)
    bench = _bench(study, plan, options, cache, show)
    found: dict[str, Made] = {}
    with contextlib.ExitStack() as readers:
        every = passes(bench, plan, options.layer)
        for one in every:
            if one.layer is not None:
                show(f"Places: {' × '.join(map(str, one.layer.side))}, those of {one.layer.name}.")
        for one in every:
            reader, rows = readers.enter_context(reader_of(bench, one.frozen, plan))
            chosen = Batches(reader, rows, plan.targets, bench.device, plan.variant.at_once)
            for explained in _explained(study, plan, options, bench, one, chosen, show, progress):
                found[explained.configuration] = Made(explained, chosen.pictures)
        yield [found[member.choice.entry.id] for member in plan.members]


def _explained(
    study: Study,
    plan: Plan,
    options: MapOptions,
    bench: Workbench,
    one: Pass,
    chosen: Batches,
    show: Show,
    progress: Progress,
) -> Iterator[Explained]:
    """Of the members of a pass, in their order."""
    several = [_trained(member, bench, show, progress) for member in one.members]
    repeats = one.repeats(bench, several)
    of_sources = [[tile.place for tile in source.tiles] for source in plan.members[0].sources]
    maps = scaled(made(plan.variant, repeats, chosen, progress, "images explained"), of_sources)
    ends = np.cumsum([len(models) for models in several]).tolist()
    parts = [slice(end - len(models), end) for end, models in zip(ends, several, strict=True)]
    sanity: Sequence[Sanity | None] = [None] * len(parts)
    if options.sanity:
        contents, seed = plan.chosen["content"].tolist(), study.record.seed
        sanity = checked(plan.variant, repeats, parts, chosen, maps, plan.images, contents, seed, progress)
    for member, models, part, checks in zip(one.members, several, parts, sanity, strict=True):
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
        f"{plan.variant.words}: {counted(len(plan.images), f'{plan.split} image')} × {counted(count, 'repeat')}; "
        f"for each image {plan.variant.cost}, shared by all repeats of a network that is frozen."
        f"{'' if lacking else ' Their weights are kept: nothing is trained again.'}"
    )
    show("Test images are left out." if plan.split == "valid" else "Test images, which these models have seen before.")
    configurations = [member.choice.entry.configuration for member in plan.members]
    weights = find_weights(configurations, plan.summary.searches, options.weights)
    return open_bench(study.storage, Places.here(root, cache, weights))


def _trained(member: Member, bench: Workbench, show: Show, progress: Progress) -> list[Trained]:
    """The repeats at their selected epochs; what is trained again is kept as far as there is room."""
    entry = member.choice.entry
    where = bench, entry.partition, entry.id, tuple(member.finals)
    found = trained(*where, None, partial(progress, AGAIN), telling(show, bench.device))
    lane = LaneKey(entry.partition, entry.id, next(iter(found)))
    keep_in_room(bench, lane, member.finals, found.values())
    return list(found.values())


def _is_kept(study: Study, member: Member, repeat: int, record: FinalRecord) -> bool:
    entry = member.choice.entry
    key = BundleKey.of_repeat(entry.partition, entry.id, repeat)
    there = {(kept.repeat, kept.epochs) for kept in in_bundle(study.storage, key)}
    return (repeat, int(record.meta["epochs"])) in there


def _notes(study: Study, plan: Plan, member: Member, models: Sequence[Trained], trains_body: bool) -> Iterator[str]:
    if study.record.synthetic:
        yield "SYNTHETIC images: these maps say nothing about real ones."
    yield from member.choice.notes
    diverged = sum(record.meta["state"] == "diverged" for record in member.finals.values())
    if diverged:
        yield f"{diverged} of {len(models)} repeats diverged: their maps are of an untrained network."
    if not plan.variant.has_class and not trains_body:
        yield "Head and class are not in these maps, and the backbone is frozen: they are the same in all repeats."
    if any(not model.is_same for model in models):
        yield "Some repeats were trained again with other bits than in the search: their maps are of these."

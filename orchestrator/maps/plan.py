"""What is going to be explained: decided and checked before anything is trained again or read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.evaluation.calibration import probabilities
from orchestrator.evaluation.choice import Choice, split_images
from orchestrator.evaluation.plan import EvaluationOptions
from orchestrator.evaluation.plan import make_plan as evaluation_plan
from orchestrator.evaluation.predicting import AS_THEY_ARE, needed, stored
from orchestrator.export.pseudonyms import pseudonyms
from orchestrator.maps.chosen import choices
from orchestrator.maps.given import GIVEN, given_images, seen_given
from orchestrator.maps.images import Image, Wanted, choose_images
from orchestrator.maps.registry import METHODS, Variant
from orchestrator.maps.sources import Source, choose_sources
from orchestrator.results.summary import Summary, summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import FinalRecord
from orchestrator.study.studies import Study
from search_spaces.classes import check_confusion
from trainables.bundles.trained import results
from trainables.data.manifest import read_manifest


@dataclass(frozen=True)
class MapOptions:
    """What `orch maps` takes. explains: whose map is made, of the "predicted" or the "true" class. layer: another than
    the last with places. split: "valid", or "test" where it is open already. sanity: whether maps are held against
    those of random networks, and deletion curves made. top, of: how many of the best configurations, or the named ones,
    by the first digits of their ids. whole: whether patches are put together to what they were cut from."""

    method: str = "gradcam"
    wanted: Wanted = field(default_factory=Wanted)
    explains: str = "predicted"
    layer: str = ""
    split: str = "valid"
    sanity: bool = False
    whole: bool = False
    top: int = 1
    of: tuple[str, ...] = ()
    partition: str | None = None
    data_root: Path | None = None
    weights: str | None = None


@dataclass(frozen=True)
class Member:
    """A configuration. finals: of its repeats. images: the same for all, with what this one says of them; sources: that
    they are patches of, where they are put together."""

    choice: Choice
    finals: dict[int, FinalRecord]
    images: tuple[Image, ...]
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is going to be explained. rows: of the split, with the class index as `truth`; of given files without it,
    and which images the members have is known once these are predicted. notes: what is odd about them."""

    summary: Summary
    members: tuple[Member, ...]
    rows: pd.DataFrame
    variant: Variant
    split: str
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> tuple[Image, ...]:
        """As the first configuration has them."""
        return self.members[0].images

    @property
    def chosen(self) -> pd.DataFrame:
        """The rows of the images, in their order."""
        if self.split == GIVEN:
            return self.rows
        return self.rows.iloc[[image.row for image in self.images]].reset_index(drop=True)

    @property
    def targets(self) -> np.ndarray:
        """Class index of each image whose map is made, int64 [N]."""
        classes = self.members[0].choice.entry.configuration.data.classes
        return np.array([classes.index(image.target) for image in self.images], dtype=np.int64)

    def predicted(self, several: Sequence[np.ndarray]) -> Plan:
        """With given files as images; several: of each member their probabilities float64 [repeats, N, K]."""
        classes = self.members[0].choice.entry.configuration.data.classes
        images = seen_given(several, self.rows["file"].tolist(), classes)
        pairs = zip(self.members, images, strict=True)
        return replace(self, members=tuple(replace(member, images=each) for member, each in pairs))


def make_plan(study: Study, options: MapOptions) -> Plan:
    """Choose and check; no image is read but given ones. Raises InputError for whatever is missing or wrong."""
    check_confusion(study.record.task, f"study {study.name}, maps")
    variant = METHODS[options.method]
    if options.layer and not variant.has_layer:
        raise InputError(
            f"--layer {options.layer}: expected a method that reads a layer, found {variant.name}",
            f"Leave it out, or choose one of {', '.join(one.name for one in METHODS.values() if one.has_layer)}.",
        )
    summary = summarise(study.storage)
    several = choices(summary, options.top, options.of, options.partition)
    first, seed = several[0].entry, study.record.seed
    finals = [results(study.storage, one.entry.partition, one.entry.id, one.entry.with_result) for one in several]
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    if options.wanted.given:
        rows, notes = given_images(options.wanted.given, manifest)
        members = tuple(Member(choice, records, ()) for choice, records in zip(several, finals, strict=True))
        return Plan(summary, members, rows, variant, GIVEN, tuple(notes))
    rows = split_images(study.storage, first).valid
    logits = [np.stack([record.logits for record in records.values()]) for records in finals]
    if options.split == "test":
        tested = [_test(study, choice) for choice in several]
        rows, logits = tested[0][0], [outputs for _, outputs in tested]
    chances, classes = [probabilities(one) for one in logits], first.configuration.data.classes
    called = pseudonyms(manifest["file"], "image", seed)
    given, is_true = (rows, chances, classes, options.wanted, seed, called), options.explains == "true"
    sources: list[tuple[Source, ...]] = [() for _ in several]
    if options.whole:
        images, sources = choose_sources(*given, explains_truth=is_true)
    else:
        images = choose_images(*given, explains_truth=is_true)
    return Plan(summary, tuple(map(Member, several, finals, images, sources)), rows, variant, options.split)


def _test(study: Study, choice: Choice) -> tuple[pd.DataFrame, np.ndarray]:
    """Test images and the logits [repeats, N, outputs] that an evaluation of these models stored. To look at them
    again by the same models is no further look. Raises InputError where they were not opened by it."""
    entry = choice.entry
    plan = evaluation_plan(study, EvaluationOptions(configuration=entry.id, partition=entry.partition))
    predictions = stored(study.storage, plan, needed(plan)[AS_THEY_ARE])
    if predictions is None:
        raise InputError(
            f"study {study.name!r}, --split test: expected an evaluation of configuration {entry.id} with all its "
            "repeats, which opens the test images, found none",
            f"orch evaluate {study.name} --configuration {entry.id}   or leave out --split for validation images",
        )
    return plan.split.test, predictions.logits[:, :, predictions.views.index(0)]

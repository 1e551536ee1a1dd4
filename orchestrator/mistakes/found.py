"""All that is found of a study's mistakes, from what it keeps; images are read only where their looks are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from orchestrator.mistakes.chosen import Chosen, choose
from orchestrator.mistakes.gathered import Gathered, gather
from orchestrator.mistakes.images import class_table, group_table, image_table
from orchestrator.mistakes.properties import of_columns, of_looks, of_size
from orchestrator.mistakes.shared import Shared, shared_errors
from orchestrator.mistakes.slices import Slice, slices
from orchestrator.mistakes.suspects import ConfidentJoint, confident_joint, suspect_table, twins
from orchestrator.results.near_duplicates import read_pairs
from orchestrator.results.summary import summarise
from orchestrator.store.schema import StudyRecord
from orchestrator.store.storage import Storage

TOP = 5
"""Configurations that are looked at where nothing is said."""


@dataclass(frozen=True)
class Wanted:
    """top: how many of the best configurations, unless `of` names some by the first digits of their ids. partition: of
    several one, by the first digits of its id. by: columns, () for all that can be sliced by, and size. root: folder of
    the images, whose looks are measured then."""

    top: int = TOP
    of: tuple[str, ...] = ()
    partition: str | None = None
    by: tuple[str, ...] = ()
    root: Path | None = None


@dataclass(frozen=True)
class Mistakes:
    """For the tables' columns see the functions that make them. compared: whether near-duplicates were looked for."""

    study: StudyRecord
    chosen: Chosen
    gathered: Gathered
    images: pd.DataFrame
    classes: pd.DataFrame
    groups: pd.DataFrame
    slices: list[Slice]
    shared: Shared
    joint: ConfidentJoint
    suspects: pd.DataFrame
    twins: pd.DataFrame
    compared: bool


def find_mistakes(storage: Storage, wanted: Wanted, progress: Callable[[int, int], None] | None = None) -> Mistakes:
    """Raises InputError where nothing can be said, or something asked for is not there."""
    summary = summarise(storage)
    chosen = choose(summary, wanted.top, wanted.of, wanted.partition)
    gathered = gather(storage, summary, chosen)
    properties = [*of_columns(gathered.images, wanted.by), *(() if wanted.by else of_size(gathered.images))]
    if wanted.root is not None:
        properties += of_looks(wanted.root, gathered.images, progress or (lambda done, total: None))
    pairs = read_pairs(storage)
    doubles = twins(gathered, pairs)
    joint = confident_joint(gathered.probability, gathered.truth)
    return Mistakes(
        summary.study,
        chosen,
        gathered,
        image_table(gathered),
        class_table(gathered),
        group_table(gathered),
        slices(gathered.error, gathered.truth, gathered.group, properties, gathered.seed),
        shared_errors(gathered),
        joint,
        suspect_table(gathered, joint, doubles),
        doubles,
        pairs is not None,
    )


def worse(several: Sequence[Slice]) -> list[Slice]:
    """Slices that are worse than chance explains, the surest first."""
    return sorted((one for one in several if one.is_worse), key=lambda one: (one.corrected or 0.0, -one.error))

"""What `orch evaluate` leaves in a study's results/: one JSON record per look, readable without torch or pandas."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.schema import JsonRecord, Metric, parse_model
from orchestrator.store.storage import Storage

EVALUATION_VERSION = 3
ENOUGH_GROUPS = 40
_RECORD = re.compile(r"evaluation-([0-9a-f]{12})\.json")


class Interval(JsonRecord):
    """A 95 % interval that describes other groups of the same kind."""

    low: float
    high: float
    method: str
    groups: int
    draws: int = 0
    """Of a bootstrap."""


class Score(JsonRecord):
    """A metric, as the mean over the repeats (of an ensemble: its own value).

    value: None where the metric is undefined. std: over the repeats (n − 1), None below two. reason: why there is no
    interval, or no value. each: of every repeat in the record's order (of an ensemble: its own), None where undefined;
    () where value is None.
    """

    value: float | None
    std: float | None = None
    repeats: int = 1
    interval: Interval | None = None
    reason: str = ""
    each: tuple[float | None, ...] = ()
    few_groups: bool = False
    """Whether the reason is that a class which the metric counts has too few test groups."""


class ClassScores(JsonRecord):
    """One class against the rest. groups: how many hold at least one image (at group level: are of the class)."""

    name: str
    images: int
    groups: int
    scores: dict[str, Score]


class Level(JsonRecord):
    """All metrics with images, or groups, as the unit. confusion: counts [repeats][truth][prediction].

    mean_over: whether every image counts alike, or every group, in which images share what it counts.
    """

    unit: Literal["image", "group"]
    mean_over: Literal["images", "groups"] = "images"
    count: int
    groups: int
    overall: dict[str, Score]
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[tuple[int, ...], ...], ...]


class Changes(JsonRecord):
    """What images went through before they were predicted. strengths: of its settings, by name; none where all the
    views that it makes are known. predictions: path of the Parquet file in the study, "" of an ensemble, whose members
    have one each."""

    names: tuple[str, ...]
    strengths: dict[str, float | tuple[float, ...]] = Field(default_factory=dict)
    predictions: str


class Estimate(JsonRecord):
    """One way to predict. `group` is None where groups hold images of several classes; then `no_group` says so.

    views: how many of each image, over whose probabilities the mean is taken. tta: what makes them, None of the upright
    one alone. augmented: what every test image was changed by, once; None of the images as they are.
    """

    name: str
    is_primary: bool
    views: int
    ensemble: bool
    tta: Changes | None = None
    augmented: Changes | None = None
    temperature: tuple[float, ...] = ()
    """Per model, fitted on the valid split; () where there are no valid predictions of this kind."""
    image: Level
    even: Level | None = None
    """Images again, but every group counts alike; of single models without further views."""
    group: Level | None = None
    no_group: str = ""

    @property
    def title(self) -> str:
        """Its name where it stands among others."""
        return f"{self.name} (primary)" if self.is_primary else self.name


class OperatingPoint(JsonRecord):
    """A threshold per repeat, chosen on the valid split, and what it gives on the test images (single models)."""

    asked: str
    """"specificity=0.95"."""
    target: Literal["specificity", "sensitivity", "precision"]
    share: float
    name: str
    """The class that is called when its probability exceeds the threshold."""
    thresholds: tuple[float, ...]
    valid: dict[str, float]
    """Mean sensitivity and specificity on the valid split: used to choose, hence optimistic."""
    scores: dict[str, Score]


class Subgroup(JsonRecord):
    """The primary estimate on the images with one value of a column of the user's table."""

    column: str
    value: str
    images: int
    groups: int
    overall: dict[str, Score]
    classes: tuple[ClassScores, ...]


class Look(JsonRecord):
    """One opening of test images, written before they are opened. id: the same model on the same images is one look."""

    id: str
    test_set: str
    """Hash over the pixels of all its images, in no particular order."""
    study: str
    partition: str
    configuration: str
    name: str
    repeats: tuple[int, ...]
    epochs: int
    primary: str
    """What counts as the result, fixed here."""
    time: str
    """UTC, to the microsecond: looks are ordered by it."""
    images: tuple[str, ...] = ()
    """The first 16 hex digits of each image's content hash."""


class EvaluationRecord(JsonRecord):
    """`results/evaluation-<look>.json`."""

    version: int = Field(default=EVALUATION_VERSION, ge=EVALUATION_VERSION)
    look: str
    study: str
    synthetic: bool
    group_meaning: str
    external: str = ""
    """Name of the folder or table of other images; "" for the study's own test split."""
    classes: tuple[str, ...]
    partition: str
    configuration: str
    name: str
    """The configuration in words."""
    chosen: str
    """How it was chosen, in words."""
    selection: Metric
    repeats: tuple[int, ...]
    diverged: tuple[int, ...]
    """Repeats that diverged: they predict untrained."""
    epochs: int
    selected_epochs: tuple[int, ...]
    test_set: str
    images: int
    groups: int
    number: int
    """Which look at these images this is, from 1, over all studies beside this one."""
    looks: int
    """How many there were when this was written; `looks.count_looks` counts anew."""
    first: str = ""
    """Of a later look: what the first one evaluated."""
    deviation: float | None
    """Largest difference of valid logits between the models evaluated and the search's; 0.0: the same bits. None where
    they would even select another epoch."""
    estimates: tuple[Estimate, ...]
    operating_points: tuple[OperatingPoint, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    notes: tuple[str, ...] = ()
    predictions: str
    """Path of the Parquet file in the study."""
    created: str
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def primary(self) -> Estimate:
        return next(estimate for estimate in self.estimates if estimate.is_primary)

    @property
    def looked_at(self) -> str:
        """To be shown beside every test score."""
        return "looked at once" if self.looks == 1 else f"looked at {self.looks} times"

    def place_of(self, repeat: int, epoch: int) -> int | None:
        """Where a repeat at its selected epoch stands in `Score.each`; None where this is not of it, or says no more
        than means."""
        there = dict(zip(self.repeats, self.selected_epochs, strict=True))
        if there.get(repeat) != epoch or not any(score.each for score in self.primary.image.overall.values()):
            return None
        return self.repeats.index(repeat)


def absent_kinds(groups: int) -> str:
    """What so few test groups cannot show, in words; "" for 40 and more.

    Of n groups drawn at random, none is of a kind that 3 in n are with a probability of 5 % (the rule of three).
    """
    if not 0 < groups < ENOUGH_GROUPS:
        return ""
    return (
        f"A kind of patient rarer than one in {max(2, round(groups / 3))} may be missing from "
        f"{groups} test group{'' if groups == 1 else 's'}, and no interval shows that."
    )


def path_of(look: str) -> str:
    return f"{layout.RESULTS}/evaluation-{look}.json"


def predictions_of(look: str, changed: str = "") -> str:
    """changed: what tells images that are drawn from those as they are."""
    return f"{layout.RESULTS}/predictions-{look}{changed and '-'}{changed}.parquet"


def write_evaluation(storage: Storage, record: EvaluationRecord) -> None:
    storage.replace(path_of(record.look), record.model_dump_json(indent=1).encode())


def read_evaluation(storage: Storage, look: str) -> EvaluationRecord:
    """Raises FileNotFoundError or DamagedRecordError."""
    path = path_of(look)
    return parse_model(EvaluationRecord, storage.read(path), path)


def read_evaluations(storage: Storage) -> list[EvaluationRecord]:
    """All evaluations of a study, the first look first; damaged ones are passed over, which is noted."""
    records = []
    for name in storage.list(layout.RESULTS):
        match = _RECORD.fullmatch(name)
        if match:
            with passed_over(storage, path_of(match[1])):
                records.append(read_evaluation(storage, match[1]))
    return sorted(records, key=lambda record: (record.number, record.created))

"""What `orch ensemble` leaves in a study: results/ensembles/<id>.json, readable without torch."""

from __future__ import annotations

import re

from pydantic import Field

from orchestrator.results.names import counted
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from orchestrator.store.schema import JsonRecord, Metric, parse_model
from orchestrator.store.storage import Storage
from search_spaces.faults import did_you_mean, nearest

ENSEMBLE_VERSION = 1
_RECORD = re.compile(r"([0-9a-f]{12})\.json")


class Member(JsonRecord):
    """A configuration in an ensemble. weight: shared evenly by its repeats. epochs: the selected ones, by repeat.

    alone: what it scores by itself on the valid images, which chose it, the mean over its repeats.
    """

    configuration: str
    name: str
    repeats: tuple[int, ...]
    epochs: tuple[int, ...]
    weight: float
    alone: float


class Scores(JsonRecord):
    """single: the best configuration, mean over its repeats. rival: its own repeats together. ensemble: this."""

    single: float
    rival: float
    ensemble: float


class Ahead(JsonRecord):
    """In how many bags the ensemble was better, worse and the same; they overlap, so this is no test."""

    better: int
    worse: int
    same: int


class OutOfBag(JsonRecord):
    """Scores on groups that chose nothing, from `rounds` bags. chose_single: share of the bags in which the same
    configuration was the best; models: of the bags' ensembles, in the mean."""

    scores: Scores
    over_single: Ahead
    over_rival: Ahead
    chose_single: float
    models: float
    rounds: int


class Cost(JsonRecord):
    """Of one image; hours of 1,000, None where they are not known."""

    models: int
    passes: int
    hours: float | None = None
    device: str = ""


class EnsembleRecord(JsonRecord):
    """`results/ensembles/<id>.json`; the id is of what it predicts and of how it was chosen."""

    version: int = Field(default=ENSEMBLE_VERSION, ge=ENSEMBLE_VERSION)
    id: str
    study: str
    synthetic: bool
    group_meaning: str
    partition: str
    images: int
    groups: int
    classes: tuple[str, ...]
    metric: Metric
    metric_words: str
    of_class: str = ""
    """Of a metric of one class."""
    is_loss: bool
    combine: str
    weigh: str
    chosen: str
    """Which configurations became members, in words."""
    members: tuple[Member, ...]
    """Best first; those with weight 0 were among them and count nothing."""
    single: str
    """Id of the best configuration."""
    single_name: str
    single_repeats: int
    rival_models: int
    in_sample: Scores
    out_of_bag: OutOfBag | None
    no_out_of_bag: str = ""
    disagreement: tuple[tuple[float, ...], ...]
    """Share of images that two members with a weight call differently, in their order."""
    correlation: tuple[tuple[float | None, ...], ...]
    """Of their errors; None with one that is always right."""
    cost: Cost
    single_cost: Cost
    seed: int
    notes: tuple[str, ...] = ()
    created: str
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def counting(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.weight > 0)

    @property
    def name(self) -> str:
        members = counted(len(self.counting), "configuration")
        return f"ensemble of {members}, {counted(self.cost.models, 'model')}"

    @property
    def model_key(self) -> str:
        """What it predicts, whatever it was chosen by: equal for equal predictions of any image."""
        parts = [[m.configuration, list(m.repeats), list(m.epochs), m.weight] for m in self.counting]
        return short_hash([self.partition, self.combine, parts])


def write_ensemble(storage: Storage, record: EnsembleRecord) -> None:
    storage.replace(layout.ensemble(record.id), record.model_dump_json(indent=1).encode())


def read_ensemble(storage: Storage, study: str, asked: str) -> EnsembleRecord:
    """The one whose id begins so. Raises InputError where there is none or are several, and DamagedRecordError."""
    there = _ids(storage)
    fits = [one for one in there if one.startswith(asked)]
    if len(fits) != 1:
        meant = nearest(asked, there) or nearest(asked, [one[: len(asked)] for one in there])
        whole = [next(one for one in there if one.startswith(part)) for part in meant]
        known = ", ".join(there[:6]) or "none yet"
        raise InputError(
            f"ensemble {asked[:40]!r} of study {study!r}: expected the beginning of exactly one id, {len(fits)} match; "
            f"the study has {known}{did_you_mean(whole)}",
            f"orch ensemble {study} --list" if there else f"orch ensemble {study} makes one",
        )
    path = layout.ensemble(fits[0])
    return parse_model(EnsembleRecord, storage.read(path), path)


def read_ensembles(storage: Storage) -> list[EnsembleRecord]:
    """All of a study, the oldest first; damaged ones are passed over, which is noted."""
    records = []
    for name in _ids(storage):
        path = layout.ensemble(name)
        with passed_over(storage, path):
            records.append(parse_model(EnsembleRecord, storage.read(path), path))
    return sorted(records, key=lambda record: (record.created, record.id))


def _ids(storage: Storage) -> list[str]:
    return sorted(match[1] for name in storage.list(layout.ENSEMBLES) if (match := _RECORD.fullmatch(name)))

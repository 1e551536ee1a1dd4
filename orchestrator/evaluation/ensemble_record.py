"""What `orch evaluate --ensemble` leaves in a study's results/, readable without torch or pandas."""

from __future__ import annotations

import re

from pydantic import Field

from orchestrator.evaluation.record import Estimate, Interval, OperatingPoint, Subgroup
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.schema import JsonRecord, parse_model
from orchestrator.store.storage import Storage

ENSEMBLE_EVALUATION_VERSION = 1
_RECORD = re.compile(r"ensemble-([0-9a-f]{12})\.json")


class Difference(JsonRecord):
    """By how much the ensemble is better than the single configuration, for a loss too; None where undefined."""

    metric: str
    value: float | None
    interval: Interval | None = None
    reason: str = ""


class EnsembleEvaluation(JsonRecord):
    """`results/ensemble-<look>.json`."""

    version: int = Field(default=ENSEMBLE_EVALUATION_VERSION, ge=ENSEMBLE_EVALUATION_VERSION)
    look: str
    ensemble: str
    """Id of the record of `orch ensemble`."""
    study: str
    synthetic: bool
    group_meaning: str
    external: str = ""
    classes: tuple[str, ...]
    partition: str
    name: str
    members: tuple[str, ...]
    """Ids of the configurations that count something."""
    models: int
    test_set: str
    images: int
    groups: int
    number: int
    """Which look at these images this is, from 1, over all studies beside this one."""
    looks: int
    first: str
    """What the first look evaluated; "" of the first itself."""
    deviation: float | None
    """Largest difference of valid logits between the models evaluated and the search's; see `EvaluationRecord`."""
    estimate: Estimate
    others: tuple[Estimate, ...] = ()
    """Over several views of each image, and of images that were changed."""
    operating_points: tuple[OperatingPoint, ...] = ()
    """One threshold each, chosen on the ensemble's predictions of the valid split."""
    subgroups: tuple[Subgroup, ...] = ()
    single: Estimate
    """The primary estimate of the configuration that was the best alone when the ensemble was made."""
    own: Estimate | None
    """Its repeats together; None where it has one."""
    single_configuration: str
    single_name: str
    single_look: str
    single_others: tuple[Estimate, ...] = ()
    """Like `others`, of that configuration: single models, and its repeats together."""
    single_operating_points: tuple[OperatingPoint, ...] = ()
    single_subgroups: tuple[Subgroup, ...] = ()
    target: str = ""
    """The difference by what the ensemble was made for; "" where it is not among them."""
    differences: tuple[Difference, ...]
    """To `single`."""
    over_own: tuple[Difference, ...]
    """To `own`; () where there is none."""
    said: str = ""
    """What the intervals show, in a sentence."""
    notes: tuple[str, ...] = ()
    created: str
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.name}, external images" if self.external else self.name


def path_of(look: str) -> str:
    return f"{layout.RESULTS}/ensemble-{look}.json"


def write_ensemble_evaluation(storage: Storage, record: EnsembleEvaluation) -> None:
    storage.replace(path_of(record.look), record.model_dump_json(indent=1).encode())


def read_ensemble_evaluation(storage: Storage, look: str) -> EnsembleEvaluation:
    """Raises FileNotFoundError or DamagedRecordError."""
    return parse_model(EnsembleEvaluation, storage.read(path_of(look)), path_of(look))


def read_ensemble_evaluations(storage: Storage) -> list[EnsembleEvaluation]:
    """All of a study, the first look first; damaged ones are passed over, which is noted."""
    evaluations = []
    for name in storage.list(layout.RESULTS):
        if match := _RECORD.fullmatch(name):
            with passed_over(storage, path_of(match[1])):
                evaluations.append(read_ensemble_evaluation(storage, match[1]))
    return sorted(evaluations, key=lambda record: (record.number, record.created))

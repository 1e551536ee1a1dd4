"""What a nested evaluation leaves: results/nested-<key>.json, its predictions, and a file per finished outer fold.

Nothing here is a bundle, a configuration or an evaluation: it can neither be selected nor exported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from orchestrator.evaluation.record import Estimate
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError, plain_text
from orchestrator.store.record import pack, unpack
from orchestrator.store.schema import JsonRecord, Metric, parse_model
from orchestrator.store.storage import Storage

NESTED_VERSION = 1
KIND = "nested"
FOLDER = f"{layout.RESULTS}/{KIND}"
_RECORD = re.compile(r"nested-([0-9a-f]{12})\.json")


@dataclass(frozen=True)
class FinishedFold:
    """One outer fold as it is stored.

    partition: id of the fold's division, whose test split is the outer fold. repeats and epochs: of the selected
    configuration. scores: per candidate the mean of what selects, larger is better. logits: float32 [repeats, outer
    images, outputs], images in manifest order.
    """

    partition: str
    configuration: str
    repeats: tuple[int, ...]
    epochs: tuple[int, ...]
    scores: dict[str, float]
    logits: np.ndarray
    decisions: int = 0
    """Of a search that was repeated with them, and the epochs that it trained."""
    epochs_trained: int = 0
    name: str = ""
    """Of the selected configuration, which a sampler may have made in this fold alone."""


class FoldResult(JsonRecord):
    """One outer fold in the record. number: from 1."""

    number: int
    partition: str
    images: int
    groups: int
    configuration: str
    name: str
    """The selected configuration in words."""
    inner: float | None
    """Mean over repeats of what selected it (`NestedRecord.looked_at`): hence optimistic."""
    accuracy: float
    """On the outer images, mean over repeats."""
    balanced_accuracy: float
    """Over the classes that the outer fold holds."""
    selected_epochs: tuple[int, ...]
    decisions: int = 0
    """Of the search in this fold, where whole searches were repeated."""
    epochs_trained: int = 0


class NestedRecord(JsonRecord):
    """`results/nested-<key>.json`."""

    version: int = NESTED_VERSION
    kind: str = KIND
    key: str
    study: str
    synthetic: bool
    group_meaning: str
    classes: tuple[str, ...]
    partition: str
    """Of the study, whose proportion of train to valid the folds have."""
    selection: Metric
    looked_at: str
    """What of it compares candidates, as in the study: valid, or the worse of train and valid."""
    candidates: int
    """Configurations among which each fold selects, or that its search may try."""
    searches: tuple[str, ...] = ()
    """In words those that every fold repeats whole, decisions included; () where all candidates are trained."""
    repeats: int
    """Models per image."""
    folds: tuple[FoldResult, ...]
    images: int
    groups: int
    estimates: tuple[Estimate, ...]
    """Of all outer images together; none of them is the primary one."""
    test_looks: int
    """How often images of the study's test split had been looked at when this was written, these folds included."""
    notes: tuple[str, ...] = ()
    predictions: str
    created: str
    versions: dict[str, str] = Field(default_factory=dict)


def path_of(key: str) -> str:
    return f"{layout.RESULTS}/{KIND}-{key}.json"


def predictions_of(key: str) -> str:
    return f"{FOLDER}/{key}/predictions.parquet"


def fold_path(key: str, number: int) -> str:
    return f"{FOLDER}/{key}/fold-{number}.record"


def write_fold(storage: Storage, key: str, number: int, fold: FinishedFold) -> None:
    """The first writer's counts."""
    meta = {
        "kind": KIND,
        "partition": fold.partition,
        "configuration": fold.configuration,
        "repeats": list(fold.repeats),
        "epochs": list(fold.epochs),
        "decisions": fold.decisions,
        "epochs_trained": fold.epochs_trained,
        "name": fold.name,
        "scores": {name: value if np.isfinite(value) else None for name, value in fold.scores.items()},
    }
    storage.create(fold_path(key, number), pack(meta, {"logits": fold.logits}))


def read_fold(storage: Storage, key: str, number: int, partition: str) -> FinishedFold | None:
    """A finished fold, None where there is none; a damaged one is removed, so that it is trained again."""
    path = fold_path(key, number)
    try:
        meta, arrays = unpack(storage.read(path), path)
        if meta["partition"] != partition:
            raise DamagedRecordError(f"{path} belongs to other folds")
        scores = {str(name): -np.inf if value is None else float(value) for name, value in meta["scores"].items()}
        repeats, epochs = (tuple(int(n) for n in meta[name]) for name in ("repeats", "epochs"))
        decisions, spent = (int(meta.get(name, 0)) for name in ("decisions", "epochs_trained"))
        logits, name = arrays["logits"], plain_text(str(meta.get("name", "")))
        if logits.dtype.kind != "f" or logits.ndim != 3 or len(logits) != len(repeats):
            raise DamagedRecordError(f"{path} does not hold the predictions of a fold")
        chosen = str(meta["configuration"])
        return FinishedFold(partition, chosen, repeats, epochs, scores, logits, decisions, spent, name)
    except FileNotFoundError:
        return None
    except (DamagedRecordError, AttributeError, KeyError, OverflowError, TypeError, ValueError):
        storage.delete(path)
        return None


def write_nested(storage: Storage, record: NestedRecord) -> None:
    storage.replace(path_of(record.key), record.model_dump_json(indent=1).encode())


def read_nested(storage: Storage) -> list[NestedRecord]:
    """All nested evaluations of a study, the oldest first; damaged ones are passed over, which is noted."""
    records = []
    for name in storage.list(layout.RESULTS):
        if _RECORD.fullmatch(name):
            path = f"{layout.RESULTS}/{name}"
            with passed_over(storage, path):
                records.append(parse_model(NestedRecord, storage.read(path), path))
    return sorted(records, key=lambda record: record.created)

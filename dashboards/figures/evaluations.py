"""What evaluations of the test split have left in a study; no names of files or groups."""

from __future__ import annotations

import numpy as np

from dashboards.figures.choice import Choice, Source
from orchestrator.evaluation.record import EvaluationRecord, read_evaluations
from orchestrator.results.stored_data import read_table


def evaluations(source: Source, choice: Choice) -> list[EvaluationRecord]:
    """Those on the chosen partition, the first look first."""
    records = read_evaluations(source.storage)
    return [record for record in records if choice.partition in ("", record.partition)]


def newest(source: Source, choice: Choice) -> EvaluationRecord | None:
    """The one that figures show: of the last look at the study's own test split, else at other images."""
    records = sorted(
        evaluations(source, choice), key=lambda record: (not record.external, record.number, record.created)
    )
    return records[-1] if records else None


def chances_of(source: Source, record: EvaluationRecord) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(probabilities [rows, K], truth [rows], repeat [rows]) of view 0 of every test image; None without them."""
    names = [f"probability {name}" for name in record.classes]
    columns = {"label": "text", **dict.fromkeys(("repeat", "view", *names), "number")}
    table = read_table(source.storage, record.predictions, columns)
    if table is None:
        return None
    kept = table["view"].to_numpy() == 0
    index = {name: place for place, name in enumerate(record.classes)}
    truth = np.array([index.get(label, -1) for label in table["label"].to_pylist()])
    chances = np.stack([table[name].to_numpy() for name in names], axis=1)
    return chances[kept], truth[kept], table["repeat"].to_numpy()[kept]

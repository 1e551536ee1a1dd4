"""A study of a third task, that of docs/extending.md: trained, and read by everything from its records to the page.

It is run in a process of its own, in which the task is in its registries before this is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dashboards.export.files import write_any, write_figures
from dashboards.figures.any_axes import Asked
from dashboards.figures.registry import open_source
from dashboards.page.page import render
from orchestrator.choosing.selection import select
from orchestrator.choosing.selection_report import selection_report
from orchestrator.evaluation.plan import EvaluationOptions, make_plan
from orchestrator.planning.estimate import record_bytes
from orchestrator.report import status_report
from orchestrator.results.histories import compact, read_repeats
from orchestrator.results.summary import summarise
from orchestrator.results.summary_table import build_table
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.schema import FinalRecord, StudyRecord
from orchestrator.study.studies import open_study
from tests.support.asked import Item, ask
from tests.support.tiny_study import make_tiny_study
from trainables.data.manifest import read_manifest

NOW = "2026-03-01T12:00:00+00:00"
EPOCHS, REPEATS, CLASSES = 5, (0, 1, 2), ("few", "many", "some")
METRIC = "mean_absolute_error"
PAGE = (
    f'<option value="{METRIC}">',
    '<option value="accuracy">',
    "What the best configuration confuses",
    "not be drawn",
)


def read(folder: Path) -> dict[str, Any]:
    """What readers say of two configurations with three repeats each, and what is expected."""
    study = make_tiny_study(folder / "made", CLASSES)
    settings = {"task": "grades", "selection": METRIC, "batch_size": 4, "non_linearities": 1}
    configurations = [study.configuration(**settings, lr=lr) for lr in (0.01, 0.3)]
    finals = {c.id: study.train(c, REPEATS, EPOCHS) for c in configurations}
    storage = study.storage
    ask(storage, (study.partition,), [Item(c.id, len(REPEATS), EPOCHS) for c in configurations])
    record = StudyRecord(
        name="study",
        task="grades",
        classes=CLASSES,
        precision="fp32",
        selection=METRIC,
        group_meaning="column group",
        data_fingerprint=study.fingerprint,
        test_fingerprint="e" * 64,
        partition=study.partition,
        created=NOW,
    )
    storage.create(layout.STUDY, record.to_toml())
    loose = read_repeats(storage)
    gathered = compact(storage).gathered
    summary = summarise(storage, NOW)
    chosen = select(storage, summary, study.partition, METRIC)
    assert chosen is not None
    manifest = read_manifest(storage.read(layout.MANIFEST))
    valid = manifest[manifest["group"].map(study.groups()) == "valid"]
    truth = np.array([CLASSES.index(label) for label in valid["label"]])
    tables = {level: build_table(summary, level) for level in ("epoch", "repeat", "config")}  # type: ignore[arg-type]
    opened = open_study(study.folder.parent, "study")
    source, first = open_source(storage, NOW), configurations[0]
    scored: dict[str, Any] = {"train": truth, "valid": truth}
    page = render(storage, now=NOW)
    return {
        "gathered": gathered,
        "same": np.array_equal(loose.statistics, summary.repeats.statistics),
        "shape": summary.repeats.statistics.shape[1:],
        "ranked": [m.id for m in summary.configurations],
        "best": chosen.winner.id,
        "scores": {m.id: _scores(m) for m in summary.configurations},
        "expected": {name: _by_hand(records, truth) for name, records in finals.items()},
        "columns": [name for name in tables["repeat"].columns if "_" in name or name == "loss"],
        "epochs": _told(tables["epoch"]),
        "means": tables["config"].query("split == 'valid'")[f"{METRIC}_mean"].tolist(),
        "status": status_report(opened).as_text(),
        "report": selection_report(summary, chosen).as_text(),
        "refused": _refusal(lambda: make_plan(opened, EvaluationOptions())),
        "figures": [
            _refusal(lambda: write_any(source, folder / "figures", Asked("lr", "accuracy"))),
            _refusal(lambda: write_figures(source, folder / "figures", names=("heat-map", "confusion"))),
        ],
        "bytes_of_an_epoch": record_bytes(first, 1, scored) - record_bytes(first, 0, scored),
        "page": [word for word in PAGE if word in page],
    }


def _scores(member: Any) -> dict[str, Any]:
    return {
        "selected": member.selected_epochs.values.tolist(),
        "valid": member.score(METRIC, "valid").values.tolist(),
        "selection": member.selection.values.tolist(),
        "unknown": member.score("accuracy", "valid"),
    }


def _by_hand(records: dict[int, FinalRecord], truth: np.ndarray) -> dict[str, Any]:
    """The same from logits and histories, without the task: logits are those of the selected epoch."""
    found: dict[str, list[Any]] = {"selected": [], "valid": [], "selection": []}
    for _, record in sorted(records.items()):
        share = 1 / (1 + np.exp(-record.logits[:, 0].astype(np.float64)))
        found["valid"].append(float(np.abs(np.rint(share * 2) - truth).mean()))
        errors = [[away / count for count, away in splits] for splits in record.history.statistics.tolist()]
        valid = [splits[1] for splits in errors]
        found["selected"].append(float(np.argmin(valid)))
        found["selection"].append(min(valid))
    return {**found, "unknown": None}


def _refusal(act: Callable[[], object]) -> str:
    try:
        act()
    except InputError as error:
        return error.message
    return ""


def _told(table: pd.DataFrame) -> dict[str, float]:
    return {"rows": len(table), "least": float(table[METRIC].min()), "most": float(table[METRIC].max())}

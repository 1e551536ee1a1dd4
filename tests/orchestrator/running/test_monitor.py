"""What a running search says of how far it is counts what earlier searches finished."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.running.monitor import Monitor, Training
from orchestrator.running.progress import Display
from orchestrator.store.layout import ConfigurationKey
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.work import Work


def test_finished_bundles_count(tmp_path: Path) -> None:
    study: TinyStudy = make_tiny_study(tmp_path)
    finished, begun = study.configuration(), study.configuration(lr=0.01)
    study.train(finished, (0, 1, 2), 2)
    study.train(begun, (0,), 2)
    asked = {finished: [2, 2, 2], begun: [2, 2]}
    epochs = {ConfigurationKey(study.partition, c.id): each for c, each in asked.items()}
    training = Training(
        name="slides",
        storage=study.storage,
        configurations={finished.id: finished, begun.id: begun},
        epochs=epochs,
        work=[Work(study.key(begun), (0, 1), 2)],
    )
    snapshot = Monitor(training, Display(), lambda: None).snapshot(1.0, 0, "")
    assert (snapshot.repeats_done, snapshot.repeats_asked) == (4, 5)
    assert (snapshot.epochs_done, snapshot.epochs_asked) == (8, 10)
    study.storage.replace(study.key(begun).lease(3), json.dumps({"released": True, "done": {"1": 1}}).encode())
    snapshot = Monitor(training, Display(), lambda: None).snapshot(1.0, 0, "")
    assert snapshot.epochs_done == 9, "what was interrupted counts before anybody goes on with it"
    assert snapshot.rows == [], "but nobody is at it"


def test_rows_read_apart(tmp_path: Path) -> None:
    study = make_tiny_study(tmp_path)
    several = [study.configuration(weight_decay=decay) for decay in (0.0, 0.1)]
    for configuration in several:
        study.storage.replace(study.key(configuration).lease(0), json.dumps({"done": {"0": 1}}).encode())
    training = Training(
        name="slides",
        storage=study.storage,
        configurations={c.id: c for c in several},
        epochs={ConfigurationKey(study.partition, c.id): [2] for c in several},
        work=[Work(study.key(c), (0,), 2) for c in several],
    )
    rows = Monitor(training, Display(), lambda: None).snapshot(1.0, 0, "").rows
    assert [row.name.partition(", ")[2] for row in rows] == ["weight decay 0", "weight decay 0.1"]

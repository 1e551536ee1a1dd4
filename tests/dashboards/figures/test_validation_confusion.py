"""The validation confusion of the best configuration is that of its records at their selected epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashboards.figures.choice import Choice
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from tests.support.drawn import drawn
from tests.support.generated_study import NOW, small_study

NAME = "validation-confusion"
CLASSES = ("a", "b<", "c")


def test_counts_and_recalls_are_those_of_the_records(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, classes=CLASSES)
    source = open_source(storage, NOW)
    best = source.summary.configurations[0]
    records = [study.final(best.configuration, repeat, study.epochs) for repeat in range(study.repeats)]
    counts = np.array([one.history.statistics[one.meta["selected_epoch"], 1] for one in records], dtype=float)
    data = FIGURES[NAME].data(source, Choice())
    assert data["count"].tolist() == pytest.approx(counts.mean(axis=0).ravel().tolist())
    assert data["count"].sum() == pytest.approx(study.n_valid)
    np.testing.assert_allclose(data.groupby("truth")["share"].sum(), 1)
    for place, name in enumerate(CLASSES):
        recalls = counts[:, place, place] / counts[:, place].sum(axis=1)
        row = data[(data["truth"] == name) & (data["predicted"] == name)].iloc[0]
        assert (row["share"], row["recall"]) == (pytest.approx(recalls.mean()), pytest.approx(recalls.mean()))
        assert row["recall_std"] == pytest.approx(recalls.std(ddof=1))
    assert set(data["n"]) == {3}


def test_it_says_n_and_recalls_beside_the_rows(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, classes=CLASSES)
    source = open_source(storage, NOW)
    data = FIGURES[NAME].data(source, Choice())
    spec: Any = drawn(source, NAME, Choice())
    assert spec["layout"]["xaxis"]["title"]["text"] == "predicted, n = 3 repeats"
    notes = {note["y"]: note["text"] for note in spec["layout"]["annotations"] if note["text"] != "recall"}
    first = data.iloc[0]
    assert notes[0] == f"{first['recall']:.3f} ± {first['recall_std']:.3f}"
    assert list(notes) == [0, 1, 2]
    page = render(storage, now=NOW)
    assert "used for selection, so they are optimistic" in FIGURES[NAME].reading
    assert page.count("What the best configuration confuses</h3>") == 1


def test_one_repeat_has_no_deviation_and_no_rank_no_figure(tmp_path: Path) -> None:
    source = open_source(small_study(tmp_path / "one", repeats=1)[0], NOW)
    spec: Any = drawn(source, NAME, Choice())
    assert "±" not in str(spec["layout"]["annotations"])
    assert spec["layout"]["xaxis"]["title"]["text"] == "predicted, n = 1 repeat"
    storage, _ = small_study(tmp_path / "none", skip=lambda *_: True)
    assert FIGURES[NAME].data(open_source(storage, NOW), Choice()).empty

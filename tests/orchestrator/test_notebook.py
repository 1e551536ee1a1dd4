"""`import orchestrator as orch; orch.open(...)`: tables and figures of a study in a notebook."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects
import pytest

import orchestrator as orch
from orchestrator.ensembles.make import EnsembleOptions, make_ensemble
from orchestrator.mistakes.found import Wanted, find_mistakes
from orchestrator.store.errors import InputError
from orchestrator.study.studies import open_study
from tests.support.generated_study import GeneratedStudy, UnsyncedStorage, small_study
from tests.support.predicted_study import predicted_study


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    small_study(tmp_path / "slides", name="slides")
    return tmp_path / "slides"


def test_tables(slides: Path) -> None:
    study = orch.open(slides)
    assert repr(study) == "<study slides, synthetic: 8 configurations, 24 of 24 repeats done>"
    assert len(study.configurations) == 8 * 2
    assert len(study.repeats) == 24 * 2
    assert len(study.epochs) == 24 * 7 * 2
    best = study.configurations.query("rank == 1 and split == 'valid'").iloc[0]
    mine = study.repeats.query("configuration == @best.configuration and split == 'valid'")
    assert mine["loss"].mean() == pytest.approx(best["loss_mean"])
    mine = study.epochs
    mine["loss"] = 0.0
    assert (study.epochs["loss"] > 0).all(), "what a reader does to a table is the reader's"


def test_figures_are_those_of_the_page(slides: Path) -> None:
    study = orch.open(str(slides))
    assert "curves" in study.figures
    figure = study.figure("curves", score="accuracy")
    assert isinstance(figure, plotly.graph_objects.Figure)
    shown = study.data("curves", score="accuracy")
    assert not shown.empty
    lines = [trace for trace in figure.data if trace.name == "valid"]
    assert len(lines) == 4
    choice = study.choices("heat-map")[0]
    assert choice["score"] == "loss"
    study.figure("heat-map", **choice)
    study.figure("heat-map", facet={"unfrozen": choice["facet"]["unfrozen"]}, quantity="std")
    turned = study.figure("heat-map", pair=("non_linearities", "lr"))
    assert turned.layout.xaxis.title.text == "learning rate"
    study.figure("heat-map", pair=("strategy", "lr"))


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    studies = tmp_path_factory.mktemp("predicted")
    predicted_study(studies)
    return studies


def test_ensembles(predicted: Path) -> None:
    study = orch.open(predicted / "slides")
    assert study.ensembles.empty
    found = make_ensemble(open_study(predicted, "slides"), EnsembleOptions(top=3, weigh="equal", rounds=20))
    row = study.ensembles.set_index("ensemble").loc[found.id]
    assert found.out_of_bag is not None
    scores = found.out_of_bag.scores
    assert (row["ensemble_out_of_bag"], row["rival_out_of_bag"]) == (scores.ensemble, scores.rival)
    assert row["gain"] == pytest.approx(scores.single - scores.ensemble), "of a loss, so positive is better"
    assert (row["bags"], row["members"], row["models"], row["single"]) == (20, 3, 24, found.single)
    members = study.ensemble(found.id[:6])
    assert members["configuration"].tolist() == [member.configuration for member in found.members]
    assert members["weight"].tolist() == pytest.approx([1 / 3] * 3)
    others = [found.disagreement[0][1], found.disagreement[0][2]]
    assert members["disagreement"][0] == pytest.approx(np.mean(others))
    with pytest.raises(InputError, match="expected the beginning of exactly one id, 0 match"):
        study.ensemble("0" * 13)


def test_mistakes(predicted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = orch.open(predicted / "slides")
    images = study.mistakes()
    found = find_mistakes(study._study.storage, Wanted())
    pd.testing.assert_frame_equal(images, found.images)
    assert {name: len(study.mistakes(name)) for name in ("slices", "shared", "suspects", "twins")} == {
        "slices": len(found.slices),
        "shared": len(found.shared.regions),
        "suspects": len(found.suspects),
        "twins": len(found.twins),
    }
    assert study.mistakes("shared")["images"].sum() == len(images)
    configurations = study.mistakes("configurations")
    assert configurations["wrong"][0] == pytest.approx(1 - images["best_right"].mean())
    first = configurations["configuration"][0]
    assert study.mistakes("configurations", of=[first[:6]])["configuration"].tolist() == [first]
    monkeypatch.setattr("orchestrator.mistakes.found.find_mistakes", lambda *_: pytest.fail("found again"))
    images["label"] = "another"
    assert (study.mistakes()["label"] != "another").all(), "what a reader does to a table is the reader's"
    with pytest.raises(InputError, match="expected a table, found 'image'\nTables: images, classes, groups"):
        study.mistakes("image")
    with pytest.raises(pytest.fail.Exception, match="found again"):
        study.refresh().mistakes()


def test_what_there_is_not(slides: Path) -> None:
    study = orch.open(slides)
    with pytest.raises(InputError, match="no figure 'curve'") as told:
        study.figure("curve")
    assert "curves" in told.value.advice
    known = "partition, backbone, pair, facet, score, quantity, search, against, best, reach"
    with pytest.raises(InputError, match=f"expected {known}, found metric"):
        study.figure("curves", metric="loss")
    with pytest.raises(InputError, match=r"expected a setting, found 'learning'[^!]*lr, "):
        study.figure("heat-map", pair=("lr", "learning"))
    with pytest.raises(InputError, match="nothing with"):
        study.data("curves", score="speed")
    with pytest.raises(InputError, match="'other' is not in") as told:
        orch.open(slides.parent / "other")
    assert "slides" in told.value.advice


def test_by_name_and_again(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_STUDIES", str(slides.parent))
    assert orch.open("slides").name == "slides"
    monkeypatch.chdir(slides)
    assert orch.open(".").name == "slides"


def test_a_figure_of_other_searches_is_not_waited_for(slides: Path) -> None:
    """Slices are of searches that vary three settings or more."""
    with pytest.raises(InputError, match="nothing for it to draw\nWhat it shows: figures\\['slices'\\]"):
        orch.open(slides).figure("slices")


def test_a_figure_of_other_searches_is_not_waited_for_while_some_are_trained(tmp_path: Path) -> None:
    small_study(tmp_path / "half", skip=lambda _, repeat: repeat > 0)
    with pytest.raises(InputError, match="nothing for it to draw\nWhat it shows: figures\\['slices'\\]"):
        orch.open(tmp_path / "half").figure("slices")


def test_a_study_without_results_and_refresh(tmp_path: Path) -> None:
    made = GeneratedStudy(name="new", depths=((0, 0),), lrs=(1e-3,), repeats=2, epochs=3, skip=lambda *_: True)
    storage = UnsyncedStorage(tmp_path / "new")
    made.write(storage)
    study = orch.open(tmp_path / "new")
    assert study.epochs.empty
    assert len(study.configurations) > 0
    with pytest.raises(InputError, match="has nothing for it to draw\nCall refresh"):
        study.figure("best-repeats")
    for configuration in made.configurations():
        for repeat in range(2):
            made.write_final(storage, configuration, repeat, 3)
    assert study.epochs.empty, "a table does not change under a reader's hands"
    assert len(study.refresh().epochs) == 2 * 2 * 4 * 2


def test_importing_loads_nothing() -> None:
    script = (
        "import json, sys, orchestrator as orch\n"
        "before = sorted(sys.modules)\n"
        "orch.open\n"
        "print(json.dumps([[m for m in ('pandas', 'plotly', 'torch', 'ray') if m in names] "
        "for names in (before, sys.modules)]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    before, after = json.loads(run.stdout)
    assert before == []
    assert not {"torch", "ray", "plotly"} & set(after)
    with pytest.raises(AttributeError, match="no attribute 'close'"):
        _ = orch.close

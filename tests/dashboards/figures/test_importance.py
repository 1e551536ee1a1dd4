"""The figure of importance: what decides is found, each setting among those in which it matters, and what is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from dashboards.figures import importance
from dashboards.figures.choice import Choice, Source
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.generated_study import NOW, UnsyncedStorage
from tests.support.search_study import DrawnStudy, off_grid_study


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage, _ = off_grid_study(tmp_path_factory.mktemp("drawn"))
    return open_source(storage, NOW)


def choice_of(source: Source) -> Choice:
    return FIGURES["importance"].choices(source.summary)[0]


def test_importance_finds_what_decides(drawn: Source) -> None:
    figure, choice = FIGURES["importance"], choice_of(drawn)
    data = figure.data(drawn, choice)
    assert len(data) == 5
    first, others = data.iloc[0], data.iloc[1:]
    assert first["setting"] == "learning rate"
    assert first["fanova"] > 0.5 > others["fanova"].max()
    assert first["permutation_low"] > others["permutation"].max()
    assert data["fanova"].between(data["fanova_low"], data["fanova_high"]).all()
    assert data["permutation"].between(data["permutation_low"], data["permutation_high"]).all()
    assert data["fanova_low"].min() >= 0
    assert data["fanova_high"].max() <= 1
    assert data.equals(figure.data(drawn, choice)), "no draw hangs on anything but the study's seed"
    spec: Any = figure.draw(data, choice)
    go.Figure(spec)
    left, right = spec["data"]
    assert left["x"].tolist() == data["fanova"].tolist()
    assert (left["x"] + left["error_x"]["array"]).tolist() == pytest.approx(data["fanova_high"].tolist())
    assert (right["x"] - right["error_x"]["arrayminus"]).tolist() == pytest.approx(data["permutation_low"].tolist())
    assert re.fullmatch(r"The forest predicts \d\d% of .*", spec["layout"]["annotations"][0]["text"])


def table_of(means: np.ndarray, **settings: object) -> pd.DataFrame:
    """Rows as `search_data` makes them."""
    names = [f"{number:012x}" for number in range(len(means))]
    return pd.DataFrame({"configuration": names, "id": names, **settings, "mean": means, "std": 0.1, "n": 3})


def test_importance_is_among_those_in_which_a_setting_matters() -> None:
    """Momentum does not matter with Adam; what it decides is among the others, and the optimiser takes none of it."""
    draw = np.random.default_rng(0)
    momentum = np.where(np.arange(60) % 2, np.round(draw.uniform(0.5, 1, 60), 2), np.nan)
    dropout = draw.integers(0, 5, 60) / 10
    means = np.where(np.isnan(momentum), 0.5, momentum) + 0.02 * draw.normal(size=60)
    optimisers = ["sgd" if matters else "adam" for matters in ~np.isnan(momentum)]
    data = table_of(means, optimiser=optimisers, dropout=dropout, momentum=momentum)
    scores = [mean + 0.01 * draw.normal(size=3) for mean in means]
    found = importance.importance_of(data, scores, 0).set_index("setting")
    assert found["configurations"].to_dict() == {"momentum": 30, "optimiser": 60, "dropout": 60}
    assert found.loc["momentum", "fanova"] > 0.8
    assert found.loc["momentum", "predicted"] > 0.8 > found.loc["optimiser", "predicted"]
    assert found.loc["dropout", "permutation_low"] < 0.05
    spec: Any = importance.importance_figure(found.reset_index(), Choice())
    assert "momentum (in 30)" in spec["layout"]["yaxis"]["ticktext"]

    few = data.assign(momentum=np.where(np.arange(60) < 18, momentum, np.nan))
    assert "momentum" not in set(importance.importance_of(few, scores, 0)["setting"])


class MostlyAdam(DrawnStudy):
    """Seven of the forty by SGD."""

    def configurations(self) -> list[Configuration]:
        made = super().configurations()
        return [*made[:7], *(changed(one, optimiser="adam", betas=(0.9, 0.999)) for one in made[7:])]


def test_the_page_says_which_settings_are_left_out_of_importance(tmp_path: Path, drawn: Source) -> None:
    storage = UnsyncedStorage(tmp_path)
    MostlyAdam(repeats=2, epochs=3).write(storage)
    source = open_source(storage, NOW)
    data = FIGURES["importance"].data(source, choice_of(source))
    assert "momentum" not in set(data["setting"])
    assert "optimiser" in set(data["setting"])
    page = render(storage, now=NOW)
    assert "Left out, because they matter in fewer than 10 configurations: momentum." in page
    assert "Results decided what was trained" not in page
    assert "Left out, because" not in render(drawn.storage, now=NOW)


def test_importance_says_where_nothing_was_learnt_and_where_nothing_is_known() -> None:
    draw = np.random.default_rng(1)
    data = table_of(draw.normal(size=40), lr=draw.uniform(size=40), dropout=draw.integers(0, 4, 40))
    found = importance.importance_of(data, [np.array([mean]) for mean in data["mean"]], 0)
    assert found[["fanova_low", "permutation_high"]].isna().all(axis=None), "one repeat each"
    spec: Any = importance.importance_figure(found, Choice())
    go.Figure(spec)
    assert spec["layout"]["annotations"][0]["text"].endswith("of what it has not seen, so its bars say little.")
    assert spec["data"][0]["text"][0].endswith("%"), "no interval"
    assert importance.importance_of(data.iloc[:9], [np.zeros(2)] * 9, 0).empty

"""The figures of a search that decided what to train next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.figures import cost
from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Per
from dashboards.figures.registry import FIGURES, figures_of, open_source
from dashboards.page.page import render
from orchestrator.store.searches import SearchRecord, decision_file
from tests.support.adaptive_study import HALVING, adaptive_study, played
from tests.support.generated_study import NOW, small_study
from tests.support.undecided_study import UndecidedStudy

HOSTILE = "<b>& %{x} all</b>"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[UndecidedStudy, SearchRecord]:
    return adaptive_study(tmp_path_factory.mktemp("adaptive"), HALVING)


@pytest.fixture(scope="module")
def source(searched: tuple[UndecidedStudy, SearchRecord]) -> Source:
    return open_source(searched[0].storage, NOW)


def drawn(source: Source, name: str) -> tuple[Any, Any]:
    """Data and drawing, which plotly takes."""
    choice = FIGURES[name].choices(source.summary)[0]
    data = FIGURES[name].data(source, choice)
    spec = FIGURES[name].draw(data, choice)
    go.Figure(spec)
    assert FIGURES[name].label(data, choice)
    return data, spec


def test_the_order_of_decisions_has_a_mark_each_with_its_reason(source: Source) -> None:
    data, spec = drawn(source, "decisions")
    assert data["decision"].tolist() == [*map(str, range(2, 11))]
    assert data["epochs_spent"].is_monotonic_increasing
    assert data["n"].tolist()[-2:] == [8, 12]
    band, marks = spec["data"]
    assert marks["y"].tolist() == data["mean"].tolist()
    assert all("decision" in words for words in marks["text"])
    assert "3 repeats go on to 30%" in marks["text"][1].replace("<br>", " ")
    assert band["y"][0] == pytest.approx(data["mean"][0] + data["standard_error"][0])
    assert marks["meta"]["ids"] == data["id"].tolist()


def test_nothing_is_shown_of_a_grid(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    source = open_source(storage, NOW)
    for figure in figures_of("search", Per.SEARCH):
        assert figure.choices(source.summary) == [Choice(score="loss")], figure.name
        assert figure.data(source, figure.choices(source.summary)[0]).empty, figure.name
    assert 'id="search"' not in render(storage, now=NOW)


def test_a_page_chooses_among_several_searches(tmp_path: Path) -> None:
    desk, first = adaptive_study(tmp_path, {"epochs": "halving"}, repeats=3, epochs=8)
    page = render(desk.storage, now=NOW)
    assert 'data-sets="decided"' not in page
    assert page.count("<h3>Order of decisions</h3>") == 1
    second = played(desk, {"epochs": "constant"}, 3, 8, created="2026-05-05T10:00:00+00:00")
    source = open_source(desk.storage, NOW)
    assert list(source.courses) == [second.id, first.id]
    page = render(desk.storage, now=NOW)
    assert f"adaptive {second.id}, 2026-05-05 10:00, epochs constant" in page
    assert page.count("<h3>Order of decisions</h3>") == 2


def test_reasons_reach_the_page_escaped(tmp_path: Path) -> None:
    desk, search = adaptive_study(tmp_path, {"epochs": "halving"}, repeats=3, epochs=8)
    for decision in open_source(desk.storage, NOW).summary.decisions[search.id]:
        hostile = decision.model_copy(update={"reason": f"{HOSTILE} {decision.number}"})
        desk.storage.replace(decision_file(search.id, decision.number), hostile.to_toml())
    source = open_source(desk.storage, NOW)
    for figure in figures_of("search", Per.SEARCH):
        data = figure.data(source, figure.choices(source.summary)[0])
        if not data.empty:
            assert "<b>" not in str(figure.draw(data, figure.choices(source.summary)[0])), figure.name
    assert HOSTILE not in render(desk.storage, now=NOW)


def test_bars_say_how_many_went_on_and_how_many_stopped(source: Source) -> None:
    data, spec = drawn(source, "rungs")
    assert data["entered"].tolist() == [16, 8, 4, 2, 2, 2]
    assert (data["went_on"] + data["stopped"]).tolist() == data["entered"].tolist()
    on, off, checked, ends = spec["data"]
    assert sorted(ends["meta"]["ids"]) == sorted(source.names)
    assert max(ends["x"]) < 16
    assert np.add.reduce([on["x"], off["x"], checked["x"]]).tolist() == data["entered"].tolist()
    assert checked["x"].tolist() == [2, 2, 2, 0, 0, 0]
    assert spec["layout"]["barmode"] == "stack"
    told = off["hovertext"][0].replace("<br>", " ")
    assert told.startswith("6 stopped by the search after 3 repeats, 4 epochs: their final scores are unknown")
    assert told.endswith("rung 2 of 4: the best 8 of 16 after 3 repeats go on to 30%")
    assert on["hovertext"][-1].startswith("2 of 2 were not stopped")
    sentence = FIGURES["rungs"].page.sentence
    assert sentence is not None
    said = sentence(data, FIGURES["rungs"].choices(source.summary)[0])
    assert said.startswith("14 of 16 configurations were stopped by the search, 2 went on to the last. None of the 6 ")


def test_intervals_of_a_race_come_look_by_look(source: Source) -> None:
    data, spec = drawn(source, "race")
    assert data["repeats"].tolist() == [8, 12, 8, 12]
    assert data["standing"].tolist() == ["leader", "leader", "left", "left"]
    assert (data["high"] >= data["low"]).all()
    first, second = spec["data"]
    assert (first["name"], second["name"]) == ("8 repeats", "12 repeats")
    assert first["y"].tolist() < second["y"].tolist(), "the last look is lowest"
    assert set(first["meta"]["ids"]) == set(data["id"])


def test_the_excluded_are_marked_open_and_the_range_is_that_of_the_others(tmp_path: Path) -> None:
    desk, _ = adaptive_study(tmp_path, {"repeats": "race"}, epochs=6)
    data, spec = drawn(open_source(desk.storage, NOW), "race")
    out = data[data["standing"] == "excluded"]
    assert 0 < len(out) < data["id"].nunique()
    assert sum(list(trace["marker"]["symbol"]).count("circle-open") for trace in spec["data"]) == len(out)
    low, high = spec["layout"]["xaxis"]["range"]
    left = data[data["standing"] != "excluded"]
    assert low < left["low"].min()
    assert low < out["high"].min() < high
    last = data.groupby("id", sort=False)["look"].max().tolist()
    assert last == sorted(last, reverse=True), "who was left longest is on top"


def test_nothing_flows_where_nothing_was_stopped(tmp_path: Path) -> None:
    desk, _ = adaptive_study(tmp_path, {"epochs": "halving"}, repeats=3, epochs=4)
    source = open_source(desk.storage, NOW)
    assert FIGURES["rungs"].data(source, FIGURES["rungs"].choices(source.summary)[0]).empty


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A grid of two depths, one of which trains more parameters, without and with an adaptive search."""
    depths = ((0, 0), (0, 2))
    desk, _ = adaptive_study(tmp_path_factory.mktemp("cost"), {"repeats": "race"}, epochs=6, depths=depths)
    return open_source(desk.storage, NOW)


def test_the_front_of_score_and_cost(ranked: Source) -> None:
    choices = {one.against: one for one in FIGURES["cost"].choices(ranked.summary) if one.score == "loss"}
    assert set(choices) == {"hours", "parameters", "second"}
    data = FIGURES["cost"].data(ranked, choices["parameters"])
    members = [member for member in ranked.summary.configurations if member.rank is not None]
    assert data["id"].tolist() == [member.id for member in members]
    for row, member in zip(data.to_dict("records"), members, strict=True):
        score = member.score("loss", "valid")
        assert score is not None
        beaten = any(
            other["mean"] <= row["mean"] and other["cost"] <= row["cost"]
            for other in data.to_dict("records")
            if other["id"] != row["id"]
        )
        assert row["on_front"] != beaten
        assert (row["mean"], row["cost"]) == (pytest.approx(score.mean), member.trainable_parameters)
        assert row["standard_error"] == pytest.approx(score.std / np.sqrt(score.n))
    assert data["chance"].between(0, 1).all()
    assert data.loc[data["on_front"], "chance"].max() > 0.5
    assert (data["cost_error"] == 0).all()


@pytest.mark.parametrize(
    ("goal", "first"), [("", "hours"), ("hours", "hours"), ("parameters", "parameters"), ("accuracy", "second")]
)
def test_cost_opens_on_what_the_search_weighed(ranked: Source, goal: str, first: str) -> None:
    *before, last = ranked.summary.searches
    weighed = last.model_copy(update={"settings": {**last.settings, **({"goal": goal} if goal else {})}})
    summary = replace(ranked.summary, searches=(*before, weighed))
    figure = FIGURES["cost"]
    offered = figure.page.controls[1].options_of(summary)
    assert next(iter(offered)) == first
    assert sorted(offered) == sorted(cost.AGAINST)
    assert figure.choices(summary)[0].against == first
    assert next(iter(figure.variants(summary, Choice()))).endswith(f"|{first}")


def test_a_second_metric_takes_the_place_of_cost_in_its_own_direction(ranked: Source) -> None:
    choice = next(
        one for one in FIGURES["cost"].choices(ranked.summary) if (one.score, one.against) == ("loss", "second")
    )
    data = FIGURES["cost"].data(ranked, choice)
    assert set(data["against"]) == {"accuracy"}
    best = data.loc[data["cost"].idxmax()]
    assert best["on_front"]
    spec: Any = FIGURES["cost"].draw(data, choice)
    assert spec["layout"]["xaxis"]["title"]["text"] == "valid accuracy"


def test_every_drawing_of_cost_is_one_that_plotly_takes(ranked: Source) -> None:
    for choice in FIGURES["cost"].choices(ranked.summary):
        data = FIGURES["cost"].data(ranked, choice)
        spec: Any = FIGURES["cost"].draw(data, choice)
        go.Figure(spec)
        marks = [trace for trace in spec["data"] if trace["mode"] == "markers"]
        assert sorted(name for trace in marks for name in trace["meta"]["ids"]) == sorted(data["id"])

"""The data behind every figure, and that every figure is one that plotly accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from generated_study import NOW, small_study, write_failure, write_lease

from dashboards import answer, curves, depth, heat_maps, progress, provenance
from dashboards.chart import encode, plain
from dashboards.markup import backbone_text, lr_text, plot_text, plus_minus, table, text
from orchestrator.summary import Statistic, Summary, summarise


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    storage, study = small_study(
        tmp_path_factory.mktemp("study"),
        depths=((0, 0), (1, 0), (2, 0), (0, 2)),
        lrs=(1e-3, 1e-2),
        batch_sizes=(16, 32),
        skip=lambda c, repeat: c.unfrozen == 2 and c.lr == 1e-2 and (repeat == 2 or c.batch_size == 32),
        diverges=lambda c, repeat: c.non_linearities == 2 and c.lr == 1e-2 and c.batch_size == 16 and repeat == 0,
    )
    owed = [c for c in study.configurations() if c.unfrozen == 2 and c.lr == 1e-2]
    write_lease(storage, owed[0], {2: 3}, 6, NOW)
    write_failure(storage, owed[1], [0], "ValueError: no")
    return summarise(storage, NOW)


def test_best_of_each_strategy_and_backbone(summary: Summary) -> None:
    members = answer.best_members(summary, summary.configurations[0].partition)
    assert [member.configuration.strategy for member in members] == list(
        dict.fromkeys(m.configuration.strategy for m in summary.configurations if m.rank)
    )
    shown = answer.best_table_data(members)
    score = members[0].score("loss", "valid")
    assert score is not None
    assert shown.loc[0, "Valid loss"] == f"{score.mean:.3f} ± {score.std:.3f}"
    best = members[0].best_repeat()
    assert best is not None
    assert shown.loc[0, "Best repeat"].startswith(f"{score.values[best[1]]:.3f}")
    assert shown.loc[0, "n"] == "3"
    assert "best repeat" not in answer.sentence(summary, members).lower()


def test_repeats_of_the_best(summary: Summary) -> None:
    members = answer.best_members(summary, summary.configurations[0].partition)
    data = answer.repeats_data(members, "loss")
    assert len(data) == len(members) * 2 * 3
    go.Figure(answer.repeats_figure(data, "Loss"))


def test_progress_counts_every_state(summary: Summary) -> None:
    data = progress.progress_data(summary.configurations)
    cells = {(row["depth"], row["lr"], row["batch_size"]): row for _, row in data.iterrows()}
    unfreezing = ("unfreezing", 0, 2)
    assert cells[unfreezing, 1e-2, 16][["done", "asked", "running"]].tolist() == [2, 3, 1]
    assert cells[unfreezing, 1e-2, 32][["done", "asked", "failed", "waiting"]].tolist() == [0, 3, 1, 2]
    assert cells[("extension", 2, 0), 1e-2, 16]["diverged"] == 1
    html = progress.progress_grid(data)
    assert "2 of 3 repeats done, 1 running" in html
    assert html.count("<table") == 4


def test_marks_differ_in_shape() -> None:
    shapes = {state: progress._mark(state, 0, 0) for state in progress.STATES}
    assert len(set(shapes.values())) == 4
    assert shapes[progress.RepeatState.FINISHED] == shapes[progress.RepeatState.WAITING]  # filled against outlined


@pytest.mark.parametrize("key", list(heat_maps.VALUES))
def test_heat_maps(summary: Summary, key: str) -> None:
    data = heat_maps.heat_data(summary.configurations, key)
    part = data[data["depth"] == ("unfreezing", 0, 2)]
    spec = heat_maps.heat_figure(part, key, heat_maps.heat_range(data))
    z = spec["data"][0]["z"]
    assert z.shape == (2, 2)
    assert np.isnan(z[1, 1])
    member = next(m for m in summary.configurations if m.depth == ("unfreezing", 0, 2) and m.configuration.lr == 1e-3)
    column = [16, 32].index(member.configuration.batch_size)
    statistic = member.selected_epochs if key == "epoch" else member.score(key, "valid")  # type: ignore[arg-type]
    assert statistic is not None
    assert z[0, column] == pytest.approx(statistic.mean)
    assert "n 2/3" in spec["data"][1]["text"][2]
    assert spec["layout"]["annotations"][0]["text"] == "0/3"
    assert len(spec["layout"]["shapes"]) == (key != "epoch")
    go.Figure(spec)


def test_points_outside_the_grid_are_blank() -> None:
    import pandas as pd

    triangle = [(("extension", 4, 0), 1e-5, 8, 0.3, 0.1, 2, 2), (("extension", 4, 0), 1e-4, 16, 0.2, 0.1, 2, 2)]
    part = pd.DataFrame(triangle, columns=["depth", "lr", "batch_size", "mean", "std", "n", "asked"])
    spec = heat_maps.heat_figure(part, "loss", (0.2, 0.3))
    assert np.isnan(spec["data"][0]["z"]).tolist() == [[False, True], [True, False]]
    assert spec["data"][0]["hoverongaps"] is False
    assert [note["text"] for note in spec["layout"]["annotations"]] == []
    assert spec["layout"]["shapes"][0]["x0"] == pytest.approx(0.51)


def test_text_on_a_heat_map_stands_out() -> None:
    colours = heat_maps.text_colours(np.array([[0.0, 1.0]]), (0.0, 1.0), heat_maps.HEAT)
    assert colours == ["#000000", "#ffffff"]


def test_curves(summary: Summary) -> None:
    here = [member for member in summary.configurations if member.depth == ("extension", 2, 0)]
    panels = curves.curve_data(here, "accuracy")
    assert [(panel.lr, panel.batch_size) for panel in panels] == [(1e-3, 16), (1e-3, 32), (1e-2, 16), (1e-2, 32)]
    diverged = panels[2]
    assert (diverged.valid.n, diverged.diverged, len(diverged.best_epochs)) == (2, 1, 3)
    assert diverged.best_epochs[0] == 0
    spec = curves.curve_figure(panels, "accuracy")
    lines = [trace for trace in spec["data"] if trace.get("meta")]
    assert len(spec["data"]) == 4 * 5
    np.testing.assert_array_equal(lines[1]["y"], panels[0].valid.mean)
    bands = [trace for trace in spec["data"] if trace.get("fill")]
    np.testing.assert_allclose(bands[1]["y"][:7], panels[0].valid.mean + panels[0].valid.std)
    figure = go.Figure(spec)
    assert figure.layout.xaxis4.matches == "x"
    assert any("1 diverged" in note.text for note in figure.layout.annotations)


def test_a_runaway_loss_does_not_flatten_the_others(summary: Summary) -> None:
    from dataclasses import replace

    panels = curves.curve_data([m for m in summary.configurations if m.depth == ("straightforward", 0, 0)], "loss")
    wild = replace(panels[0], valid=replace(panels[0].valid, mean=panels[0].valid.mean * 1e6))
    assert curves.curve_figure([wild, *panels[1:]], "loss")["layout"]["yaxis"]["range"][1] < 3


def test_depth(summary: Summary) -> None:
    data = depth.depth_data(summary.configurations, "non_linearities", "loss")
    assert data["value"].tolist() == [0, 1, 2]
    best = next(m for m in summary.configurations if m.rank and m.depth == ("extension", 1, 0))
    score, start = best.score("loss", "valid"), best.untrained("loss", "valid")
    assert score is not None
    assert start is not None
    assert data.loc[1, ["valid_mean", "valid_std", "untrained_mean", "untrained_std", "n"]].tolist() == pytest.approx(
        [score.mean, score.std, start.mean, start.std, 3]
    )
    assert depth.depth_data(summary.configurations, "unfrozen", "loss")["value"].tolist() == [0, 2]
    go.Figure(depth.depth_figure(data, "non_linearities", "Loss"))


def test_provenance_names_no_file_and_no_group(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    summary = summarise(storage)
    found = provenance.provenance_data(storage, summary)
    assert found.images.loc["differentiated"].tolist() == [210, 45, 45]
    assert found.groups == {"train": 42, "valid": 9, "test": 9}
    assert found.partitions == (("p0a1b2c3", "stratified", "0"),)
    assert found.hardware == (("a processor", 2, 24),)
    assert dict(found.settings)["lr"] == "1e-3, 1e-2"
    html = provenance.provenance_html(found, summary)
    assert study.command in html
    assert "patient" not in html
    assert ".png" not in html


def test_provenance_of_damaged_files_stays_empty(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    (tmp_path / "dataset" / "manifest.parquet").write_bytes(b"PAR1")
    found = provenance.provenance_data(storage, summarise(storage))
    assert found.images.empty


def test_numbers_for_reading() -> None:
    assert [lr_text(lr) for lr in (1e-3, 2.5e-4, 5e-7, 0.1)] == ["1e-3", "2.5e-4", "5e-7", "1e-1"]
    assert plus_minus(Statistic.of(np.array([0.5]))) == "0.500"
    assert plus_minus(Statistic.of(np.array([0.4, 0.6]))) == "0.500 ± 0.141"
    assert plus_minus(None) == "–"
    assert backbone_text("file:/home/me/patients/net.pth") == "net.pth"


def test_names_are_escaped() -> None:
    hostile = "<script>alert(1)</script>\"' %{x}"
    assert "<" not in text(hostile)
    assert '"' not in text(hostile)
    assert "<" not in plot_text(hostile)
    assert "%{" not in plot_text(hostile)
    assert "<script" not in table([hostile, hostile], [[hostile, hostile]], hostile)


def test_data_travel_without_markup_and_without_nan() -> None:
    import base64
    import gzip
    import json

    value = {"a": np.array([1.23456789, np.nan]), "b": [float("inf"), "</script>"], "c": np.array([[1, 2]])}
    sent = encode(value)
    assert "<" not in sent
    assert json.loads(gzip.decompress(base64.b64decode(sent))) == {
        "a": [1.2346, None],
        "b": [None, "</script>"],
        "c": [[1, 2]],
    }
    assert plain(np.float64(2.0)) == 2.0

"""The data behind every figure, and that every figure is one that plotly accepts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from generated_study import NOW, GeneratedStudy, small_study, write_failure, write_lease

from dashboards import (
    answer,
    curves,
    dataset,
    differences,
    families,
    heat_maps,
    progress,
    provenance,
    single_repeats,
    spread,
)
from dashboards.choice import BOTH, SCORES, Choice, Depth, Source, best_of_each
from dashboards.figures import FIGURES, open_source
from dashboards.markup import duration, point_text
from dashboards.packing import decode, encode, packed_text
from dashboards.page import write_page
from dashboards.palette import TRAIN, VALID
from dashboards.workers import pace, worker_data
from orchestrator.store.schema import Configuration, History
from orchestrator.summary import Statistic, Summary, summarise, training_samples


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
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
    return open_source(storage, NOW)


@pytest.fixture(scope="module")
def summary(source: Source) -> Summary:
    return source.summary


def drawn(source: Source, name: str, choice: Choice) -> dict[str, object]:
    """The named figure, which plotly has accepted."""
    spec = FIGURES[name].draw(FIGURES[name].data(source, choice), choice)
    go.Figure(spec)
    return spec


def at(depth: Depth, score: str = "loss", **others: object) -> Choice:
    return Choice(backbone="timm:resnet18.tv_in1k", depth=depth, score=score, **others)  # type: ignore[arg-type]


def test_every_figure_can_be_drawn_for_every_choice(source: Source) -> None:
    for name, figure in FIGURES.items():
        choices = figure.choices(source.summary)
        assert choices, name
        assert len({choice.name(source.summary) for choice in choices}) == len(choices), name
        assert len(figure.reading) > 40, name
        for choice in choices:
            data = figure.data(source, choice)
            if len(data):
                go.Figure(figure.draw(data, choice))


def test_best_of_each_strategy_and_backbone(source: Source, summary: Summary) -> None:
    members = best_of_each(summary.configurations, "strategy", "backbone")
    assert [member.configuration.strategy for member in members] == list(
        dict.fromkeys(m.configuration.strategy for m in summary.configurations if m.rank)
    )
    shown = answer.best_table_data(members, {"loss"})
    score = members[0].score("loss", "valid")
    assert score is not None
    assert shown.loc[0, "Valid loss"] == f"{score.mean:.3f} ± {score.std:.3f}"
    best = members[0].best_repeat()
    assert best is not None
    assert shown.loc[0, "Best repeat"].startswith(f"{score.values[best[1]]:.3f}")
    assert shown.loc[0, "n"] == "3"
    width = 4.302652729911275 * score.std / 3**0.5
    assert shown.loc[0, "95 % interval"] == f"{score.mean - width:.3f} to {score.mean + width:.3f}"
    table = answer.best_table(shown, {"loss"})
    assert f"{shown.loc[0, 'Valid loss']}<small>{shown.loc[0, '95 % interval']}</small>" in table
    assert '<th scope="col">95 % interval</th>' in answer.best_table(shown, {"loss", "accuracy"})
    assert answer.interval(Statistic.of(np.array([0.5]))) == "–"
    assert "best repeat" not in answer.sentence(summary, members).lower()
    assert len(answer.repeats_data(source, Choice())) == len(members) * 2 * 3


def test_differences_are_paired(source: Source, summary: Summary) -> None:
    data = differences.difference_data(source, Choice())
    ranked = [member for member in summary.configurations if member.rank]
    assert data["rank"].tolist() == [member.rank for member in ranked]
    first, second = ranked[0].selection, ranked[1].selection
    assert first is not None
    assert second is not None
    assert data.loc[1, "difference"] == pytest.approx(float(np.mean(first.values - second.values)))
    assert data.loc[0, "difference"] == 0
    assert (data["difference"] <= 1e-12).all()
    assert not data["can_exclude"].any()
    assert "Too few repeats" in differences.set_sentence(data)


def test_a_clear_winner_is_alone_in_the_set() -> None:
    data = pd.DataFrame({"in_set": [True, False, False], "can_exclude": True})
    assert "only the first can be the best" in differences.set_sentence(data)
    assert "2 of 3" in differences.set_sentence(data.assign(in_set=[True, True, False]))


def test_progress_counts_every_state(source: Source) -> None:
    data = progress.progress_data(source, Choice())
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


@pytest.mark.parametrize("score", list(SCORES))
def test_heat_maps(source: Source, summary: Summary, score: str) -> None:
    choice = at(("unfreezing", 0, 2), score)
    spec: Any = drawn(source, "heat-map", choice)
    z = spec["data"][0]["z"]
    assert z.shape == (2, 2)
    assert np.isnan(z[1, 1])
    member = next(m for m in summary.configurations if m.depth == ("unfreezing", 0, 2) and m.configuration.lr == 1e-3)
    column = [16, 32].index(member.configuration.batch_size)
    statistic = member.selected_epochs if score == "epoch" else member.score(score, "valid")  # type: ignore[arg-type]
    assert statistic is not None
    assert z[0, column] == pytest.approx(statistic.mean)
    assert "n 2/3" in spec["data"][1]["text"][2]
    assert spec["layout"]["annotations"][0]["text"] == "0/3"
    assert len(spec["layout"]["shapes"]) == (score != "epoch")
    spread_spec: Any = drawn(source, "heat-map", replace(choice, quantity="std"))
    assert spread_spec["data"][0]["z"][0, column] == pytest.approx(statistic.std)
    counts: Any = drawn(source, "heat-map", replace(choice, quantity="n"))
    assert counts["data"][0]["z"][1, 0] == 2
    assert counts["layout"]["shapes"] == []


def test_all_maps_of_a_backbone_share_one_scale(source: Source) -> None:
    every = FIGURES["heat-map"].data(source, Choice(backbone="timm:resnet18.tv_in1k"))
    one = FIGURES["heat-map"].data(source, at(("extension", 1, 0)))
    assert (one["low"].iloc[0], one["high"].iloc[0]) == (every["mean"].min(), every["mean"].max())


def test_points_outside_the_grid_are_blank() -> None:
    points = [heat_maps.Point(1e-5, 8, 0.3, 0.1, 2, 2), heat_maps.Point(1e-4, 16, 0.2, 0.1, 2, 2)]
    spec = heat_maps.points_figure(points, (0.2, 0.3), Choice())
    assert np.isnan(spec["data"][0]["z"]).tolist() == [[False, True], [True, False]]
    assert spec["data"][0]["hoverongaps"] is False
    assert [note["text"] for note in spec["layout"]["annotations"]] == []
    assert spec["layout"]["shapes"][0]["x0"] == pytest.approx(0.51)


def test_text_on_a_heat_map_stands_out() -> None:
    colours = heat_maps.text_colours(np.array([[0.0, 1.0]]), (0.0, 1.0), heat_maps.HEAT)
    assert colours == ["#000000", "#ffffff"]


def test_curves(source: Source) -> None:
    choice = at(("extension", 2, 0), "accuracy")
    panels = curves.curve_panels(source, choice)
    assert [(panel.lr, panel.batch_size) for panel in panels] == [(1e-3, 16), (1e-3, 32), (1e-2, 16), (1e-2, 32)]
    diverged = panels[2]
    assert (diverged.curves["valid"].n[0], diverged.diverged, len(diverged.selected)) == (2, 1, 3)
    assert diverged.selected_epochs[0] == 0
    spec: Any = drawn(source, "curves", choice)
    lines = [trace for trace in spec["data"] if trace.get("meta")]
    assert len(spec["data"]) == 4 * 3
    mean, std = panels[0].curves["valid"].mean, panels[0].curves["valid"].std
    np.testing.assert_array_equal(lines[1]["y"], mean)
    bands = spec["layout"]["shapes"]
    assert len(bands) == 4 * 2
    np.testing.assert_allclose(outline(bands[1])[:7, 1], mean + std, rtol=1e-5)
    np.testing.assert_allclose(outline(bands[1])[:6:-1, 1], mean - std, rtol=1e-5)
    assert (bands[5]["xref"], bands[5]["yref"]) == (lines[5]["xaxis"], lines[5]["yaxis"]) == ("x", "y2")
    figure = go.Figure(spec)
    assert (figure.layout.xaxis2.matches, figure.layout.yaxis2.matches) == ("x", "y")
    words = [note.text for note in figure.layout.annotations]
    assert [word for word in words if word.startswith("n = ")] == ["n = 3", "n = 3", "n = 2, 1 diverged", "n = 3"]
    even: Any = drawn(source, "curves", at(("straightforward", 0, 0), "accuracy"))
    assert [note["text"] for note in even["layout"]["annotations"] if "n =" in note["text"]] == ["n = 3 each"]
    short = curves.panels_figure(panels)
    assert len(short["data"]) == 4 * 3
    assert all("line" not in trace for trace in short["data"])


def outline(band: Any) -> Any:
    """Corners of a shape: float64 [points, 2]."""
    return np.array([point.split(",") for point in band["path"].strip("MZ").split("L")], dtype=float)


def test_axes_of_a_grid_with_gaps(source: Source) -> None:
    """They stand at the lowest panel of a column and at the outermost of a row, so that their numbers can be read."""
    panels = curves.curve_panels(source, at(("extension", 2, 0), BOTH))
    first, last = (1e-3, 16), (1e-2, 32)
    layout = curves.panels_figure([p for p in panels if (p.lr, p.batch_size) not in (first, last)])["layout"]
    assert [layout[name]["anchor"] for name in ("xaxis", "xaxis2")] == ["y2", "y"]
    assert [layout[name]["anchor"] for name in ("yaxis", "yaxis2", "yaxis500", "yaxis501")] == ["x2", "x", "x2", "x"]


def test_curves_say_n_where_repeats_thin_out(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,), repeats=3)
    (configuration,) = study.configurations()
    for repeat in (0, 1):
        study.write_final(storage, configuration, repeat, 8 if repeat else 9)
    source = open_source(storage, NOW)
    spec: Any = drawn(source, "curves", Choice())
    line = next(trace for trace in spec["data"] if trace.get("name") == "valid")
    counts = [3] * 7 + [2] * 2
    said = [f" ± {std:.4f}, epoch {epoch}, n = {counts[epoch]}" for epoch, std in enumerate(line["customdata"][:-1])]
    assert line["text"] == [*said, ", epoch 9, n = 1"]
    assert "%{y:.4f}%{text}<" in line["hovertemplate"]
    assert "n = 3 → 1" in [note["text"] for note in spec["layout"]["annotations"]]
    assert [len(outline(band)) for band in spec["layout"]["shapes"]] == [2 * 9] * 2
    data = curves.curve_data(source, Choice())
    assert data[data["series"] == "valid"]["n"].tolist() == [3] * 7 + [2] * 2 + [1]
    even = open_source(small_study(tmp_path / "even")[0], NOW)
    whole: Any = drawn(even, "curves", Choice(depth=("straightforward", 0, 0)))
    line = next(trace for trace in whole["data"] if trace.get("name") == "valid")
    assert line["meta"]["n"][0][1] == 3
    assert "n = %{meta.n[0][1]}" in line["hovertemplate"]


def test_one_repeat_has_no_deviation_to_point_at(tmp_path: Path) -> None:
    source = open_source(small_study(tmp_path, repeats=1)[0], NOW)
    for name in ("curves", "families", "losses", "non-linearities"):
        spec: Any = drawn(source, name, FIGURES[name].choices(source.summary)[0])
        for trace in spec["data"]:
            assert "±" not in str(trace.get("hovertemplate", "")), name
            assert "±" not in str(trace.get("text", "")), name


def test_configurations_that_share_a_point_show_the_best_ranked(tmp_path: Path) -> None:
    """As after a second search with another weight decay."""
    source = open_source(small_study(tmp_path, study=TwoDecays, depths=((0, 0),))[0], NOW)
    members = source.members(at(("straightforward", 0, 0)))
    best: dict[tuple[float, int], Any] = {}
    for member in sorted(members, key=lambda member: member.rank or 99):
        best.setdefault((member.configuration.lr, member.configuration.batch_size), member)
    assert (len(members), len(best)) == (8, 4)
    choice = at(("straightforward", 0, 0))
    (points,) = heat_maps.heat_points(source, choice).values()
    assert [(p.lr, p.batch_size, p.configurations) for p in points] == [(*place, 2) for place in sorted(best)]
    for point in points:
        assert point.mean == best[point.lr, point.batch_size].score("loss", "valid").mean
    assert "best of 2 configurations here" in drawn(source, "heat-map", choice)["data"][0]["text"][0][0]
    for panel in curves.curve_panels(source, choice):
        expected = best[panel.lr, panel.batch_size].curve("loss", "valid")
        np.testing.assert_array_equal(panel.curves["valid"].mean, expected.mean)
    names = [panel["name"] for panel in single_repeats.singles_payload(source, members)["panels"]]
    assert len(set(names)) == 8
    first = best[1e-3, 16]
    shown = single_repeats.singles_payload(source, members)["panels"][names.index("lr 1e-3, batch 16")]
    assert shown["selected"] == first.selected_epochs.values.tolist()


class TwoDecays(GeneratedStudy):
    """Every configuration twice."""

    def configurations(self) -> list[Configuration]:
        every = super().configurations()
        return [one.model_copy(update={"weight_decay": decay}) for one in every for decay in (0.0, 0.01)]


def test_a_loss_that_is_infinite_at_the_start_leaves_a_page(tmp_path: Path) -> None:
    source = open_source(small_study(tmp_path, study=InfiniteStart)[0], NOW)
    assert spread.gap_data(source, at(("straightforward", 0, 0))).empty
    assert "Provenance" in write_page(source, provenance.provenance_data(source.storage, source.summary), NOW)


class InfiniteStart(GeneratedStudy):
    """In which one repeat of every configuration selects an epoch whose loss is infinite."""

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        made = super().history(configuration, repeat, epochs, diverged)
        return History(made.splits, made.loss * np.inf if repeat == 0 else made.loss, made.confusion)


def test_the_table_of_curves_gives_the_same_drawing(source: Source) -> None:
    choice = at(("extension", 2, 0))
    again = curves.panels_of(curves.curve_data(source, choice))
    for one, other in zip(curves.curve_panels(source, choice), again, strict=True):
        assert (one.lr, one.batch_size, one.score) == (other.lr, other.batch_size, other.score)
        for split, curve in one.curves.items():
            np.testing.assert_array_equal(curve.mean, other.curves[split].mean)
            np.testing.assert_array_equal(curve.std, other.curves[split].std)
            np.testing.assert_array_equal(curve.n, other.curves[split].n)
        np.testing.assert_array_equal(one.selected, other.selected)
        np.testing.assert_array_equal(one.selected_epochs, other.selected_epochs)
        np.testing.assert_array_equal(one.repeats, other.repeats)
        assert one.untrained == other.untrained


def test_loss_and_accuracy_on_two_axes(source: Source) -> None:
    spec: Any = drawn(source, "curves", at(("straightforward", 0, 0), BOTH))
    right = [trace for trace in spec["data"] if trace["yaxis"] == "y500"]
    assert {trace["meta"]["score"] for trace in right if trace.get("meta")} == {"accuracy"}
    assert spec["layout"]["yaxis500"]["overlaying"] == "y"
    assert spec["layout"]["yaxis501"]["matches"] == "y500"


def test_a_runaway_loss_does_not_flatten_the_others(source: Source) -> None:
    panels = curves.curve_panels(source, at(("straightforward", 0, 0)))
    valid = panels[0].curves["valid"]
    wild = replace(panels[0], curves={**panels[0].curves, "valid": replace(valid, mean=valid.mean * 1e6)})
    assert curves.panels_figure([wild, *panels[1:]])["layout"]["yaxis"]["range"][1] < 3


def test_single_repeats_are_those_of_the_records(source: Source, summary: Summary) -> None:
    member = next(m for m in summary.configurations if m.rank == 1)
    data = single_repeats.singles_data(source, Choice())
    assert len(data) == member.n * (member.epochs + 1)
    curve = member.curve("accuracy", "valid")
    assert curve is not None
    np.testing.assert_allclose(data.groupby("epoch")["valid_accuracy"].mean(), curve.mean)
    score = member.score("loss", "valid")
    assert score is not None
    np.testing.assert_allclose(data.loc[data["is_selected"].astype(bool), "valid_loss"], score.values)
    best = member.best_repeat()
    assert best is not None
    assert FIGURES["best-repeat"].data(source, Choice())["repeat"].unique().tolist() == [best[0]]
    behind = next(other for other in source.summary.configurations if other is not member and other.n)
    payload = decode(packed_text(encode(single_repeats.singles_payload(source, [member, behind]))))
    place = [panel["name"] for panel in payload["panels"]].index(point_text(member.configuration))
    first = sum(sum(panel["lengths"]) for panel in payload["panels"][:place])
    rows = slice(first, first + len(data))
    assert payload["loss"][1][rows] == pytest.approx(data["valid_loss"].tolist(), abs=5e-5)
    counts = [share * payload["panels"][place]["images"][1] for share in data["valid_accuracy"]]
    assert payload["hits"][1][rows] == pytest.approx(counts, abs=1e-6)


def test_families(source: Source) -> None:
    data = families.family_data(source, Choice())
    assert data["strategy"].is_unique
    assert (data["family"] == "resnet").all()
    names = ["timm:inception_v3.tv_in1k", "torchvision:squeezenet1_1", "timm:mobilenetv2_035", "timm:vgg19", "x.pth"]
    found = [families.family_of(name) for name in names]
    assert found == ["inception", "squeezenet", "mobilenet", "vgg", "x"]
    shown = families.backbone_table_data(source, Choice())
    assert shown.loc[0, "Parameters"] == "11.2 M"


def test_spread(source: Source, summary: Summary) -> None:
    data = spread.spread_data(source, Choice())
    ranked = [member for member in summary.configurations if member.rank]
    assert data["place"].nunique() == min(len(ranked), spread.SHOWN)
    first = data[(data["place"] == 0) & (data["split"] == "valid")]["value"]
    score = ranked[0].score("loss", "valid")
    assert score is not None
    np.testing.assert_allclose(first, score.values)
    spec: Any = drawn(source, "spread", Choice())
    bars, _, medians, *_ = spec["data"]
    values = data[(data["place"] == 0) & (data["split"] == "train")]["value"]
    assert bars["x"][:2] == pytest.approx(values.quantile([0.25, 0.75]).tolist())
    assert medians["x"][0] == pytest.approx(values.median())
    without = spread.spread_figure(data[data["split"] == "valid"], Choice())["data"]
    assert [len(trace["x"]) for trace in without[:3]] == [0, 0, 0]
    counts = spread.untrained_data(source, Choice())
    assert counts[(counts["score"] == "loss") & (counts["split"] == "valid")]["repeats"].sum() == len(summary.repeats)
    assert spread.density_data(source, Choice())["repeats"].sum() == len(summary.repeats)
    gap = spread.gap_data(source, Choice())
    np.testing.assert_allclose(gap["gap"], gap["valid"] - gap["train"])


def test_data_of_the_dataset(source: Source) -> None:
    data = dataset.class_data(source, Choice())
    assert data[data["split"] == "train"]["images"].sum() == 420
    assert data[data["split"] == "train"]["trained"].tolist() == [210, 210]
    assert data[data["split"] == "valid"]["trained"].isna().all()
    found = dataset.flow(source, "")
    assert found is not None
    assert found.by_split == {"train": (42, 420), "valid": (9, 90), "test": (9, 90)}


def test_class_names_stand_in_up_to_three_lines_and_splits_keep_their_colours(tmp_path: Path) -> None:
    names = ("invasive ductal carcinoma, grade 3 with necrosis", "<b>", "n" * 90)
    storage, _ = small_study(tmp_path, classes=names, balance="ngca")
    figure = drawn(open_source(storage, NOW), "classes", Choice())
    shown = figure["layout"]["yaxis"]["ticktext"]  # type: ignore[index]
    assert shown[0] == "invasive ductal<br>carcinoma, grade 3<br>with necrosis"
    assert shown[1] == "&lt;b&gt;"
    assert shown[2].count("<br>") == 2
    bars = {bar["name"]: bar["marker"]["color"] for bar in figure["data"]}  # type: ignore[attr-defined]
    assert bars["train"] == TRAIN
    assert bars["valid"] == VALID
    assert len(set(bars.values())) == 4


def test_balanced_classes_are_those_of_the_report(tmp_path: Path) -> None:
    _, study = small_study(tmp_path)
    configuration = study.configurations()[0].model_copy(update={"balance": "ngca"})
    assert training_samples({"D": 734, "PD": 420}, configuration) == {"D": 2936, "PD": 3360}


def test_workers_and_pace(source: Source) -> None:
    workers = worker_data(source, "2026-03-01T12:00:42+00:00")
    assert workers[["host", "repeats", "epochs", "of", "age_s", "silent"]].iloc[0].tolist() == [
        "worker-0",
        1,
        3,
        6,
        42,
        False,
    ]
    assert worker_data(source, "2026-03-01T13:00:00+00:00")["silent"].all()
    found = pace(source)
    assert found is not None
    assert found.epochs_per_s > 0
    assert [duration(seconds) for seconds in (45, 720, 11_100, 187_200, float("nan"))] == [
        "45 s",
        "12 min",
        "3 h 5 min",
        "2 d 4 h",
        "–",
    ]


def test_depth(source: Source, summary: Summary) -> None:
    data = FIGURES["non-linearities"].data(source, Choice())
    assert data["value"].tolist() == [0, 1, 2]
    best = next(m for m in summary.configurations if m.rank and m.depth == ("extension", 1, 0))
    score, start = best.score("loss", "valid"), best.untrained("loss", "valid")
    assert score is not None
    assert start is not None
    assert data.loc[1, ["valid_mean", "valid_std", "untrained_mean", "untrained_std", "n"]].tolist() == pytest.approx(
        [score.mean, score.std, start.mean, start.std, 3]
    )
    assert FIGURES["unfrozen"].data(source, Choice())["value"].tolist() == [0, 2]


def test_provenance_names_no_file_and_no_group(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    summary = summarise(storage)
    found = provenance.provenance_data(storage, summary)
    assert found.images.loc["differentiated"].tolist() == [210, 45, 45]
    assert found.groups == {"train": 42, "valid": 9, "test": 9}
    assert found.partitions == (("p0a1b2c3", "stratified", "0"),)
    assert found.hardware == (("a processor", 2, 24, "58 s"),)
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

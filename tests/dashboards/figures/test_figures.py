"""The data behind every figure, and that every figure is one that plotly accepts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.figures import (
    best_repeats,
    classes,
    dataset,
    density,
    differences,
    families,
    gap,
    heat_maps,
    progress,
    spread,
    untrained,
)
from dashboards.figures.backbone_names import family_of
from dashboards.figures.choice import SCORES, Choice, Source, best_of_each
from dashboards.figures.markup import duration
from dashboards.figures.palette import TRAIN, VALID
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page import best_table, progress_tables, provenance
from dashboards.page.answer_sentence import answer_sentence
from dashboards.page.backbone_table import backbone_table_data
from dashboards.page.chart import Charts
from dashboards.page.workers import epochs_per_s, left_s, worker_data
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.statistic import Statistic
from orchestrator.results.summary import Summary, summarise, training_samples
from orchestrator.store.schema import FinalRecord, History
from orchestrator.store.searches import Ask, Decision, decision_file
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.drawn import at, drawn
from tests.support.generated_study import NOW, PARTITION, GeneratedStudy, small_study
from trainables.learning.metrics import is_measured


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
    shown = best_table.best_table_data(members, {"loss"})
    score = members[0].score("loss", "valid")
    assert score is not None
    assert shown.loc[0, "Valid loss"] == f"{score.mean:.3f} ± {score.std:.3f}"
    best = members[0].best_repeat()
    assert best is not None
    assert shown.loc[0, "Best repeat"].startswith(f"{score.values[best[1]]:.3f}")
    assert shown.loc[0, "n"] == "3"
    width = 4.302652729911275 * score.std / 3**0.5
    assert shown.loc[0, "95 % interval"] == f"{score.mean - width:.3f} to {score.mean + width:.3f}"
    table = best_table.best_table(shown, {"loss"})
    assert f"{shown.loc[0, 'Valid loss']}<small>{shown.loc[0, '95 % interval']}</small>" in table
    assert '<th scope="col">95 % interval</th>' in best_table.best_table(shown, {"loss", "accuracy"})
    assert best_table.interval(Statistic.of(np.array([0.5]))) == "–"
    assert "best repeat" not in answer_sentence(summary, members).lower()
    assert len(best_repeats.repeats_data(source, Choice())) == len(members) * 2 * 3


def test_differences_are_paired(source: Source, summary: Summary) -> None:
    data = differences.difference_data(source, Choice())
    ranked = [member for member in summary.configurations if member.rank]
    assert data["rank"].tolist() == [member.rank for member in ranked]
    first, second = ranked[0].selection, ranked[1].selection
    assert first is not None
    assert second is not None
    assert data.loc[1, "difference"] == pytest.approx(float(np.mean(first.values - second.values)))
    assert data.loc[0, "difference"] == 0
    assert set(data["standing"]) == {"in"}
    assert "With 3 repeats nothing is excluded" in differences.set_sentence(data)
    clean = [member for member in ranked if not member.diverged]
    assert (data.loc[data["notes"] == "", "difference"] <= 1e-12).all()
    assert data["notes"].tolist().count("") == len(clean) < len(ranked)
    assert "diverged 1 of 3 (1–91 %)" in data["notes"].tolist()


def test_progress_counts_every_state(source: Source) -> None:
    data = progress.progress_data(source, Choice())
    cells = {(row["facet"], row["lr"], row["batch_size"]): row for _, row in data.iterrows()}
    unfreezing = "partial fine-tuning, u = 2"
    assert cells[unfreezing, 1e-2, 16][["done", "asked", "running"]].tolist() == [2, 3, 1]
    assert cells[unfreezing, 1e-2, 32][["done", "asked", "failed", "waiting"]].tolist() == [0, 3, 1, 2]
    assert cells["MLP head, n = 2", 1e-2, 16]["diverged"] == 1
    place = Choice(source.summary.configurations[0].partition, "timm:resnet18.tv_in1k")
    html = progress_tables.progress_tables(FIGURES["progress"], source, place, Charts(""))
    assert "2 of 3 repeats done, 1 running" in html
    first, *others = html.split('data-when="pair-progress=')[1:]
    assert first.count("<table") == 4
    assert len(others) == len(source.pairs) - 1 == 5
    for block in (first, *others):
        assert block.count("data-cell=") == len(data), "no cell hides a configuration"


def test_marks_differ_in_shape() -> None:
    shapes = {state: progress_tables._mark(state, 0, 0) for state in progress.STATES}
    assert len(set(shapes.values())) == 5
    assert shapes[progress.RepeatState.FINISHED] == shapes[progress.RepeatState.WAITING]  # filled against outlined


@pytest.mark.parametrize("score", [score for score in SCORES if not is_measured(score)])
def test_heat_maps(source: Source, summary: Summary, score: str) -> None:
    choice = at(2, 0, score)
    spec: Any = drawn(source, "heat-map", choice)
    z = spec["data"][0]["z"]
    assert z.shape == (2, 2)
    assert np.isnan(z[1, 1])
    member = next(
        m for m in summary.configurations if m.depth == ("unfreezing", 0, 2) and m.configuration.optimiser.lr == 1e-3
    )
    column = [16, 32].index(member.configuration.optimiser.batch_size)
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
    one = FIGURES["heat-map"].data(source, at(0, 1))
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


def test_families(source: Source) -> None:
    data = families.family_data(source, Choice())
    assert data["strategy"].is_unique
    assert (data["family"] == "resnet").all()
    names = ["timm:inception_v3.tv_in1k", "torchvision:squeezenet1_1", "timm:mobilenetv2_035", "timm:vgg19", "x.pth"]
    found = [family_of(name) for name in names]
    assert found == ["inception", "squeezenet", "mobilenet", "vgg", "x"]
    shown = backbone_table_data(source, Choice())
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
    counts = untrained.untrained_data(source, Choice())
    assert counts[(counts["score"] == "loss") & (counts["split"] == "valid")]["repeats"].sum() == len(summary.repeats)
    assert density.density_data(source, Choice())["repeats"].sum() == len(summary.repeats)
    gaps = gap.gap_data(source, Choice())
    np.testing.assert_allclose(gaps["gap"], gaps["valid"] - gaps["train"])


def test_data_of_the_dataset(source: Source) -> None:
    data = classes.class_data(source, Choice())
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


def test_marks_of_progress_are_named_by_their_repeats(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, depths=((0, 0),), lrs=(1e-3,), batch_sizes=(16,), repeats=1)
    configuration = study.configurations()[0]
    asked = Ask(partition=PARTITION, configurations=(configuration.id,), repeats=(7,), epochs=6)
    (search,) = summarise(storage, NOW).searches
    decision = Decision(number=2, budget=1, reason="one more", asks=(asked,), stacks=())
    storage.create(decision_file(search.id, 2), decision.to_toml())
    spec = progress.progress_figure(progress.progress_data(open_source(storage, NOW), Choice()), Choice())
    told = [words.rpartition(", ")[2] for trace in spec["data"] for words in trace["text"]]
    assert told == ["repeat 0", "repeat 7"]


def test_balanced_classes_are_those_of_the_report(tmp_path: Path) -> None:
    _, study = small_study(tmp_path)
    configuration = changed(study.configurations()[0], balance="ngca")
    classes = {"D": 734, "PD": 420}
    assert training_samples(classes, configuration) == {"D": 2936, "PD": 3360}
    fewer = changed(configuration, balance="subsample", views=8)
    assert training_samples(classes, fewer) == {"D": 3360, "PD": 3360}
    many = changed(configuration, balance="count", count=500)
    assert training_samples(classes, many) == {"D": 500, "PD": 500}


def test_workers_and_pace(source: Source) -> None:
    workers = worker_data(source, "2026-03-01T12:00:42+00:00")
    assert len(workers) == 1, "one segment failed, and nobody holds it"
    assert workers[["host", "repeats", "epochs", "of", "age_s", "silent"]].iloc[0].tolist() == [
        "worker-0",
        1,
        3,
        6,
        42,
        False,
    ]
    assert worker_data(source, "2026-03-01T13:00:00+00:00")["silent"].all()
    pace = epochs_per_s(source)
    assert pace is not None
    assert pace > 0
    assert [duration(seconds) for seconds in (45, 720, 11_100, 187_200, float("nan"))] == [
        "45 s",
        "12 min",
        "3 h 5 min",
        "2 d 4 h",
        "–",
    ]


def test_the_time_left_weighs_every_epoch_by_what_it_costs(tmp_path: Path) -> None:
    """Linear probes are done; of the heads with more layers one is, and its epochs took a hundred times as long."""

    class Timed(GeneratedStudy):
        def final(self, configuration: Configuration, repeat: int, epochs: int) -> FinalRecord:
            record = super().final(configuration, repeat, epochs)
            record.meta["seconds"] = epochs * (1.0 if configuration.head.non_linearities else 0.01)
            return record

    def is_left(configuration: Configuration, repeat: int) -> bool:
        return bool(configuration.head.non_linearities and repeat)

    storage, _ = small_study(tmp_path / "some", Timed, lrs=(1e-3,), batch_sizes=(8,), skip=is_left)
    some = Source(summarise(storage), storage)
    assert some.summary.totals.owed == 2
    assert left_s(some, 1) == pytest.approx(2 * 6 * 1.0)
    assert left_s(some, 2) == pytest.approx(6 * 1.0)
    assert left_s(some, 0) is None
    storage, _ = small_study(
        tmp_path / "none", Timed, lrs=(1e-3,), batch_sizes=(8,), skip=lambda c, _: bool(c.head.non_linearities)
    )
    assert left_s(Source(summarise(storage), storage), 1) is None, "what linear probes took says nothing of them"


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


class OtherHeads(GeneratedStudy):
    """Beside the grid's heads one of given widths for every depth: it has no n, and is no linear probe."""

    def configurations(self) -> list[Configuration]:
        grid = super().configurations()
        heads = [changed(c, head="widths", widths=(16, 8)) for c in grid]
        return [*grid, *{c.id: c for c in heads}.values()]

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        """Those of given widths are ahead of all others."""
        made = super().history(configuration, repeat, epochs, diverged)
        made.loss[:] /= 2 if configuration.head.name == "widths" else 1
        return made


def test_depth_is_of_heads_that_have_it(tmp_path: Path) -> None:
    depths = ((0, 0), (1, 0), (0, 2))
    storage, _ = small_study(tmp_path, study=OtherHeads, depths=depths, lrs=(1e-3,), batch_sizes=(16,))
    made = Source(summarise(storage), storage)
    assert made.summary.configurations[0].configuration.head.name == "widths"
    by_n, by_u = (FIGURES[name].data(made, Choice()) for name in ("non-linearities", "unfrozen"))
    assert (by_n["value"].tolist(), by_u["value"].tolist()) == ([0, 1], [0, 2])
    assert by_n["valid_mean"].min() > max(_valid(m) for m in made.summary.configurations[:2])
    probe = next(m for m in made.summary.configurations if m.configuration.strategy == "straightforward")
    assert by_n["valid_mean"][0] == by_u["valid_mean"][0] == _valid(probe)


def _valid(member: ConfigurationSummary) -> float:
    score = member.score("loss", "valid")
    assert score is not None
    return score.mean


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

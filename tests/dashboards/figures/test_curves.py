"""The grid of curves and single repeats: what is drawn is what was recorded, whatever is missing or shared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.figures import curve_panels, curves, gap, heat_maps, single_repeats
from dashboards.figures.choice import BOTH, Choice, Source
from dashboards.figures.facets import LR_AND_BATCH, Pair
from dashboards.figures.markup import whole_name
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page import provenance
from dashboards.page.packing import decode, encode, packed_text
from dashboards.page.page import write_page
from orchestrator.results.summary import Summary
from orchestrator.store.schema import History
from search_spaces import presets
from search_spaces.configuration import Configuration
from search_spaces.presets import PRESETS
from tests.support.configurations import changed
from tests.support.drawn import at, drawn
from tests.support.generated_study import NOW, GeneratedStudy, small_study


def test_curves(source: Source) -> None:
    choice = at(0, 2, "accuracy")
    placed = curve_panels.curve_panels(source, choice)
    assert [(one.row, one.column) for one in placed] == [(1e-3, 16), (1e-3, 32), (1e-2, 16), (1e-2, 32)]
    panels = [one.panel for one in placed]
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
    even: Any = drawn(source, "curves", at(0, 0, "accuracy"))
    assert [note["text"] for note in even["layout"]["annotations"] if "n =" in note["text"]] == ["n = 3 each"]
    short = curves.panels_figure(placed, LR_AND_BATCH)
    assert len(short["data"]) == 4 * 3
    assert all("line" not in trace for trace in short["data"])


def outline(band: Any) -> Any:
    """Corners of a shape: float64 [points, 2]."""
    return np.array([point.split(",") for point in band["path"].strip("MZ").split("L")], dtype=float)


def test_axes_of_a_grid_with_gaps(source: Source) -> None:
    """They stand at the lowest panel of a column and at the outermost of a row, so that their numbers can be read."""
    panels = curve_panels.curve_panels(source, at(0, 2, BOTH))
    first, last = (1e-3, 16), (1e-2, 32)
    some = [one for one in panels if (one.row, one.column) not in (first, last)]
    layout = curves.panels_figure(some, LR_AND_BATCH)["layout"]
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
    data = curve_panels.curve_data(source, Choice())
    assert data[data["series"] == "valid"]["n"].tolist() == [3] * 7 + [2] * 2 + [1]
    even = open_source(small_study(tmp_path / "even")[0], NOW)
    whole: Any = drawn(even, "curves", at(0, 0))
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


def test_no_cell_hides_a_configuration(tmp_path: Path) -> None:
    """As after a second search with another weight decay: every pair of settings shows each configuration once."""
    source = open_source(small_study(tmp_path, study=TwoDecays, depths=((0, 0), (2, 0)))[0], NOW)
    assert [pair.label for pair in source.pairs][:2] == [
        "learning rate × batch size",
        "learning rate × non-linearities",
    ]
    assert len(source.pairs) == 6
    members = {member.id: member for member in source.summary.configurations}
    for pair in source.pairs:
        place = replace(at(0, 0), facet=None, pair=pair)
        facets = source.facets(place)
        assert sorted(member.id for mine in facets.values() for member in mine) == sorted(members)
        assert len({facet.name for facet in facets}) == len(facets)
        points = heat_maps.heat_points(source, place)
        for facet, mine in facets.items():
            assert len({point[:2] for point in points[facet]}) == len(mine) == len(points[facet])
            means = {member.score("loss", "valid").mean for member in mine}
            assert {point.mean for point in points[facet]} == means  # type: ignore[union-attr]
            here = replace(place, facet=facet)
            assert {panel.name for *_, panel in curve_panels.curve_panels(source, here)} == set(map(whole_name, mine))
            z = drawn(source, "heat-map", here)["data"][0]["z"]  # type: ignore[index]
            assert np.isfinite(z).sum() == len(mine)
            drawn(source, "curves", here)
            drawn(source, "progress", here)
    names = [facet.name for facet in source.facets(replace(at(0, 0), facet=None, pair=Pair("lr", "weight_decay")))]
    assert names == [f"{depth}, batch {batch}" for depth in ("linear probe", "MLP head, n = 2") for batch in (16, 32)]


def test_a_map_over_what_strategies_differ_in_names_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = PRESETS["straightforward"]
    plain = replace(probe, fixed={**probe.fixed, "optimiser.weight_decay": 0.0})
    monkeypatch.setattr(presets, "PRESETS", {**PRESETS, "straightforward": plain})
    storage, _ = small_study(tmp_path, study=TwoDecays, depths=((0, 0),), lrs=(0.3,), batch_sizes=(17,))
    source = open_source(storage, NOW)
    place = replace(at(0, 0), facet=None, pair=Pair("lr", "weight_decay"))
    assert [facet.name for facet in source.facets(place)] == ["straightforward or extension, batch 17"]
    data = heat_maps.heat_data(source, place)
    assert dict(zip(data["weight_decay"], data["strategy"], strict=True)) == {0.0: "straightforward", 1e-2: "extension"}


class TwoDecays(GeneratedStudy):
    """Every configuration twice."""

    def configurations(self) -> list[Configuration]:
        every = super().configurations()
        return [changed(one, weight_decay=decay) for one in every for decay in (0.0, 0.01)]


def test_a_loss_that_is_infinite_at_the_start_leaves_a_page(tmp_path: Path) -> None:
    source = open_source(small_study(tmp_path, study=InfiniteStart)[0], NOW)
    assert gap.gap_data(source, at(0, 0)).empty
    assert "Provenance" in write_page(source, provenance.provenance_data(source.storage, source.summary), NOW)


class InfiniteStart(GeneratedStudy):
    """In which one repeat of every configuration selects an epoch whose loss is infinite."""

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        made = super().history(configuration, repeat, epochs, diverged)
        return History(made.splits, made.loss * np.inf if repeat == 0 else made.loss, made.statistics)


def test_the_table_of_curves_gives_the_same_drawing(source: Source) -> None:
    choice = at(0, 2)
    again = curve_panels.panels_of(curve_panels.curve_data(source, choice), choice)
    for (*place, one), (*its_place, other) in zip(curve_panels.curve_panels(source, choice), again, strict=True):
        assert (place, one.name, one.score) == (its_place, other.name, other.score)
        for split, curve in one.curves.items():
            np.testing.assert_array_equal(curve.mean, other.curves[split].mean)
            np.testing.assert_array_equal(curve.std, other.curves[split].std)
            np.testing.assert_array_equal(curve.n, other.curves[split].n)
        np.testing.assert_array_equal(one.selected, other.selected)
        np.testing.assert_array_equal(one.selected_epochs, other.selected_epochs)
        np.testing.assert_array_equal(one.repeats, other.repeats)
        assert one.untrained == other.untrained


def test_loss_and_accuracy_on_two_axes(source: Source) -> None:
    spec: Any = drawn(source, "curves", at(0, 0, BOTH))
    right = [trace for trace in spec["data"] if trace["yaxis"] == "y500"]
    assert {trace["meta"]["score"] for trace in right if trace.get("meta")} == {"accuracy"}
    assert spec["layout"]["yaxis500"]["overlaying"] == "y"
    assert spec["layout"]["yaxis501"]["matches"] == "y500"


def test_a_runaway_loss_does_not_flatten_the_others(source: Source) -> None:
    first, *others = curve_panels.curve_panels(source, at(0, 0))
    valid = first.panel.curves["valid"]
    wild = replace(first.panel, curves={**first.panel.curves, "valid": replace(valid, mean=valid.mean * 1e6)})
    assert curves.panels_figure([first._replace(panel=wild), *others], LR_AND_BATCH)["layout"]["yaxis"]["range"][1] < 3


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
    place = [panel["name"] for panel in payload["panels"]].index(whole_name(member))
    first = sum(sum(panel["lengths"]) for panel in payload["panels"][:place])
    rows = slice(first, first + len(data))
    assert payload["loss"][1][rows] == pytest.approx(data["valid_loss"].tolist(), abs=5e-5)
    counts = [share * payload["panels"][place]["images"][1] for share in data["valid_accuracy"]]
    assert payload["hits"][1][rows] == pytest.approx(counts, abs=1e-6)

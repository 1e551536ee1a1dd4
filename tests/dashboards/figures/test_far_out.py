"""What lies far from everything else is told, and does not squeeze the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures import curves, depth, gap, heat_maps, spread
from dashboards.figures.choice import Choice
from dashboards.figures.curve_panels import Panel
from dashboards.figures.limits import reach
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.page import render
from orchestrator.results.mean_curves import Curve
from orchestrator.store.schema import History
from search_spaces.configuration import Configuration
from tests.support.generated_study import NOW, GeneratedStudy, small_study
from tests.support.opened_page import Opened


def gaps(valid: list[float]) -> pd.DataFrame:
    near = [{"strategy": "extension", "configuration": f"{value}", "train": 0.1, "valid": value} for value in valid]
    return pd.DataFrame(near).assign(gap=0.0, valid_std=0.0, n=3)


def test_a_loss_that_is_far_out_stands_at_the_edge_and_is_counted() -> None:
    spec: Any = gap.gap_figure(gaps([0.2, 0.22, 0.25, 0.28, 0.3, 0.32, 0.35, 0.4, 65.0, 68.0]), Choice())
    top = spec["layout"]["yaxis"]["range"][1]
    _, marks = spec["data"]
    edge = marks["y"].max()
    assert 0.4 < edge < top < 0.5
    assert marks["y"].tolist() == [0.2, 0.22, 0.25, 0.28, 0.3, 0.32, 0.35, 0.4, edge, edge]
    assert marks["customdata"][-1][1] == 68.0, "what is pointed at is said as it is"
    assert [note["text"] for note in spec["layout"]["annotations"]] == ["2 of 10 stand at the edge: far out, up to 68"]


def test_all_losses_are_drawn_where_all_are_asked_for() -> None:
    spec: Any = gap.gap_figure(gaps([0.2, 0.22, 0.25, 0.28, 0.3, 0.32, 0.35, 0.4, 65.0, 68.0]), Choice(reach="all"))
    assert spec["data"][1]["y"].max() == 68.0 < spec["layout"]["yaxis"]["range"][1]
    assert spec["layout"]["annotations"] == []


def test_an_infinite_mean_loss_is_counted() -> None:
    spec: Any = gap.gap_figure(gaps([0.2, 0.3, 0.4, np.inf]), Choice())
    assert spec["data"][1]["y"].tolist() == [0.2, 0.3, 0.4]
    assert [note["text"] for note in spec["layout"]["annotations"]] == ["1 of 4 not drawn: infinite"]


def repeats(valid: list[float]) -> pd.DataFrame:
    named = {"strategy": "extension", "non_linearities": 1, "unfrozen": 0, "rates": "lr 1e-3", "others": ""}
    rows = [
        {"place": 0, **named, "split": split, "repeat": repeat, "value": value}
        for split, values in (("train", [0.1] * len(valid)), ("valid", valid))
        for repeat, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_a_repeat_that_is_far_out_stands_at_the_edge_of_the_spread() -> None:
    data = repeats([0.2, 0.21, 0.22, 0.23, 0.24, 70.0, np.inf])
    spec: Any = spread.spread_figure(data, Choice())
    valid = next(trace for trace in spec["data"] if trace.get("name") == "valid, one repeat")
    low, high = spec["layout"]["xaxis"]["range"]
    assert low < 0.1 < 0.24 < valid["x"][5] < high < 0.3
    assert valid["customdata"][5].tolist() == [5, 70.0], "what is pointed at is said as it is"
    (note,) = spec["layout"]["annotations"]
    assert note["text"] == "1 of 14 stands at the edge: far out, up to 70; 1 of 14 not drawn: infinite"
    assert not np.isfinite(valid["x"][6])
    whole: Any = spread.spread_figure(data, Choice(reach="all"))
    assert "range" not in whole["layout"]["xaxis"]
    assert [note["text"] for note in whole["layout"]["annotations"]] == ["1 of 14 not drawn: infinite"]


def test_a_loss_that_is_far_out_leaves_the_colours_to_the_others() -> None:
    values = [0.3, 0.31, 0.32, 0.33, 0.34, 50.0]
    points = [heat_maps.Point(1e-3, size, value, 0.1, 2, 2) for size, value in enumerate(values)]
    most = heat_maps.heat_scale(points, Choice())
    assert most == ((0.3, 0.34), 50.0, 1, True)
    assert heat_maps.heat_scale(points, Choice(reach="all")) == ((0.3, 50.0), 50.0, 0, True)
    assert heat_maps.heat_scale(points, Choice(score="accuracy")) == ((0.3, 50.0), 50.0, 0, False)
    assert "1 cell lies beyond, up to 50" in heat_maps.heat_legend(most.limits, Choice(), most)
    spec: Any = heat_maps.points_figure(points, most.limits, Choice())
    assert any("50.000" in word for word in spec["data"][1]["text"]), "its cell says its value"
    infinite = [point._replace(mean=np.inf) if point.mean == 50 else point for point in points]
    assert "∞" in heat_maps.points_figure(infinite, (0.3, 0.34), Choice())["data"][1]["text"]


class Exploding(GeneratedStudy):
    """Of one learning rate and batch size the loss is hundreds of times that of the others."""

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        made = super().history(configuration, repeat, epochs, diverged)
        settings = configuration.optimiser
        if (settings.lr, settings.batch_size) == (1e-1, 16):
            made.loss[:] *= 500
        return made


def test_a_page_offers_all_losses_where_some_are_far_out(browser: Any, tmp_path: Path) -> None:
    calm, _ = small_study(tmp_path / "calm")
    assert 'data-sets="reach-' not in render(calm, now=NOW)
    storage, _ = small_study(tmp_path / "wild", Exploding, lrs=(1e-4, 1e-3, 1e-2, 1e-1), batch_sizes=(16, 32, 64))
    source = open_source(storage, NOW)
    for name in ("gap", "heat-map", "spread"):
        for choice in FIGURES[name].choices(source.summary):
            data = FIGURES[name].data(source, choice)
            has_far_out = choice.score == "loss" and choice.quantity != "n"
            assert data.empty == (choice.reach == "all" and not has_far_out), (name, choice)
    path = tmp_path / "dashboard.html"
    path.write_text(render(storage, now=NOW), encoding="utf-8")
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    chart = opened.show("spread")
    end = f"document.getElementById('chart-{chart}').layout.xaxis.range[1]"
    assert opened.page.evaluate(end) < 2
    opened.choose("reach-spread-0-0", "all")
    opened.until(f"() => {end} > 100")
    opened.choose("spread", "accuracy")
    opened.until(f"() => {end} < 2")
    assert "beyond, up to" in opened.page.locator("#heat-maps .legend:visible").first.inner_text()
    assert opened.faults == []


def test_a_loss_that_is_somewhat_larger_stands_where_it_is() -> None:
    spec: Any = gap.gap_figure(gaps([0.2, 0.2, 0.2, 0.3, 0.49]), Choice())
    assert spec["data"][1]["y"].max() == 0.49 < spec["layout"]["yaxis"]["range"][1]
    assert spec["layout"]["annotations"] == []


def test_ends_of_what_lies_together() -> None:
    assert reach(np.array([1.0, 1.1, 1.2, 1.3, 90.0])) == 1.3
    assert reach(np.array([1.0, 1.1, 1.2, 1.3, 1.9])) == 1.9, "it takes no two thirds"
    assert reach(np.array([2.0])) == 2.0
    assert reach(np.array([1.0, 1.0, 1.0, 90.0, 91.0])) == 91.0, "two of five are no exception"


def depths(untrained: float) -> pd.DataFrame:
    rows = [
        {"value": n, "point": "", "n": 3, "train_mean": 0.95, "valid_mean": 0.9 + 0.01 * n, "untrained_mean": untrained}
        for n in (0, 1)
    ]
    return pd.DataFrame(rows).assign(train_std=0.01, valid_std=0.01, untrained_std=0.02)


def test_an_untrained_network_that_is_far_off_is_told_in_words() -> None:
    choice = Choice(score="accuracy")
    spec: Any = depth.depth_figure(depths(0.5), choice, "non_linearities")
    low, high = spec["layout"]["yaxis"]["range"]
    assert 0.85 < low < 0.89 < 0.96 < high
    assert [note["text"] for note in spec["layout"]["annotations"]] == ["↓ untrained: 0.5"]
    near: Any = depth.depth_figure(depths(0.8), choice, "non_linearities")
    assert "range" not in near["layout"]["yaxis"]
    assert near["layout"]["annotations"] == []


def test_a_panel_counts_the_dots_above_it() -> None:
    curve = Curve(np.array([0.7, 0.3]), np.array([0.0, 0.0]), np.array([3, 3]))
    panel = Panel("a", "loss", {"train": curve, "valid": curve}, np.arange(3.0), np.ones(3), np.array([0.3, 9, 9]), 0.7)
    assert curves._count(panel, top=2.0) == "n = 3, 2 dots above"
    assert curves._count(panel, top=10.0) == "n = 3"

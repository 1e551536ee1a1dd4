"""The search view, variance by partition, energy on the page, and what heat maps say about their axes."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.figures import heat_maps, parallel, partition_spread, scales, search_settings, slices
from dashboards.figures.choice import Choice, Source
from dashboards.figures.registry import FIGURES, open_source
from dashboards.page.chart import Variant
from dashboards.page.energy import cost_so_far, energy_facts, energy_sentence
from dashboards.page.packing import decode, encode, packed_text
from dashboards.page.page import render
from dashboards.page.section_search import has_search_view
from orchestrator.energy.cost import cost_of
from orchestrator.energy.grid import intensity_of
from tests.support.configurations import changed
from tests.support.drawn import at
from tests.support.generated_study import NOW, PARTITION, small_study
from tests.support.search_study import OTHERS, off_grid_study, partitioned_study

BACKBONE = "timm:resnet18.tv_in1k"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage, study = off_grid_study(tmp_path_factory.mktemp("drawn"))
    assert len(study.configurations()) == 40
    return open_source(storage, NOW)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage, _ = small_study(tmp_path_factory.mktemp("grid"), depths=((0, 0), (1, 0), (2, 0)), batch_sizes=(16, 32))
    return open_source(storage, NOW)


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage, _ = partitioned_study(tmp_path_factory.mktemp("divided"))
    return open_source(storage, NOW)


@pytest.fixture(scope="module")
def grid_page(grid: Source) -> str:
    return render(grid.storage, now=NOW)


@pytest.fixture(scope="module")
def divided_page(divided: Source) -> str:
    return render(divided.storage, now=NOW)


def choice_of(source: Source) -> Choice:
    return FIGURES["parallel"].choices(source.summary)[0]


def test_a_grid_has_no_search_view(grid: Source, grid_page: str) -> None:
    assert not has_search_view(grid)
    assert search_settings.varying_settings(grid.summary.configurations) == ["non_linearities", "lr", "batch_size"]
    for name in ("parallel", "slices", "importance"):
        assert FIGURES[name].data(grid, choice_of(grid)).empty
    page = grid_page
    assert 'id="search"' not in page
    assert '<a href="#search">' not in page


def test_one_point_less_than_the_grid_has_one(grid: Source) -> None:
    extensions = [m for m in grid.summary.configurations if m.configuration.strategy == "extension"]
    assert search_settings.off_grid(extensions) == []
    assert search_settings.off_grid(extensions[1:]) == extensions[1:]
    two_settings = [m for m in extensions if m.configuration.optimiser.batch_size == 16]
    assert search_settings.off_grid(two_settings[1:]) == []


def test_a_setting_that_another_decides_does_not_vary(drawn: Source) -> None:
    members = drawn.summary.configurations
    assert search_settings.varying_settings(members) == [
        "non_linearities",
        "dropout",
        "lr",
        "batch_size",
        "momentum",
    ]
    follows = [
        replace(m, configuration=changed(m.configuration, dropout=m.configuration.head.non_linearities / 10))
        for m in members
    ]
    assert "dropout" not in search_settings.varying_settings(follows)


def test_the_table_holds_every_configuration_best_first(drawn: Source) -> None:
    data = search_settings.search_data(drawn, choice_of(drawn))
    assert len(data) == len(drawn.summary.configurations)
    assert data["mean"].is_monotonic_increasing
    best = drawn.summary.configurations[0]
    row = data[data["rank"] == 1].iloc[0]
    score = best.score("loss", "valid")
    assert score is not None
    assert (row["lr"], row["momentum"]) == (best.configuration.optimiser.lr, best.configuration.optimiser.momentum)
    assert (row["mean"], row["std"], row["n"]) == (score.mean, score.std, 3)
    accurate = search_settings.search_data(drawn, replace(choice_of(drawn), score="accuracy"))
    assert accurate["mean"].is_monotonic_decreasing


def test_parallel_coordinates_are_plain_lines_through_the_values(drawn: Source) -> None:
    choice = choice_of(drawn)
    data = search_settings.search_data(drawn, choice)
    spec: Any = parallel.parallel_figure(data, choice)
    go.Figure(spec)
    assert {trace["type"] for trace in spec["data"]} == {"scatter"}
    lines = [trace for trace in spec["data"] if trace["mode"] == "lines" and not trace.get("name")]
    assert sum(int(np.isnan(trace["x"]).sum()) for trace in lines) == len(data)
    best = next(trace for trace in spec["data"] if trace.get("name") == "best")
    lrs = np.log10(data["lr"].to_numpy())
    place = search_settings.settings_of(data).index("lr")
    assert best["y"][place] == pytest.approx((lrs[0] - lrs.min()) / (lrs.max() - lrs.min()))
    assert best["y"][5] == 1
    assert parallel.parallel_width(data) == 6 * parallel.AXIS_WIDTH


@pytest.mark.parametrize(("best", "count"), [("all", 40), ("50", 20), ("25", 10), ("10", 4), ("5", 2)])
def test_parallel_coordinates_of_the_best(drawn: Source, best: str, count: int) -> None:
    choice = replace(choice_of(drawn), score="accuracy", best=best)
    assert choice in FIGURES["parallel"].choices(drawn.summary)
    every = search_settings.search_data(drawn, choice)
    data = FIGURES["parallel"].data(drawn, choice)
    assert len(data) == count
    assert data["mean"].tolist() == sorted(every["mean"], reverse=True)[:count]
    go.Figure(FIGURES["parallel"].draw(data, choice))
    assert (best == "all") != (f"the best {best} %" in FIGURES["parallel"].label(data, choice))


def test_settings_travel_whole(drawn: Source) -> None:
    """Packed together, the smallest of rates over four powers of ten would keep one digit."""
    data = search_settings.search_data(drawn, choice_of(drawn))
    variant = Variant.of({}, "", data)
    assert variant.values is not None
    lrs = variant.values[variant.columns.index("lr")]
    assert decode(packed_text(encode(lrs))) == data["lr"].tolist()


def test_scales_of_numbers_words_and_outliers() -> None:
    small = scales.scale_of("lr", [1e-4, 1e-3, 1e-2])
    assert small.places.tolist() == pytest.approx([0, 0.5, 1])
    assert small.names == ["1e-4", "1e-3", "1e-2"]
    even = scales.scale_of("dropout", [0.01, 0.2, 0.5])
    assert even.places.tolist() == pytest.approx([0, 0.19 / 0.49, 1]), "as declared, however far apart"
    zero = scales.scale_of("weight_decay", [0.0, 0.1, 1.0])
    assert zero.places.tolist() == pytest.approx([0, 0.1, 1]), "which has no logarithm"
    words = scales.scale_of("optimiser", ["sgd", "<b>%{x}", "sgd"])
    assert words.places.tolist() == [1, 0, 1]
    assert words.names == ["&lt;b&gt;% {x}", "sgd"]
    losses = np.array([0.3, 0.31, 0.32, 0.33, 50.0])
    scale = scales.score_scale(losses, is_loss=True)
    assert scale.places[0] == 1
    assert scale.places[-1] == 0
    assert scale.places[3] > 0.3
    assert scale.names[0].endswith("or worse (1)")
    assert "worse" not in "".join(scales.score_scale(losses[:-1], is_loss=True).names)
    upward = scales.score_scale(np.array([0.5, 0.7, 0.9]), is_loss=False)
    assert upward.places.tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    ("column", "values", "names"),
    [
        ("momentum", np.linspace(0.213, 0.874, 9).tolist(), ["0.4", "0.6", "0.8"]),
        ("lr", np.geomspace(3.2e-5, 0.08, 9).tolist(), ["1e-4", "1e-3", "1e-2"]),
        ("weight_decay", np.geomspace(0.03, 0.7, 9).tolist(), ["0.05", "0.1", "0.2", "0.5"]),
        ("unfrozen", list(range(2, 10)), ["2", "4", "6", "8"]),
        ("batch_size", [8, 16, 32, 64], ["8", "16", "32", "64"]),
    ],
)
def test_ticks_are_round_or_the_few_values_themselves(column: str, values: list[float], names: list[str]) -> None:
    scale = scales.scale_of(column, values)
    assert scale.names == names
    moved = np.log10 if column in ("lr", "weight_decay", "batch_size") else np.array
    ends, marks = moved([values[0], values[-1]]), moved([float(name) for name in names])
    assert scale.ticks == pytest.approx(((marks - ends[0]) / (ends[1] - ends[0])).tolist())


def test_ticks_of_a_score_are_round() -> None:
    upward = scales.score_scale(np.array([0.41, 0.52, 0.55, 0.69]), is_loss=False)
    assert upward.names == ["0.45", "0.50", "0.55", "0.60", "0.65"]
    assert upward.ticks == pytest.approx([(value - 0.41) / 0.28 for value in (0.45, 0.5, 0.55, 0.6, 0.65)])
    assert scales.score_scale(np.array([0.5]), is_loss=True).names == ["0.500"]


def test_slices_show_every_configuration_against_every_setting(drawn: Source) -> None:
    choice = choice_of(drawn)
    data = search_settings.search_data(drawn, choice)
    spec: Any = slices.slices_figure(data, choice)
    go.Figure(spec)
    assert len(spec["data"]) == 2 * 5
    assert {len(trace["x"]) for trace in spec["data"]} == {1, len(data) - 1}
    domains = [tuple(spec["layout"][f"yaxis{suffix}"]["domain"]) for suffix in ("", "4")]
    assert domains[0][0] > domains[1][1] > 0.1


def test_the_page_has_the_view_and_no_function_that_evaluates(drawn: Source) -> None:
    page = render(drawn.storage, now=NOW)
    assert re.findall(r'<section id="([a-z-]+)">', page).index("search") == 7
    section = page[page.index('<section id="search">') :]
    section = section[: section.index("</section>")]
    assert section.count('class="chart"') == 4, "score against cost, parallel coordinates, slices, importance"
    assert 'data-control="search"' in section
    assert 'data-control="search against"' in section
    assert "unsafe-eval" not in page[: page.index("<body>")]


def test_variance_is_divided_between_partitions_and_repeats(divided: Source) -> None:
    choice = FIGURES["partition-spread"].choices(divided.summary)[0]
    data = partition_spread.partition_spread_data(divided, choice)
    assert len(data) == 4 * 2
    assert data["mean"].is_monotonic_increasing
    assert data["partition"].tolist() == pytest.approx([0.05] * 8)
    assert data["rest"].max() < 1e-9
    means = {member.id: member for member in divided.summary.configurations if member.partition == PARTITION}
    stds = sorted(m.selection.std for m in means.values() if m.selection is not None)
    assert sorted(data["seed"]) == pytest.approx(stds)
    assert set(data["partitions"]) == {3}
    assert set(data["repeats"]) == {4}
    go.Figure(FIGURES["partition-spread"].draw(data, choice))


def test_one_partition_has_no_variance_between_partitions(grid: Source, grid_page: str) -> None:
    choice = FIGURES["partition-spread"].choices(grid.summary)[0]
    assert partition_spread.partition_spread_data(grid, choice).empty
    assert FIGURES["partition-spread"].title not in grid_page


def test_the_study_s_own_partition_comes_first(divided: Source, divided_page: str) -> None:
    assert min(OTHERS) < PARTITION
    assert FIGURES["curves"].choices(divided.summary)[0].partition == PARTITION
    page = divided_page
    options = re.search(r'<select data-sets="partition">(.*?)</select>', page)
    assert options is not None
    assert re.findall(r">([^<]+)</option>", options[1]) == [f"{PARTITION} (the study’s own)", *OTHERS]
    assert page.count(FIGURES["partition-spread"].title) >= 1


def test_the_answer_over_all_partitions_comes_before_that_of_one(
    divided: Source, divided_page: str, grid_page: str
) -> None:
    page = divided_page
    found = re.search(r'<p class="lede">Over all 3 partitions: .*?loss <strong>(.*?)</strong>', page)
    assert found is not None
    own = min(m.selection.mean for m in divided.summary.configurations if m.selection and m.partition == PARTITION)
    assert float(found[1]) == pytest.approx(own + 0.05, abs=1e-3)
    assert "partitions: <strong>" not in grid_page


def test_energy_is_what_the_command_says(grid: Source, grid_page: str, tmp_path: Path) -> None:
    spent = cost_of(grid.storage, intensity_of(None, None))
    assert spent.kwh > 0
    cost = cost_so_far(grid)
    assert (cost.kwh, cost.kg) == (spent.kwh, spent.kg)
    assert cost.devices == spent.devices
    assert f"about {spent.kwh * 1000:.3g} Wh" in energy_sentence(cost)
    assert "not measured" in energy_sentence(cost)
    facts = dict(energy_facts(cost, "generated"))
    assert facts["CO₂ equivalent"].startswith(f"{spent.kg * 1000:.3g} g at 0.481 kg")
    assert "12 W per core" in next(value for name, value in facts.items() if name.startswith("Energy rated"))
    page = grid_page
    assert "Energy so far: about" in page
    assert "CO₂ equivalent" in page
    storage, _ = small_study(tmp_path, skip=lambda _configuration, _repeat: True)
    nothing = cost_so_far(open_source(storage, NOW))
    assert energy_sentence(nothing) == ""
    assert energy_facts(nothing, "generated") == []


def test_energy_that_a_meter_counted(grid: Source, tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    note = {"host": "worker-0", "started": "2026-03-01T10:00:00+00:00", "seconds": 7200.0}
    note |= {"joules": {"cpu": 3.6e6}, "sources": ["RAPL package-0"]}  # type: ignore[dict-item]
    storage.replace("results/energy/one.json", json.dumps(note).encode())
    cost = cost_so_far(open_source(storage, NOW))
    assert cost.measured_kwh == pytest.approx(1)
    assert "measured" in energy_sentence(cost)
    assert "RAPL package-0" in dict(energy_facts(cost, "generated"))["Energy measured"]


def test_heat_maps_name_their_axes_and_colours(grid: Source) -> None:
    for quantity, title in (("mean", "valid loss, mean"), ("std", "valid loss, standard deviation"), ("n", "n")):
        choice = at(0, 1, quantity=quantity)
        spec: Any = heat_maps.heat_figure(heat_maps.heat_data(grid, choice), choice)
        go.Figure(spec)
        assert spec["layout"]["xaxis"]["title"]["text"] == "batch size"
        assert spec["layout"]["yaxis"]["title"]["text"] == "learning rate"
        assert spec["data"][0]["showscale"]
        assert spec["data"][0]["colorbar"]["title"]["text"] == title
        assert f"<b>{title}</b>" in heat_maps.heat_legend((0.0, 1.0), choice)
    assert not math.isnan(spec["data"][0]["zmax"])

"""A setting that cannot matter in a configuration has no value there that a reader could take for one tried."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest

from dashboards.figures import importance, parallel, scales, search_settings
from dashboards.figures.any_axes import Asked, any_data, any_figure
from dashboards.figures.choice import Choice, Source
from dashboards.figures.facets import Pair
from dashboards.figures.heat_maps import heat_data, heat_points, points_figure
from dashboards.figures.setting_text import NOT_TRIED, ordered
from dashboards.page.page import render
from dashboards.page.provenance import settings_data
from orchestrator.choosing.choice_text import settings_data as settings_as_data
from orchestrator.results.summary import summarise
from orchestrator.results.summary_table import build_table
from orchestrator.store.errors import InputError
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.generated_study import NOW, PARTITION, GeneratedStudy, UnsyncedStorage

BACKBONE = "timm:resnet18.tv_in1k"
WIDTHS: tuple[tuple[int, ...], ...] = ((8,), (128,), (16,), (256, 64))


class Heads(GeneratedStudy):
    """Two rates each of a linear probe and of heads of given widths; one of these by Adam."""

    def configurations(self) -> list[Configuration]:
        probes = [self.configuration(self.backbones[0], (0, 0), lr, 16) for lr in (1e-3, 1e-2)]
        heads = [
            changed(probe, head="widths", widths=widths, batch_norm=True, dropout=0.25)
            for probe in probes
            for widths in WIDTHS
        ]
        adam = changed(heads[0], optimiser="adam", betas=(0.9, 0.999))
        return [*probes, *heads, adam]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    storage = UnsyncedStorage(tmp_path_factory.mktemp("heads"))
    Heads(repeats=2, epochs=3).write(storage)
    return Source(summarise(storage, NOW), storage)


def test_lists_of_words_stand_by_the_alphabet() -> None:
    assert ordered("augmentation", ["none", NOT_TRIED, "flips, contrast"]) == ["flips, contrast", "none", NOT_TRIED]


@pytest.mark.parametrize("level", ["config", "repeat", "epoch"])
def test_cells_of_tables_are_empty(source: Source, level: str) -> None:
    table = build_table(source.summary, level)  # type: ignore[arg-type]
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    for found in (table, again):
        halving = found["head"] == "halving"
        assert found.loc[halving, ["head.widths", "head.batch_norm", "dropout"]].isna().all(axis=None)
        assert found.loc[~halving, "non_linearities"].isna().all()
        assert found.loc[halving, "non_linearities"].eq(0).all()
        assert found.loc[~halving, "head.batch_norm"].all()
        sgd = found["optimiser"] == "sgd"
        assert found.loc[sgd, "optimiser.betas"].isna().all()
        assert found.loc[~sgd, "optimiser.betas"].eq("0.9, 0.999").all()
        assert found.loc[~sgd, "momentum"].isna().all()
    assert json.loads(table.to_json(orient="records"))[0].keys() == {*table.columns}


def test_what_is_told_as_data_has_no_neutral_value(source: Source) -> None:
    probe = next(m for m in source.summary.configurations if m.configuration.head.name == "halving")
    told = settings_as_data(probe)
    assert (told["head.widths"], told["optimiser.betas"], told["non_linearities"]) == (None, None, 0)
    settings = dict(settings_data([member.configuration for member in source.summary.configurations]))
    assert "" not in settings.values(), "a setting without a value has a dash"
    assert settings["head.widths"] == "(8), (16), (128), (256, 64)"
    assert settings["head.batch_norm"] == "yes"
    assert "schedule.length" not in settings


def test_an_axis_has_the_configurations_in_which_it_matters_in_the_order_of_lists(source: Source) -> None:
    asked = Asked("head.widths", line="optimiser.betas")
    asked.check(source.summary)
    data = any_data(source, Choice(PARTITION), asked)
    assert len(data) == len(source.summary.configurations) - 2
    assert ordered("optimiser.betas", data["line"]) == ["0.9, 0.999", NOT_TRIED]
    spec = any_figure(data, asked)
    assert spec["layout"]["xaxis"]["categoryarray"] == ["8", "16", "128", "256, 64"]
    with pytest.raises(InputError, match=r"expected a setting that matters in study 'generated', found 'schedule\.len"):
        Asked("schedule.length").check(source.summary)


def test_heat_maps_and_the_page_say_that_nothing_was_tried(source: Source) -> None:
    choice = Choice(PARTITION, BACKBONE, Pair("lr", "head.widths"))
    columns = {}
    for facet, points in heat_points(source, choice).items():
        spec = points_figure(points, (0.0, 1.0), choice)
        columns[facet.name] = list(spec["layout"]["xaxis"]["ticktext"])
    assert sorted(columns.values()) == sorted([[NOT_TRIED], ["8"], ["8", "16", "128", "256, 64"]])
    data = heat_data(source, choice)
    assert set(data["head.widths"]) == {NOT_TRIED, "8", "16", "128", "256, 64"}
    assert "not be drawn" not in render(source.storage, now=NOW)


def test_importance_and_parallel_axes_do_not_pool_what_was_not_tried(source: Source) -> None:
    choice = Choice(PARTITION, BACKBONE)
    members = [*source.summary.configurations]
    assert set(search_settings.varying_settings(members)) == {"head", "head.widths", "lr", "optimiser"}
    data = pd.DataFrame(
        {
            "configuration": [str(number) for number in range(36)],
            "head": ["widths", "widths", "halving"] * 12,
            "head.widths": ["8", "256, 64", None] * 12,
            "lr": np.geomspace(1e-4, 1e-1, 36),
            "mean": [0.3, 0.4, 0.9] * 12 + np.linspace(0, 0.01, 36),
            "std": 0.0,
            "n": 2,
            "rank": range(1, 37),
            "id": [f"{number:012x}" for number in range(36)],
        }
    )
    of = importance.importance_of(data, [np.array([mean]) for mean in data["mean"]], 0).set_index("setting")
    assert of.loc["widths", "configurations"] == 24
    assert of.loc["head", "configurations"] == 36
    scale = scales.scale_of("head.widths", data["head.widths"].tolist())
    assert scale.names == [NOT_TRIED, "8", "256, 64"]
    assert scale.places[:3].tolist() == pytest.approx([0.15, 1.0, 0.0])
    drawn = parallel.parallel_figure(data, choice)
    assert NOT_TRIED in [note["text"] for note in drawn["layout"]["annotations"]]
    assert all("widths" not in words for words in search_settings.row_words(data.iloc[2::3].assign(head="x"), "loss"))

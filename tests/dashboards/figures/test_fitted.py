"""A head that is fitted has neither learning rate nor batch size: nothing says one of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.figures import differences, families, heat_maps, spread
from dashboards.figures.choice import Choice
from dashboards.figures.registry import Source, open_source
from dashboards.page.best_table import best_table_data
from dashboards.page.page import write_page
from dashboards.page.provenance import provenance_data, settings_data
from orchestrator.results.edges import edge_notes
from search_spaces.configuration import Configuration
from tests.support.configurations import changed
from tests.support.generated_study import NOW, GeneratedStudy, small_study

PENALTIES = (0.01, 0.1)


class BesideFitted(GeneratedStudy):
    """Every configuration, and logistic regression."""

    def configurations(self) -> list[Configuration]:
        every = super().configurations()
        return [*every, *(changed(every[0], head="logistic", penalty=penalty) for penalty in PENALTIES)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder: Path = tmp_path_factory.mktemp("fitted")
    return open_source(small_study(folder, study=BesideFitted, depths=((0, 0),), batch_sizes=(16, 32))[0], NOW)


def test_its_rates_are_not_said(source: Source) -> None:
    members = source.members(Choice())
    fitted = [member.configuration.head.is_fitted for member in members]
    assert fitted.count(True) == len(PENALTIES)
    shown = best_table_data(members, {"loss"})
    assert [(lr, batch) == ("–", "–") for lr, batch in zip(shown["lr"], shown["Batch"], strict=True)] == fitted
    assert {name.startswith("MLP head, fitted<br>") for name in _names(source, True)} == {True}
    assert not any("fitted" in name for name in _names(source, False))
    rates = spread.spread_data(source, Choice()).groupby("place")["rates"].first()
    assert [text == "fitted" for text in rates] == fitted
    points = families.family_data(source, Choice())["point"]
    assert [point.startswith("fitted") for point in points] == ["logistic" in point for point in points]
    settings = dict(settings_data([member.configuration for member in members]))
    assert (settings["lr"], settings["batch_size"]) == ("1e-3, 1e-2", "16, 32")


def _names(source: Source, logistic: bool) -> list[str]:
    names = differences.difference_names(differences.difference_data(source, Choice()))
    return [name for name in names if ("logistic" in name) == logistic]


def test_no_edge_is_told_of_what_it_has_not(source: Source) -> None:
    notes = edge_notes(source.summary.configurations, "loss")
    assert {note.best for note in notes} <= {1e-3, 1e-2, 16, 32}
    assert edge_notes([m for m in source.summary.configurations if m.configuration.head.is_fitted], "loss") == ()


def test_it_has_a_cell_of_its_own_and_a_page(source: Source) -> None:
    facets = source.facets(Choice())
    mine = [name.name for name, members in facets.items() if members[0].configuration.head.is_fitted]
    assert sorted(mine) == ["MLP head, head logistic, penalty 0.01", "MLP head, head logistic, penalty 0.1"]
    assert all(len(points) == len(facets[facet]) for facet, points in heat_maps.heat_points(source, Choice()).items())
    page = write_page(source, provenance_data(source.storage, source.summary), NOW)
    assert "fitted, head logistic" in page
    assert "could not be drawn" not in page

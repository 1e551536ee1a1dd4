"""A figure that cannot be drawn costs a page that figure, with a line in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboards.figures import registry
from dashboards.figures.failure import cause_of
from dashboards.page.comparison import render_comparison
from dashboards.page.page import render
from tests.support.generated_study import NOW, small_study

HOSTILE = "<img src=x> of test patient 3 in 7.png\nand more"


def broken(*names: str) -> tuple[registry.Figure, ...]:
    """All declarations, those named with data that cannot be had."""

    def data(source: Any, choice: Any) -> Any:
        raise ValueError(HOSTILE)

    return tuple(replace(one, data=data) if one.name in names else one for one in registry._EVERY)


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def these(*names: str) -> None:
        monkeypatch.setattr(registry, "_EVERY", broken(*names))
        for figure in registry._EVERY:
            monkeypatch.setitem(registry.FIGURES, figure.name, figure)

    return these


def test_a_line_stands_in_its_place_and_the_rest_is_written(tmp_path: Path, breaks: Callable[..., None]) -> None:
    storage, _ = small_study(tmp_path)
    whole = render(storage, now=NOW)
    breaks("density", "progress", "non-linearities")
    page = render(storage, now=NOW)
    line = "could not be drawn. ValueError: &lt;img src=x&gt; of [group] in [image]</p>"
    assert page.count(line) == 3
    assert f'<p class="note">The figure “Density of accuracy and loss” {line}' in page
    assert "and more" not in page
    assert page.count('class="chart"') == whole.count('class="chart"') - 2
    assert 'id="provenance"' in page


def test_forms_of_their_own_fail_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise ValueError

    storage, _ = small_study(tmp_path)
    monkeypatch.setattr("dashboards.page.heat_map_panels.heat_maps.heat_points", fails)
    monkeypatch.setattr("dashboards.page.curve_grid.curves.panels_figure", fails)
    page = render(storage, now=NOW)
    assert page.count("could not be drawn. ValueError</p>") == 2
    assert "The best single repeat: " in page


def test_several_studies(tmp_path: Path, breaks: Callable[..., None]) -> None:
    storages = [small_study(tmp_path / name, name=name)[0] for name in ("one", "two")]
    breaks("losses")
    page = render_comparison(storages, now=NOW)
    assert "The figure “Validation losses” could not be drawn" in page
    assert page.count('class="chart"') == 1


def test_a_cause_is_a_line_of_bounded_length() -> None:
    assert cause_of(KeyError()) == "KeyError"
    assert cause_of(ValueError("\n one \n two")) == "ValueError: one"
    assert len(cause_of(ValueError("x" * 10_000))) == 200

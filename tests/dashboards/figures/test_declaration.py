"""What a figure declares is what the page, the export and the notebook show; adding one is a file and a line."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from dashboards.figures import registry
from dashboards.figures.declaration import Control, Figure, OnPage, Per
from dashboards.figures.palette import layout
from dashboards.page.page import render
from dashboards.page.sections import SECTIONS
from tests.support.generated_study import NOW, small_study
from tests.support.made_up_evaluation import add_evaluation
from tests.support.made_up_maps import add_maps
from tests.support.made_up_mistakes import add_mistakes
from tests.support.search_study import off_grid_study
from tests.support.undecided_study import UndecidedStudy


def added(section: str, per: Per) -> Figure:
    return Figure(
        name=f"{section}-{per.value}",
        section=section,
        title=f"Added to {section}, per {per.value}",
        reading="Read so.",
        data=lambda source, choice: pd.DataFrame({"value": [1.0]}),
        draw=lambda data, choice: {"data": [], "layout": layout(200)},
        label=lambda data, choice: f"of {choice.score}",
        per=per,
    )


def test_every_section_shows_what_is_declared_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = [added(section.name, per) for section in SECTIONS for per in Per]
    monkeypatch.setattr(registry, "_EVERY", (*registry._EVERY, *more))
    storage, study = off_grid_study(tmp_path)
    desk = UndecidedStudy(storage, study)  # type: ignore[arg-type]
    desk.decide(desk.search(desk.names, 3, 8, proposer="adaptive", settings={"epochs": "halving"}))
    add_evaluation(storage)
    add_mistakes(storage)
    add_maps(storage)
    page = render(storage, now=NOW)
    places = {found[1]: found.start() for found in re.finditer(r'<section id="([a-z-]+)">', page)}
    ends = [*list(places.values())[1:], len(page)]
    content = {name: page[start:end] for (name, start), end in zip(places.items(), ends, strict=True)}
    for figure in more:
        assert content[figure.section].count(f"<h3>{figure.title}</h3>") == 1, figure.name


def test_sections_of_declarations_are_on_the_page() -> None:
    assert {figure.section for figure in registry.FIGURES.values()} <= {one.name for one in SECTIONS} | {"partition"}
    assert len(registry.FIGURES) == len(registry._EVERY), "no name twice"


def test_controls_choose_among_what_can_be_asked(tmp_path: Path) -> None:
    summary = registry.open_source(off_grid_study(tmp_path)[0], NOW).summary
    for figure in registry.FIGURES.values():
        choices = figure.choices(summary)
        assert set(figure.variants(summary, choices[0]).values()) <= set(choices), figure.name


def test_variants_are_the_product_of_the_controls(tmp_path: Path) -> None:
    summary = registry.open_source(off_grid_study(tmp_path)[0], NOW).summary
    figure = added("spread", Per.PARTITION)
    (place,) = figure.choices(summary)
    assert list(figure.variants(summary, place)) == ["only"]
    controls = (Control("a", "A", {"loss": "l", "accuracy": "a"}), Control("b", "B", {"n": "n"}, sets="quantity"))
    several = Figure(**{**vars(figure), "page": OnPage(controls=controls)})
    found = several.variants(summary, place)
    assert [(key, one.score, one.quantity) for key, one in found.items()] == [
        ("loss|n", "loss", "n"),
        ("accuracy|n", "accuracy", "n"),
    ]


def test_figures_open_on_what_selects_and_on_the_best_strategy(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, selection="macro_f1")
    page = render(storage, now=NOW)
    for name in ("heat", "curve", "score", "spread"):
        offered = re.search(rf'<select data-sets="{name}">(.*?)</select>', page)
        assert offered is not None, name
        assert offered[1].startswith('<option value="macro_f1">Macro F1</option>'), name
    best = registry.open_source(storage, NOW).summary.configurations[0].configuration.strategy
    (strategies,) = re.findall(r'<select data-sets="facet-[^"]*-0">(.*?)</select>', page)
    first, *_ = re.findall(r"<option[^>]*>([^<,]*)", strategies)
    assert (best, first) == ("extension", "MLP head")


def test_a_seldom_score_is_offered_where_it_selects(tmp_path: Path) -> None:
    control = registry.FIGURES["curves"].page.controls[0]
    for selection in ("loss", "macro_f1"):
        summary = registry.open_source(small_study(tmp_path / selection, selection=selection)[0], NOW).summary
        assert ("macro_f1" in control.options_of(summary)) == (selection == "macro_f1")
        assert next(iter(control.options_of(summary))) == selection

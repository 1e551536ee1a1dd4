"""The figures that a section's declarations ask for, and what stands once above them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from dashboards.figures.choice import Choice, Source, has_score
from dashboards.figures.declaration import Figure, Form, Key, Per
from dashboards.figures.markup import text
from dashboards.figures.registry import figures_of
from dashboards.page.chart import Charts
from dashboards.page.controls import controls, key, reading, select, when
from dashboards.page.curve_grid import curve_grid
from dashboards.page.failing import drawn_or_why_not
from dashboards.page.figure_chart import figure_chart, how
from dashboards.page.heat_map_panels import heat_map_panels
from dashboards.page.pairs import choose_pair
from dashboards.page.progress_tables import progress_key, progress_tables
from orchestrator.results.course import Course


def _nothing(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    return ""


_FORMS: dict[Form, Callable[[Figure, Source, Choice, Charts], str]] = {
    Form.CHART: figure_chart,
    Form.PANEL: figure_chart,
    Form.TABLES: progress_tables,
    Form.MAPS: heat_map_panels,
    Form.GRID: curve_grid,
    Form.BEHIND: _nothing,
}


def section_figures(section: str, source: Source, choice: Choice, charts: Charts, *per: Per) -> str:
    """The figures of a section that are of such a place, in the order of the registry; "" where none has data."""
    parts = []
    known = [figure for figure in figures_of(section, *per) if figure.is_of(source.summary)]
    for (form, folded), figures in groupby(known, lambda one: (one.page.form, one.page.folded)):
        blocks = "".join(_block(figure, source, choice, charts) for figure in figures)
        if blocks and form is Form.PANEL:
            blocks = f'<div class="panels two">{blocks}</div>'
        if blocks and folded:
            blocks = f'<details class="fold"><summary>{text(folded)}</summary>{blocks}</details>'
        parts.append(blocks)
    return "".join(parts)


def _block(figure: Figure, source: Source, choice: Choice, charts: Charts) -> str:
    draw = _FORMS[figure.page.form]
    return drawn_or_why_not(figure.title, lambda: draw(figure, source, choice, charts), source.storage)


def search_figures(section: str, source: Source, charts: Charts) -> str:
    """The figures of a section that are of a search, for each that decided what to train next, one at a time."""
    if not figures_of(section, Per.SEARCH):
        return ""
    blocks = [section_figures(section, source, Choice(search=name), charts, Per.SEARCH) for name in source.courses]
    if len(blocks) < 2:
        return "".join(blocks)
    names = [_search_name(course) for course in source.courses.values()]
    chosen = "".join(when(block, decided=place) for place, block in enumerate(blocks))
    return controls(select("Decisions of", "decided", names)) + chosen


def _search_name(course: Course) -> str:
    """Its id, when it was asked for, and how it decides."""
    settings = ", ".join(f"{name} {value}" for name, value in course.search.settings.items() if isinstance(value, str))
    when_asked = course.search.created[:16].replace("T", " ")
    return ", ".join(filter(None, [f"{course.search.proposer} {course.search.id}", when_asked, settings]))


def section_head(section: str, source: Source) -> str:
    """How the section's figures are read, their keys and the controls that they share."""
    figures = [figure for figure in figures_of(section) if figure.is_of(source.summary)]
    readings = "".join(
        reading(figure.page.reading_on_top, how(figure, source, Choice()))
        for figure in figures
        if figure.page.reading_on_top
    )
    if any(figure.page.form is Form.TABLES for figure in figures):
        readings += progress_key()
    keys = dict.fromkeys(
        _key(figure, one)
        for figure in figures
        if figure.page.controls
        for one in figure.page.keys
        if not one.score or has_score(source.summary, one.score)
    )
    known = {control.name: control for figure in figures for control in figure.page.controls}
    choices = [choose_pair(figure, source) for figure in figures if figure.per is Per.FACET]
    choices += [select(control.label, control.name, control.options_of(source.summary)) for control in known.values()]
    return readings + "".join(keys) + (controls(*choices) if choices else "")


def _key(figure: Figure, one: Key) -> str:
    """A key that is for one score stands only while the control says so."""
    if not one.score:
        return key(one)
    control = next(control.name for control in figure.page.controls if control.sets == "score")
    return when(key(one), **{control: one.score})

"""The sections of a page in their order: each holds the figures that are declared for it, and some hold more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Per
from dashboards.figures.registry import figures_of
from dashboards.page.controls import nothing
from dashboards.page.energy import energy_facts, energy_sentence
from dashboards.page.picked import picked
from dashboards.page.provenance import provenance_html
from dashboards.page.section_answer import answer_introduction, answer_section
from dashboards.page.section_backbones import section_backbones
from dashboards.page.section_data import section_data
from dashboards.page.section_errors import errors_end, errors_head
from dashboards.page.section_figures import search_figures, section_figures, section_head
from dashboards.page.section_maps import maps_end, maps_head
from dashboards.page.section_progress import section_standing
from dashboards.page.section_search import has_search_section, search_head
from dashboards.page.section_test import test_section
from dashboards.page.sheet import Sheet

_OF_A_BACKBONE = (Per.BACKBONE, Per.FACET)


@dataclass(frozen=True)
class Section:
    """introduction: what stands first, once. partition: a partition's block, where that is more than its figures.
    empty: what stands in place of a backbone's figures where none has data. end: what stands last, once."""

    name: str
    title: str
    introduction: Callable[[Sheet], str] = lambda sheet: ""
    partition: Callable[[Sheet, str], str] | None = None
    empty: str = "No results here yet."
    is_shown: Callable[[Source], bool] = lambda source: True
    end: Callable[[Sheet], str] = lambda sheet: ""

    def head(self, sheet: Sheet) -> str:
        """Stands once: introduction, figures of the study and of its searches, how the others are read, controls."""
        whole = section_figures(self.name, sheet.source, Choice(), sheet.charts, Per.STUDY)
        decided = search_figures(self.name, sheet.source, sheet.charts)
        return self.introduction(sheet) + whole + decided + section_head(self.name, sheet.source)

    def of_partition(self, sheet: Sheet, name: str) -> str:
        """The block of one partition; "" where the section has none."""
        if self.partition is not None:
            return self.partition(sheet, name)
        return section_figures(self.name, sheet.source, Choice(name), sheet.charts, Per.PARTITION)

    def of_backbone(self, sheet: Sheet, choice: Choice) -> str:
        """The block of one backbone on one partition; "" where the section has none."""
        if not figures_of(self.name, *_OF_A_BACKBONE):
            return ""
        return section_figures(self.name, sheet.source, choice, sheet.charts, *_OF_A_BACKBONE) or nothing(self.empty)


def _standing(sheet: Sheet) -> str:
    return section_standing(sheet.source, sheet.now, energy_sentence(sheet.cost), sheet.shown.names)


def _data(sheet: Sheet, partition: str) -> str:
    return section_data(sheet.source, partition, sheet.charts, sheet.albums[partition], sheet.samples)


def _provenance(sheet: Sheet) -> str:
    summary = sheet.source.summary
    facts = energy_facts(sheet.cost, summary.study.name)
    return provenance_html(sheet.origin, summary, facts, sheet.shown.names)


SECTIONS = (
    Section(
        "answer",
        "Answer",
        introduction=lambda sheet: answer_introduction(sheet.source.summary),
        partition=lambda sheet, partition: answer_section(sheet.source, partition, sheet.charts),
    ),
    Section("progress", "Progress", introduction=_standing),
    Section("heat-maps", "Heat maps"),
    Section("curves", "Curves"),
    Section("depth", "Depth", empty="This figure needs ranked configurations with at least two different depths."),
    Section(
        "backbones",
        "Backbones",
        partition=lambda sheet, partition: section_backbones(sheet.source, partition, sheet.charts),
    ),
    Section("spread", "Spread"),
    Section(
        "search",
        "Search",
        introduction=lambda sheet: search_head(sheet.source),
        is_shown=has_search_section,
        end=lambda sheet: picked(sheet.source, sheet.charts),
    ),
    Section("data", "Data", partition=_data),
    Section(
        "errors",
        "Errors",
        introduction=errors_head,
        is_shown=lambda source: source.mistakes is not None,
        end=errors_end,
    ),
    Section(
        "maps",
        "Maps",
        introduction=maps_head,
        is_shown=lambda source: bool(source.maps),
        end=maps_end,
    ),
    Section(
        "test",
        "Test",
        partition=lambda sheet, partition: test_section(sheet.source, partition, sheet.charts, sheet.albums[partition]),
    ),
    Section("provenance", "Provenance", introduction=_provenance),
)

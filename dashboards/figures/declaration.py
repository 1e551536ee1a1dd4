"""What a figure declares of itself: what it shows, what it can be asked, and how it stands on the page.

A figure is a file that exports one, and a line in `registry`. Everything that shows figures reads declarations: the
page, `orch figures`, the notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

from dashboards.figures.choice import Choice, Quantity, Reach, Source, backbones, has_score, opening_score, selection_of
from dashboards.figures.facets import LR_AND_BATCH, Pair, facets_of, names_of_facets
from dashboards.figures.palette import Spec
from orchestrator.results.course import has_chosen
from orchestrator.results.summary import Summary
from orchestrator.statistics.partitions import partitions_of
from search_spaces.settings.data import TASKS

if TYPE_CHECKING:
    import pandas as pd

Words = Callable[["pd.DataFrame", Choice], str]
About = Callable[[Source, Choice], str]


class Per(Enum):
    """What one drawing of a figure is of."""

    STUDY = "study"
    PARTITION = "partition"
    BACKBONE = "backbone"
    """Of a partition, as the next."""
    FACET = "facet"
    """Of a backbone: a grid over two settings, one for every choice of the others."""
    SEARCH = "search"
    """Of a search that decided what to train next."""


class Form(Enum):
    """How a figure stands on the page."""

    CHART = "chart"
    """Below a heading of its own, as wide as the page."""
    PANEL = "panel"
    """Beside the next panel."""
    TABLES = "tables"
    """As tables of marks, one for each facet."""
    MAPS = "maps"
    """As maps of all facets on one scale, with one legend."""
    GRID = "grid"
    """As a grid of panels for one facet at a time, with single repeats of the panel that is chosen."""
    BEHIND = "behind"
    """Behind a panel of the grid."""


@dataclass(frozen=True)
class Control:
    """A choice that a reader makes at the head of a section: its name in the page's script, its label, and by value
    what it offers; `sets` is the field of `Choice` that the value goes into. seldom: scores that are offered only where
    the study selects by them. opens_on: the value that a page opens on, where that is not the first."""

    name: str
    label: str
    options: Mapping[str, str]
    sets: Literal["score", "quantity", "against", "best"] = "score"
    seldom: tuple[str, ...] = ()
    opens_on: Callable[[Summary], str] = lambda summary: ""

    def options_of(self, summary: Summary) -> Mapping[str, str]:
        """Those that the study has; of scores the one that selects first: what a page opens on."""
        if self.sets != "score":
            first = self.opens_on(summary)
            return {key: self.options[key] for key in sorted(self.options, key=lambda key: key != first)}
        selects = opening_score(summary)
        known = [key for key in self.options if has_score(summary, key) and (key == selects or key not in self.seldom)]
        return {key: self.options[key] for key in sorted(known, key=lambda key: key != selects)}


@dataclass(frozen=True)
class Key:
    """Marks and what they mean: (class of the style sheet, words); shown only for one score where `score` names it."""

    marks: tuple[tuple[str, str], ...]
    score: str = ""


TRAIN_AND_VALID = Key((("train", "train"), ("valid", "valid")))
TRAIN_AND_VALID_MARKS = Key((("train", "train (open marks)"), ("valid", "valid (filled marks)")))


@dataclass(frozen=True)
class OnPage:
    """How a figure stands on the page, where that is not its title, its reading and a chart.

    heading: in place of the title. sentence: below it, also where there is too little to draw. saved: what the figure
    is called in a file that a reader saves. below: HTML. reading_on_top: what stands once at the head of the section
    in place of a reading at each drawing; "" where another figure's says it. more: what follows the reading, at most a
    sentence. how: what follows the figure's `how` on a page alone: how it is used, and what holds for this study.
    absent: what stands in place of a figure that has no data. folded: words behind which it is folded away, with the
    figures next to it that have the same.
    """

    form: Form = Form.CHART
    controls: tuple[Control, ...] = ()
    keys: tuple[Key, ...] = ()
    """They stand with the controls, of a figure without any at the figure."""
    min_width: int | Callable[[pd.DataFrame], int] = 0
    """Pixels; on a narrower screen the figure scrolls sideways."""
    least_rows: int = 1
    heading: Words | None = None
    sentence: Words | None = None
    saved: Words | None = None
    below: Words | None = None
    reading_on_top: str | None = None
    more: About | None = None
    how: About | None = None
    absent: About | None = None
    is_shown: Callable[[Source, Choice], bool] = lambda source, choice: True
    folded: str = ""

    def width(self, data: pd.DataFrame) -> int:
        """Pixels that these data need."""
        return self.min_width if isinstance(self.min_width, int) else self.min_width(data)


@dataclass(frozen=True)
class Compared:
    """How the figure is called and read where the data of several studies are drawn together."""

    title: str
    reading: str


@dataclass(frozen=True)
class Figure:
    """A figure is two functions: its data as a table, and the drawing of that table as a plain plotly figure.

    section: the section of the page, or the part of one, that it stands in. title: a few words. reading: the caption,
    at most two sentences: marks, band, n. how: whatever else it takes to read it; folded away on a page, behind the
    caption in print. data(source, choice): a DataFrame, empty where there is nothing to show. draw(data,
    choice): "data" and "layout" for plotly.graph_objects.Figure. label(data, choice): what a screen reader says.
    scores: keys of `choice.SCORES` or BOTH, the most telling first; () for the score that selects. against: what a
    score is set against, where it is. best: keys of `choice.BEST`. reaches: keys of `choice.REACH`; of all losses there
    are data only where some lie beyond the axis that most have. by_class: whether it is made of confusion counts or
    accuracy, which not every task has.
    """

    name: str
    section: str
    title: str
    reading: str
    data: Callable[[Source, Choice], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Choice], Spec]
    label: Words
    per: Per
    scores: tuple[str, ...] = ("loss",)
    quantities: tuple[Quantity, ...] = ("mean",)
    against: tuple[str, ...] = ("hours",)
    best: tuple[str, ...] = ("all",)
    page: OnPage = OnPage()
    compared: Compared | None = None
    by_class: bool = False
    how: str = ""
    reaches: tuple[Reach, ...] = ("most",)

    @property
    def whole_reading(self) -> str:
        """The caption and all that is folded away on a page."""
        return f"{self.reading} {self.how}".rstrip()

    def is_of(self, summary: Summary) -> bool:
        """Whether there is such a figure of the study at all."""
        return TASKS.variants[summary.study.task].has_confusion or not self.by_class

    def choices(self, summary: Summary, pair: Pair = LR_AND_BATCH) -> list[Choice]:
        """Every choice that gives a figure of its own, the most telling first; `pair` of a figure that has facets."""
        if not self.is_of(summary):
            return []
        scores = [score for score in self.scores if has_score(summary, score)]
        offered = [one.options_of(summary) for one in self.page.controls if one.sets == "against"]
        return [
            replace(place, score=score, quantity=quantity, against=against, best=best, reach=reach)
            for place in _places(summary, self.per, pair)
            for score in scores or (selection_of(summary, place),)
            for quantity in self.quantities
            for against in (offered[0] if offered else self.against)
            for best in self.best
            for reach in self.reaches
        ]

    def variants(self, summary: Summary, place: Choice) -> dict[str, Choice]:
        """What the page's controls choose from at one place, by their values joined with "|"; "only" without any.

        The last value is the reach, of a figure that has several."""
        controls = self.page.controls
        if not controls:
            return {"only": replace(place, score=self.scores[0] if self.scores else selection_of(summary, place))}
        choices = {}
        for values in product(*(one.options_of(summary) for one in controls)):
            chosen: dict[str, Any] = {one.sets: value for one, value in zip(controls, values, strict=True)}
            for reach in self.reaches:
                key = "|".join((*values, reach) if len(self.reaches) > 1 else values)
                choices[key] = replace(place, reach=reach, **chosen)
        return choices


def _places(summary: Summary, per: Per, pair: Pair) -> list[Choice]:
    if per is Per.STUDY:
        return [Choice()]
    if per is Per.SEARCH:
        decisions = summary.decisions
        return [Choice(search=one.id) for one in summary.searches[::-1] if has_chosen(one, decisions[one.id])] or [
            Choice()
        ]
    places = [Choice(partition) for partition in partitions_of(summary)]
    if per is Per.PARTITION:
        return places
    places = [replace(place, backbone=name) for place in places for name in backbones(place.members(summary))]
    if per is Per.BACKBONE:
        return places
    members = [place.members(summary) for place in places]
    return [
        replace(place, pair=pair, facet=facet)
        for place, mine in zip(places, members, strict=True)
        for facet in facets_of(mine, pair, names_of_facets(mine))
    ]

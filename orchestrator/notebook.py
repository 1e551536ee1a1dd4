"""A study in a notebook: `import orchestrator as orch; study = orch.open("studies/slides")`.

Tables are pandas DataFrames with the columns of `orch table`; figures are those of the page, as plotly objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.results.names import counted
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.place import Place
from orchestrator.study.studies import Study, open_study, studies_place
from search_spaces.classes import check_confusion

if TYPE_CHECKING:
    import pandas as pd

    from dashboards.figures.choice import Choice, Source
    from orchestrator.mistakes.found import Mistakes, Wanted


class OpenStudy:
    """What a study holds now; `refresh` reads it again. Reads only, beside running searches too.

    epochs, repeats, configurations: one row per epoch, repeat or configuration, and split; scores are means, standard
    deviations (n − 1) and n of validation and training as in `orch table`; the columns are told in
    `orchestrator.results.summary_table.build_table`.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._source: Source | None = None
        self._tables: dict[str, pd.DataFrame] = {}
        self._mistakes: dict[Wanted, Mistakes] = {}

    def __repr__(self) -> str:
        totals = self._read().summary.totals
        mark = ", synthetic" if self._study.record.synthetic else ""
        return (
            f"<study {self._study.name}{mark}: {counted(totals.configurations, 'configuration')}, {totals.done} of "
            f"{counted(totals.asked, 'repeat')} done>"
        )

    @property
    def name(self) -> str:
        return self._study.name

    @property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch and split of every repeat that has a result."""
        return self._table("epoch")

    @property
    def repeats(self) -> pd.DataFrame:
        """One row per repeat and split, at its selected epoch; NaN where there is no result yet."""
        return self._table("repeat")

    @property
    def configurations(self) -> pd.DataFrame:
        """One row per configuration and split, best rank first."""
        return self._table("config")

    @property
    def ensembles(self) -> pd.DataFrame:
        """One row per ensemble that `orch ensemble` has left, the oldest first, with what it is worth out of bag; the
        columns are told in `orchestrator.ensembles.tables.ensembles_table`."""
        from orchestrator.ensembles.record import read_ensembles
        from orchestrator.ensembles.tables import ensembles_table

        return ensembles_table(read_ensembles(self._study.storage))

    def ensemble(self, beginning: str) -> pd.DataFrame:
        """The members of the ensemble whose id begins so, with weights and how differently they err; columns as in
        `orchestrator.ensembles.tables.members_table`. Raises InputError where there is none."""
        from orchestrator.ensembles.record import read_ensemble
        from orchestrator.ensembles.tables import members_table

        return members_table(read_ensemble(self._study.storage, self.name, beginning))

    def mistakes(
        self,
        table: str = "images",
        top: int = 5,
        of: Sequence[str] = (),
        partition: str | None = None,
        by: Sequence[str] = (),
    ) -> pd.DataFrame:
        """A table of `orch mistakes`, of validation images alone: which are predicted wrong, where, by how many.

        table: images, classes, groups, slices, configurations, shared (errors that configurations share), suspects
        (labels that may be wrong) or twins (images nearly the picture of a training image of another class). top: so
        many of the best configurations, or `of` those whose ids begin so. by: columns, for slices by these alone.
        Raises InputError for what there is not.
        """
        from orchestrator.mistakes.found import Wanted, find_mistakes
        from orchestrator.mistakes.tables import TABLES

        if table not in TABLES:
            raise InputError(
                f"mistakes of study {self.name!r}: expected a table, found {table!r}", f"Tables: {', '.join(TABLES)}"
            )
        wanted = Wanted(top, tuple(of), partition, tuple(by))
        if wanted not in self._mistakes:
            self._mistakes[wanted] = find_mistakes(self._study.storage, wanted)
        return TABLES[table](self._mistakes[wanted]).copy()

    @property
    def figures(self) -> dict[str, str]:
        """Name → what it shows and how to read it."""
        from dashboards.figures.registry import FIGURES

        return {name: f"{figure.title}. {figure.whole_reading}" for name, figure in FIGURES.items()}

    def choices(self, name: str) -> list[dict[str, Any]]:
        """What the figure can be asked to show, as arguments of `figure` and `data`; the most telling first."""
        return [_arguments(choice) for choice in self._figure(name).choices(self._read().summary)]

    def figure(self, name: str, **choice: Any) -> Any:
        """The page's figure as a `plotly.graph_objects.Figure`.

        choice: any of partition, backbone, search, score, quantity, against and best; of heat maps, curves and progress
        also `pair` (columns of two settings, down and across: `("lr", "dropout")`) and `facet` (values of other
        settings by column: `{"unfrozen": 2}`). What is left out is taken from the most telling choice that agrees with
        what is given. Raises InputError for a name or a choice that there is not, and where there is nothing to draw
        yet.
        """
        from dashboards.export.objects import plotly_object

        figure, chosen = self._figure(name), self._choose(name, choice)
        data = figure.data(self._read(), chosen)
        if data.empty:
            totals = self._read().summary.totals
            raise InputError(
                f"figure {name!r}: study {self.name!r} has nothing for it to draw",
                f"What it shows: figures[{name!r}]" if totals.done or not totals.owed else "Call refresh() later.",
            )
        return plotly_object(figure.draw(data, chosen))

    def plot(
        self,
        x: str,
        y: str = "loss",
        line: str = "",
        facet: str = "",
        band: Literal["std", "none"] = "std",
        partition: str = "",
    ) -> Any:
        """A score against any setting as a `plotly.graph_objects.Figure`: `study.plot("lr", line="batch_size")`.

        x, line, facet: columns of `configurations`; every configuration is a mark, also where several share all three.
        partition: the study's own by default. Raises InputError for names that there are not, and without results.
        """
        from dashboards.export.objects import plotly_object
        from dashboards.figures.any_axes import Asked, any_data, any_figure
        from dashboards.figures.choice import Choice
        from orchestrator.statistics.partitions import partitions_of

        asked = Asked(x, y, line, facet, band)
        source = self._read()
        asked.check(source.summary)
        names = partitions_of(source.summary)
        data = any_data(source, Choice(partition or (names[0] if names else "")), asked)
        if data.empty:
            raise InputError(f"study {self.name!r} has no results to draw yet", "Call refresh() later.")
        return plotly_object(any_figure(data, asked))

    def data(self, name: str, **choice: Any) -> pd.DataFrame:
        """The table that the figure draws; empty where there is nothing yet. Arguments as of `figure`."""
        table: pd.DataFrame = self._figure(name).data(self._read(), self._choose(name, choice))
        return table

    def refresh(self) -> OpenStudy:
        """Read again what has been finished since."""
        self._source = None
        self._tables = {}
        self._mistakes = {}
        return self

    def _read(self) -> Source:
        if self._source is None:
            from dashboards.figures.registry import open_source

            self._source = open_source(self._study.storage)
        return self._source

    def _table(self, level: Any) -> pd.DataFrame:
        from orchestrator.results.summary_table import build_table

        if level not in self._tables:
            self._tables[level] = build_table(self._read().summary, level)
        return self._tables[level].copy()

    def _figure(self, name: str) -> Any:
        from dashboards.figures.registry import FIGURES

        if name not in FIGURES:
            raise InputError(f"there is no figure {name!r}", f"Figures: {', '.join(FIGURES)}")
        if FIGURES[name].by_class:
            check_confusion(self._study.record.task, f"figure {name!r} of study {self.name!r}")
        return FIGURES[name]

    def _choose(self, name: str, given: Mapping[str, Any]) -> Choice:
        from dashboards.figures.choice import Choice
        from dashboards.figures.facets import LR_AND_BATCH, checked_pair

        unknown = sorted(set(given) - set(_arguments(Choice())))
        if unknown:
            raise InputError(
                f"figure {name!r}: expected {', '.join(_arguments(Choice()))}, found {', '.join(unknown)}",
                f"Possible choices: study.choices({name!r})",
            )
        wanted = dict(given)
        pair = checked_pair(name, wanted.pop("pair", LR_AND_BATCH))
        facet = dict(wanted.pop("facet", None) or {})
        there: list[Choice] = self._figure(name).choices(self._read().summary, pair)
        for choice in there:
            fits = all(getattr(choice, key) == value for key, value in wanted.items())
            if fits and facet.items() <= (dict(choice.facet.values) if choice.facet else {}).items():
                return choice
        if not there:
            return Choice(**wanted)
        raise InputError(
            f"figure {name!r}: there is nothing with {given}", f"Possible choices: study.choices({name!r})"
        )


def open_folder(folder: str | Path) -> OpenStudy:
    """The study in `folder` (`studies/slides`, `s3://bucket/studies/slides`), or of that name in `$ORCH_STUDIES` or
    `./studies`. Raises InputError with the studies that exist where there is none.
    """
    place = Place.of(folder)
    path = place.path
    if path is not None and len(path.parts) == 1 and not (path / layout.STUDY).is_file():
        return OpenStudy(open_study(studies_place(None), path.name))
    whole = place if path is None else Place.of(path.absolute())
    return OpenStudy(open_study(whole.parent, whole.name))


def _arguments(choice: Choice) -> dict[str, Any]:
    return {**vars(choice), "pair": tuple(choice.pair), "facet": dict(choice.facet.values) if choice.facet else {}}

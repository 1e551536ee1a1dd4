"""Every figure of a study as a file for a paper, its data beside it, and one text with all captions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from dashboards.export.images import Format, NoRendererError, render, why_not
from dashboards.export.paper import for_paper
from dashboards.figures.any_axes import Asked, any_data, any_figure, reading
from dashboards.figures.choice import BEST, QUANTITIES, SCORES, Choice, Source
from dashboards.figures.declaration import Figure
from dashboards.figures.failure import cause_of
from dashboards.figures.markup import backbone_text
from dashboards.figures.palette import Spec
from dashboards.figures.registry import FIGURES
from orchestrator.statistics.partitions import partitions_of
from orchestrator.store.errors import Faults
from orchestrator.store.open import open_storage
from orchestrator.store.place import Place, Where

CAPTIONS = "captions.md"


@dataclass(frozen=True)
class Written:
    """One figure: its name, what was chosen in words, and its files; `image` is none where it could not be drawn."""

    figure: str
    caption: str
    data: Place
    image: Place | None


@dataclass(frozen=True)
class Lost:
    """A figure that could not be drawn: its name and choice, and why, in a line."""

    figure: str
    cause: str


@dataclass(frozen=True)
class Exported:
    written: tuple[Written, ...]
    lost: tuple[Lost, ...]
    problem: str
    """One line that says why there are no image files; "" where there are."""


def checked_figures(names: Sequence[str]) -> tuple[str, ...]:
    """The names if all are figures, every figure for none; raises InputError with those that there are."""
    faults = Faults("figures")
    faults.extend(f"there is no {name!r}" for name in names if name not in FIGURES)
    faults.raise_if_any(f"Figures: {', '.join(FIGURES)}")
    return tuple(dict.fromkeys(names)) or tuple(FIGURES)


def telling_choices(figure: Figure, source: Source, every: bool) -> list[Choice]:
    """Choices of which files are written: all, or those of means of the score that the study selects by."""
    choices = figure.choices(source.summary)
    if every or not choices:
        return choices
    scores = {choice.score for choice in choices}
    selection = source.summary.study.selection
    score = selection if selection in scores else choices[0].score
    plain = Choice()
    return [
        choice
        for choice in choices
        if (choice.score, choice.quantity, choice.best, choice.reach)
        == (score, plain.quantity, plain.best, plain.reach)
    ]


def write_figures(
    source: Source,
    where: Where,
    form: Format = "svg",
    names: Sequence[str] = (),
    every: bool = False,
    width_mm: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write `<figure>-<choice>.<form>` and `.csv` for every figure that has data, and the captions, to `where`.

    Without kaleido or a browser the tables are written all the same, and without a figure that cannot be drawn all
    others. progress(done, total) counts figures. Raises InputError for an unknown name, and for one that says nothing
    of the study's task.
    """
    study = source.summary.study
    faults = Faults("figures")
    for name in names:
        if name in FIGURES and not FIGURES[name].is_of(source.summary):
            faults.add(f"{name!r} is made class by class, which the task {study.task} of study {study.name!r} is not")
    faults.raise_if_any(f"Figures: {', '.join(name for name, one in FIGURES.items() if one.is_of(source.summary))}")
    wanted = [
        _wanted(FIGURES[name], choice, source)
        for name in checked_figures(names)
        for choice in telling_choices(FIGURES[name], source, every)
    ]
    return _write(wanted, where, CAPTIONS, form, width_mm, progress)


def write_any(
    source: Source, where: Where, asked: Asked, form: Format = "svg", width_mm: float | None = None
) -> Exported:
    """Write a score against settings, one file for each partition, as `write_figures` does. Raises InputError."""
    asked.check(source.summary)
    partitions = partitions_of(source.summary)
    wanted = [
        _Wanted(
            asked.name,
            f"{asked.name}-{partition}" if len(partitions) > 1 else asked.name,
            reading(asked) + _mark(source),
            partial(any_data, source, Choice(partition), asked),
            partial(any_figure, asked=asked),
        )
        for partition in partitions
    ]
    return _write(wanted, where, f"{asked.name}.md", form, width_mm)


@dataclass(frozen=True)
class _Wanted:
    """A figure that is to be written: what it is called, how to read it, and how it is made."""

    figure: str
    stem: str
    caption: str
    data: Callable[[], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Spec]


def _wanted(figure: Figure, choice: Choice, source: Source) -> _Wanted:
    return _Wanted(
        figure.name,
        f"{figure.name}-{choice.name(source.summary)}".rstrip("-"),
        caption(figure.name, choice, source),
        lambda: figure.data(source, choice),
        lambda data: figure.draw(data, choice),
    )


def _write(
    wanted: Sequence[_Wanted],
    where: Where,
    captions: str,
    form: Format,
    width_mm: float | None,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write what has data: a table and an image each, and a file of captions."""
    place = Place.of(where)
    storage = open_storage(place)
    written: dict[str, Written] = {}
    drawn: set[str] = set()
    lost: list[Lost] = []

    def take(stem: str, image: bytes) -> None:
        storage.replace(f"{stem}.{form}", image)
        drawn.add(stem)

    def lose(stem: str, error: Exception) -> None:
        lost.append(Lost(stem, cause_of(error)))

    def tables() -> Iterator[tuple[str, Spec]]:
        for done, one in enumerate(wanted):
            if progress is not None:
                progress(done, len(wanted))
            stem = _free(one.stem, written)
            try:
                data = one.data()
                if data.empty:
                    continue
                table, spec = _csv(data), for_paper(one.draw(data), width_mm)
            except Exception as error:  # no fault of one figure may cost the others
                lose(stem, error)
                continue
            storage.replace(f"{stem}.csv", table)
            written[stem] = Written(
                one.figure, f"{one.caption}{_n_words(one.caption, data)}", place / f"{stem}.csv", None
            )
            yield stem, spec

    figures = tables()
    problem = why_not()
    if not problem:
        try:
            render(figures, form, take, lose)
        except NoRendererError as error:
            problem = error.message
    for _ in figures:
        pass  # the tables of what could not be drawn
    if written:
        storage.replace(captions, _captions(written).encode())
    files = (
        Written(one.figure, one.caption, one.data, place / f"{stem}.{form}" if stem in drawn else None)
        for stem, one in written.items()
    )
    return Exported(tuple(files), tuple(lost), problem)


def caption(name: str, choice: Choice, source: Source) -> str:
    """What the figure shows, of what, and how to read it; never without saying that data are synthetic where so."""
    figure = FIGURES[name]
    of = [backbone_text(choice.backbone)] if choice.backbone else []
    of += [choice.facet.name] if choice.facet else []
    if {one.score for one in figure.choices(source.summary)} != {"loss"}:
        of.append(SCORES.get(choice.score, "loss and accuracy").lower())
    if choice.quantity != "mean":
        of.append(QUANTITIES[choice.quantity])
    if choice.best != "all":
        of.append(BEST[choice.best])
    return f"{figure.title}{': ' if of else ''}{', '.join(of)}. {figure.whole_reading}{_mark(source)}"


def _n_words(caption: str, data: pd.DataFrame) -> str:
    """The number behind the n of a caption, from the table that is drawn; "" where it says nothing of n."""
    if not re.search(r"\bn\b(?! [−≥=])", caption):
        return ""
    known = next((name for name in ("n", "repeats") if name in data), None)
    if known is not None:
        numbers = data[known].dropna()
    elif "repeat" in data:
        numbers = data.groupby([name for name in ("place", "configuration") if name in data])["repeat"].nunique()
    else:
        return ""
    if numbers.empty:
        return ""
    least, most = int(numbers.min()), int(numbers.max())
    return f" n = {least}." if least == most else f" n = {least} to {most}."


def _mark(source: Source) -> str:
    return " Synthetic data." if source.summary.study.synthetic else ""


def _free(stem: str, taken: dict[str, Written]) -> str:
    """A name that no other figure has: names of backbones are shortened, so two may come out alike."""
    number, free = 2, stem
    while free in taken:
        free, number = f"{stem}-{number}", number + 1
    return free


def _csv(data: pd.DataFrame) -> bytes:
    """UTF-8, one line per row; columns of tuples are for drawing only and stay out."""
    shown = [name for name in data.columns if not isinstance(data[name].iloc[0], tuple)]
    return data[shown].to_csv(index=False).encode()


def _captions(written: dict[str, Written]) -> str:
    return "".join(f"**{stem}** {one.caption}\n\n" for stem, one in written.items())

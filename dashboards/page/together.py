"""Ensembles on the page: what those that were chosen are worth out of bag, and what tests of them found."""

from __future__ import annotations

from dashboards.figures.choice import Source
from dashboards.figures.markup import number, table, text
from dashboards.page.controls import reading
from dashboards.page.points_and_parts import operating_points, subgroups
from dashboards.page.sample_images import Album
from dashboards.page.score_cells import Cells, secondary
from orchestrator.ensembles.record import EnsembleRecord, read_ensembles
from orchestrator.ensembles.report import NO_INTERVAL, verdict
from orchestrator.evaluation.ensemble_record import Difference, EnsembleEvaluation, read_ensemble_evaluations

_SHOWN = 5
"""The newest ensembles; `orch ensemble --list` has all."""
_COMPARED = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "log_loss": "Log loss",
}


def ensembles_made(source: Source, partition: str) -> str:
    """A table of the partition's ensembles, with what is said of each; "" where there are none."""
    made = [one for one in read_ensembles(source.storage) if partition in ("", one.partition)][-_SHOWN:]
    if not made:
        return ""
    columns = ["Ensemble", "Members", "Models", "Made for", "Out of bag", "Best alone", "Its repeats", "In-sample"]
    told = "".join(f"<li>{text(one.id)}: {text(verdict(one))}</li>" for one in made)
    return (
        "<h3>Configurations together</h3>"
        + table(columns, [_made(one) for one in made], "Ensembles of kept validation predictions", "cards")
        + f'<ul class="notes">{told}</ul>'
        + reading(
            "Out of bag: members, weights and the best single configuration are chosen again in bags of validation "
            "groups and scored on groups that were not drawn. In-sample: the ensemble on the images that chose it, so "
            "optimistic.",
            f"Best alone and its repeats together are scored in the same bags. {NO_INTERVAL}",
        )
    )


def ensembles_tested(source: Source, partition: str, album: Album) -> str:
    """Tests of ensembles on the partition, the first look first; "" where there are none."""
    tests = [one for one in read_ensemble_evaluations(source.storage) if partition in ("", one.partition)]
    if not tests:
        return ""
    columns = ["Ensemble", "Look", "Models", "Against", *_COMPARED.values()]
    rows = [row for one in tests for row in _tested(one)]
    told = "".join(f"<li>{text(one.ensemble)}: {text(one.said)}</li>" for one in tests)
    return (
        "<h3>Ensembles beside the single configuration</h3>"
        + table(columns, rows, "Ensembles on test images", "cards")
        + f'<ul class="notes">{told}</ul>'
        + reading(
            "How much better the ensemble is on the same images (positive is better, for a loss too), with the 95 % "
            "interval over groups in brackets where there are enough. The primary estimate of the single configuration "
            "remains the result: an ensemble is a further look at the test images, and is counted."
        )
        + "".join(_beside(one, album) for one in tests[-_SHOWN:])
    )


def _beside(one: EnsembleEvaluation, album: Album) -> str:
    """What else was asked of the ensemble, with the same of the single configuration."""
    cells, alone = Cells(), "best alone"
    points = [(alone, point) for point in one.single_operating_points]
    points += [(one.ensemble, point) for point in one.operating_points]
    parts = [(alone, part) for part in one.single_subgroups] + [(one.ensemble, part) for part in one.subgroups]
    several = [*(s for s in (one.single, one.own, one.estimate) if s is not None), *one.single_others, *one.others]
    tables = [
        secondary(several, cells) if one.others else "",
        operating_points(points, cells),
        subgroups(parts, cells, album),
    ]
    if not any(tables):
        return ""
    return f"<h4>Beside it, of ensemble {text(one.ensemble)}</h4>{''.join(tables)}{cells.notes()}"


def _made(one: EnsembleRecord) -> list[str]:
    out = one.out_of_bag
    scores = ("–", "–", "–")
    if out is not None:
        scores = (number(out.scores.ensemble), number(out.scores.single), number(out.scores.rival))
    return [
        one.id,
        str(len(one.counting)),
        str(one.cost.models),
        one.metric_words,
        *scores,
        number(one.in_sample.ensemble),
    ]


def _tested(one: EnsembleEvaluation) -> list[list[str]]:
    sides = [(f"single models of {one.single_name}", one.differences), ("its own repeats together", one.over_own)]
    return [
        [f"{one.title} ({one.ensemble})", str(one.number), str(one.models), what, *_cells(several)]
        for what, several in sides
        if several
    ]


def _cells(several: tuple[Difference, ...]) -> list[str]:
    by = {one.metric: one for one in several}
    return [_cell(by.get(name)) for name in _COMPARED]


def _cell(one: Difference | None) -> str:
    if one is None or one.value is None:
        return "–"
    limits = f" [{one.interval.low:+.3f}, {one.interval.high:+.3f}]" if one.interval is not None else ""
    return f"{one.value:+.3f}{limits}"

"""A test of an ensemble in words and tables, for a terminal."""

from __future__ import annotations

from orchestrator.evaluation.ensemble_record import Difference, EnsembleEvaluation
from orchestrator.evaluation.record import Interval, Score, absent_kinds
from orchestrator.evaluation.text import (
    interval_cell,
    metric_name,
    noted,
    point_lines,
    secondary_lines,
    subgroup_lines,
    table_lines,
)
from orchestrator.results.grouped import images_in

_ITSELF = "the ensemble"
_SINGLE = "single models of the best configuration"


def ensemble_text(record: EnsembleEvaluation) -> str:
    """What a reader needs to judge the numbers; the record has all of them."""
    times = "once" if record.looks == 1 else f"{record.looks} times"
    lines = [
        f"Test of study {record.study}: {record.name} ({record.ensemble}), compared with {record.single_name} "
        f"({record.single_configuration})",
        f"{images_in(record.images, record.groups, record.group_meaning)}; looked at {times}",
    ]
    if record.external:
        lines.append(f"External images: {record.external}. Temperatures were fitted on the study's valid split.")
    if record.synthetic:
        lines.append("SYNTHETIC images: these numbers say nothing about real ones.")
    if record.first:
        lines.append(f"This is look {record.number}. The first one, whose estimate counts, evaluated {record.first}.")
    lines += [f"Note: {note}" for note in record.notes]
    several = [record.single, *([record.own] if record.own else []), record.estimate]
    several += [*record.single_others, *record.others]
    parts = [lines, [*secondary_lines(several), *filter(None, [absent_kinds(record.groups)])]]
    parts.append(_differences(_SINGLE, record.differences, record.classes))
    if record.own is not None:
        parts.append(_differences("that configuration's own repeats together", record.over_own, record.classes))
    parts.append([record.said])
    for point in record.operating_points:
        parts += [
            point_lines(one, _SINGLE)
            for one in record.single_operating_points
            if (one.asked, one.name) == (point.asked, point.name)
        ]
        parts.append(point_lines(point, _ITSELF))
    for part in record.subgroups:
        parts += [
            subgroup_lines(one, _SINGLE)
            for one in record.single_subgroups
            if (one.column, one.value) == (part.column, part.value)
        ]
        parts.append(subgroup_lines(part, _ITSELF))
    return "\n\n".join("\n".join(part) for part in parts)


def verdict(record: EnsembleEvaluation) -> str:
    """What the intervals show, by what the ensemble was made for, else by balanced accuracy."""
    name = record.target or "balanced_accuracy"
    over, own = _of(record.differences, name), _of(record.over_own, name)
    by = f"By {_named(name, record.classes)}, "
    if over is None:
        return f"{by}it is not known whether the ensemble is better: the difference has no interval."
    if over.high < 0:
        return f"{by}the ensemble is worse than its best member."
    if over.low <= 0:
        return f"{by}the ensemble is not shown to be better than its best member."
    if record.own is not None and (own is None or own.low <= 0):
        return (
            f"{by}the ensemble is better than one model of its best member, but not shown to be better than that "
            "member's own repeats together."
        )
    return f"{by}the ensemble is better than its best member."


def _of(several: tuple[Difference, ...], name: str) -> Interval | None:
    return next((one.interval for one in several if one.metric == name), None)


def _named(name: str, classes: tuple[str, ...]) -> str:
    plain, _, number = name.partition("/")
    return f"{metric_name(plain)} of {classes[int(number)]}" if number else metric_name(plain)


def _differences(what: str, several: tuple[Difference, ...], classes: tuple[str, ...]) -> list[str]:
    """With 95 % intervals over groups, or the reasons why there are none."""
    notes: dict[str, str] = {}
    rows = [["difference in", "", "95 % interval over groups"]]
    for one in several:
        value = "none" if one.value is None else f"{one.value:+.3f}"
        score = Score(value=one.value, reason=one.reason)
        limits = f"[{one.interval.low:+.3f}, {one.interval.high:+.3f}]" if one.interval else interval_cell(score, notes)
        rows.append([_named(one.metric, classes), value, limits])
    told = f"The ensemble against {what}, on the same images (positive: the ensemble is better)"
    return [told, *table_lines(rows), *noted(notes)]

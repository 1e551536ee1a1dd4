"""An evaluation in words and tables, for a terminal. Reasons for what is missing stand once, as notes below a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.evaluation.limits import LEAST_GROUPS
from orchestrator.evaluation.record import (
    Estimate,
    EvaluationRecord,
    Level,
    OperatingPoint,
    Score,
    Subgroup,
    absent_kinds,
)
from orchestrator.results.grouped import images_in, of_groups
from orchestrator.results.names import counted

_NAMES = {
    "mcc": "Matthews correlation",
    "kappa": "Cohen's kappa",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "npv": "NPV",
    "ppv": "PPV",
    "macro_f1": "macro F1",
    "f1": "F1",
    "recall": "sensitivity",
    "precision": "PPV",
}
_CLASS_TABLES = (("recall", "specificity", "precision", "npv"), ("f1", "roc_auc", "average_precision"))
_BRIEF = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
_FEW = f"a class in this metric has fewer than {LEAST_GROUPS} test groups"
_MARKS = "abcdefghijklmnopqrstuvwxyz"


def as_text(record: EvaluationRecord) -> str:
    """What a reader needs to judge the numbers; the record has all of them."""
    others = [estimate for estimate in record.estimates if not estimate.is_primary]
    beside = secondary_lines([record.primary, *others]) if others else []
    parts = [_heading(record), _primary(record), beside]
    parts += [point_lines(point) for point in record.operating_points]
    parts += [subgroup_lines(part) for part in record.subgroups]
    parts.append(
        [f"Predictions, in the study's folder: {record.predictions}. The test images were {record.looked_at}."]
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _heading(record: EvaluationRecord) -> list[str]:
    repeats = counted(len(record.repeats), "repeat")
    lines = [
        f"Test of study {record.study}: {record.name} ({record.configuration}), {repeats}; {record.chosen}",
        f"{images_in(record.images, record.groups, record.group_meaning)}; {record.looked_at}",
    ]
    if record.external:
        lines.append(
            f"External images: {record.external}. Thresholds and temperatures were chosen on the study's valid split."
        )
    if record.synthetic:
        lines.append("SYNTHETIC images: these numbers say nothing about real ones.")
    if record.first:
        lines.append(f"This is look {record.number}. The first one, whose estimate counts, evaluated {record.first}.")
    return [*lines, *(f"Note: {note}" for note in record.notes)]


def _primary(record: EvaluationRecord) -> list[str]:
    return [f"Primary estimate: {record.primary.name}", *estimate_lines(record.primary, record.groups)]


def estimate_lines(estimate: Estimate, groups: int) -> list[str]:
    """An estimate at its levels, and what so many test groups cannot show."""
    lines = [
        "± is the standard deviation over repeats (retraining), [ ] the 95 % interval over groups.",
        *filter(None, [absent_kinds(groups)]),
        *_level_lines(estimate.image, estimate.even),
    ]
    if estimate.group is None:
        return [*lines, "", f"No scores per group: {estimate.no_group}."]
    return [*lines, *_level_lines(estimate.group)]


def _level_lines(level: Level, even: Level | None = None) -> list[str]:
    """All metrics of one level, with the reasons for what is missing; even: the same images, groups alike."""
    lines = ["", f"Per {level.unit} ({level.count})"]
    notes: dict[str, str] = {}
    rows = [[metric_name(name), *_cells(score, notes)] for name, score in level.overall.items()]
    if even is not None:
        lines[-1] += "; class tables: mean over images"
        others = (_cells(score, notes) for score in even.overall.values())
        rows = [[*row, f"{value} {limits}".rstrip()] for row, (value, _, limits) in zip(rows, others, strict=True)]
        rows.insert(0, ["", "mean over images", "", "", "mean over groups"])
    lines += table_lines(rows)
    for metrics in _CLASS_TABLES:
        rows = [["class", "images" if level.unit == "image" else "groups", *(metric_name(name) for name in metrics)]]
        for entry in level.classes:
            count = f"{entry.images} in {entry.groups}" if level.unit == "image" else str(entry.groups)
            rows.append([entry.name, count, *(_cell(entry.scores[name], notes) for name in metrics)])
        lines += ["", *table_lines(rows)]
    return [*lines, *noted(notes)]


def secondary_lines(others: Sequence[Estimate]) -> list[str]:
    """A table of estimates that do not count as the result, below one that they are compared with, if it is given."""
    if not others:
        return []
    notes: dict[str, str] = {}
    rows = [["", *(metric_name(name) for name in _BRIEF)], *(_brief(estimate, notes) for estimate in others)]
    return ["Secondary estimates, per image", *table_lines(rows), *noted(notes)]


def _brief(estimate: Estimate, notes: dict[str, str]) -> list[str]:
    return [estimate.title, *(_cell(estimate.image.overall[name], notes) for name in _BRIEF)]


def point_lines(point: OperatingPoint, who: str = "") -> list[str]:
    """who: whose it is, where several are told."""
    reached = ", ".join(f"{name} {value:.3f}" for name, value in point.valid.items())
    told = f"Operating point {point.asked} for {point.name}, chosen on the valid split (there: {reached})"
    return [f"{told}{who and ': '}{who}", *_table(point.scores)]


def subgroup_lines(part: Subgroup, who: str = "") -> list[str]:
    told = f"{part.column} = {part.value}: {of_groups(part.images, part.groups)}{who and ': '}{who}"
    return [told, *_table({name: part.overall[name] for name in _BRIEF})]


def _table(scores: Mapping[str, Score]) -> list[str]:
    notes: dict[str, str] = {}
    return [
        *table_lines([[metric_name(name), *_cells(score, notes)] for name, score in scores.items()]),
        *noted(notes),
    ]


def metric_name(name: str) -> str:
    """As shown to a reader: "Matthews correlation" for "mcc"."""
    plain = name.removesuffix("_scaled")
    shown = _NAMES.get(plain, plain.replace("_", " "))
    return shown if plain == name else f"{shown} after temperature scaling"


def _cells(score: Score, notes: dict[str, str]) -> list[str]:
    """Value, spread, interval."""
    value = "none" if score.value is None else f"{score.value:.3f}"
    return [value, "" if score.std is None else f"± {score.std:.3f}", interval_cell(score, notes, 3)]


def _cell(score: Score, notes: dict[str, str]) -> str:
    """Value and interval; how many groups the classes have stands in the row already."""
    if score.few_groups:
        lost = score.reason.rpartition("; ")[0]
        score = score.model_copy(update={"reason": "; ".join(filter(None, [lost, _FEW]))})
    value = "none" if score.value is None else f"{score.value:.2f}"
    return f"{value} {interval_cell(score, notes, 2)}".rstrip()


def interval_cell(score: Score, notes: dict[str, str], digits: int = 3) -> str:
    """The limits, or a letter for the reason why there are none, which joins `notes`."""
    if score.interval is None:
        return _mark(f"no interval: {score.reason}" if score.reason else "", notes)
    limits = f"[{score.interval.low:.{digits}f}, {score.interval.high:.{digits}f}]"
    return " ".join(filter(None, [limits, _mark(score.reason, notes)]))


def _mark(reason: str, notes: dict[str, str]) -> str:
    """A letter for each reason, in the order in which they first occur; "" for none."""
    if not reason:
        return ""
    if reason not in notes:
        count = len(notes)
        notes[reason] = _MARKS[count % 26] * (count // 26 + 1)
    return f"({notes[reason]})"


def noted(notes: Mapping[str, str]) -> list[str]:
    """The reasons that a table's letters stand for."""
    return [f"  ({mark}) {reason}" for reason, mark in notes.items()]


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns padded to one width, indented."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]

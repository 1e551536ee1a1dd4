"""What a model card says of test scores: the estimate that counts, what stands beside it, and other images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from orchestrator.evaluation.nested_record import NestedRecord
from orchestrator.evaluation.record import (
    ClassScores,
    EvaluationRecord,
    Level,
    OperatingPoint,
    Score,
    absent_kinds,
)
from orchestrator.evaluation.text import metric_name
from orchestrator.export.card_data import looked
from orchestrator.export.card_scores import matrix
from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import cell, table
from orchestrator.results.grouped import grouped_by, of_groups
from orchestrator.results.names import counted

_BRIEF = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
_FEW_GROUPS = re.compile(r"[^; ][^;]*: (?:\d+|no) test groups?(?:, and \d+ more class(?:es)?)?")


def test_lines(facts: CardFacts) -> list[str]:
    """The test split first, then other images, then the nested evaluation; who has not looked is told how."""
    if facts.evaluation is None:
        seen = f"This configuration has no test scores: {looked(facts.looks)}"
        lines = [f"{seen}. Once the choice is made, run `orch evaluate {facts.study.name}`."]
    else:
        lines = [*_own(facts, facts.evaluation), "", *_secondary(facts, facts.evaluation)]
    for number, record in enumerate(facts.external, 1):
        which = f" ({number})" if len(facts.external) > 1 else ""
        meaning = cell(grouped_by(record.group_meaning))
        lines += ["", f"### Images from elsewhere{which}", "", meaning, "", *_own(facts, record), ""]
        lines += _secondary(facts, record)
    for nested in facts.nested:
        lines += ["", "### Nested cross-validation", "", *_nested(nested)]
    return lines


def _place(facts: CardFacts, record: EvaluationRecord) -> int | None:
    """Of the exported model in each score's `each`."""
    return record.place_of(facts.chosen.repeat, int(facts.record.meta["selected_epoch"]))


def _own(facts: CardFacts, record: EvaluationRecord) -> list[str]:
    """The file's own scores and the primary estimate beside them, on image and group level; intervals, or the reason
    why there is none."""
    primary, n, place = record.primary, len(record.repeats), _place(facts, record)
    lines = [
        f"{of_groups(record.images, record.groups)}, {record.looked_at}.",
        "",
        f"* **This file**: {_of_the_file(facts, record)}",
        f"* **The procedure**: {primary.name}; n = {n}. This estimate was fixed before the first look, and says what "
        "to expect of one repeat of this configuration. ± is the standard deviation over repeats (retraining), [ ] the "
        "95 % interval over groups, which describes other groups of the same kind. " + absent_kinds(record.groups),
    ]
    if any(name.endswith("_scaled") for name in primary.image.overall):
        lines += [
            "",
            f"Scores after temperature scaling: logits divided by one temperature per repeat{_temperature(record)}, "
            "fitted on the valid split. This file does not scale them.",
        ]
    lines += ["", "By image:", "", *_level(primary.image, place, primary.even)]
    if primary.group is not None:
        lines += ["", "By group, one prediction each:", "", *_level(primary.group, place)]
    if primary.group is None and primary.no_group:
        lines += ["", f"No scores by group: {primary.no_group}."]
    counts = np.array(primary.image.confusion)
    if place is not None:
        lines += ["", "Confusion matrix of the test images, this file (truth in rows):", ""]
        lines += matrix(record.classes, counts[place])
    lines += ["", f"Confusion matrix of the test images, the procedure: all {n} repeats together (truth in rows):", ""]
    lines += matrix(record.classes, counts.sum(axis=0))
    for point in record.operating_points:
        lines += ["", *_point(point, place)]
    return [*lines, *(f"\n{cell(note)}" for note in record.notes)]


def _of_the_file(facts: CardFacts, record: EvaluationRecord) -> str:
    repeat, epoch = facts.chosen.repeat, int(facts.record.meta["selected_epoch"])
    there = dict(zip(record.repeats, record.selected_epochs, strict=True))
    if _place(facts, record) is not None:
        named = " It was named by whoever exported it, perhaps for a score." if facts.chosen.repeat_was_named else ""
        return f"the scores of repeat {repeat}, the exported one, without intervals of their own.{named}"
    if repeat not in there:
        return f"no score of its own: repeat {repeat} was not among those evaluated."
    if there[repeat] != epoch:
        return f"no score of its own: repeat {repeat} was evaluated at epoch {there[repeat]}, but exported at {epoch}."
    return f"no score of its own is kept; `orch evaluate {record.study}` adds it without a further look."


def _point(point: OperatingPoint, place: int | None) -> list[str]:
    lines = [f"Operating point {point.asked} ({point.name}), each repeat's threshold chosen on the valid split:", ""]
    if place is not None and any(score.each for score in point.scores.values()):
        own = ", ".join(f"{metric_name(name)} {_of(score, place)}" for name, score in point.scores.items())
        lines.append(f"* this file: threshold {point.thresholds[place]:.4g}: {own};")
    marks: dict[str, str] = {}
    reached = ", ".join(f"{metric_name(name)} {_marked(score, marks)}" for name, score in point.scores.items())
    return [*lines, f"* the procedure: {reached}.", *_noted(marks)[1:]]


def _temperature(record: EvaluationRecord) -> str:
    values = record.primary.temperature
    return f" ({min(values):.2f} to {max(values):.2f})" if values else ""


def _secondary(facts: CardFacts, record: EvaluationRecord) -> list[str]:
    """Other ways to predict, and parts of the test set: beside the result, not in its place."""
    marks: dict[str, str] = {}
    place = _place(facts, record)
    rows: list[tuple[str, ...]] = []
    for estimate in record.estimates if len(record.estimates) > 1 else ():
        overall = estimate.image.overall
        if place is not None and (estimate.tta or estimate.augmented) and not estimate.ensemble:
            rows.append((f"{estimate.name}, this file", *(_of(overall[metric], place) for metric in _BRIEF)))
        rows.append((estimate.title, *(_marked(overall[metric], marks) for metric in _BRIEF)))
    for part in record.subgroups:
        name = f"{part.column} = {part.value} ({of_groups(part.images, part.groups)})"
        if place is not None:
            rows.append((f"{name}, this file", *(_of(part.overall[metric], place) for metric in _BRIEF)))
        rows.append((f"{name}, the procedure", *(_marked(part.overall[metric], marks) for metric in _BRIEF)))
    if not rows:
        return []
    heads = ("by image", *(metric_name(name) for name in _BRIEF))
    told = "Secondary estimates, not the result. Only rows that say so are of this file, which sees each image once:"
    return [told, "", *table(heads, rows), *_noted(marks)]


def _nested(record: NestedRecord) -> list[str]:
    pooled, marks = record.estimates[0], dict[str, str]()
    rows = [(metric_name(name), _marked(pooled.image.overall[name], marks)) for name in _BRIEF]
    whole = "the whole search, with its decisions, and " if record.searches else ""
    return [
        f"These are scores of the procedure, not of this file: in {len(record.folds)} outer folds over all "
        f"{record.groups} groups, {whole}the selection by {record.selection.replace('_', ' ')} ({record.looked_at}) "
        f"among {counted(record.candidates, 'configuration')} was repeated and tested on groups it had not seen. The "
        "outer folds include the images of the test split.",
        "",
        *table(("by image", "value"), rows),
        *_noted(marks),
    ]


def _level(level: Level, place: int | None, even: Level | None = None) -> list[str]:
    marks: dict[str, str] = {}
    names = list(dict.fromkeys(name for one in level.classes for name in one.scores))
    counts = ("images", "groups") if level.unit == "image" else ("groups",)
    heads = ("class", *counts, *(metric_name(name) for name in names))
    columns = ["metric", "the procedure"]
    rows = [[metric_name(name), _marked(score, marks)] for name, score in level.overall.items()]
    if even is not None:
        columns = ["metric", "the procedure, mean over images", "mean over groups"]
        rows = [[*row, _marked(score, marks)] for row, score in zip(rows, even.overall.values(), strict=True)]
    own: list[str] = []
    if place is not None:
        columns.insert(1, "this file")
        for row, (name, score) in zip(rows, level.overall.items(), strict=True):
            # temperatures are not in the file
            row.insert(1, "–" if name.endswith("_scaled") else _of(score, place))
        each = [_class_row(one, counts, [_of(one.scores.get(name), place) for name in names]) for one in level.classes]
        own = ["", "Each class against the rest, this file:", "", *table(heads, each)]
    of_all = [
        _class_row(one, counts, [_marked(one.scores[n], marks) if n in one.scores else "–" for n in names])
        for one in level.classes
    ]
    lines = [*table(columns, rows), *own, "", "Each class against the rest, the procedure:", "", *table(heads, of_all)]
    return [*lines, *_noted(marks)]


def _noted(marks: dict[str, str]) -> list[str]:
    return ["", *(f"* ({mark}) {cell(reason)}." for reason, mark in marks.items())] if marks else []


def _class_row(one: ClassScores, counts: Sequence[str], scores: Sequence[str]) -> tuple[object, ...]:
    return one.name, *({"images": one.images, "groups": one.groups}[count] for count in counts), *scores


def _of(score: Score | None, place: int) -> str:
    """Of one repeat."""
    own = score.each[place] if score is not None and score.each else None
    return "–" if own is None else f"{own:.3f}"


def _marked(score: Score, marks: dict[str, str]) -> str:
    """The score with its interval, or with the letter of the reason why there is none."""
    if not score.reason:
        return _score(score)
    # which classes have how many groups stands in the table's own column
    reason = _FEW_GROUPS.sub("a class in this metric has too few test groups", score.reason)
    told = reason if score.interval is not None else f"No interval: {reason}"
    return f"{_score(score)} ({marks.setdefault(told, ascii_lowercase[len(marks) % 26])})"


def _score(score: Score) -> str:
    if score.value is None:
        return "–"
    spread = f" ± {score.std:.3f}" if score.std is not None else ""
    around = f" [{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else ""
    return f"{score.value:.3f}{spread}{around}"

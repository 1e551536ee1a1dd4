"""What a model card says of test scores: the estimate that counts, what stands beside it, and other images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from orchestrator.evaluation.nested_record import NestedRecord
from orchestrator.evaluation.record import ClassScores, EvaluationRecord, Level, Score, absent_kinds
from orchestrator.evaluation.text import metric_name
from orchestrator.export.card_scores import matrix
from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import cell, table

_BRIEF = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
_FEW_GROUPS = re.compile(r"[^; ][^;]*: \d+ test groups?(?:, and \d+ more class(?:es)?)?")


def test_lines(facts: CardFacts) -> list[str]:
    """The test split first, then other images, then the nested evaluation; who has not looked is told how."""
    if facts.evaluation is None:
        lines = [
            f"None: the test split was not looked at. Once the choice is made: `orch evaluate {facts.study.name}`."
        ]
    else:
        lines = [*_own(facts.evaluation), "", *_secondary(facts.evaluation)]
    for number, record in enumerate(facts.external, 1):
        which = f" ({number})" if len(facts.external) > 1 else ""
        meaning = f"A group is: {cell(record.group_meaning)}."
        lines += ["", f"### Images from elsewhere{which}", "", meaning, "", *_own(record), "", *_secondary(record)]
    for nested in facts.nested:
        lines += ["", "### Nested evaluation", "", *_nested(nested)]
    return lines


def _own(found: EvaluationRecord) -> list[str]:
    """The primary estimate on image and group level with intervals or the reason why there is none."""
    primary, n = found.primary, len(found.repeats)
    lines = [
        f"{found.images:,} images of {found.groups:,} groups, {found.looked_at}. Estimate: {primary.name}, fixed "
        f"before the first look: what to expect of the exported repeat, whose own score is not singled out. ± is the "
        f"standard deviation over n = {n} repeats (retraining); [ ] the 95 % interval over groups, which describes "
        "other groups of the same kind. " + absent_kinds(found.groups),
    ]
    if any(name.endswith("_scaled") for name in primary.image.overall):
        lines += [
            "",
            f"Scores after temperature: logits divided by one temperature per repeat{_temperature(found)}, "
            "fitted on the valid split. The exported model is without it.",
        ]
    lines += ["", "By image, of classes the mean over images:", "", *_level(primary.image, primary.even)]
    if primary.group is not None:
        lines += ["", "By group, a prediction each:", "", *_level(primary.group)]
    if primary.group is None and primary.no_group:
        lines += ["", f"By group: none, {primary.no_group}."]
    counts = np.array(primary.image.confusion).sum(axis=0)
    lines += ["", f"Confusion matrix of the test images, all {n} repeats together (truth in rows):", ""]
    lines += matrix(found.classes, counts)
    for point in found.operating_points:
        reached = ", ".join(f"{metric_name(name)} {_score(score)}" for name, score in point.scores.items())
        lines += ["", f"Operating point {point.asked} ({point.name}), chosen on the valid split: {reached}."]
    return [*lines, *(f"\n{cell(note)}" for note in found.notes)]


def _temperature(found: EvaluationRecord) -> str:
    values = found.primary.temperature
    return f" ({min(values):.2f} to {max(values):.2f})" if values else ""


def _secondary(found: EvaluationRecord) -> list[str]:
    """Other ways to predict, and parts of the test set: beside the result, not in its place."""
    marks: dict[str, str] = {}
    rows = [(estimate.name, estimate.image.overall) for estimate in found.estimates if not estimate.is_primary]
    rows += [
        (f"{part.column} = {part.value} ({part.images} images of {part.groups} groups)", part.overall)
        for part in found.subgroups
    ]
    if not rows:
        return []
    cells = [(cell(name), *(_marked(scores[metric], marks) for metric in _BRIEF)) for name, scores in rows]
    heads = ("by image", *(metric_name(name) for name in _BRIEF))
    return ["Secondary, not the result:", "", *table(heads, cells), *_noted(marks)]


def _nested(record: NestedRecord) -> list[str]:
    pooled, marks = record.estimates[0], dict[str, str]()
    rows = [(metric_name(name), _marked(pooled.image.overall[name], marks)) for name in _BRIEF]
    return [
        f"Of the procedure, not of this model: in {len(record.folds)} outer folds over all {record.groups} groups the "
        f"selection by {record.selection.replace('_', ' ')} ({record.looked_at}) among {record.candidates} "
        "configurations was repeated, and tested on groups that it had not seen. The test split's images are among "
        "them.",
        "",
        *table(("by image", "value"), rows),
        *_noted(marks),
    ]


def _level(level: Level, even: Level | None = None) -> list[str]:
    marks: dict[str, str] = {}
    overall: list[tuple[str, ...]] = [
        (metric_name(name), _marked(score, marks)) for name, score in level.overall.items()
    ]
    values: tuple[str, ...] = ("value",)
    if even is not None:
        values = "mean over images", "mean over groups"
        overall = [(*row, _marked(score, marks)) for row, score in zip(overall, even.overall.values(), strict=True)]
    names = list(dict.fromkeys(name for found in level.classes for name in found.scores))
    counts = ("images", "groups") if level.unit == "image" else ("groups",)
    heads = ("class", *counts, *(metric_name(name) for name in names))
    rows = [_class_row(found, names, counts, marks) for found in level.classes]
    return [*table(("metric", *values), overall), "", *table(heads, rows), *_noted(marks)]


def _noted(marks: dict[str, str]) -> list[str]:
    return ["", *(f"* ({mark}) {cell(reason)}." for reason, mark in marks.items())] if marks else []


def _class_row(
    found: ClassScores, names: Sequence[str], counts: Sequence[str], marks: dict[str, str]
) -> tuple[object, ...]:
    scores = (_marked(found.scores[name], marks) if name in found.scores else "–" for name in names)
    return found.name, *({"images": found.images, "groups": found.groups}[count] for count in counts), *scores


def _marked(score: Score, marks: dict[str, str]) -> str:
    """The score with its interval, or with the letter of the reason why there is none."""
    if not score.reason:
        return _score(score)
    # which classes have how many groups stands in the table's own column
    reason = _FEW_GROUPS.sub("a class that is counted has too few test groups", score.reason)
    told = reason if score.interval is not None else f"No interval: {reason}"
    return f"{_score(score)} ({marks.setdefault(told, ascii_lowercase[len(marks) % 26])})"


def _score(score: Score) -> str:
    if score.value is None:
        return "–"
    spread = f" ± {score.std:.3f}" if score.std is not None else ""
    around = f" [{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else ""
    return f"{score.value:.3f}{spread}{around}"

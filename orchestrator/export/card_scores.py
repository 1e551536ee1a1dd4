"""What a model card says of scores: validation over the repeats, this repeat, and the test set if somebody looked."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from orchestrator.evaluation.record import ClassScores, Level, Score
from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import cell, table
from orchestrator.store.schema import Metric
from trainables import metrics

NAMES: dict[Metric, str] = {
    "loss": "loss (nats)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
}

_FEW_GROUPS = re.compile(r"[^; ][^;]*: \d+ test groups?(?:, and \d+ more class(?:es)?)?")


def valid_lines(facts: CardFacts) -> list[str]:
    """Mean and standard deviation over repeats, beside what this repeat and the untrained network have."""
    member, epoch = facts.chosen.member, int(facts.record.meta["selected_epoch"])
    history = facts.record.history
    column = history.splits.index("valid")
    rows = []
    for metric, name in NAMES.items():
        values = metrics.scores(metric, history.loss[:, column], history.confusion[:, column])
        over = member.score(metric, "valid")
        before = member.untrained(metric, "valid")
        rows.append(
            (
                name,
                "–" if over is None else f"{over.mean:.3f}" + (f" ± {over.std:.3f}" if over.n > 1 else ""),
                f"{values[epoch]:.3f}",
                "–" if before is None else f"{before.mean:.3f}",
            )
        )
    return [
        "Used for selection, hence optimistic. Each repeat at its own selected epoch; mean ± standard deviation "
        "(n − 1) "
        f"over n = {member.n} repeats.",
        "",
        *table(("metric", f"{member.n} repeats", "this model", "before training"), rows),
    ]


def this_repeat_lines(facts: CardFacts) -> list[str]:
    """Per class and the confusion matrix of this repeat on the valid images."""
    history, epoch = facts.record.history, int(facts.record.meta["selected_epoch"])
    counts = history.confusion[epoch, history.splits.index("valid")]
    classes = facts.model.classes
    values = [metrics.precision(counts), metrics.recall(counts), metrics.f1(counts)]
    rows = [(name, int(counts[k].sum()), *(_number(value[k]) for value in values)) for k, name in enumerate(classes)]
    return [
        "This model on the valid images, by class, and its confusion matrix (truth in rows):",
        "",
        *table(("class", "images", "precision", "recall", "F1"), rows),
        "",
        *_matrix(classes, counts),
    ]


def test_lines(facts: CardFacts) -> list[str]:
    """The primary estimate on image and group level with intervals or the reason why there is none."""
    found = facts.evaluation
    if found is None:
        return [f"None: the test split was not looked at. Once the choice is made: `orch evaluate {facts.study.name}`."]
    primary = found.primary
    lines = [
        f"{found.images:,} images of {found.groups:,} groups, {found.looked_at}. Estimate: {primary.name}, fixed "
        f"before the "
        f"first look; n = {len(found.repeats)} repeats. Intervals are 95 % over groups: they describe other "
        f"groups of the "
        "same kind.",
    ]
    for level in (primary.image, primary.group):
        if level is not None:
            lines += ["", f"By {level.unit}:", "", *_level(level)]
    if primary.group is None and primary.no_group:
        lines += ["", f"By group: none, {primary.no_group}."]
    for point in found.operating_points:
        reached = ", ".join(f"{name} {_score(score)}" for name, score in point.scores.items())
        lines += ["", f"Operating point {point.asked} ({point.name}), chosen on the valid split: {reached}."]
    return [*lines, *(f"\n{note}" for note in found.notes)]


def _level(level: Level) -> list[str]:
    marks: dict[str, str] = {}
    overall = [(name.replace("_", " "), _marked(score, marks)) for name, score in level.overall.items()]
    names = list(dict.fromkeys(name for found in level.classes for name in found.scores))
    counts = ("images", "groups") if level.unit == "image" else ("groups",)
    heads = ("class", *counts, *(name.replace("_", " ") for name in names))
    rows = [_class_row(found, names, counts, marks) for found in level.classes]
    lines = [*table(("metric", "value"), overall), "", *table(heads, rows)]
    return (
        [*lines, "", *(f"* ({mark}) No interval: {cell(reason)}." for reason, mark in marks.items())]
        if marks
        else lines
    )


def _class_row(
    found: ClassScores, names: Sequence[str], counts: Sequence[str], marks: dict[str, str]
) -> tuple[object, ...]:
    scores = (_marked(found.scores[name], marks) if name in found.scores else "–" for name in names)
    return found.name, *({"images": found.images, "groups": found.groups}[count] for count in counts), *scores


def _marked(score: Score, marks: dict[str, str]) -> str:
    """The score with its interval, or with the letter of the reason why there is none."""
    if score.interval is not None or not score.reason:
        return _score(score)
    # which classes have how many groups stands in the table's own column
    reason = _FEW_GROUPS.sub("a class that is counted has too few test groups", score.reason)
    return f"{_score(score)} ({marks.setdefault(reason, ascii_lowercase[len(marks) % 26])})"


def _score(score: Score) -> str:
    if score.value is None:
        return "–"
    around = f" [{score.interval.low:.3f}, {score.interval.high:.3f}]" if score.interval else ""
    return f"{score.value:.3f}{around}"


def _matrix(classes: tuple[str, ...], counts: np.ndarray) -> list[str]:
    return table(("", *classes), [(name, *(int(n) for n in counts[k])) for k, name in enumerate(classes)])


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"

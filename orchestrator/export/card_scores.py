"""What a model card says of validation scores: over the repeats, and of the repeat that is exported."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.export.facts import CardFacts
from orchestrator.export.markdown import table
from orchestrator.results.names import counted
from search_spaces.settings.data import TASKS
from search_spaces.settings.selection import METRICS
from trainables.learning import metrics
from trainables.learning.tasks import confusion


def valid_lines(facts: CardFacts) -> list[str]:
    """What this repeat has, beside mean and standard deviation over repeats and what the untrained network has."""
    member, epoch = facts.chosen.member, int(facts.record.meta["selected_epoch"])
    history = facts.record.history
    column = history.splits.index("valid")
    rows = []
    task, selection = TASKS.variants[facts.study.task], member.configuration.selection.metric
    for metric in dict.fromkeys((*task.counted, selection)):
        measured = history.measured if metrics.is_measured(metric) else None
        values = (
            metrics.scores(metric, history.loss[:, column], history.statistics[:, column])
            if measured is None
            else measured[:, column]
        )
        unit = METRICS.variants[metric].unit
        over = member.score(metric, "valid")
        before = member.untrained(metric, "valid")
        rows.append(
            (
                METRICS.variants[metric].label + (f" ({unit})" if unit else ""),
                f"{values[epoch]:.3f}",
                "–" if over is None else f"{over.mean:.3f}" + (f" ± {over.std:.3f}" if over.n > 1 else ""),
                "–" if before is None else f"{before.mean:.3f}",
            )
        )
    return [
        f"These scores were used for selection, so they are optimistic. This file is the exported repeat "
        f"{facts.chosen.repeat}; the procedure is the mean ± standard deviation (n − 1) over n = "
        f"{counted(member.n, 'repeat')}, each at its own selected epoch.",
        "",
        *table(("metric", "this file", f"the procedure: {counted(member.n, 'repeat')}", "before training: mean"), rows),
    ]


def this_repeat_lines(facts: CardFacts) -> list[str]:
    """Per class and the confusion matrix of this repeat on the valid images; nothing of a task without such."""
    if not TASKS.variants[facts.study.task].has_confusion:
        return []
    history, epoch = facts.record.history, int(facts.record.meta["selected_epoch"])
    counts = history.statistics[epoch, history.splits.index("valid")]
    classes, images = facts.model.classes, confusion.images_of_classes(counts)
    values = [confusion.precision(counts), confusion.recall(counts), confusion.f1(counts)]
    rows = [(name, int(images[k]), *(_number(value[k]) for value in values)) for k, name in enumerate(classes)]
    return [
        "Scores of this file on the valid images by class, and its confusion matrix (truth in rows):",
        "",
        *table(("class", "images", "precision", "recall", "F1"), rows),
        "",
        *matrix(classes, counts),
    ]


def matrix(classes: tuple[str, ...], counts: np.ndarray) -> list[str]:
    """Counts int64 [K, K] as a table, truth in rows."""
    return table(("", *classes), [(name, *(int(n) for n in counts[k])) for k, name in enumerate(classes)])


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"

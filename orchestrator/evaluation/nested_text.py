"""A nested evaluation in words and tables, for a terminal."""

from __future__ import annotations

from orchestrator.evaluation.nested_record import NestedRecord
from orchestrator.evaluation.text import estimate_lines, secondary_lines, table_lines
from orchestrator.results.grouped import images_in
from orchestrator.results.names import counted


def nested_text(record: NestedRecord) -> str:
    """What a reader needs to judge the numbers; the record has all of them."""
    parts = [_heading(record), _pooled(record), secondary_lines(record.estimates[1:]), _folds(record)]
    parts.append(
        [f"Predictions: {record.predictions}. This tests the selection, not a configuration: select nothing by it."]
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _heading(record: NestedRecord) -> list[str]:
    what = f"the selection by {record.selection} ({record.looked_at})"
    if record.searches:
        what = f"the whole search, {' and '.join(record.searches)}, with its decisions, and {what}"
    lines = [
        f"Nested cross-validation of study {record.study}: {len(record.folds)} outer folds, each tested by repeating "
        f"{what} among {counted(record.candidates, 'configuration')} on the other groups",
        f"{images_in(record.images, record.groups, record.group_meaning)}; each image is tested once",
    ]
    if record.test_looks:
        times = "once" if record.test_looks == 1 else f"{record.test_looks} times"
        lines.append(f"The study's own test images were looked at {times}.")
    if record.synthetic:
        lines.append("SYNTHETIC images: these numbers say nothing about real ones.")
    return [*lines, *(f"Note: {note}" for note in record.notes)]


def _pooled(record: NestedRecord) -> list[str]:
    pooled = record.estimates[0]
    told = f"Pooled over the outer folds (not the primary test estimate), {pooled.name}"
    return [told, *estimate_lines(pooled, record.groups)]


def _folds(record: NestedRecord) -> list[str]:
    rows = [["fold", "images", "groups", "inner", "accuracy", "balanced accuracy"]]
    if record.searches:
        rows[0] += ["decisions", "epochs"]
    for fold in record.folds:
        inner = "none" if fold.inner is None else f"{fold.inner:.3f}"
        scores = [f"{fold.accuracy:.3f}", f"{fold.balanced_accuracy:.3f}"]
        spent = [str(fold.decisions), f"{fold.epochs_trained:,}"] if record.searches else []
        rows.append([str(fold.number), str(fold.images), str(fold.groups), inner, *scores, *spent])
    return [
        f"Outer folds. Inner scores ({record.selection}) were used to select, so they are optimistic.",
        *table_lines(rows),
        *_selected(record),
    ]


def _selected(record: NestedRecord) -> list[str]:
    """Below the table, which names as long as these would make too wide for a terminal."""
    folds: dict[tuple[str, str], list[str]] = {}
    for fold in record.folds:
        folds.setdefault((fold.configuration, fold.name), []).append(str(fold.number))
    lines = [
        f"  {name}, in fold{'s' * (len(numbers) > 1)} {', '.join(numbers)}" for (_, name), numbers in folds.items()
    ]
    return [f"Selected, {counted(len(folds), 'configuration')} in all:", *lines]

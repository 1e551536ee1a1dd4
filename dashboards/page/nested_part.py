"""Nested evaluations on the page: what the whole selection is worth on groups that had no part in it."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.markup import table, text
from dashboards.page.controls import nothing, reading
from dashboards.page.score_cells import NAMES, Cells
from orchestrator.evaluation.nested_record import NestedRecord
from orchestrator.results.names import counted

_SHOWN = 2
"""The newest ones."""


def closed(records: Sequence[NestedRecord]) -> str:
    """What is said of the test split that no evaluation has opened. records: all nested evaluations of the study."""
    looks = max((record.test_looks for record in records), default=0)
    if looks:
        times = "once" if looks == 1 else f"{looks} times"
        return nothing(
            "The test split has not been evaluated by itself; nested cross-validation has looked at its images "
            f"{times}."
        )
    return nothing(
        "The test split is closed: no test image has been opened. It is opened once, by orch evaluate, for a "
        "configuration chosen on validation."
    )


def nested_evaluations(records: Sequence[NestedRecord], partition: str) -> str:
    """Those of the partition, the newest first; "" where there are none."""
    shown = [one for one in records if partition in ("", one.partition)]
    return "".join(_nested(one) for one in shown[::-1][:_SHOWN])


def _nested(record: NestedRecord) -> str:
    cells, pooled = Cells(), record.estimates[0]
    what = "the whole search with its decisions" if record.searches else "the selection"
    levels = [level for level in (pooled.image, pooled.even, pooled.group) if level is not None]
    names = list(dict.fromkeys(name for level in levels for name in level.overall if name in NAMES))
    rows = [[NAMES[name], *(cells.of(level.overall.get(name)) for level in levels)] for name in names]
    heads = ["Pooled over the outer folds", *(f"{level.count:,} {level.unit}s" for level in levels)]
    folds = [
        [
            fold.number,
            f"{fold.images:,}",
            f"{fold.groups:,}",
            fold.name,
            "–" if fold.inner is None else f"{fold.inner:.3f}",
            f"{fold.accuracy:.3f}",
            f"{fold.balanced_accuracy:.3f}",
        ]
        for fold in record.folds
    ]
    columns = ["Fold", "Images", "Groups", "Selected", f"Inner {record.selection}", "Accuracy", "Balanced accuracy"]
    notes = "".join(f"<li>{text(note)}</li>" for note in record.notes)
    return (
        f"<h3>Nested evaluation: {len(record.folds)} outer folds</h3>"
        + reading(
            f"In each fold, {what} by {record.selection} ({record.looked_at}) among "
            f"{counted(record.candidates, 'configuration')} was repeated without the fold’s groups. The scores "
            "describe this procedure, not one configuration, and are not the primary test estimate.",
            "Inner scores were used for selection, so they are optimistic.",
        )
        + table(heads, rows, "Nested test scores", "cards")
        + table(columns, folds, "Outer folds", "cards")
        + cells.notes()
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )

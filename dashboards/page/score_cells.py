"""Test scores as cells of a table, with the reasons why some have no value or no interval."""

from __future__ import annotations

from collections.abc import Iterable

from dashboards.figures.markup import number, table, text
from dashboards.page.controls import nothing
from orchestrator.evaluation.record import Estimate, Score

NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "mcc": "Matthews",
    "kappa": "Cohen’s kappa",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "calibration_error": "Calibration error",
    "recall": "Sensitivity (recall)",
    "specificity": "Specificity",
    "precision": "PPV (precision)",
    "npv": "NPV",
    "f1": "F1",
    "sensitivity": "Sensitivity",
    "ppv": "PPV",
}

_REASONS = 4
"""Why scores have no interval stands in a sentence up to so many reasons, else in a list on demand."""


def secondary(estimates: Iterable[Estimate], cells: Cells) -> str:
    """Every estimate beside the primary one; "" where there is no other."""
    names = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")
    rows = [
        [
            one.title,
            "yes" if one.ensemble else "no",
            str(one.views),
            *(cells.of(one.image.overall.get(n)) for n in names),
        ]
        for one in estimates
    ]
    columns = ["Estimate", "Ensemble", "Views", *(NAMES[name] for name in names)]
    return table(columns, rows, "Secondary estimates, mean over images", "cards") if len(rows) > 1 else ""


class Cells:
    """Scores as text; why one has no value or no interval goes into numbered notes, each reason once."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def of(self, score: Score | None) -> str:
        """0.846 ± 0.012 [0.790, 0.900], or 0.846 ± 0.012 (1)."""
        if score is None or (score.value is None and not score.reason):
            return "–"
        spread = f" ± {number(score.std)}" if score.std is not None else ""
        shown = "–" if score.value is None else f"{score.value:.3f}{spread}"
        if score.interval is not None:
            return f"{shown} [{score.interval.low:.3f}, {score.interval.high:.3f}]"
        return f"{shown} ({self._number(score.reason)})" if score.reason else shown

    def notes(self) -> str:
        if not self._reasons:
            return ""
        if len(self._reasons) > _REASONS:
            listed = "".join(f"<li>{text(reason)}</li>" for reason in self._reasons)
            why = "Why scores with a number in brackets lack a value or an interval"
            return f'<details class="fold"><summary>{why}</summary><ol>{listed}</ol></details>'
        lines = [f"({place}) {reason}" for place, reason in enumerate(self._reasons, 1)]
        return nothing(f"No value or no interval: {'; '.join(lines)}.")

    def _number(self, reason: str) -> int:
        if reason not in self._reasons:
            self._reasons.append(reason)
        return self._reasons.index(reason) + 1

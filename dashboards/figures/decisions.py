"""What an adaptive search knew when it decided: the best mean so far against the epochs spent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source
from dashboards.figures.declaration import Figure, Per
from dashboards.figures.markup import METRIC_NAMES, in_lines, plot_text
from dashboards.figures.palette import VALID, VALID_BAND, Spec, axis, layout

COLUMNS = ["decision", "epochs_spent", "score", "mean", "standard_error", "n", "configuration", "id", "reason"]
NOW = "now"
"""In the place of a decision's number: after the last one."""
_LETTERS = 48


def decision_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per decision that had seen enough repeats of some configuration, and one for what came after the last.

    mean: the best one then, over n repeats, of configurations that were not stopped and have as many as the search
    ranks on first; as selection compares them, in the metric's own direction. epochs_spent: of all results known then.
    """
    course = source.courses.get(choice.search)
    if course is None:
        return pd.DataFrame(columns=COLUMNS)
    rows = [
        (
            str(one.decision.number) if one.decision else NOW,
            one.spent,
            course.metric,
            course.score(one.value),
            one.error,
            one.n,
            source.names.get(one.configuration, one.configuration),
            one.configuration,
            one.decision.reason if one.decision else "results that no decision has seen yet",
        )
        for one in course.known()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def decision_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """A mark per decision, and a band of one standard error around the line."""
    spent, mean = data["epochs_spent"].to_numpy(), data["mean"].to_numpy(dtype=float)
    error = np.nan_to_num(data["standard_error"].to_numpy(dtype=float))
    band = {
        "type": "scatter",
        "mode": "lines",
        "name": "± standard error",
        "x": np.concatenate([spent, spent[::-1]]),
        "y": np.concatenate([mean + error, (mean - error)[::-1]]),
        "fill": "toself",
        "fillcolor": VALID_BAND,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    words = [
        f"{_named(row['decision'])}: {in_lines(row['reason'], _LETTERS)}<br>"
        f"{METRIC_NAMES[row['score']].lower()} {row['mean']:.4f}{_error(row['standard_error'])}, n = {row['n']}<br>"
        f"{in_lines(row['configuration'], _LETTERS)}<br>{row['epochs_spent']:,} epochs spent"
        for row in data.to_dict("records")
    ]
    marks = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "best mean so far",
        "x": spent,
        "y": mean,
        "text": words,
        "line": {"color": VALID, "width": 2},
        "marker": {"size": 8, "color": VALID},
        "hovertemplate": "%{text}<extra></extra>",
        "meta": {"ids": data["id"].tolist()},
    }
    title = plot_text(f"{METRIC_NAMES[data['score'].iloc[0]]}, best mean so far")
    spec = layout(
        320,
        xaxis=axis(title={"text": "epochs spent"}, rangemode="tozero", nticks=6),
        yaxis=axis(title={"text": title}, nticks=6),
        hovermode="closest",
    )
    return {"data": [band, marks], "layout": spec}


def _named(decision: str) -> str:
    return decision if decision == NOW else f"decision {decision}"


def _error(error: float) -> str:
    return f" ± {error:.4f} (standard error)" if np.isfinite(error) else ""


FIGURE = Figure(
    name="decisions",
    section="search",
    title="Order of decisions",
    reading="Each mark is one decision of the search: the best mean known by then, with a band of one standard "
    "error of that mean. The best of several is optimistic, and the first marks are based on few epochs.",
    how="Only configurations count that the search had not stopped and that have at least as many repeats as it ranks "
    "on first.",
    data=decision_data,
    draw=decision_figure,
    label=lambda data, choice: f"The best mean so far against epochs spent, at each of {len(data)} decisions.",
    per=Per.SEARCH,
    scores=(),
)

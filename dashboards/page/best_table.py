"""The answer: the best configuration of every strategy and backbone, the best repeat apart."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import pandas as pd

from dashboards.figures.markup import (
    METRIC_NAMES,
    backbone_text,
    depth_text,
    lr_text,
    number,
    plus_minus,
    text,
)
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.how_ended import ended_briefly
from orchestrator.results.statistic import Statistic
from orchestrator.statistics.paired import difference_intervals
from orchestrator.store.schema import Metric
from search_spaces.settings.data import TASKS

INTERVAL = "95 % interval"
_VALID = {metric: "Valid loss" if metric == "loss" else name for metric, name in METRIC_NAMES.items()}
"""Columns of the table with validation scores, of every task."""


def best_table_data(members: Sequence[ConfigurationSummary], selections: Collection[Metric]) -> pd.DataFrame:
    """One row per member, as shown: text columns, mean ± std; INTERVAL is of the metric that selects, which is named
    where `selections` has several."""
    rows = []
    has_others = any(member.others for member in members)
    for member in members:
        settings, best = member.configuration, member.best_repeat()
        known = TASKS.variants[settings.data.task].counted
        both = [score for metric in known[:2] if (score := member.score(metric, "valid"))]
        rows.append(
            {
                "Strategy": depth_text(member.depth),
                "Backbone": backbone_text(settings.network.backbone),
                "lr": "–" if settings.head.is_fitted else lr_text(settings.optimiser.lr),
                "Batch": "–" if settings.head.is_fitted else str(settings.optimiser.batch_size),
                **({"Other settings": member.others or "–"} if has_others else {}),
                "Train loss": plus_minus(member.score("loss", "train")),
                **{_VALID[m]: plus_minus(member.score(m, "valid")) for m in dict.fromkeys((*known, *selections))},
                INTERVAL: (f"{METRIC_NAMES[settings.selection.metric].lower()} " if len(selections) > 1 else "")
                + interval(member.score(settings.selection.metric, "valid")),
                "Best epoch": plus_minus(member.selected_epochs, 1),
                "n": f"{member.n}" + (f" ({ended})" if (ended := ended_briefly(member)) else ""),
                "Best repeat": f"{', '.join(f'{score.values[best[1]]:.3f}' for score in both)} (no. {best[0]})"
                if best and both
                else "–",
            }
        )
    return pd.DataFrame(rows)


def interval(statistic: Statistic | None) -> str:
    """The 95 % interval (Student's t) of the mean over repeats; a dash where there are fewer than two."""
    if statistic is None:
        return "–"
    bounds = difference_intervals(statistic.values[None])
    return f"{number(bounds.low[0])} to {number(bounds.high[0])}" if math.isfinite(bounds.low[0]) else "–"


def best_table(data: pd.DataFrame, selections: Collection[Metric], kind: str = "") -> str:
    """The HTML table; the last column is set apart, because one repeat is not a result. `kind` is "several" where the
    first row is not the best of all, because studies stand below one another.

    Backbones stand below strategies, intervals below the scores of `selections`, the metric that selects; with several
    of them they have a column of their own.
    """
    under = {"Strategy": "Backbone"} | ({_VALID[next(iter(selections))]: INTERVAL} if len(selections) == 1 else {})
    columns = [name for name in data if name not in under.values()]
    head = "".join(
        f'<th scope="col"{_apart(name)}>{text(name)}{_below(under[name]) if name in under else ""}</th>'
        for name in columns
    )
    rows = []
    for row in data.to_dict("records"):
        shown = {
            name: f"<span>{text(row[name])}{_below(row[under[name]])}</span>" if name in under else text(row[name])
            for name in columns
        }
        first, *others = columns
        cells = "".join(f'<td data-label="{text(name)}"{_apart(name)}>{shown[name]}</td>' for name in others)
        rows.append(f'<tr><th scope="row">{shown[first]}</th>{cells}</tr>')
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Best configurations"><table '
        f'class="cards best {kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _apart(name: object) -> str:
    return ' class="apart"' if name == "Best repeat" else ""


def _below(value: object) -> str:
    return f"<small>{text(value)}</small>"

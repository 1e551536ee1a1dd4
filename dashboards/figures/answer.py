"""The answer: the best configuration of every strategy and backbone, the best repeat apart."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from dashboards.figures.choice import Choice, Source, best_of_each
from dashboards.figures.markup import (
    METRIC_NAMES,
    backbone_text,
    depth_text,
    lr_text,
    number,
    plot_text,
    plus_minus,
    point_text,
    text,
)
from dashboards.figures.palette import INK, MUTED, Spec, axis, layout
from dashboards.figures.strips import dots, row_axis, strip, ticks
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.statistic import Statistic
from orchestrator.results.summary import Summary
from orchestrator.statistics.paired import difference_intervals
from orchestrator.statistics.partition_table import PartitionTable
from orchestrator.store.schema import Metric

SHOWN = 12
"""Configurations whose repeats are drawn."""
INTERVAL = "95 % interval"
_VALID = {metric: "Valid loss" if metric == "loss" else name for metric, name in METRIC_NAMES.items()}
"""Columns of the table with validation scores."""


def best_table_data(members: Sequence[ConfigurationSummary], selections: Collection[Metric]) -> pd.DataFrame:
    """One row per member, as shown: text columns, mean ± std; INTERVAL is of the metric that selects, which is named
    where `selections` has several."""
    rows = []
    for member in members:
        settings, best = member.configuration, member.best_repeat()
        loss = member.score("loss", "valid")
        accuracy = member.score("accuracy", "valid")
        rows.append(
            {
                "Strategy": depth_text(member.depth),
                "Backbone": backbone_text(settings.backbone),
                "lr": lr_text(settings.lr),
                "Batch": str(settings.batch_size),
                "Train loss": plus_minus(member.score("loss", "train")),
                **{_VALID[m]: plus_minus(member.score(m, "valid")) for m in METRIC_NAMES},
                INTERVAL: (f"{METRIC_NAMES[settings.selection].lower()} " if len(selections) > 1 else "")
                + interval(member.score(settings.selection, "valid")),
                "Best epoch": plus_minus(member.selected_epochs, 1),
                "n": f"{member.n}" + (f" ({member.diverged} diverged)" if member.diverged else ""),
                "Best repeat": f"{loss.values[best[1]]:.3f}, {accuracy.values[best[1]]:.3f} (no. {best[0]})"
                if best and loss and accuracy
                else "–",
            }
        )
    return pd.DataFrame(rows)


def interval(statistic: Statistic | None) -> str:
    """The 95 % interval (Student's t) of the mean over repeats; a dash where there are fewer than two."""
    if statistic is None:
        return "–"
    found = difference_intervals(statistic.values[None])
    return f"{number(found.low[0])} to {number(found.high[0])}" if math.isfinite(found.low[0]) else "–"


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


def repeats_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Repeats of the best configuration of each strategy and backbone, the first SHOWN, at their selected epochs.

    Columns: place (0 is the best), strategy (with its depth), backbone, point, n, split, repeat, value.
    """
    rows = []
    members = best_of_each(source.members(choice), "strategy", "backbone")[:SHOWN]
    for place, member in enumerate(members):
        names = depth_text(member.depth), backbone_text(member.configuration.backbone)
        for split in ("train", "valid"):
            score = member.score(choice.score, split)  # type: ignore[arg-type]
            for repeat, value in zip(member.with_result, score.values if score else (), strict=False):
                rows.append((place, *names, point_text(member.configuration), member.n, split, repeat, float(value)))
    return pd.DataFrame(rows, columns=["place", "strategy", "backbone", "point", "n", "split", "repeat", "value"])


def repeats_label(data: pd.DataFrame, choice: Choice) -> str:
    """What a screen reader says."""
    name = METRIC_NAMES[choice.score]  # type: ignore[index]
    first = data[(data["place"] == 0) & (data["split"] == "valid")]
    value = plus_minus(Statistic.of(first["value"].to_numpy()))
    label = f"{name} of every repeat of the best configurations."
    return label + (f" First: {first['strategy'].iloc[0]}, valid {value}, n = {len(first)}." if len(first) else "")


def repeats_figure(data: pd.DataFrame, choice: Choice) -> Spec:
    """Dots for repeats, a bar for mean ± std, per best configuration; train above, valid below."""
    traces: list[Spec] = []
    for split in ("train", "valid"):
        one = strip(data, split)
        found = [Statistic.of(values) for values in one.by_row]
        std = np.nan_to_num([statistic.std for statistic in found])
        bar = {"type": "data", "array": std, "thickness": 1.5, "width": 5, "color": INK}
        mean = np.array([statistic.mean for statistic in found])
        traces += [
            dots(one, split, choice.score),
            ticks(mean, one.rows, split, choice.score, "mean ± std", error_x=bar),
        ]
    places = data.drop_duplicates("place")
    names = [
        f"{plot_text(strategy)}<br><span style='color:{MUTED}'>{plot_text(backbone)}</span>"
        for strategy, backbone in zip(places["strategy"], places["backbone"], strict=True)
    ]
    across = axis(title={"text": METRIC_NAMES[choice.score]}, nticks=6)  # type: ignore[index]
    return {"data": traces, "layout": layout(74 + 58 * len(names), xaxis=across, yaxis=row_axis(names, 0.5))}


def sentence(summary: Summary, members: Sequence[ConfigurationSummary]) -> str:
    """The answer in one sentence, as HTML."""
    if not members:
        return "No configuration has all its repeats yet, so there is nothing to rank."
    best = members[0]
    settings = best.configuration
    other: Metric = "balanced_accuracy" if settings.selection != "balanced_accuracy" else "accuracy"
    chosen, extra = best.score(settings.selection, "valid"), best.score(other, "valid")
    so_far = "" if summary.totals.owed == 0 else " so far"
    return (
        f"Best{so_far}: <strong>{text(depth_text(best.depth))}</strong> on "
        f"<strong>{text(backbone_text(settings.backbone))}</strong> with {text(point_text(settings))}. "
        f"Validation {METRIC_NAMES[settings.selection].lower()} <strong class='nowrap'>{plus_minus(chosen)}</strong>, "
        f"{METRIC_NAMES[other].lower()} <strong class='nowrap'>{plus_minus(extra)}</strong> "
        f"(mean ± standard deviation, n&nbsp;=&nbsp;{best.n} repeats, "
        f"epoch&nbsp;{number(_mean_epoch(best), 0)} on average)."
    )


def over_partitions_sentence(table: PartitionTable) -> str:
    """What is selected over all partitions, as HTML: what one partition prefers may be luck."""
    best, score = table.members[0][0], METRIC_NAMES[table.metric].lower()
    settings = best.configuration
    return (
        f"Over all {len(table.partitions)} partitions: <strong>{text(depth_text(best.depth))}</strong> on "
        f"<strong>{text(backbone_text(settings.backbone))}</strong> with {text(point_text(settings))}, {score} "
        f"<strong>{number(float(table.means[0].mean()))}</strong> (mean of the partitions, repeats averaged within "
        "each; of train and valid the worse one, or valid alone). Below: one partition."
    )


def _mean_epoch(member: ConfigurationSummary) -> float | None:
    return member.selected_epochs.mean if member.selected_epochs else None

"""What `orch best` says: the selected configuration, those that may be as good, and what the score is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.choosing.choice_text import (
    LABEL,
    SHOWN,
    difference,
    heading,
    label_of,
    set_data,
    set_row,
    settings_data,
    statistic_data,
)
from orchestrator.choosing.front_text import front_data, front_lines
from orchestrator.choosing.selection import Selection
from orchestrator.results.class_recalls import class_recalls, weak_words
from orchestrator.results.comparing import looked_at
from orchestrator.results.how_ended import how_ended
from orchestrator.results.names import counted, counted_who, names_of, untrained_words
from orchestrator.results.narrowed import compared_words, selected_of, went_on
from orchestrator.results.report import Report, columns, finite, plus_minus
from orchestrator.results.summary import Summary
from orchestrator.statistics.equivalence import cost_of, within_margin
from orchestrator.statistics.set_words import notes, p_words, set_words, standing_words
from orchestrator.store.schema import Metric


def nothing_report(summary: Summary, metric: Metric) -> Report:
    """No configuration has all its repeats yet."""
    totals, name = summary.totals, summary.study.name
    lines = [
        f"{name}: no configuration has finished all of its repeats, so none is ranked yet "
        f"({totals.done} of {totals.asked} repeats done, {totals.running} running)."
    ]
    if totals.owed:
        lines.append(f"Continue with: orch resume {name}")
    data: dict[str, Any] = {"study": name, "label": LABEL, "metric": metric, "selected": None, "configurations": []}
    return Report(tuple(lines), data)


def selection_report(summary: Summary, selection: Selection, every: bool = False) -> Report:
    """Text with at most SHOWN rows unless `every`, and data with all of them."""
    return Report(tuple(_lines(summary, selection, every)), _data(summary, selection))


def _lines(summary: Summary, selection: Selection, every: bool) -> list[str]:
    table, winner = selection.table, selection.winner
    names = _names(selection)
    lines = [*heading([summary.study]), ""]
    lines.append(
        f"Selected by the best mean {winner.configuration.selection.words} {selected_of(table.members)} "
        f"(n = {counted(winner.n, 'repeat')}): {names[winner.id]}  [{winner.id}]"
    )
    weak = weak_words(class_recalls(summary, winner))
    lines += filter(None, [untrained_words(winner.untrained_selected, winner.n), weak])
    lines += _epochs(selection)
    lines += [*_bias(selection), ""]
    lines += _set(selection, names, every)
    lines += ["", *_recommended(selection, names)]
    if selection.front is not None:
        lines += ["", *front_lines(selection.front, table.metric, names, every)]
    if selection.incomplete:
        lines.append(f"Not ranked yet: {counted(selection.incomplete, 'configuration')} with unfinished repeats.")
    if selection.stopped:
        lines.append(
            f"The search stopped {counted(selection.stopped, 'configuration')}: final scores unknown. Everything here "
            f"compares only {went_on(table.members)}."
        )
    lines += filter(None, [compared_words(table.members)])
    if selection.other_metric:
        lines.append(
            f"Not listed: {counted_who(selection.other_metric, 'configuration', 'that selects', 'that select')} by "
            "another metric (--selection)."
        )
    lines += [*filter(None, [how_ended(table.members)]), *selection.notes]
    lines.append(
        "Selection scores, differences, intervals and p are taken at the selected epochs "
        f"({looked_at(table.members)}), over repeats on partition {table.partition}. They describe retraining on it, "
        f"not new {_new_groups(summary)}."
    )
    return lines


def _names(selection: Selection) -> dict[str, str]:
    return names_of(member.configuration for member in selection.table.members)


def _epochs(selection: Selection) -> list[str]:
    first = next(iter(selection.choices.values()), None)
    if first is None:
        return []
    head = (
        "validation",
        "at the selected epochs",
        f"at the last epoch ({first.last_epoch})",
        f"at the mean curve's best epoch ({first.mean_best_epoch})",
    )
    rows = [
        (label_of(metric), plus_minus(c.by_rule), plus_minus(c.at_last), plus_minus(c.at_mean_best))
        for metric, c in selection.choices.items()
    ]
    return columns([head, *rows], (False, True, True, True))


def _bias(selection: Selection) -> list[str]:
    bias, winner = selection.bias, selection.winner
    if bias is None:
        return [f"  No bias-corrected figure: {selection.no_bias}."]
    metric = bias.metric
    band = (
        f"95 % interval over groups {bias.low:.3f} to {bias.high:.3f}"
        if bias.low is not None and bias.high is not None
        else f"no interval: {bias.no_interval}"
    )
    others = ", ".join(f"{label_of(name)} {bias.corrected[name]:.3f}" for name in selection.choices if name != metric)
    over = f", over the {counted(bias.repeats, 'repeat')} with predictions of all" if bias.repeats < winner.n else ""
    return [
        f"  Corrected for choosing among configurations: {label_of(metric)} {bias.corrected[metric]:.3f} instead "
        f"of {bias.plain[metric]:.3f} ({band}); {others}",
        f"  ({bias.rounds} bootstrap rounds over {bias.groups} validation groups; {_chosen(selection):.0%} of the "
        f"rounds chose it{over})",
    ]


def _chosen(selection: Selection) -> float:
    bias = selection.bias
    return float("nan") if bias is None else float(bias.chosen[bias.winner])


def _set(selection: Selection, names: Mapping[str, str], every: bool) -> list[str]:
    best_set, table = selection.best_set, selection.table
    total = len(table.members)
    lines = set_words(best_set, table.members)
    order = [*best_set.members, *(row for row in range(total) if row not in set(best_set.members))]
    shown = order if every else order[:SHOWN]
    rows = [("", "configuration", "id", "selection score", "better than selected by", "p", "")]
    for row in shown:
        member = table.members[row]
        away = "–"
        if row != best_set.best:
            away = difference(best_set.difference[row], best_set.low[row], best_set.high[row])
        standing, mean, p = standing_words(best_set, row), f"{best_set.mean[row]:.3f}", p_words(best_set.p[row])
        rows.append((standing, names[member.id], member.id, mean, away, p, notes(best_set, row)))
    lines += columns(rows, (False, False, False, True, True, True, False))
    if len(shown) < total:
        lines.append(f"  … and {total - len(shown)} more (--every shows them, --json has them)")
    return lines


def _recommended(selection: Selection, names: Mapping[str, str]) -> list[str]:
    table, margin = selection.table, selection.margin
    lines = [f"Recommended, with the best mean: {names[selection.winner.id]}."]
    if selection.cheaper is None:
        lines.append(f"No cheaper configuration is shown to be within {margin:g} of it.")
        return lines
    member = table.members[selection.cheaper]
    bound = float(selection.best_set.differences.upper_deficit()[selection.cheaper])
    total, trained = cost_of(member) or (0, 0)
    lines.append(
        f"Cheaper and within {margin:g} of it (95 % upper bound on its deficit: {bound:.4f}): "
        f"{names[member.id]}  [{member.id}], {total:,} parameters, {trained:,} trained."
    )
    return lines


def _new_groups(summary: Summary) -> str:
    meaning = summary.study.group_meaning
    return "patients or slides" if "assumed" in meaning else f"groups ({meaning})"


def _data(summary: Summary, selection: Selection) -> dict[str, Any]:
    best_set, table, bias = selection.best_set, selection.table, selection.bias
    equal = within_margin(best_set.differences, selection.margin)
    deficit = best_set.differences.upper_deficit()
    rows = [
        {
            **settings_data(member),
            "rank": row + 1,
            "n": member.n,
            "screened": member.screened,
            "stopped": member.stopped,
            "paused": member.paused,
            "untrained_selected": member.untrained_selected,
            "mean": finite(best_set.mean[row]),
            **set_row(best_set, row),
            "difference": finite(best_set.difference[row]),
            "low": finite(best_set.low[row]),
            "high": finite(best_set.high[row]),
            "pairs": int(best_set.n[row]),
            "deficit_upper_bound": finite(deficit[row]),
            "within_margin": bool(equal[row]),
        }
        for row, member in enumerate(table.members)
    ]
    return {
        "study": summary.study.name,
        "synthetic": summary.study.synthetic,
        "label": LABEL,
        "metric": table.metric,
        "looked_at": looked_at(table.members),
        "partition": table.partition,
        "groups": summary.study.group_meaning,
        "selected": selection.winner.id,
        "scores": {
            name: {
                "selected_epochs": statistic_data(c.by_rule),
                "last_epoch": {"epoch": c.last_epoch, **(statistic_data(c.at_last) or {})},
                "mean_curve_best_epoch": {"epoch": c.mean_best_epoch, **(statistic_data(c.at_mean_best) or {})},
            }
            for name, c in selection.choices.items()
        },
        "classes": [one.data() for one in class_recalls(summary, selection.winner)],
        "bias_corrected": None
        if bias is None
        else {
            "corrected": {name: finite(value) for name, value in bias.corrected.items()},
            "plain": {name: finite(value) for name, value in bias.plain.items()},
            "low": bias.low,
            "high": bias.high,
            "no_interval": bias.no_interval,
            "rounds": bias.rounds,
            "groups": bias.groups,
            "share_that_chose_the_selected": _chosen(selection),
        },
        "no_bias_corrected": selection.no_bias,
        "stopped_by_search": selection.stopped,
        "confidence_set": {
            **set_data(best_set, table.members),
            "members": [table.members[row].id for row in best_set.members],
        },
        "margin": selection.margin,
        "cheaper": None if selection.cheaper is None else table.members[selection.cheaper].id,
        "configurations": rows,
        "front": None if selection.front is None else front_data(selection.front),
        "not_ranked": selection.incomplete,
        "other_metric": selection.other_metric,
        "notes": list(selection.notes),
    }

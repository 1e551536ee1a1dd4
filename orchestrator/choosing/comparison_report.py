"""What `orch compare` says: each thing's score, which may be the best, and the differences of all pairs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from orchestrator.choosing.choice_text import (
    LABEL,
    components_data,
    components_text,
    difference,
    heading,
    label_of,
    set_data,
    set_row,
    settings_data,
    statistic_data,
)
from orchestrator.choosing.comparison import Comparison, Item
from orchestrator.results.comparing import looked_at, selected_by
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.how_ended import how_ended
from orchestrator.results.names import names_of
from orchestrator.results.narrowed import compared_words, first_counting, no_correction
from orchestrator.results.report import Report, columns, finite, plus_minus
from orchestrator.results.statistic import Statistic
from orchestrator.statistics.confidence_set import ConfidenceSet, confidence_set
from orchestrator.statistics.paired import differences
from orchestrator.statistics.resampled import components, corrected_test
from orchestrator.statistics.set_words import (
    divergence_words,
    notes,
    p_words,
    rate_words,
    set_words,
    standing_words,
)
from orchestrator.store.schema import Metric


@dataclass(frozen=True)
class _Pair:
    """How much the first is better than the second; p only over several partitions."""

    first: Item
    second: Item
    mean: float
    low: float
    high: float
    n: int
    p: float | None


def comparison_report(comparison: Comparison) -> Report:
    """Over repeats where there is one partition, else over partitions with the corrected resampled t-test."""
    best_set = _set(comparison)
    pairs = _pairs(comparison)
    lines = [*heading([item.study.study for item in comparison.items]), ""]
    lines += _items(comparison, best_set)
    lines += ["", *_pair_lines(comparison, pairs), ""]
    lines += _closing(comparison, best_set)
    return Report(tuple(lines), _data(comparison, best_set, pairs))


def _set(comparison: Comparison) -> ConfidenceSet | None:
    """The confidence set over repeats; none over several partitions, whose scores are not independent."""
    if len(comparison.partitions) > 1:
        return None
    scores, diverged = comparison.scores[:, 0], comparison.diverged[:, 0]
    first = first_counting(_members(comparison))
    if np.isfinite(scores[:, first:]).any(axis=1).all():
        scores, diverged = scores[:, first:], diverged[:, first:]
    return confidence_set(scores, comparison.higher_is_better, diverged)


def _pairs(comparison: Comparison) -> list[_Pair]:
    items, better = comparison.items, comparison.higher_is_better
    pairs = []
    for one, other in combinations(range(len(items)), 2):
        if len(comparison.partitions) > 1:
            test = corrected_test(comparison.pairs[[one, other]], 1, better, comparison.ratio)
            mean, low, high = float(test.mean[0]), float(test.low[0]), float(test.high[0])
            pairs.append(_Pair(items[one], items[other], mean, low, high, test.partitions, float(test.p[0])))
        else:
            away = differences(comparison.pairs[[one, other], 0], 1, better)
            mean, low, high = float(away.mean[0]), float(away.low[0]), float(away.high[0])
            pairs.append(_Pair(items[one], items[other], mean, low, high, int(away.n[0]), None))
    return pairs


def _score(comparison: Comparison, row: int) -> Statistic:
    """Over repeats, or over the means of the partitions."""
    scores = comparison.scores[row]
    values = scores[0] if len(scores) == 1 else np.nanmean(scores, axis=1)
    return Statistic.of(values[np.isfinite(values)])


def _items(comparison: Comparison, best_set: ConfidenceSet | None) -> list[str]:
    over = "partitions" if best_set is None else "n"
    rows = [
        ("", "", "configuration", "id", "best of", f"valid {label_of(comparison.metric)}", over, "crossed", "p", "")
    ]
    names = names_of(item.members[0].configuration for item in comparison.items)
    for row, item in enumerate(comparison.items):
        score = _score(comparison, row)
        inside = "" if best_set is None else standing_words(best_set, row)
        note = _rate(comparison, row) if best_set is None else notes(best_set, row)
        p = "–" if best_set is None else p_words(best_set.p[row])
        name = names[item.members[0].id]
        crossed = plus_minus(item.crossed) if item.among > 1 and not item.is_by_results else "–"
        numbers = str(item.among), plus_minus(score), str(score.n), crossed, p
        rows.append((inside, item.label, name, item.id, *numbers, note))
    return columns(rows, (False, False, False, False, True, True, True, True, True, False))


def _rate(comparison: Comparison, row: int) -> str:
    """Over all partitions."""
    return rate_words(int(comparison.diverged[row].sum()), int(np.isfinite(comparison.scores[row]).sum()))


def _pair_lines(comparison: Comparison, pairs: list[_Pair]) -> list[str]:
    rows = [("pair", "first better by", "p")]
    for pair in pairs:
        name = f"{pair.first.label} against {pair.second.label}"
        p = "–" if pair.p is None else p_words(pair.p)
        rows.append((name, difference(pair.mean, pair.low, pair.high), p))
    if len(comparison.partitions) == 1:
        rows = [(*row[:2], "") for row in rows]
    return columns(rows, (False, True, True))


def _closing(comparison: Comparison, best_set: ConfidenceSet | None) -> list[str]:
    lines = [f"Validation scores, each at the repeat's epoch selected by {selected_by(_members(comparison))}."]
    lines += [f"{item.label}: {told}" for item in comparison.items if (told := how_ended(item.members))]
    if best_set is None:
        for row, item in enumerate(comparison.items):
            lines.append(f"{item.label}: {components_text(components(comparison.scores[row]))}")
        counts = np.isfinite(comparison.scores).sum(axis=(1, 2))
        lines += divergence_words(comparison.diverged.sum(axis=(1, 2)), counts)
        lines.append(
            f"Intervals and p: corrected resampled t-test over {len(comparison.partitions)} partitions, which hold out "
            "the same test split; not corrected for the number of pairs."
        )
    else:
        lines += set_words(best_set)
        lines.append(
            "Each pair is compared over all repeats that both have. The 95 % intervals describe retraining on this "
            "partition and are not corrected for the number of pairs."
        )
    if any(item.among > 1 for item in comparison.items):
        others = "partitions" if best_set is None else "repeats"
        lines.append(
            f'"best of": so many configurations, of which the one with the best mean ({_ranked_by(comparison)}) is '
            "shown; the more there are, the more its score owes to luck. "
            f'"crossed": the score when the configuration is chosen on the other {others}.'
        )
    for name in dict.fromkeys(item.study.study.name for item in comparison.items if item.is_by_results):
        lines.append(f"{name}: no crossed score: {no_correction(name)}.")
    lines += filter(None, [compared_words(_members(comparison))])
    return lines


def _members(comparison: Comparison) -> list[ConfigurationSummary]:
    return [item.members[0] for item in comparison.items]


def _ranked_by(comparison: Comparison) -> str:
    """What ranked the configurations of which each item is the best."""
    alike: dict[Metric, list[ConfigurationSummary]] = {}
    for item in comparison.items:
        alike.setdefault(item.members[0].configuration.selection.metric, []).append(item.members[0])
    return "; ".join(f"{label_of(metric)}, {looked_at(members)}" for metric, members in alike.items())


def _data(comparison: Comparison, best_set: ConfidenceSet | None, pairs: list[_Pair]) -> dict[str, Any]:
    items = []
    for row, item in enumerate(comparison.items):
        scores = comparison.scores[row]
        items.append(
            {
                "label": item.label,
                "study": item.study.study.name,
                "synthetic": item.study.study.synthetic,
                **settings_data(item.members[0]),
                "chosen_among": item.among,
                "score": statistic_data(_score(comparison, row)),
                "crossed": statistic_data(item.crossed) if item.among > 1 and not item.is_by_results else None,
                "chosen_by_results": item.is_by_results,
                **({"in_set": None, "p": None} if best_set is None else set_row(best_set, row)),
                "means": [finite(value) for value in np.nanmean(scores, axis=1)],
                "variance": components_data(components(scores)),
            }
        )
    return {
        "label": LABEL,
        "metric": comparison.metric,
        "selected_by": selected_by(_members(comparison)),
        "ranked_by": _ranked_by(comparison),
        "partitions": list(comparison.partitions),
        "test": "corrected resampled t-test" if best_set is None else "paired over repeats",
        "confidence_set": None if best_set is None else set_data(best_set, ()),
        "items": items,
        "pairs": [
            {
                "first": pair.first.label,
                "second": pair.second.label,
                "difference": finite(pair.mean),
                "low": finite(pair.low),
                "high": finite(pair.high),
                "n": pair.n,
                "p": None if pair.p is None else finite(pair.p),
            }
            for pair in pairs
        ],
    }

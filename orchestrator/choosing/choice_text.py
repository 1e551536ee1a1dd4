"""Words and columns that the reports of `orch best` and `orch compare` share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.narrowed import among_words
from orchestrator.results.report import finite
from orchestrator.results.statistic import Statistic
from orchestrator.results.tried import tried_columns
from orchestrator.statistics.confidence_set import ConfidenceSet
from orchestrator.statistics.divergence import rate_interval
from orchestrator.statistics.looks import ALPHA
from orchestrator.statistics.resampled import Components
from orchestrator.statistics.set_words import set_words
from orchestrator.store.schema import Metric, StudyRecord
from search_spaces.settings.selection import METRICS

LABEL = "validation scores, used for selection"
SHOWN = 15
"""Rows of a table on the screen unless all are asked for; JSON has all."""


def label_of(metric: Metric) -> str:
    """The name of a metric in words."""
    return METRICS.variants[metric].label


def heading(studies: Sequence[StudyRecord]) -> list[str]:
    """What every page and table must say of the studies themselves."""
    names = ", ".join(dict.fromkeys(study.name for study in studies))
    meanings = "; ".join(dict.fromkeys(study.group_meaning for study in studies))
    lines = [f"{names}: {LABEL}, hence optimistic. Groups: {meanings}."]
    if any(study.synthetic for study in studies):
        lines.append("Synthetic images: the scores say nothing about real ones.")
    return lines


def difference(mean: float, low: float, high: float) -> str:
    """With its interval; a dash where there is no pair."""
    if not math.isfinite(mean):
        return "–"
    return f"{mean:+z.3f} " + (f"[{low:+z.3f}, {high:+z.3f}]" if math.isfinite(high - low) else "no interval")


def set_data(best_set: ConfidenceSet, members: Sequence[ConfigurationSummary]) -> dict[str, Any]:
    """At which look the set of these is, and what is said of it."""
    return {
        "level": 1 - ALPHA,
        "repeats": best_set.repeats,
        "look": best_set.look.repeats if best_set.look else None,
        "p_above": best_set.look.level if best_set.look else None,
        "next_look": best_set.next.repeats if best_set.next else None,
        "among": among_words(members) if members else None,
        "said": set_words(best_set, members),
        "guarantee_includes_diverged": not best_set.diverged.any(),
    }


def set_row(best_set: ConfidenceSet, row: int) -> dict[str, Any]:
    """What the set says of one configuration."""
    diverged, repeats = int(best_set.diverged[row]), int(best_set.counts[row])
    low, high = rate_interval(diverged, repeats)
    return {
        "in_set": None if row in best_set.uncompared else row in best_set.members,
        "p": finite(best_set.p[row]),
        "look": int(best_set.at[row]) or None,
        "diverged": diverged,
        "diverged_rate": {"value": diverged / repeats, "low": low, "high": high},
        "tail": {-1: "bad", 1: "good"}.get(int(best_set.tails[row])),
    }


def components_text(components: Components | None) -> str:
    """Where the variance of one configuration's scores comes from."""
    if components is None:
        return "Sources of variance: unknown; at least two partitions with two repeats each are needed."
    return (
        f"Standard deviations from {components.partitions} partitions × {components.seeds} repeats: between partitions "
        f"{components.partition:.3f}, between seeds {components.seed:.3f}, remaining {components.rest:.3f}."
    )


def components_data(components: Components | None) -> dict[str, Any] | None:
    if components is None:
        return None
    parts = {"partition_std": components.partition, "seed_std": components.seed, "rest_std": components.rest}
    return {**parts, "partitions": components.partitions, "repeats": components.seeds}


def settings_data(member: ConfigurationSummary) -> dict[str, Any]:
    """Id and every setting, None where it cannot matter."""
    settings = tried_columns(member.configuration)
    parameters = {"total_parameters": member.total_parameters, "trainable_parameters": member.trainable_parameters}
    return {"id": member.id, **settings, **parameters}


def statistic_data(statistic: Statistic | None) -> dict[str, Any] | None:
    if statistic is None:
        return None
    return {"mean": finite(statistic.mean), "std": finite(statistic.std), "n": statistic.n}

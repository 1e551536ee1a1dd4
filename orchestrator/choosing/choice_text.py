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


def set_data(found: ConfidenceSet, members: Sequence[ConfigurationSummary]) -> dict[str, Any]:
    """At which look the set of these is, and what is said of it."""
    return {
        "level": 1 - ALPHA,
        "repeats": found.repeats,
        "look": found.look.repeats if found.look else None,
        "p_above": found.look.level if found.look else None,
        "next_look": found.next.repeats if found.next else None,
        "among": among_words(members) if members else None,
        "said": set_words(found, members),
        "guarantee_includes_diverged": not found.diverged.any(),
    }


def set_row(found: ConfidenceSet, row: int) -> dict[str, Any]:
    """What the set says of one configuration."""
    diverged, repeats = int(found.diverged[row]), int(found.counts[row])
    low, high = rate_interval(diverged, repeats)
    return {
        "in_set": None if row in found.uncompared else row in found.members,
        "p": finite(found.p[row]),
        "look": int(found.at[row]) or None,
        "diverged": diverged,
        "diverged_rate": {"value": diverged / repeats, "low": low, "high": high},
        "tail": {-1: "bad", 1: "good"}.get(int(found.tails[row])),
    }


def components_text(found: Components | None) -> str:
    """Where the variance of one configuration's scores comes from."""
    if found is None:
        return "Variance: two partitions with two repeats each are needed to divide it."
    return (
        f"Standard deviations from {found.partitions} partitions × {found.seeds} repeats: partition "
        f"{found.partition:.3f}, seed {found.seed:.3f}, rest {found.rest:.3f}."
    )


def components_data(found: Components | None) -> dict[str, Any] | None:
    if found is None:
        return None
    parts = {"partition_std": found.partition, "seed_std": found.seed, "rest_std": found.rest}
    return {**parts, "partitions": found.partitions, "repeats": found.seeds}


def settings_data(member: ConfigurationSummary) -> dict[str, Any]:
    """Id and every setting, None where it cannot matter."""
    settings = tried_columns(member.configuration)
    parameters = {"total_parameters": member.total_parameters, "trainable_parameters": member.trainable_parameters}
    return {"id": member.id, **settings, **parameters}


def statistic_data(statistic: Statistic | None) -> dict[str, Any] | None:
    if statistic is None:
        return None
    return {"mean": finite(statistic.mean), "std": finite(statistic.std), "n": statistic.n}

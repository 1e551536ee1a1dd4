"""The settings of a search that does not fill a grid: which of them vary, the table behind its figures, importance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.choice import Choice, Source, backbones
from dashboards.figures.markup import METRIC_NAMES, depth_text, point_text
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.summary import Summary
from orchestrator.statistics.partitions import partitions_of

Floats = NDArray[np.float64]

LEAST_SETTINGS = 3
LEAST_CONFIGURATIONS = 12
"""With a result, before shares of variance are given."""
MOST_BINS = 6
SHUFFLES = 200
RESULT = ("mean", "std", "n", "rank")

NAMES: dict[str, str] = {
    "non_linearities": "non-linearities",
    "unfrozen": "unfrozen layers",
    "lr": "learning rate",
    "batch_size": "batch size",
    "optimiser": "optimiser",
    "momentum": "momentum",
    "beta1": "beta 1",
    "beta2": "beta 2",
    "weight_decay": "weight decay",
    "dropout": "dropout",
    "negative_slope": "negative slope",
    "balance": "balance",
    "views": "views",
    "image_size": "image size",
    "standardisation": "standardisation",
    "interpolation": "interpolation",
    "precision": "precision",
}
"""Settings that a search can vary within one backbone, and what figures call them."""
_ON_HEAT_MAPS = {"lr", "batch_size", "non_linearities", "unfrozen"}
_FOLLOWS = {
    "momentum": "optimiser",
    "beta1": "optimiser",
    "beta2": "optimiser",
    "dropout": "non_linearities",
    "negative_slope": "non_linearities",
}
"""Setting → the one that alone decides, in many spaces, whether it counts at all."""


def varying_settings(members: Sequence[ConfigurationSummary]) -> list[str]:
    """Settings with two values or more, in the order of NAMES, without those that another one decides."""
    found = []
    for name in NAMES:
        values = {getattr(member.configuration, name) for member in members}
        leader = _FOLLOWS.get(name)
        if leader:
            pairs = {(getattr(m.configuration, leader), getattr(m.configuration, name)) for m in members}
            if len(pairs) == len({value for value, _ in pairs}):
                continue
        if len(values) > 1:
            found.append(name)
    return found


def off_grid(members: Sequence[ConfigurationSummary]) -> list[ConfigurationSummary]:
    """Configurations of the strategies that vary three settings or more, of which heat maps do not show all.

    They do where only their own settings vary and a strategy fills its grid: as many different points as the product
    of its numbers of values. Whatever was asked for counts, with or without a result.
    """
    found: list[ConfigurationSummary] = []
    for strategy in dict.fromkeys(member.configuration.strategy for member in members):
        part = [member for member in members if member.configuration.strategy == strategy]
        names = varying_settings(part)
        points = {tuple(getattr(member.configuration, name) for name in names) for member in part}
        whole = math.prod(len({point[place] for point in points}) for place in range(len(names)))
        if len(names) >= LEAST_SETTINGS and (len(points) < whole or not _ON_HEAT_MAPS.issuperset(names)):
            found += part
    return found


def search_choices(summary: Summary) -> list[Choice]:
    """A choice per partition, backbone and score, whether or not its search is off a grid."""
    return [
        Choice(partition, backbone, score=str(score))
        for partition in partitions_of(summary)
        for backbone in backbones(m for m in summary.configurations if m.partition == partition)
        for score in METRIC_NAMES
    ]


def search_data(source: Source, choice: Choice) -> pd.DataFrame:
    """One row per configuration off a grid that has a result; empty where the search fills its grids.

    Columns: configuration, the settings that vary, mean, std and n of the validation score at selected epochs, rank
    (NaN before all repeats are done). Best mean first.
    """
    members = off_grid(source.members(replace(choice, depth=None)))
    names = varying_settings(members)
    rows = []
    for member in members:
        score = member.score(choice.score, "valid")  # type: ignore[arg-type]  # a key of METRIC_NAMES
        if score is None or not math.isfinite(score.mean):
            continue
        where = f"{depth_text(member.depth)}, {point_text(member.configuration)}"
        settings = [getattr(member.configuration, name) for name in names]
        rank = math.nan if member.rank is None else member.rank
        rows.append((where, *settings, score.mean, score.std, score.n, rank))
    data = pd.DataFrame(rows, columns=["configuration", *names, *RESULT])
    ordered = data.sort_values("mean", ascending=choice.score == "loss", kind="stable", ignore_index=True)
    return ordered if len(ordered) > 1 else ordered.iloc[:0]


def settings_of(data: pd.DataFrame) -> list[str]:
    """The columns of `search_data` that are settings."""
    return [name for name in data.columns if name in NAMES]


def importance_data(source: Source, choice: Choice) -> pd.DataFrame:
    """Share of the variance between configurations that each setting explains by itself, largest first.

    The scores are replaced by their ranks, so that a few configurations that never learn do not decide. Columns:
    setting, share (0 to 1), by_chance (the share that shuffled scores exceed once in 20 times), bins, configurations.
    Empty below LEAST_CONFIGURATIONS.
    """
    data = search_data(source, choice)
    columns = ["setting", "share", "by_chance", "bins", "configurations"]
    if len(data) < LEAST_CONFIGURATIONS:
        return pd.DataFrame(columns=columns)
    scores = np.asarray(data["mean"].rank(), dtype=np.float64)
    draw = np.random.default_rng(0)
    shuffled = [draw.permutation(scores) for _ in range(SHUFFLES)]
    rows = []
    for name in settings_of(data):
        bins = binned(data[name])
        by_chance = float(np.quantile([explained(mixed, bins) for mixed in shuffled], 0.95))
        rows.append((NAMES[name], explained(scores, bins), by_chance, int(bins.max()) + 1, len(data)))
    rows.sort(key=lambda row: -row[1])
    return pd.DataFrame(rows, columns=columns)


def binned(values: pd.Series) -> NDArray[np.int64]:
    """Number of each value's bin: its own up to MOST_BINS different values, of a number else a bin of equal counts."""
    codes = np.unique(values.to_numpy(dtype=object if values.dtype == object else None), return_inverse=True)[1]
    if codes.max() < MOST_BINS or not pd.api.types.is_numeric_dtype(values):
        return np.asarray(codes, dtype=np.int64)
    order = pd.Series(values).rank(method="average", pct=True).to_numpy()
    cut = np.minimum((order * MOST_BINS - 1e-9).astype(int), MOST_BINS - 1)
    return np.asarray(np.unique(cut, return_inverse=True)[1], dtype=np.int64)


def explained(scores: Floats, bins: NDArray[np.int64]) -> float:
    """ε² of a one-way analysis of variance (Kelley 1935): the share of variance between bins, less what chance gives.

    ε² = (SS(between) − (bins − 1) · MS(within)) / SS(total), a negative one as 0. It is the main effect of a functional
    analysis of variance (Hutter and others 2014) with bins in place of a forest; interactions are not in it.
    """
    count, k = len(scores), int(bins.max()) + 1
    total = float(((scores - scores.mean()) ** 2).sum())
    if count <= k or k < 2 or total <= 0:
        return 0.0
    sizes = np.bincount(bins, minlength=k)
    means = np.bincount(bins, scores, minlength=k) / np.maximum(sizes, 1)
    between = float((sizes * (means - scores.mean()) ** 2).sum())
    return max(0.0, (between - (k - 1) * (total - between) / (count - k)) / total)

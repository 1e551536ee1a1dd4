"""The partitions that iterative filling chooses from, class by class over μ and ε (figure 2.5). Starts no torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from trainables.data.filling import DIVERSITY, TARGETS, WEIGHTS, Candidate, candidates

SPLITS = ("train", "valid", "test")
COLUMNS = [
    *("class", "mu_from", "mu_to", "epsilon_from", "epsilon_to", "distance", "proportion", "diversity"),
    *(f"{split}_share" for split in SPLITS),
    *(f"{split}_groups" for split in SPLITS),
    *("is_chosen", "mu", "epsilon"),
]
FILLED = ("ifp", "ifpo")
_WHY = {
    "stratified": "it divides all classes at once, by moving and exchanging whole groups",
    "psp": "it gives the largest groups to train, then to valid, and has nothing to choose",
    "given": "the splits came with the data",
    "valid_from_train": "the test split came with the data, and valid was drawn from the given train split",
}


def candidate_data(images: pd.DataFrame, made: Mapping[str, Any]) -> pd.DataFrame:
    """Every partition that IFPO looks at, one row per class and region of (μ, ε); COLUMNS.

    images: columns label, group, width, height. made: policy and details as the partition's file has them; its targets
    are used, whatever the policy. A row holds for mu_from < μ ≤ mu_to and epsilon_from ≤ ε < epsilon_to. is_chosen: the
    row that the partition took, with its mu and epsilon; none where its policy has no such numbers. Empty where a
    group holds several classes, for then the classes are not filled one by one, and where sizes are not known.
    """
    rows: list[tuple[Any, ...]] = []
    details = made.get("details")
    details = details if isinstance(details, dict) else {}
    if not {"label", "group", "width", "height"} <= set(images.columns) or _is_mixed(images):
        return pd.DataFrame(rows, columns=COLUMNS)
    targets, diversity = (
        _three(details.get(key), usual) for key, usual in (("targets", TARGETS), ("diversity_targets", DIVERSITY))
    )
    weights = details.get("weights") if made.get("policy") in FILLED else None
    pair = (float(weights[0]), float(weights[1])) if isinstance(weights, list) and len(weights) == 2 else WEIGHTS
    pixels = images["width"].to_numpy(dtype=np.int64) * images["height"].to_numpy(dtype=np.int64)
    of = images.assign(pixels=pixels).groupby(["label", "group"], sort=True)["pixels"].sum()
    for label, sizes in of.groupby("label", sort=True):
        mu, epsilon = chosen_point(made, str(label))
        partitions = _candidates(tuple(sizes.tolist()), targets, diversity, pair, epsilon or 0.0)
        for one in partitions:
            is_chosen = mu is not None and epsilon is not None and _holds(one, mu, epsilon)
            away, filling = one.filling.distance, one.filling
            region = one.mu_from, one.mu_to, one.epsilon_from, one.epsilon_to
            parts = away.total, away.proportion, away.diversity
            point = (mu, epsilon) if is_chosen else (np.nan, np.nan)
            rows.append((str(label), *region, *parts, *filling.shares, *filling.families, is_chosen, *point))
    return pd.DataFrame(rows, columns=COLUMNS)


def chosen_point(made: Mapping[str, Any], label: str) -> tuple[float | None, float | None]:
    """(μ, ε) that iterative filling chose for a class; (None, None) where it was not used."""
    details = made.get("details")
    classes = details.get("classes") if isinstance(details, dict) else None
    values = classes.get(label) if isinstance(classes, dict) else None
    if made.get("policy") not in FILLED or not isinstance(values, dict):
        return None, None
    mu, epsilon = values.get("mu"), values.get("epsilon")
    return (float(mu), float(epsilon)) if mu is not None and epsilon is not None else (None, None)


def why_no_map(made: Mapping[str, Any]) -> str:
    """One sentence: why a partition has no μ and no ε."""
    policy = str(made.get("policy", ""))
    if policy in FILLED:
        return (
            f"The policy {policy} has no map here: groups hold several classes, so the classes were not filled one by "
            "one, and no μ and ε describe the partition."
        )
    why = f", because {_WHY[policy]}" if policy in _WHY else ""
    return f"A partition of the policy {policy or 'unknown'} has no map over μ and ε{why}."


def _is_mixed(images: pd.DataFrame) -> bool:
    return bool((images.groupby("group")["label"].nunique() > 1).any())


def _three(value: Any, usual: tuple[float, float, float]) -> tuple[float, float, float]:
    return (float(value[0]), float(value[1]), float(value[2])) if isinstance(value, list) and len(value) == 3 else usual


def _holds(one: Candidate, mu: float, epsilon: float) -> bool:
    near = 1e-9
    return one.mu_from + near < mu <= one.mu_to + near and one.epsilon_from - near <= epsilon < one.epsilon_to - near


@lru_cache(maxsize=64)
def _candidates(
    sizes: tuple[int, ...],
    targets: tuple[float, float, float],
    diversity: tuple[float, float, float],
    weights: tuple[float, float],
    chosen: float,
) -> tuple[Candidate, ...]:
    """Kept, since a live page is written again and again from the same partition."""
    return tuple(candidates(sizes, targets, diversity, weights, chosen))

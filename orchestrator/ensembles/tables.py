"""Ensembles of a study as DataFrames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from orchestrator.ensembles.record import EnsembleRecord
from orchestrator.ensembles.report import gain, verdict


def ensembles_table(records: Sequence[EnsembleRecord]) -> pd.DataFrame:
    """A row per ensemble in the order given.

    Columns: ensemble (id), created, partition, images, groups, metric (made for, in words), combine, weights, members
    (that count something), models, passes (of backbones, for an image), single (id of the best configuration alone);
    its mean over repeats, its repeats together and the ensemble as single, rival and ensemble: X_out_of_bag (NaN
    without bags) and X_in_sample; gain (out of bag, over the best alone; positive is better), bags, ahead_of_single,
    ahead_of_rival (in how many of them), said.
    """
    return pd.DataFrame([_row(one) for one in records], columns=_COLUMNS)


def members_table(record: EnsembleRecord) -> pd.DataFrame:
    """A row per member, the best alone first.

    Columns: configuration, name, weight (0: it counts nothing), repeats (how many), alone (its score on the valid
    images that chose it, mean over repeats); disagreement (share of images that it and another member call differently)
    and correlation (of their errors), each the mean over the other members that count; NaN without such.
    """
    places = {member.configuration: place for place, member in enumerate(record.counting)}
    rows = [
        {
            "configuration": member.configuration,
            "name": member.name,
            "weight": member.weight,
            "repeats": len(member.repeats),
            "alone": member.alone,
            "disagreement": _mean(record.disagreement, places.get(member.configuration)),
            "correlation": _mean(record.correlation, places.get(member.configuration)),
        }
        for member in record.members
    ]
    return pd.DataFrame(rows)


_SIDES = ("single", "rival", "ensemble")
_COLUMNS = [
    *("ensemble", "created", "partition", "images", "groups", "metric", "combine", "weights", "members", "models"),
    *("passes", "single", *(f"{side}_{on}" for side in _SIDES for on in ("out_of_bag", "in_sample"))),
    *("gain", "bags", "ahead_of_single", "ahead_of_rival", "said"),
]


def _row(one: EnsembleRecord) -> dict[str, object]:
    out = one.out_of_bag
    scores = {}
    for side in _SIDES:
        scores[f"{side}_out_of_bag"] = np.nan if out is None else getattr(out.scores, side)
        scores[f"{side}_in_sample"] = getattr(one.in_sample, side)
    return {
        "ensemble": one.id,
        "created": one.created,
        "partition": one.partition,
        "images": one.images,
        "groups": one.groups,
        "metric": one.metric_words,
        "combine": one.combine,
        "weights": one.weigh,
        "members": len(one.counting),
        "models": one.cost.models,
        "passes": one.cost.passes,
        "single": one.single,
        **scores,
        "gain": np.nan if out is None else gain(one, out.scores.ensemble, out.scores.single),
        "bags": 0 if out is None else out.rounds,
        "ahead_of_single": 0 if out is None else out.over_single.better,
        "ahead_of_rival": 0 if out is None else out.over_rival.better,
        "said": verdict(one),
    }


def _mean(matrix: Sequence[Sequence[float | None]], place: int | None) -> float:
    """Of a member's row without itself."""
    if place is None:
        return np.nan
    values = np.array(matrix, dtype=np.float64)[place]
    others = np.delete(values, place)
    others = others[np.isfinite(others)]
    return float(others.mean()) if len(others) else np.nan

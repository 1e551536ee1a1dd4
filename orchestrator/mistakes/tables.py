"""All that is found of a study's mistakes as DataFrames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import pandas as pd

from orchestrator.mistakes.found import Mistakes


def _configurations(mistakes: Mistakes) -> pd.DataFrame:
    """A row per configuration that was looked at, the best first. Columns: configuration, name, wrong (share of its
    predictions, mean over images)."""
    of = mistakes.gathered
    wrong = 1 - (of.right / of.trials).mean(axis=1)
    return pd.DataFrame(
        {"configuration": [one.id for one in of.members], "name": [of.names[one.id] for one in of.members]}
    ).assign(wrong=wrong)


def _slices(mistakes: Mistakes) -> pd.DataFrame:
    """A row per slice. Columns: the fields of `mistakes.slices.Slice`, and is_worse."""
    columns = ["name", "value", "images", "groups", "error", "low", "high", "expected", "p", "corrected", "is_worse"]
    return pd.DataFrame([{**asdict(one), "is_worse": one.is_worse} for one in mistakes.slices], columns=columns)


def _shared(mistakes: Mistakes) -> pd.DataFrame:
    """A row per set of configurations that have the same images wrong in most repeats, and no other has: they add up to
    all images. Columns: configurations (tuple of ids), images."""
    ids = [one.id for one in mistakes.gathered.members]
    rows = [(tuple(ids[place] for place in which), count) for which, count in mistakes.shared.regions]
    return pd.DataFrame(rows, columns=["configurations", "images"])


TABLES: dict[str, Callable[[Mistakes], pd.DataFrame]] = {
    "images": lambda mistakes: mistakes.images,
    "classes": lambda mistakes: mistakes.classes,
    "groups": lambda mistakes: mistakes.groups,
    "slices": _slices,
    "configurations": _configurations,
    "shared": _shared,
    "suspects": lambda mistakes: mistakes.suspects,
    "twins": lambda mistakes: mistakes.twins,
}
"""By name; the columns of those that are found as tables stand with what finds them."""

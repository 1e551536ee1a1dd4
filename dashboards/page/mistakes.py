"""Which test images a model gets wrong: one row per image over all repeats, and the images that every model misses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboards.figures.choice import Source
from orchestrator.evaluation.record import EvaluationRecord
from orchestrator.results.stored_data import read_table

COLUMNS = ["file", "group", "truth", "predicted", "times", "right", "repeats", "probability"]


def prediction_data(source: Source, record: EvaluationRecord) -> pd.DataFrame:
    """One row per test image, by the single models (view 0) of one evaluation; empty without its predictions.

    Columns: file, group, truth, predicted (by most repeats; of equals the first class), times (how many repeats say
    so), right (how many say the truth), repeats, probability (of the truth, mean over repeats, 0–1).
    """
    names = [f"probability {name}" for name in record.classes]
    table = read_table(source.storage, record.predictions, _columns(names))
    if table is None:
        return pd.DataFrame(columns=COLUMNS)
    frame = table.to_pandas()
    frame = frame[(frame["view"] == 0) & frame["label"].isin(record.classes)].reset_index(drop=True)
    if frame.empty:
        return pd.DataFrame(columns=COLUMNS)
    chances = frame[names].to_numpy(dtype=float)
    predicted = chances.argmax(axis=1)
    truth = frame["label"].map({name: place for place, name in enumerate(record.classes)}).to_numpy(dtype=int)
    image, files = pd.factorize(frame["file"])
    votes = np.zeros((len(files), len(names)), dtype=int)
    np.add.at(votes, (image, predicted), 1)
    repeats = votes.sum(axis=1)
    first = np.unique(image, return_index=True)[1]
    of_truth = truth[first]
    places = np.arange(len(files))
    chance = np.bincount(image, weights=chances[np.arange(len(frame)), truth]) / repeats
    return pd.DataFrame(
        {
            "file": files.astype(str),
            "group": frame["group"].to_numpy()[first].astype(str),
            "truth": [record.classes[place] for place in of_truth],
            "predicted": [record.classes[place] for place in votes.argmax(axis=1)],
            "times": votes.max(axis=1),
            "right": votes[places, of_truth],
            "repeats": repeats,
            "probability": chance,
        }
    )


def _columns(names: Sequence[str]) -> dict[str, str]:
    texts, numbers = ("file", "group", "label"), ("repeat", "view", *names)
    return {**dict.fromkeys(texts, "text"), **dict.fromkeys(numbers, "number")}


def worst(data: pd.DataFrame) -> pd.DataFrame:
    """The images whose prediction is wrong, the least probable truth first."""
    wrong = data[data["predicted"] != data["truth"]]
    return wrong.sort_values(["probability", "file"], ignore_index=True)


def missed(predictions: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Images that no repeat of any evaluation gets right; of those that all evaluations hold, as the last one has them.

    predictions: `prediction_data` of one or more evaluations.
    """
    if not predictions:
        return pd.DataFrame(columns=COLUMNS)
    kept = predictions[-1][predictions[-1]["right"] == 0]
    for data in predictions[:-1]:
        kept = kept[kept["file"].isin(data.loc[data["right"] == 0, "file"])]
    return kept.sort_values(["probability", "file"], ignore_index=True)

"""Image by image: always, sometimes or never right, and what it is called instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from orchestrator.mistakes.gathered import Gathered, Ints

STANDINGS = ("always", "sometimes", "never")
"""How often an image's predictions are right."""


def standing(right: Ints, trials: Ints) -> Ints:
    """Place in STANDINGS, int64 [N], of images of which `right` of `trials` predictions are right."""
    return np.where(right == trials, 0, np.where(right > 0, 1, 2)).astype(np.int64)


def standings(gathered: Gathered) -> tuple[Ints, Ints]:
    """Over the predictions of the first configuration, and over those of all."""
    every = gathered.trials * len(gathered.members)
    return standing(gathered.right[0], gathered.trials), standing(gathered.right.sum(axis=0), every)


def called_instead(gathered: Gathered) -> Ints:
    """The most frequent wrong class over all configurations, int64 [N], of equals the first; −1 where none is wrong."""
    votes = gathered.called.sum(axis=0)
    votes[np.arange(len(votes)), gathered.truth] = 0
    return np.where(votes.max(axis=1) > 0, votes.argmax(axis=1), -1)


def image_table(gathered: Gathered) -> pd.DataFrame:
    """A row per image, the worst first: right in the fewest predictions, then by the mean probability of the truth.

    Columns: file, label, group, partitions (in which it was in validation), predictions (of one configuration), right
    (share over all configurations, 0–1), standing (over all), best_right and best_standing (of the first
    configuration), mostly_called (most frequent wrong class, "" where none), probability (of the truth, mean over all),
    right_CONFIGURATION for each where there are several.
    """
    own, every = standings(gathered)
    trials = gathered.trials * len(gathered.members)
    instead = np.array([*gathered.classes, ""], dtype=object)[called_instead(gathered)]
    files = gathered.images["file"].tolist()
    index = {file: row for row, file in enumerate(gathered.manifest["file"])}
    rows = [index[file] for file in files]
    times = np.sum([split[rows] == "valid" for split in gathered.split_of.values()], axis=0)
    table = pd.DataFrame(
        {
            "file": files,
            "label": gathered.images["label"].tolist(),
            "group": gathered.images["group"].tolist(),
            "partitions": times,
            "predictions": gathered.trials,
            "right": gathered.right.sum(axis=0) / trials,
            "standing": np.array(STANDINGS, dtype=object)[every],
            "best_right": gathered.right[0] / gathered.trials,
            "best_standing": np.array(STANDINGS, dtype=object)[own],
            "mostly_called": instead,
            "probability": gathered.chance.mean(axis=0),
            **(
                {f"right_{one.id}": gathered.right[c] / gathered.trials for c, one in enumerate(gathered.members)}
                if len(gathered.members) > 1
                else {}
            ),
        }
    )
    return table.sort_values(["right", "probability", "file"], kind="stable", ignore_index=True)


def class_table(gathered: Gathered) -> pd.DataFrame:
    """A row per class in the order of the study's classes.

    Columns: label, images, groups, always, sometimes, never (over all configurations), best_always, best_sometimes,
    best_never (of the first), error (share of wrong predictions of the first, mean over images), mostly_called.
    """
    own, every = standings(gathered)
    rows = []
    for k, name in enumerate(gathered.classes):
        here = gathered.truth == k
        if not here.any():
            continue
        wrong = gathered.called[0, here].sum(axis=0)
        wrong[k] = 0
        counts = dict[str, int]()
        for prefix, places in (("", every), ("best_", own)):
            counts |= {f"{prefix}{one}": int((places[here] == at).sum()) for at, one in enumerate(STANDINGS)}
        rows.append(
            {
                "label": name,
                "images": int(here.sum()),
                "groups": len(np.unique(gathered.group[here])),
                **counts,
                "error": float(gathered.error[here].mean()),
                "mostly_called": gathered.classes[int(wrong.argmax())] if wrong.any() else "",
            }
        )
    return pd.DataFrame(rows)


def confused_pairs(gathered: Gathered) -> list[tuple[str, str, int, float]]:
    """(class, called, images of the class, share of the first configuration's predictions for these), the largest share
    first, of equals as the classes come; pairs that occur."""
    count = len(gathered.classes)
    cells = np.zeros((count, count))
    np.add.at(cells, gathered.truth, gathered.called[0] / gathered.trials[:, None])
    images = np.bincount(gathered.truth, minlength=count)
    shares = cells / np.maximum(images, 1)[:, None]
    pairs = [(t, p) for t, p in zip(*np.nonzero(shares), strict=True) if t != p]
    pairs.sort(key=lambda pair: (-shares[pair], pair))
    return [(gathered.classes[t], gathered.classes[p], int(images[t]), float(shares[t, p])) for t, p in pairs]


def never_by_group(gathered: Gathered) -> list[tuple[int, int]]:
    """(images, of them never right by any prediction of all configurations) of groups with such, the most first."""
    never = standings(gathered)[1] == STANDINGS.index("never")
    images = np.bincount(gathered.group)
    wrong = np.bincount(gathered.group, weights=never).astype(np.int64)
    there = [(int(images[group]), int(wrong[group])) for group in np.flatnonzero(wrong)]
    return sorted(there, key=lambda one: (-one[1], one[0]))


def group_table(gathered: Gathered) -> pd.DataFrame:
    """A row per group, most errors of the first configuration first.

    Columns: group, images, error (share of wrong predictions), expected (the mean error of its images' classes), never
    (images that it has never right), confused (list of (truth, called, share of the group's predictions), the most
    frequent first: the group's confusion without what is right).
    """
    by_class = np.bincount(gathered.truth, weights=gathered.error) / np.maximum(np.bincount(gathered.truth), 1)
    never = standings(gathered)[0] == STANDINGS.index("never")
    count, groups = len(gathered.classes), len(gathered.groups)
    confusion = np.zeros((groups, count, count))
    np.add.at(confusion, (gathered.group, gathered.truth), gathered.called[0] / gathered.trials[:, None])
    sizes = np.bincount(gathered.group, minlength=groups)
    rows = list[dict[str, Any]]()
    for place, name in enumerate(gathered.groups):
        shares = confusion[place] / sizes[place]
        wrong = [(t, p) for t, p in zip(*np.nonzero(shares), strict=True) if t != p]
        wrong.sort(key=lambda cell: (-shares[cell], cell))
        here = gathered.group == place
        rows.append(
            {
                "group": name,
                "images": int(sizes[place]),
                "error": float(gathered.error[here].mean()),
                "expected": float(by_class[gathered.truth[here]].mean()),
                "never": int(never[here].sum()),
                "confused": [(gathered.classes[t], gathered.classes[p], float(shares[t, p])) for t, p in wrong],
            }
        )
    order = sorted(rows, key=lambda row: (-row["error"], row["group"]))
    return pd.DataFrame(order)

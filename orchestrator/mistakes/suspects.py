"""Images whose label may be at fault: confident learning, from predictions of networks that did not train on them.

Northcutt, Jiang and Chuang 2021 ("Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70). A class's
threshold is the mean probability that images labelled so have of it. An image counts for the most probable of the
classes whose threshold its probability reaches; one that counts for another class than its label is suspected. What is
counted, class by class set to the number of images with that label, estimates how many labels are wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from orchestrator.mistakes.gathered import Floats, Gathered, Ints
from orchestrator.results.near_duplicates import with_kinds

_CLOSE = 1e-9


@dataclass(frozen=True)
class ConfidentJoint:
    """thresholds: float64 [K], NaN of a class without images. counts: int64 [K, K], images by label and by the class
    that they count for. suspected: places of images, the least margin first. margin: float64 [N], probability of the
    label less that of the most probable other class. estimated: int64 [K], labels of each class that are wrong, as
    estimated."""

    thresholds: Floats
    counts: Ints
    suspected: Ints
    counts_for: Ints
    margin: Floats
    estimated: Floats


def confident_joint(probability: Floats, label: Ints) -> ConfidentJoint:
    """probability: float64 [N, K], each image's from networks that did not train on it. label: int64 [N]."""
    images, classes = probability.shape
    sizes = np.bincount(label, minlength=classes)
    own = probability[np.arange(images), label]
    thresholds = np.where(sizes > 0, np.bincount(label, own, classes) / np.maximum(sizes, 1), np.nan)
    reached = probability >= thresholds - _CLOSE  # never where a class has no image
    counts_for = np.where(reached.any(axis=1), np.where(reached, probability, -1.0).argmax(axis=1), -1)
    counts = np.zeros((classes, classes), dtype=np.int64)
    counted = counts_for >= 0
    np.add.at(counts, (label[counted], counts_for[counted]), 1)
    others = probability.copy()
    others[np.arange(images), label] = -1.0
    margin = own - others.max(axis=1)
    places = np.flatnonzero(counted & (counts_for != label))
    suspected = places[np.argsort(margin[places], kind="stable")]
    off = counts.sum(axis=1) - np.diag(counts)
    estimated = sizes * off / np.maximum(counts.sum(axis=1), 1)
    return ConfidentJoint(thresholds, counts, suspected.astype(np.int64), counts_for, margin, estimated)


def suspect_table(gathered: Gathered, joint: ConfidentJoint, pairs: pd.DataFrame) -> pd.DataFrame:
    """The suspected images, the most suspicious first.

    pairs: as `twins` gives them. Columns: file, label, group, looks_like (the class it counts for), label_probability,
    other_probability, margin, twin (a near-duplicate of another class among training images, "" without), twin_label.
    """
    places = joint.suspected
    other = joint.counts_for[places]
    twin = pairs.drop_duplicates("file").set_index("file")[["other", "other_label"]]
    files = gathered.images["file"].to_numpy(dtype=object)[places]
    known = twin.reindex(files).fillna("")
    return pd.DataFrame(
        {
            "file": files,
            "label": gathered.images["label"].to_numpy(dtype=object)[places],
            "group": gathered.images["group"].to_numpy(dtype=object)[places],
            "looks_like": np.array(gathered.classes, dtype=object)[other],
            "label_probability": gathered.probability[places, gathered.truth[places]],
            "other_probability": gathered.probability[places, other],
            "margin": joint.margin[places],
            "twin": known["other"].to_numpy(dtype=object),
            "twin_label": known["other_label"].to_numpy(dtype=object),
        }
    )


def twins(gathered: Gathered, pairs: pd.DataFrame | None) -> pd.DataFrame:
    """Images in validation that are nearly the picture of a training image of another class, most alike first.

    pairs: near-duplicates of the study, None where it keeps none. Columns: file, label, other, other_label, similarity.
    Test images are not among them.
    """
    columns = ["file", "label", "other", "other_label", "similarity"]
    parts = [pd.DataFrame(columns=columns)]
    for split in () if pairs is None else gathered.split_of.values():
        of_group = dict(zip(gathered.manifest["group"], split, strict=True))
        assert pairs is not None
        told = with_kinds(pairs, gathered.manifest, of_group)
        told = told[told["differs"]]
        for mine, theirs in (("", "other_"), ("other_", "")):
            here = told[(told[f"{mine}split"] == "valid") & (told[f"{theirs}split"] == "train")]
            names = [mine or "file", f"{mine}label", theirs or "file", f"{theirs}label", "similarity"]
            names = ["other" if name == "other_" else name for name in names]
            parts.append(pd.DataFrame(here[names].to_numpy(dtype=object), columns=columns))
    every = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    every = every.astype({"similarity": float}).drop_duplicates(["file", "other"])
    return every.sort_values(["similarity", "file", "other"], ascending=[False, True, True], ignore_index=True)

"""Images that are unlike the others of their class by their features: the local outlier factor.

Breunig, Kriegel, Ng and Sander, LOF: identifying density-based local outliers, SIGMOD 2000. Around 1 an image lies as
densely as its neighbours do; the factor says how much further away it is from them than they are from each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from orchestrator.checking.finding import Finding, Item, Weight, count
from orchestrator.checking.material import Material

LEAST_IMAGES = 20
"""Of a class, below which no density can be told."""
NEIGHBOURS = 20
FROM = 1.75
"""Factor from which on an image is called an outlier, where it also lies far above those of its class:"""
_FENCE = 3.0
"""times the distance of the quartiles above the upper one (Tukey's outer fence)."""
_WIDEST = 8.0
"""Deviations beyond which a single number does not count more."""
_PARTS = 32
"""Principal components of a class at most: distances in more say little."""


def outliers(material: Material) -> Finding | None:
    """Per class the images with a local outlier factor of FROM or more."""
    labels = material.manifest["label"].to_numpy(dtype=object)
    files = material.manifest["file"].to_numpy(dtype=object)
    unlike = list[tuple[float, str, str]]()
    for label in sorted(set(labels)):
        places = np.flatnonzero(labels == label)
        if len(places) < LEAST_IMAGES:
            continue
        factors = outlier_factors(material.features.values[places])
        low, high = np.percentile(factors, (25, 75))
        least = max(FROM, high + _FENCE * (high - low))
        unlike += [
            (float(factor), str(files[place]), str(label))
            for factor, place in zip(factors, places, strict=True)
            if factor >= least
        ]
    if not unlike:
        return None
    unlike.sort(key=lambda one: (-one[0], one[1]))
    return Finding(
        "outliers",
        Weight.LOOK,
        f"{count(len(unlike), 'image')} {'is' if len(unlike) == 1 else 'are'} unlike the others of "
        f"{'its' if len(unlike) == 1 else 'their'} class.",
        f"Judged by {material.features.words}. They may be out of focus, wrongly labelled, or of another stain or "
        "kind, but may just as well be rare and right.",
        "Look at them, and leave out or relabel what is wrong.",
        tuple(Item(f"{file} ({label}): outlier factor {factor:.1f}", (file,)) for factor, file, label in unlike),
        {"features": material.features.words, "from": FROM},
    )


def outlier_factors(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The local outlier factor of each row of [n, D], n ≥ 6, among all of them.

    Numbers are made alike by their quartiles first, which outliers do not move (by half their standard deviation where
    that is more, as for features that are mostly 0); of many, or of few images, the main components are compared.
    """
    from sklearn.decomposition import PCA
    from sklearn.neighbors import LocalOutlierFactor

    low, middle, high = np.percentile(values, (25, 50, 75), axis=0)
    spread = np.maximum((high - low) / 1.349, 0.5 * values.std(axis=0)) + 1e-3
    white = np.clip((values - middle) / spread, -_WIDEST, _WIDEST)
    parts = min(_PARTS, len(white) // 3)
    if white.shape[1] > parts:
        white = PCA(parts, svd_solver="randomized", random_state=0).fit_transform(white)
    model = LocalOutlierFactor(n_neighbors=min(NEIGHBOURS, len(white) // 2))
    model.fit(white + _apart(white))
    return -np.asarray(model.negative_outlier_factor_, dtype=np.float64)


def _apart(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A little for each row, so that twenty copies of one image are no point of endless density."""
    draws = np.random.default_rng(0).standard_normal(values.shape)
    return np.asarray(1e-2 * draws, dtype=np.float64)

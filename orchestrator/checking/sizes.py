"""Images that are very small, or of a very different size than most."""

from __future__ import annotations

import numpy as np

from orchestrator.checking.finding import Finding, Item, Weight, count
from orchestrator.checking.material import Material

SMALL = 32
"""Shorter side in pixels below which hardly anything is left to enlarge to a network's input."""
FAR = 16
"""Times the median number of pixels, or a part of it."""


def odd_sizes(material: Material) -> Finding | None:
    """Shorter side below SMALL, or FAR times more or fewer pixels than the median image."""
    frame = material.manifest
    area = (frame["width"] * frame["height"]).to_numpy(dtype=float)
    small = frame[["width", "height"]].min(axis=1).to_numpy() < SMALL
    far = np.abs(np.log(area / np.median(area))) > np.log(FAR)
    places = np.flatnonzero(small | far)
    if not len(places):
        return None
    order = places[np.argsort(area[places], kind="stable")]
    items = tuple(
        Item(f"{row.file}: {row.width} × {row.height} pixels", (str(row.file),))
        for row in frame.iloc[order].itertuples()
    )
    median = frame.iloc[int(np.argsort(area, kind="stable")[len(area) // 2])]
    return Finding(
        "odd sizes",
        Weight.LOOK,
        f"{count(len(items), 'image')} {'is' if len(items) == 1 else 'are'} very small or of a very different size "
        f"than most (the median image has {median['width']} × {median['height']} pixels).",
        f"All images are resized to one square. This blurs an image with a side below {SMALL} pixels, and much larger "
        "or smaller images show things at another scale.",
        "Check whether they are thumbnails, whole fields among single cells, or pieces cut off at an edge, and leave "
        "those out. To cut large fields into patches: orch data patches DIR --output PATCHES",
        items,
        {"small": int(small.sum()), "far": int(far.sum())},
    )

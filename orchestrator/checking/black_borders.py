"""Images that lie on black, as cells that were cut out do."""

from __future__ import annotations

import numpy as np

from orchestrator.checking.finding import Finding, Weight, count
from orchestrator.checking.material import Material

LEAST = 0.01
"""Share of an image's area that borders must have to be told."""


def black_borders(material: Material) -> Finding | None:
    """As `trainables.data.borders.inner_box` finds them."""
    found = material.borders[material.borders >= LEAST]
    if not len(found):
        return None
    several = count(len(material.borders), "image")
    return Finding(
        "black borders",
        Weight.TOLD,
        f"{len(found):,} of {several} {'has' if len(found) == 1 else 'have'} black borders: {found.mean():.0%} of its "
        f"area in the mean, {found.max():.0%} at most.",
        "The network sees them as a part of the image, and what they enclose smaller than it could be.",
        "They are cut off by --set image.borders=cropped, each image by itself, so that things of unequal size come "
        "out equally large. What is left is seldom square: image.fit=pad or squash beside it keeps all of it.",
        figures={"images": len(found), "mean": float(np.mean(found)), "most": float(np.max(found))},
    )

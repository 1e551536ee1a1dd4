"""Images that lie on black, as cells that were cut out do."""

from __future__ import annotations

import numpy as np

from orchestrator.checking.finding import Finding, Weight, count
from orchestrator.checking.material import Material

LEAST = 0.01
"""Share of an image's area that borders must have to be told."""


def black_borders(material: Material) -> Finding | None:
    """As `trainables.data.borders.inner_box` finds them."""
    shares = material.borders[material.borders >= LEAST]
    if not len(shares):
        return None
    several = count(len(material.borders), "image")
    return Finding(
        "black borders",
        Weight.TOLD,
        f"{len(shares):,} of {several} {'has' if len(shares) == 1 else 'have'} black borders: {shares.mean():.0%} of "
        f"the area on average, {shares.max():.0%} at most.",
        "The network sees the borders as part of the image, and what they enclose smaller than it could be.",
        "--set image.borders=cropped cuts them off, image by image, so objects of different sizes come out equally "
        "large. What is left is seldom square: add image.fit=pad or squash to keep all of it.",
        figures={"images": len(shares), "mean": float(np.mean(shares)), "most": float(np.max(shares))},
    )

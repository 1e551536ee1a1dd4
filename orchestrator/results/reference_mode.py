"""What is said where each split is standardised by its own mean and std, as the reference study did."""

from __future__ import annotations

from collections.abc import Iterable

from search_spaces.configuration import Configuration
from search_spaces.settings.image import REFERENCE_MODE

NEW_IMAGES = "new images (orch predict, an exported model) are normalised by the training split's mean and std"


def reference_note(configurations: Iterable[Configuration]) -> str:
    """One sentence; "" where none of these standardises each split by its own."""
    if not any(c.image.standardisation == "each_split" for c in configurations):
        return ""
    return f"{REFERENCE_MODE}, so the score of an image depends on the other images of its split; {NEW_IMAGES}"

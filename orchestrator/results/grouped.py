"""How many images there are, and of how many groups, in words: nothing twice where a group is a single image."""

from __future__ import annotations

from orchestrator.results.names import thousands
from trainables.data.groups import INDEPENDENT


def grouped_by(meaning: str) -> str:
    """A sentence on what a group is."""
    return "Images are assumed independent." if meaning == INDEPENDENT else f"Images are grouped by {meaning}."


def images_in(images: int, groups: int, meaning: str, what: str = "image") -> str:
    """`44 images in 9 groups (column slide)`"""
    told = thousands(images, what)
    if meaning == INDEPENDENT and groups == images:
        return f"{told}, assumed independent"
    if groups == images:
        return f"{told}, each a group of its own ({meaning})"
    return f"{told} in {thousands(groups, 'group')} ({meaning})"


def of_groups(images: int, groups: int) -> str:
    """`44 images of 9 groups`, of a part of the images."""
    told = thousands(images, "image")
    return told if groups == images else f"{told} of {thousands(groups, 'group')}"

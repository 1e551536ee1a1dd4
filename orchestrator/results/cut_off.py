"""What is left out of images that are not square, where their centre is cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.results.names import thousands
from search_spaces.configuration import Configuration


@dataclass(frozen=True)
class CutOff:
    """oblong: how many of `images` are not square. mean, worst: share of an image's area, 0 to 1, over all images."""

    oblong: int
    images: int
    mean: float
    worst: float

    def __str__(self) -> str:
        are = "is" if self.oblong == 1 else "are"
        return (
            f"{self.oblong:,} of {thousands(self.images, 'image')} {are} not square; cropping to the centre leaves out "
            f"{self.mean:.1%} of the area on average over all images, {self.worst:.1%} at worst. "
            "--set image.fit=pad keeps all of it, with grey borders; image.fit=squash squeezes it into a square"
        )


def cut_off(widths: Iterable[int], heights: Iterable[int]) -> CutOff | None:
    """Of images of these sizes in pixels; None where all are square."""
    lost = [1 - min(size) / max(size) for size in zip(widths, heights, strict=True)]
    oblong = sum(share > 0 for share in lost)
    return CutOff(oblong, len(lost), sum(lost) / len(lost), max(lost)) if oblong else None


def any_crops(configurations: Iterable[Configuration]) -> bool:
    """Whether any of these cuts the centre of its images as they are; within black borders their sizes are others."""
    return any(c.image.fit == "crop" and c.image.borders == "kept" for c in configurations)

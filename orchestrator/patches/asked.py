"""What a cut is asked for: everything that decides which pixels lie in which patch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.patches.grid import Margin
from trainables.data.options import DatasetOptions

LEAST_TISSUE = 0.01


@dataclass(frozen=True)
class CutOptions:
    """source: class folders or a table. size: side of a patch in its pixels. margin: None where uniform borders are to
    be found. um_per_pixel: what every image is resampled to; None leaves its pixels. source_um_per_pixel: of files that
    do not say it, or the column of the table that does. least_tissue: share (0–1) below which a patch is background.
    data: how the source is read."""

    source: Path
    size: int = 250
    margin: Margin | None = None
    um_per_pixel: float | None = None
    source_um_per_pixel: float | str | None = None
    least_tissue: float = LEAST_TISSUE
    data: DatasetOptions = field(default_factory=DatasetOptions)

    def as_json(self) -> dict[str, object]:
        """What must agree for one folder to hold what was cut twice."""
        return {
            "size": self.size,
            "margin": "found" if self.margin is None else list(self.margin),
            "um_per_pixel": self.um_per_pixel,
            "source_um_per_pixel": self.source_um_per_pixel,
            "least_tissue": self.least_tissue,
        }

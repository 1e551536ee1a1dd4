"""Which input size a network gets where nobody says one: small images are not blown up to what it was trained with.

The side is the smallest multiple of STEP that is not below the median of the images' longer sides, LEAST at least and
the network's own size at most; of train and valid images alone. A network whose weights have other shapes at that size
(positions of a transformer), or that cannot take it, gets the next larger one that it takes, in the end its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.studies import Study
from search_spaces.form import Form
from search_spaces.points import Point
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition, splits
from trainables.network.known_backbones import KnownBackbones

LEAST, STEP = 64, 32
"""Pixels: what five halvings leave two places of, and a multiple that they divide."""
_STATED = ("image.size", "image.store_size")


@dataclass(frozen=True)
class InputSizes:
    """usual: median of the images' longer sides in pixels; None in a study that was made before anyone looked."""

    usual: int | None
    known: KnownBackbones

    @classmethod
    def of(cls, study: Study, known: KnownBackbones) -> InputSizes:
        if study.record.input_size == "network":
            return cls(None, known)
        manifest = read_manifest(study.storage.read(layout.MANIFEST))
        path = layout.partition(study.record.partition)
        split = splits(manifest, Partition.from_bytes(study.storage.read(path), path))
        seen = manifest[split.isin(["train", "valid"]).to_numpy()]
        longer = np.maximum(seen["width"].to_numpy(), seen["height"].to_numpy())
        return cls(math.ceil(np.median(longer)), known)

    def settled(self, point: Point, name: str) -> Point:
        """The point with a size where it has none and another than the network's own is taken."""
        if self.usual is None or any(point.values.get(path) is not None for path in _STATED):
            return point
        size = self.taken(point.form(name))
        return point if size is None else replace(point, values={**point.values, "image.size": size})

    def taken(self, form: Form) -> int | None:
        """None: the network's own."""
        own = self.known.architecture(form).facts
        first = max(LEAST, STEP * math.ceil((self.usual or 0) / STEP))
        sizes = range(first, own.image_size, STEP)
        return next((size for size in sizes if self._fits(form, size, own.parameters)), None)

    def _fits(self, form: Form, size: int, parameters: int) -> bool:
        try:
            facts = self.known.architecture(form._replace(image_size=size)).facts
        except InputError:
            return False
        return facts.parameters == parameters

    def notes(self, points: Iterable[tuple[Point, Point]], name: str) -> list[str]:
        """What is said of sizes that were chosen. points: as they were stated, and settled."""
        chosen = {(before.form(name), after.form(name).image_size) for before, after in points if before != after}
        notes = []
        for form, size in sorted(chosen, key=str):
            own = self.known.architecture(form).facts
            notes.append(
                f"{own.name}: images are about {self.usual} px, {size} px is used; --image-size {own.image_size} for "
                "the network's own."
            )
        return notes

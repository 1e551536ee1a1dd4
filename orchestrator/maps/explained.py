"""Maps of some images over the repeats of a configuration, and where the repeats agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from orchestrator.maps.images import Image
from orchestrator.maps.sanity import Sanity
from orchestrator.maps.sources import Source

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Explained:
    """maps: float32 [repeats, N, h, w], each scaled so that its largest place is 1; one that is 0 everywhere stays so.
    layer: whose places they are, "" of none. images: N. name, chosen: of the configuration. split: of the images.
    notes: what a reader must know. sources: that the images are patches of, where they are put together; the maps of a
    source's patches have one scale then. seen: share of an image's side that the networks see."""

    study: str
    partition: str
    configuration: str
    name: str
    chosen: str
    method: str
    layer: str
    split: str
    explains: str
    repeats: tuple[int, ...]
    images: tuple[Image, ...]
    maps: Floats
    notes: tuple[str, ...] = ()
    sanity: Sanity | None = None
    sources: tuple[Source, ...] = ()
    seen: float = 1.0

    @property
    def mean(self) -> Floats:
        """Over repeats, [N, h, w], 0 to 1."""
        mean: Floats = self.maps.mean(axis=0)
        return mean

    @property
    def deviation(self) -> Floats | None:
        """Standard deviation over repeats (n − 1), [N, h, w]; None of one repeat."""
        deviation: Floats | None = self.maps.std(axis=0, ddof=1) if len(self.maps) > 1 else None
        return deviation

    @property
    def agreement(self) -> tuple[float | None, ...]:
        """Of each image: the mean of Spearman's correlations of every two repeats' maps over places; None where fewer
        than two of them have a rank of places at all."""
        return tuple(agreement_of(self.maps[:, image]) for image in range(len(self.images)))

    @property
    def mean_agreement(self) -> float | None:
        """Over the images that have one."""
        return mean_of(self.agreement)


class Made(NamedTuple):
    """Maps of one configuration. pictures(places): of the images at these places among the chosen, uint8 [n, S, S, 3],
    as this configuration's networks see them."""

    explained: Explained
    pictures: Callable[[Sequence[int]], np.ndarray]


def mean_of(values: Sequence[float | None]) -> float | None:
    """Of those that there are."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def agreement_of(maps: np.ndarray) -> float | None:
    """The mean over pairs of repeats of Spearman's correlation over places of maps [repeats, ...]; None as above."""
    ranks = rankdata(maps.reshape(len(maps), -1), axis=1)
    ranks = ranks[ranks.std(axis=1) > 0]
    if len(ranks) < 2:
        return None
    between = np.corrcoef(ranks)
    return float(between[np.triu_indices(len(ranks), 1)].mean())

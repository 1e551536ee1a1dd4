"""The frozen part of a configuration: where it ends, and where its values lie in this machine's cache.

The flow: samples → stored squares → standardisation → the cut → features, part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from search_spaces.configuration import Configuration
from search_spaces.settings.declaration import Touch
from trainables.features.arrays import ChunkedArrays
from trainables.features.pixels import (
    PIXELS_VERSION,
    Standard,
    ViewReader,
    channel_statistics,
    pixel_store,
    write_pixels,
)
from trainables.features.samples import Samples
from trainables.features.shards import FeatureRows, Part, reserve_together
from trainables.features.store import compute_chunk, feature_key, feature_rows, room
from trainables.machine.places import Places
from trainables.network.division import FEATURES, Cut, Division
from trainables.network.opened import Calibration, CutName, Networks, OpenNetwork

CALIBRATION_IMAGES = 64
CALIBRATION_BATCH = 16


def of_any_standardisation(configuration: Configuration) -> Configuration:
    """For asking where features end and how large they are before images are decoded, whose mean and std follow."""
    return configuration.with_values(
        {"image.standardisation": "weights", "image.mean": (0.0, 0.0, 0.0), "image.std": (1.0, 1.0, 1.0)}
    )


@dataclass(frozen=True)
class Frozen:
    """The frozen part of one configuration on one partition: where it ends and where its values lie."""

    configuration: Configuration
    samples: Samples
    pixels: ChunkedArrays
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layer: str
    """`Cut.layer`: known to no other cut of the network."""
    shapes: tuple[tuple[int, ...], ...]
    features: FeatureRows | None
    """Of the samples' rows; None where the pixels themselves are the frontier."""
    calibration: str
    """What the norm statistics of a freshly initialised network follow from; "" with real weights or without any."""
    valid: Standard | None = None
    """What valid images are standardised by where each split is by its own; mean and std are those of train then."""

    @property
    def cut(self) -> CutName:
        return CutName(self.configuration.live.scope, self.layer)

    def reader(self, device: torch.device) -> ViewReader:
        """Standardised views of the samples' rows."""
        views = self.samples.views
        apart = None if self.valid is None else (_images_of(self.samples, "valid"), self.valid)
        return ViewReader(self.pixels, views, self.configuration, self.mean, self.std, device, apart)


class FrozenParts:
    """Decides where frozen parts end, and computes what of them is missing; remembers which stores it has verified."""

    def __init__(self, places: Places, networks: Networks, device: torch.device, purpose: str = "") -> None:
        """purpose: of features that are kept apart from those that are learned from."""
        self.places = places
        self.networks = networks
        self.device = device
        self.purpose = purpose
        self._verified: set[Path] = set()

    def pixels(self, configuration: Configuration, samples: Samples) -> ChunkedArrays:
        """The stored squares; some may be missing."""
        return self._verified_once(pixel_store(samples.images, configuration, self.places.cache))

    def write_pixels(self, configuration: Configuration, samples: Samples, chunk: int, threads: int) -> None:
        """Decode one chunk of images into the store, if it is still missing."""
        store = self.pixels(configuration, samples)
        store.prepare()
        if chunk in store.missing():
            write_pixels(store, chunk, samples.images, configuration, self.places.data_root, threads)

    def decide(self, configuration: Configuration, samples: Samples, layer: str = "") -> Frozen:
        """Decide where the frozen part ends (or take `layer`, from a recipe). The stored squares must be complete."""
        pixels = self.pixels(configuration, samples)
        (mean, std), valid = _standardisation(configuration, samples, pixels)
        calibration = ""
        if self.networks.is_calibrated(configuration):
            names = [samples.names[row] for row in calibration_rows(samples)]
            calibration = short_hash([PIXELS_VERSION, configuration.key(Touch.PIXELS), names, mean, std])
        names_of_rows = samples.names if valid is None else samples.names_by_split

        def stored(layer: str, shapes: tuple[tuple[int, ...], ...]) -> FeatureRows:
            key = feature_key(configuration, mean, std, layer, shapes, valid, calibration, self.purpose)
            precision, device = configuration.network.precision, self.device.type
            return feature_rows(key, self.places.cache, names_of_rows, shapes, precision, device)

        if not configuration.live.trains_body:
            shapes: tuple[tuple[int, ...], ...] = ((self.networks.facts(configuration).feature_width,),)
            features: FeatureRows | None = stored(FEATURES, shapes)
            chosen = FEATURES
        else:
            cut = self._cut(configuration, samples.rows, layer, lambda cut: stored(cut.layer, cut.shapes))
            shapes, chosen = cut.shapes, cut.layer
            features = None if cut.is_pixels else stored(chosen, shapes)
        for store in features.stores() if features is not None else []:
            self._verified_once(store)
        return Frozen(configuration, samples, pixels, mean, std, chosen, shapes, features, calibration, valid)

    def reserve(self, several: Sequence[Frozen]) -> None:
        """Room on the disk for what is missing of cuts of one network, on the same samples, so that every layer is
        run once for all; the parts of each are known then (`FeatureRows.missing`)."""
        reserve_together(frozen.features for frozen in several if frozen.features is not None)

    def compute(self, several: Sequence[Frozen], part: Part) -> None:
        """Run the frozen part over one part's views for all cuts that still miss it, every layer once.

        The cuts are of one network, on the same samples; those that agree in all have one store.
        """
        of = {frozen.features.key: (frozen, frozen.features) for frozen in several if frozen.features is not None}
        missing = [(frozen, rows, rows.store(part)) for frozen, rows in of.values()]
        missing = [(frozen, rows, store) for frozen, rows, store in missing if part.chunk in store.missing()]
        if missing:
            cuts, (_, rows, _) = [frozen for frozen, _, _ in missing], missing[0]
            stores, precision = [store for _, _, store in missing], cuts[0].configuration.network.precision
            reader = cuts[0].reader(self.device)
            compute_chunk(stores, part.chunk, rows.places(part), self.prefix(cuts), reader, precision)

    def network(self, frozen: Frozen) -> OpenNetwork:
        """The one whose part it is, with its weights."""
        calibration = None
        if frozen.calibration:
            calibration = Calibration(frozen.calibration, lambda: _calibration_batches(frozen, self.device))
        return self.networks.open(frozen.configuration, calibration)

    def prefix(self, several: Sequence[Frozen]) -> nn.Module:
        """Images → frontier tensors of all, in order; they are of one network."""
        return self.network(several[0]).prefix([frozen.cut for frozen in several])

    def division(self, frozen: Frozen) -> Division:
        return self.network(frozen).division(frozen.cut)

    def _verified_once(self, store: ChunkedArrays) -> ChunkedArrays:
        """What a disk lost or changed since it was written is missing from now on, hence computed again."""
        if store.folder not in self._verified:
            store.discard_damaged()
            self._verified.add(store.folder)
        return store

    def _cut(self, configuration: Configuration, rows: int, layer: str, stored: Callable[[Cut], FeatureRows]) -> Cut:
        candidates = self.networks.cuts(configuration)
        for cut in candidates:
            if cut.layer == layer:
                return cut
        # The latest cut first: an earlier one may hold fewer values but is computed from again in every step
        for cut in reversed(candidates):
            if cut.is_pixels:
                continue
            # Space that features lie in already is no longer free, and they need no more of it
            if self._fits(cut, rows, configuration) or stored(cut).is_prepared:
                return cut
        return candidates[-1]

    def _fits(self, cut: Cut, rows: int, configuration: Configuration) -> bool:
        return rows * cut.values_per_view * (2 if configuration.network.precision == "bf16" else 4) <= room(
            self.places.cache
        )


def calibration_rows(samples: Samples) -> np.ndarray:
    """View 0 of training images, spread evenly over the manifest: its order goes by file, hence often by class."""
    rows = samples.scoring["train"]
    return rows[np.linspace(0, len(rows) - 1, min(CALIBRATION_IMAGES, len(rows))).round().astype(np.int64)]


def _calibration_batches(frozen: Frozen, device: torch.device) -> Iterator[torch.Tensor]:
    rows, reader = calibration_rows(frozen.samples), frozen.reader(device)
    for batch in np.array_split(rows, -(-len(rows) // CALIBRATION_BATCH)):
        yield reader.batch(batch)


def _images_of(samples: Samples, split: str) -> np.ndarray:
    """Indices of its images, int64."""
    images: np.ndarray = samples.views[samples.scoring[split], 0].astype(np.int64)
    return images


def _standardisation(
    configuration: Configuration, samples: Samples, store: ChunkedArrays
) -> tuple[Standard, Standard | None]:
    """Of all images; or of train, and of valid where each split is standardised by its own."""
    by = configuration.image.standardisation
    if by == "half":
        return Standard((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), None
    if by == "weights":
        if configuration.image.mean is None or configuration.image.std is None:
            raise InputError(f"configuration {configuration.id} has no mean and std of its weights")
        return Standard(configuration.image.mean, configuration.image.std), None
    train = channel_statistics(store, np.unique(samples.views[samples.training, 0]).tolist())
    return train, channel_statistics(store, _images_of(samples, "valid").tolist()) if by == "each_split" else None

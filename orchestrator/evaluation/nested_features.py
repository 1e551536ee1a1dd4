"""Pooled features of images in any split: those of a study's cache, and for the rest a pass that leaves nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from orchestrator.store.record import short_hash
from search_spaces.configuration import FROZEN_PART, Configuration
from trainables.bundles.workbench import Workbench
from trainables.features.frozen import Frozen
from trainables.features.pixels import ViewReader, pixel_store, write_pixels
from trainables.features.samples import Samples
from trainables.features.store import StoredInputs, compute_chunk, feature_rows

View = tuple[str, int]
"""(file, view number)"""


@dataclass(frozen=True)
class FeatureTable:
    """features: float32 [rows, D] on the device; place: the row of each view."""

    features: torch.Tensor
    place: Mapping[View, int]
    layer: str

    def of(self, views: Iterable[View]) -> torch.Tensor:
        """float32 [len(views), D], in their order."""
        rows = torch.tensor([self.place[view] for view in views], dtype=torch.int64, device=self.features.device)
        return self.features.index_select(0, rows)


def views_of(samples: Samples) -> list[View]:
    """Every row of the samples."""
    files = samples.images["file"].tolist()
    return [(files[image], int(view)) for image, view in samples.views.tolist()]


def frozen_part(configuration: Configuration) -> str:
    """Equal for configurations that read the same features of the same samples."""
    return short_hash(configuration.key(*FROZEN_PART))


def feature_table(
    bench: Workbench, configuration: Configuration, partition: str, manifest: pd.DataFrame, needed: Iterable[View]
) -> FeatureTable:
    """Features of the views that the configuration has on the partition, and of those needed beside; they are cached.

    What the cache has is read from there, or computed into it. The others, test images among them, are computed with
    the same network, standardisation and batch size and are not kept. Raises InputError where a file has changed.
    """
    material = bench.material(configuration, partition)
    assert material.features is not None
    place = {view: row for row, view in enumerate(views_of(material.samples))}
    lacking = sorted(set(needed) - set(place))
    if not lacking:
        return FeatureTable(material.features, place, material.layer)
    computed = _computed(bench, bench.frozen_ready(configuration, partition, material.layer), manifest, lacking)
    place |= {view: len(place) + row for row, view in enumerate(lacking)}
    return FeatureTable(torch.cat([material.features, computed]), place, material.layer)


def _computed(bench: Workbench, frozen: Frozen, manifest: pd.DataFrame, views: list[View]) -> torch.Tensor:
    """float32 [len(views), D]."""
    configuration = frozen.configuration
    files = list(dict.fromkeys(file for file, _ in views))
    images = manifest.set_index("file", drop=False).loc[files].reset_index(drop=True)
    index = {file: number for number, file in enumerate(files)}
    rows = np.array([(index[file], view) for file, view in views], dtype=np.int32)
    with tempfile.TemporaryDirectory(prefix="nested-", dir=bench.places.cache) as name:
        folder = Path(name)
        pixels = pixel_store(images, configuration, folder)
        pixels.prepare()
        for chunk in pixels.missing():
            write_pixels(pixels, chunk, images, configuration, bench.places.data_root, threads=1)
        reader = ViewReader(pixels, rows, configuration, frozen.mean, frozen.std, bench.device)
        precision = configuration.network.precision
        names = [f"{file} {view}" for file, view in views]
        store = feature_rows("views", folder, names, frozen.shapes, precision, bench.device.type)
        store.prepare()
        prefix = bench.prefix([frozen])
        for part in store.missing():
            compute_chunk([store.store(part)], part.chunk, store.places(part), prefix, reader, precision)
        return StoredInputs(store, precision, bench.device).everything().clone()

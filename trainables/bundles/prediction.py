"""Logits of any images by trained repeats: files → squares → standardised views → frozen part → trained part → head.

The squares of a few hundred images at a time lie in a temporary folder of the cache and are removed at once; nothing of
the images or of their features stays.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from trainables.bundles.workbench import Workbench
from trainables.features.arrays import ChunkedArrays
from trainables.features.frozen import Frozen
from trainables.features.pixels import CHUNK_IMAGES, ChannelSums, Standard, ViewReader, pixel_store, write_pixels
from trainables.features.store import CPU_BATCH, CUDA_BATCH, frozen_values
from trainables.learning.augmentations.redrawn import Redrawn
from trainables.learning.bodies.arithmetic import features_of
from trainables.learning.heads.head import scoring_head
from trainables.learning.weights import Weights, put
from trainables.machine.allocation import cpus

FRONTIER_BYTES = 1_000_000_000
"""Frontier values that are held at a time where the backbone is trained: each repeat reads them in its turn."""

Progress = Callable[[int, int], None]


def predict(
    bench: Workbench,
    frozen: Frozen,
    images: pd.DataFrame,
    data_root: Path,
    several: Sequence[Weights],
    views: Sequence[int] = (0,),
    progress: Progress | None = None,
    redrawn: Redrawn | None = None,
) -> np.ndarray:
    """Logits float32 [repeats, images, views, outputs] in eval mode.

    frozen: of the configuration that the weights belong to (`Workbench.frozen_ready`). images: columns file (relative
    to data_root) and content; one split, where each is standardised by its own. several: weights of each repeat, as in
    `trained.Trained`. views: numbers of `data.views`; with `redrawn` numbers of draws, each of the upright image.
    progress(done, total) counts images. Raises InputError where a file is missing or another image than expected.
    """
    models = Models(bench, frozen, several)
    standard = standard_of(bench, frozen, images, data_root)
    step = _images_at_a_time(frozen, len(views))
    parts = []
    for start in range(0, len(images), step):
        part = images.iloc[start : start + step].reset_index(drop=True)
        parts.append(_chunk(bench, frozen, part, data_root, models, views, standard, redrawn))
        if progress is not None:
            progress(start + len(part), len(images))
    empty = np.zeros((len(several), 0, len(views), frozen.configuration.outputs), dtype=np.float32)
    return np.concatenate([empty, *parts], axis=1)


class Models:
    """The whole network with the trained weights of several repeats, one after the other in one copy of the suffix."""

    def __init__(self, bench: Workbench, frozen: Frozen, several: Sequence[Weights]) -> None:
        prefix, suffix = bench.whole(frozen)
        self.prefix = prefix
        self.suffix = None if suffix is None else copy.deepcopy(suffix).to(bench.device).eval()
        width = bench.facts(frozen.configuration).feature_width
        self.head = scoring_head(frozen.configuration, width, bench.device)
        self.several = several
        self.precision = frozen.configuration.network.precision
        self.arithmetic = frozen.configuration.adaptation.arithmetic

    @torch.no_grad()
    def logits(self, batches: Sequence[torch.Tensor]) -> np.ndarray:
        """float32 [repeats, rows, outputs] of standardised images float32 [n, 3, S, S], batch by batch."""
        frontier = [frozen_values(self.prefix, batch, self.precision) for batch in batches]
        logits = []
        for weights in self.several:
            put(weights, head=self.head, body=self.suffix)
            features = [
                values[0] if self.suffix is None else features_of(self.suffix, values, self.arithmetic)
                for values in frontier
            ]
            logits.append(torch.cat([self.head(each) for each in features]).cpu().numpy())
        return np.stack(logits)


def _chunk(
    bench: Workbench,
    frozen: Frozen,
    images: pd.DataFrame,
    data_root: Path,
    models: Models,
    views: Sequence[int],
    standard: Standard,
    redrawn: Redrawn | None,
) -> np.ndarray:
    """float32 [repeats, images, views, outputs] of some images."""
    rows = np.array([(image, view) for image in range(len(images)) for view in views], dtype=np.int32)
    seen = rows if redrawn is None else np.column_stack([rows[:, 0], np.zeros_like(rows[:, 1])])
    contents = images["content"].tolist()
    with squares_of(bench, frozen, images, data_root) as store:
        reader = ViewReader(store, seen, frozen.configuration, *standard, bench.device)
        size = CUDA_BATCH if bench.device.type == "cuda" else CPU_BATCH
        batches = []
        for start in range(0, len(rows), size):
            batch = np.arange(start, min(start + size, len(rows)))
            plain = reader.plain(batch)
            if redrawn is not None:
                plain = redrawn.of(plain, [contents[image] for image in rows[batch, 0]], rows[batch, 1].tolist())
            # Filled up to one size, as for training: batch shapes change last bits
            filled = torch.cat([plain, plain[-1:].expand(size - len(batch), *plain.shape[1:])])
            batches.append(reader.standardised(filled))
        logits = models.logits(batches)[:, : len(rows)]
    return logits.reshape(len(logits), len(images), len(views), -1)


def standard_of(bench: Workbench, frozen: Frozen, images: pd.DataFrame, data_root: Path) -> Standard:
    """Of all these images together where each split is standardised by its own: they are read once more for it."""
    if frozen.valid is None or not len(images):
        return Standard(frozen.mean, frozen.std)
    sums = ChannelSums()
    for start in range(0, len(images), CHUNK_IMAGES):
        part = images.iloc[start : start + CHUNK_IMAGES].reset_index(drop=True)
        with squares_of(bench, frozen, part, data_root) as store:
            sums.add(store, range(len(part)))
    return sums.standard()


@contextlib.contextmanager
def squares_of(bench: Workbench, frozen: Frozen, images: pd.DataFrame, data_root: Path) -> Iterator[ChunkedArrays]:
    """Stored squares of some images, which are gone afterwards."""
    bench.places.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="squares-", dir=bench.places.cache) as folder:
        store = pixel_store(images, frozen.configuration, Path(folder))
        store.prepare()
        for chunk in store.missing():
            write_pixels(store, chunk, images, frozen.configuration, data_root, cpus())
        yield store


def _images_at_a_time(frozen: Frozen, views: int) -> int:
    side = frozen.configuration.image.size
    values = sum(int(np.prod(shape)) for shape in frozen.shapes) + 3 * side * side
    return int(np.clip(FRONTIER_BYTES // (4 * values * views), 1, CHUNK_IMAGES))

"""Images decoded once, made into squares, kept as uint8; and batches of views made from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from search_spaces.configuration import Configuration
from search_spaces.settings.declaration import Touch
from trainables.data.decode import MAX_PIXELS, content_hash, read_rgb, to_square
from trainables.data.manifest import reading_of
from trainables.data.reading import RefusedImageError
from trainables.data.views import apply_views
from trainables.features.arrays import ArraySpec, ChunkedArrays

PIXELS_VERSION = 1
CHUNK_IMAGES = 256
_ARRAY = "pixels"


class Standard(NamedTuple):
    """Mean and standard deviation per channel on a 0–1 scale."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def pixel_key(images: pd.DataFrame, configuration: Configuration) -> str:
    """Covers the images' content and order, and every setting that changes their squares."""
    return short_hash([PIXELS_VERSION, images["content"].tolist(), configuration.key(Touch.PIXELS)], 20)


def pixel_store(images: pd.DataFrame, configuration: Configuration, cache: Path) -> ChunkedArrays:
    """The folder of stored squares uint8 [images, 3, S, S] with S the store size; it may not be written yet."""
    side = configuration.image.store_size
    spec = ArraySpec(_ARRAY, (3, side, side), "uint8")
    return ChunkedArrays(cache / "pixels" / pixel_key(images, configuration), [spec], len(images), CHUNK_IMAGES)


def write_pixels(
    store: ChunkedArrays, chunk: int, images: pd.DataFrame, configuration: Configuration, data_root: Path, threads: int
) -> None:
    """Decode one chunk; raises InputError when a file is no longer what the manifest says."""
    part, reading = images.iloc[list(store.rows_of(chunk))], reading_of(images)

    def square(row: tuple[str, str]) -> np.ndarray:
        file, content = row
        path = data_root / file
        try:
            pixels = read_rgb(path, MAX_PIXELS, reading)
        except (RefusedImageError, OSError) as error:
            raise InputError(f"{file} could be read when the study was made, but not now: {error}") from error
        if content_hash(pixels) != content:
            raise InputError(
                f"{file} is not the image that the study was made from",
                "Put the original file back, or make a new study from the changed data under another name.",
            )
        image = configuration.image
        square = to_square(pixels, image.store_size, image.interpolation, image.fit, image.borders)
        return square.transpose(2, 0, 1)

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        squares = list(pool.map(square, zip(part["file"], part["content"], strict=True)))
    store.write(chunk, {_ARRAY: np.stack(squares)})


def channel_statistics(store: ChunkedArrays, images: Sequence[int]) -> Standard:
    """Of the given images together, from exact integer sums."""
    sums = ChannelSums()
    sums.add(store, images)
    return sums.standard()


class ChannelSums:
    """Exact integer sums over images of one store or of several, whatever their order."""

    def __init__(self) -> None:
        self.total, self.squares, self.count = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), 0

    def add(self, store: ChunkedArrays, images: Iterable[int]) -> None:
        pixels = store.open()[_ARRAY]
        for index in images:
            image = pixels[index].astype(np.int64)
            self.total += image.sum(axis=(1, 2))
            self.squares += (image**2).sum(axis=(1, 2))
            self.count += image[0].size

    def standard(self) -> Standard:
        mean = self.total / self.count / 255.0
        std = np.sqrt(np.maximum(self.squares / self.count / 255.0**2 - mean**2, 1e-12))
        return Standard(_triple(mean), _triple(std))


class ViewReader:
    """Makes standardised batches of views on the device from the stored squares."""

    def __init__(
        self,
        store: ChunkedArrays,
        views: np.ndarray,
        configuration: Configuration,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        apart: tuple[np.ndarray, Standard] | None = None,
    ) -> None:
        """apart: int64 indices of images that are standardised otherwise, and by what."""
        self.pixels = store.open()[_ARRAY]
        self.views = views
        self.image_size = configuration.image.size
        self.crops = configuration.image.crops
        self.device = device
        self.mean = torch.tensor(list(mean), device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(list(std), device=device).view(1, 3, 1, 1)
        self._apart = None
        if apart is not None:
            is_apart = np.zeros(len(self.pixels), dtype=bool)
            is_apart[apart[0]] = True
            others = torch.tensor(apart[1], device=device).view(2, 1, 3, 1, 1)
            self._apart = is_apart, others[0], others[1]

    @property
    def is_on_device(self) -> bool:
        """The stored squares never are."""
        return False

    def batch(self, rows: np.ndarray) -> torch.Tensor:
        """Images float32 [n, 3, image_size, image_size] of rows int64 [n], standardised, channels last in memory."""
        plain = self.plain(rows)
        if self._apart is None:
            return self.standardised(plain)
        is_apart, mean, std = self._apart
        chosen = torch.from_numpy(is_apart[self.views[rows, 0]]).to(plain.device).view(-1, 1, 1, 1)
        images = plain.sub(torch.where(chosen, mean, self.mean)).div_(torch.where(chosen, std, self.std))
        return images.contiguous(memory_format=torch.channels_last)

    def plain(self, rows: np.ndarray) -> torch.Tensor:
        """The same before they are standardised: from 0 (black) to 1 (white)."""
        chosen = self.views[rows]
        # The numbers stay on the host, which reads them: from a GPU it would wait for all that was asked of it before
        numbers = torch.from_numpy(chosen[:, 1].astype(np.int64))
        moved = apply_views(self._squares(chosen[:, 0]), numbers, self.image_size, self.crops)
        return moved.to(torch.float32).div_(255.0)

    def standardised(self, plain: torch.Tensor) -> torch.Tensor:
        """Of images that are trained on, as `plain` gives them, which stay as they are."""
        images = plain.sub(self.mean).div_(self.std)
        return images.contiguous(memory_format=torch.channels_last)

    def _squares(self, images: np.ndarray) -> torch.Tensor:
        """Stored squares uint8 [n, 3, S, S] on the device; to a GPU the host does not wait for the copy."""
        if self.device.type != "cuda":
            return torch.from_numpy(self.pixels[images]).to(self.device)
        pinned = torch.empty((len(images), *self.pixels.shape[1:]), dtype=torch.uint8, pin_memory=True)
        np.take(self.pixels, images, axis=0, out=pinned.numpy(), mode="clip")
        return pinned.to(self.device, non_blocking=True)

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The pixels as a frontier: what `batch` gives, for learners."""
        return (self.batch(rows.cpu().numpy()),)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])

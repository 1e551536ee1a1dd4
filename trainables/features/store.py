"""The frozen part's values for every view, computed once per key, part by part, and memory-mapped by all trials."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from orchestrator.store.record import short_hash
from search_spaces.configuration import Configuration
from search_spaces.settings.declaration import Touch
from trainables.features.arrays import ArraySpec, ChunkedArrays
from trainables.features.pixels import PIXELS_VERSION, Standard, ViewReader
from trainables.features.shards import FeatureRows
from trainables.machine.allocation import memory_bytes

FEATURES_VERSION = 3
CPU_BATCH, CUDA_BATCH = 16, 256
CPU_CHUNK, CUDA_CHUNK = 64, 2048
DEVICE_SHARE = 0.1
"""Of a GPU's free memory, that the frontier features of one trial may take."""
MEMORY_SHARE = 0.5
DISK_SHARE = 0.8


def room(cache: Path) -> float:
    """Bytes that one feature set may have here: it is read at random, so it must fit in memory as well as on disk."""
    place = next(path for path in (cache.absolute(), *cache.absolute().parents) if path.exists())
    memory, disk = memory_bytes(), shutil.disk_usage(place).free
    return float(min(MEMORY_SHARE * memory, DISK_SHARE * disk))


def feature_key(
    configuration: Configuration,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    layer: str,
    shapes: tuple[tuple[int, ...], ...],
    valid: Standard | None = None,
    calibration: str = "",
    purpose: str = "",
) -> str:
    """Covers everything that changes the features of an image in a view: cut, and every setting that says so.

    mean, std: those used, of the weights or of the training split. valid: of valid images, where each split has its
    own. layer: `Cut.layer`, which no other cut has. calibration: see `Frozen`. purpose: of rows that are kept apart.
    """
    return short_hash(
        {
            "version": [PIXELS_VERSION, FEATURES_VERSION],
            "settings": configuration.key(Touch.PIXELS, Touch.FEATURES),
            "mean": mean,
            "std": std,
            "layer": layer,
            "shapes": shapes,
            **({"valid": valid} if valid else {}),
            **({"calibration": calibration} if calibration else {}),
            **({"purpose": purpose} if purpose else {}),
        },
        20,
    )


def feature_rows(
    key: str, cache: Path, names: Sequence[str], shapes: tuple[tuple[int, ...], ...], precision: str, device: str
) -> FeatureRows:
    """Rows in the shards of a key; bfloat16 is stored as its bits in int16."""
    dtype = "int16" if precision == "bf16" else "float32"
    specs = [ArraySpec(f"frontier{index}", shape, dtype) for index, shape in enumerate(shapes)]
    return FeatureRows(cache, key, names, specs, CUDA_CHUNK if device == "cuda" else CPU_CHUNK)


@torch.no_grad()
def frozen_values(prefix: nn.Module, images: torch.Tensor, precision: str) -> tuple[torch.Tensor, ...]:
    """What the frozen part gives of standardised images, float32, rounded as it is where it is stored."""
    half = precision == "bf16"
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=half):
        values = prefix(images)
    if values[0] is images:  # the pixels are the frontier
        return (images,)
    return tuple(v.to(torch.bfloat16).to(torch.float32) if half else v.to(torch.float32) for v in values)


@torch.no_grad()
def compute_chunk(
    stores: Sequence[ChunkedArrays],
    chunk: int,
    rows: np.ndarray,
    prefix: nn.Module,
    reader: ViewReader,
    precision: str,
) -> None:
    """Run the frozen part over one chunk's views, rows int64 of the reader, and write it.

    prefix gives the frontier tensors of all stores, in their order; the stores have the same rows and chunks.
    Every batch has the same size: a tail is filled up by repeating its last row, because batch shapes change last bits
    and a row's features must not depend on its neighbours, nor on the shard in which they are computed.
    """
    size = CUDA_BATCH if reader.device.type == "cuda" else CPU_BATCH
    parts: list[list[np.ndarray]] = [[] for store in stores for _ in store.specs]
    before: _OnTheWay | None = None
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        padded = np.concatenate([batch, np.repeat(batch[-1:], size - len(batch))])
        with torch.autocast(reader.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            values = prefix(reader.batch(padded))
        # A GPU is asked for the next batch before the host waits for this one's values
        after = _OnTheWay([value[: len(batch)] for value in values], precision)
        if before is not None:
            before.arrive(parts)
        before = after
    if before is not None:
        before.arrive(parts)
    whole = iter([np.concatenate(part) for part in parts])
    for store in stores:
        store.write(chunk, {spec.name: next(whole) for spec in store.specs})


class StoredInputs:
    """Frontier tensors read from memory-mapped shards, one gather per batch; a GPU holds all that fit on it."""

    def __init__(self, rows: FeatureRows, precision: str, device: torch.device) -> None:
        """Raises StorageError where one of the rows has no values."""
        self.rows = rows
        self.precision = precision
        self.device = device
        self._located = rows.located()
        self._arrays = [store.open() for store in self._located.stores]

    @cached_property
    def _held(self) -> list[torch.Tensor]:
        """All rows as they are stored, on the GPU."""
        if self.device.type != "cuda":
            return []
        size = len(self.rows.names) * self.rows.row_bytes
        if size > DEVICE_SHARE * torch.cuda.mem_get_info(self.device)[0]:
            return []
        return [self._whole(spec.name).to(self.device) for spec in self.rows.specs]

    @property
    def is_on_device(self) -> bool:
        return bool(self._held)

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Frontier tensors float32 [n, …] of rows int64 [n], on the device."""
        if self._held:
            return tuple(_as_float(held.index_select(0, rows), self.precision) for held in self._held)
        index = rows.cpu().numpy()
        return tuple(
            _from_stored(self._taken(spec.name, index), self.precision, self.device) for spec in self.rows.specs
        )

    def everything(self) -> torch.Tensor:
        """The first tensor of all rows, float32 [rows, …], on the device; for pooled features, which are small."""
        return _as_float(self._whole(self.rows.specs[0].name).to(self.device), self.precision)

    def _whole(self, name: str) -> torch.Tensor:
        """One array of all rows as it is stored: mapped, hence shared with other processes, where it is a shard."""
        stores, _, row = self._located
        if len(stores) == 1 and np.array_equal(row, np.arange(stores[0].rows)):
            return torch.from_numpy(stores[0].open(private=True)[name])
        return torch.from_numpy(self._taken(name, np.arange(len(row))))

    def _taken(self, name: str, index: np.ndarray) -> np.ndarray:
        """Rows int64 [n] of one array, in their order."""
        _, store, row = self._located
        if len(self._arrays) == 1:
            rows: np.ndarray = self._arrays[0][name][row[index]]
            return rows
        first = self._arrays[0][name]
        taken = np.empty((len(index), *first.shape[1:]), dtype=first.dtype)
        for number in np.unique(store[index]):
            chosen = np.flatnonzero(store[index] == number)
            taken[chosen] = self._arrays[number][name][row[index[chosen]]]
        return taken


class _OnTheWay:
    """One batch's values in their stored precision, on the way from the device to the host."""

    def __init__(self, values: Sequence[torch.Tensor], precision: str) -> None:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        stored = [value.detach().contiguous().to(dtype) for value in values]
        self.values = [value.to("cpu", non_blocking=True) for value in stored]
        on_gpu = any(value.is_cuda for value in stored)
        self.event = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
        if self.event is not None:
            self.event.record()

    def arrive(self, parts: Sequence[list[np.ndarray]]) -> None:
        """Wait for the values and append them, bfloat16 as its bits in int16."""
        if self.event is not None:
            self.event.synchronize()
        for part, value in zip(parts, self.values, strict=True):
            part.append((value.view(torch.int16) if value.dtype == torch.bfloat16 else value).numpy())


def _from_stored(array: np.ndarray, precision: str, device: torch.device) -> torch.Tensor:
    return _as_float(torch.from_numpy(array).to(device), precision)


def _as_float(stored: torch.Tensor, precision: str) -> torch.Tensor:
    return stored.view(torch.bfloat16).to(torch.float32) if precision == "bf16" else stored

"""Maps of chosen images, a batch at a time, and the checks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from orchestrator.maps.images import Image
from orchestrator.maps.network import Repeats
from orchestrator.maps.registry import Variant
from orchestrator.maps.sanity import (
    Mean,
    Sanity,
    areas,
    as_random_network,
    correlations,
    deletion_curves,
    random_order,
    with_random_head,
)
from trainables.features.pixels import ViewReader

ON_CUDA = 4
"""Times as many images in a batch there."""
CALIBRATED, CALIBRATING = 64, 16
"""Images that the norms of a random network take their statistics from, at most, and of each batch."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Batches:
    """Chosen images as the network takes them. rows: of the reader, int64 [N]. targets: class index, int64 [N].
    at_once: images in a batch on a CPU."""

    reader: ViewReader
    rows: np.ndarray
    targets: np.ndarray
    device: torch.device
    at_once: int

    def __iter__(self) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """(which of them, standardised images float32 [n, 3, S, S], targets int64 [n])."""
        size = self.at_once * (ON_CUDA if self.device.type == "cuda" else 1)
        for start in range(0, len(self.rows), size):
            part = slice(start, start + size)
            targets = torch.from_numpy(self.targets[part]).to(self.device)
            yield part, self.reader.batch(self.rows[part]), targets

    def pictures(self, places: Sequence[int]) -> np.ndarray:
        """Before they are standardised, uint8 [n, S, S, 3]."""
        plain = self.reader.plain(self.rows[np.asarray(places, dtype=np.int64)])
        pixels: np.ndarray = plain.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return pixels


def made(variant: Variant, repeats: Repeats, chosen: Batches, progress: Progress, act: str) -> np.ndarray:
    """Maps float32 [repeats, N, h, w], not scaled; progress(act, images, of so many)."""
    method, parts = variant.load(), []
    for part, images, targets in chosen:
        parts.append(method(repeats, images, targets).cpu().numpy())
        progress(act, part.start + len(images), len(chosen.rows))
    return np.concatenate(parts, axis=1)


def checked(
    variant: Variant,
    repeats: Repeats,
    parts: Sequence[slice],
    chosen: Batches,
    maps: np.ndarray,
    images: Sequence[Image],
    contents: Sequence[str],
    seed: int,
    progress: Progress,
) -> list[Sanity]:
    """Of each configuration, whose repeats are one of `parts`. maps: scaled, of all repeats. contents: hashes of the
    images' pixels, which random orders follow from with the seed."""
    groups = [image.group for image in images]

    def against(other: Repeats, act: str) -> list[Mean]:
        theirs = made(variant, other, chosen, progress, act)
        return [Mean.over(correlations(maps[part], theirs[part]), groups) for part in parts]

    first = replace(chosen, rows=chosen.rows[:CALIBRATED], targets=chosen.targets[:CALIBRATED], at_once=CALIBRATING)
    random_networks = against(
        as_random_network(repeats, seed, [batch for _, batch, _ in first]), "images explained with a random network"
    )
    random_heads: Sequence[Mean | None] = [None] * len(parts)
    if variant.has_class:
        random_heads = against(with_random_head(repeats, seed), "images explained with random heads")
    checks = []
    for part, random_head, random_network in zip(parts, random_heads, random_networks, strict=True):
        curves = _curves(repeats.only(part), chosen, maps[part], contents, seed, progress)
        deleted, at_random = areas(curves)
        of_deleted, of_random, gained = (
            Mean.over(each.tolist(), groups) for each in (deleted, at_random, at_random - deleted)
        )
        curve, random_curve = (tuple(each) for each in curves.mean(axis=2).tolist())
        checks.append(Sanity(random_head, random_network, of_deleted, of_random, gained, curve, random_curve))
    return checks


def _curves(
    repeats: Repeats, chosen: Batches, maps: np.ndarray, contents: Sequence[str], seed: int, progress: Progress
) -> np.ndarray:
    """Deletion curves float64 [2, steps + 1, N]: in the order of the mean map, and in a random one."""
    curves = []
    orders = (maps.mean(axis=0), random_order(maps[0], seed, contents))
    for part, batch, targets in chosen:
        curves.append([deletion_curves(repeats, batch, targets, order[part]) for order in orders])
        progress("images blurred", part.start + len(batch), len(chosen.rows))
    return np.concatenate(curves, axis=2)

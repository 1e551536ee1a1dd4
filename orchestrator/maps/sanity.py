"""Whether maps depend on what was learned, and whether what they show matters to the network.

Maps of the same network with a random head, and of a random network, are correlated with the real ones: maps that stay
as they are show edges, not reasons (Adebayo et al. 2018, *Sanity checks for saliency maps*, NeurIPS). Deletion curves
follow the probability of the class while its places are blurred, those first that the map has most of (Petsiuk, Das and
Saenko 2018, *RISE: randomized input sampling for explanation of black-box models*, BMVC), against a random order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch.nn import functional
from torchvision.transforms.v2.functional import gaussian_blur

from orchestrator.maps.network import Repeats
from orchestrator.maps.ranks import spearman
from trainables.learning.draws import body_seed, generator
from trainables.learning.weights import Weights
from trainables.network.backbone import open_backbone
from trainables.network.calibration import calibrate

LEAST_GROUPS = 5
"""Of the images, that an interval needs."""
STEPS = 10
"""Of a deletion curve: a tenth of the image each."""
_BLUR = 0.1
"""Standard deviation of the blur, as a share of the image's side."""

MapsOf = Callable[[Repeats], np.ndarray]
"""Maps float32 [repeats, N, h, w] of the chosen images."""


@dataclass(frozen=True)
class Mean:
    """Over images, with a 95 % interval for others of other groups (none with fewer than `LEAST_GROUPS`). values: of
    each image; none where it has none."""

    value: float | None
    low: float | None
    high: float | None
    values: tuple[float | None, ...]

    @classmethod
    def over(cls, values: Sequence[float | None], groups: Sequence[str]) -> Mean:
        """Student's t with groups − 1 degrees of freedom and a variance that holds the images of a group together."""
        there = [(value, group) for value, group in zip(values, groups, strict=True) if value is not None]
        if not there:
            return cls(None, None, None, tuple(values))
        known = np.array([value for value, _ in there])
        names, of = np.unique([group for _, group in there], return_inverse=True)
        mean, count = float(known.mean()), len(names)
        if count < LEAST_GROUPS:
            return cls(mean, None, None, tuple(values))
        sums = np.bincount(of, known - mean)
        error = float(np.sqrt(count / (count - 1) * (sums**2).sum())) / len(known)
        half = float(student.ppf(0.975, count - 1)) * error
        return cls(mean, mean - half, mean + half, tuple(values))


@dataclass(frozen=True)
class Sanity:
    """random_head: None where a map has no head in it. deleted, at_random: areas under the curves, 0 to 1, the mean
    probability while the image is blurred; gained: how much smaller the first is. curve, random_curve: of both, means
    over images, from the whole image to the blurred one."""

    random_head: Mean | None
    random_network: Mean
    deleted: Mean
    at_random: Mean
    gained: Mean
    curve: tuple[float, ...]
    random_curve: tuple[float, ...]

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def correlations(real: np.ndarray, other: np.ndarray) -> list[float | None]:
    """Of each image: the mean over repeats of Spearman's correlation over places of maps [repeats, N, h, w]."""
    means: list[float | None] = []
    for image in range(real.shape[1]):
        each = [spearman(one[image], two[image]) for one, two in zip(real, other, strict=True)]
        there = [value for value in each if value is not None]
        means.append(float(np.mean(there)) if there else None)
    return means


def with_random_head(repeats: Repeats, seed: int) -> Repeats:
    """The same backbones; the values of each matrix of each head are in another order, drawn from the seed."""
    return repeats.rebuilt(
        copy.deepcopy(repeats.backbone), [_shuffled(one, seed, at) for at, one in _numbered(repeats)]
    )


def as_random_network(repeats: Repeats, seed: int, images: Sequence[torch.Tensor]) -> Repeats:
    """One backbone as its library draws it from the seed, its norms calibrated on these batches, with random heads."""
    c = repeats.configuration
    backbone = open_backbone(c.form, "none", body_seed(seed, 0)).module.to(repeats.device)
    calibrate(backbone, [batch if len(batch) > 1 else batch.expand(2, -1, -1, -1) for batch in images])
    heads = [_shuffled(one, seed, at) for at, one in _numbered(repeats)]
    return repeats.rebuilt(backbone, [{n: v for n, v in one.items() if n.startswith("head.")} for one in heads])


def deletion_curves(
    repeats: Repeats, images: torch.Tensor, targets: torch.Tensor, order: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """The class's mean probability over repeats by the share of the image that is blurred, float64 [steps + 1, N].

    images: standardised float32 [N, 3, S, S]. order: float [N, h, w]; places of large values are blurred first, equal
    ones in the order of rows.
    """
    side = images.shape[-1]
    blur = max(1.0, _BLUR * side)
    width = 2 * round(3 * blur) + 1
    blurred = gaussian_blur(images, [min(width, side - 1 + side % 2)] * 2, [blur, blur])
    ranks = np.argsort(np.argsort(-order.reshape(len(order), -1), axis=1, kind="stable"), axis=1)
    places = torch.from_numpy(ranks.reshape(order.shape)).float()[:, None].to(images.device)
    shares = functional.interpolate(places / ranks.shape[1], (side, side), mode="nearest")
    chances = []
    for step in range(steps + 1):
        shown = torch.where(shares < step / steps, blurred, images)
        mean = repeats.chances(shown).mean(dim=0)
        chances.append(mean.gather(1, targets[:, None])[:, 0].cpu().numpy())
    return np.stack(chances)


def areas(curves: np.ndarray) -> np.ndarray:
    """Under curves [..., steps + 1, N] from 0 to 1: [..., N]."""
    area: np.ndarray = (curves[..., :-1, :] + curves[..., 1:, :]).mean(axis=-2) / 2
    return area


def random_order(maps: np.ndarray, seed: int, contents: Sequence[str]) -> np.ndarray:
    """For each image an order of its places that follows from the seed and its pixels, [N, h, w]."""
    drawn = [generator(seed, "maps", "deletion", content).permutation(maps[0].size) for content in contents]
    return np.stack(drawn).reshape(maps.shape).astype(np.float64)


def _numbered(repeats: Repeats) -> list[tuple[int, Weights]]:
    """By their places in their configuration, so that draws do not depend on what else is explained."""
    return list(zip(repeats.numbers, repeats.several, strict=True))


def _shuffled(weights: Weights, seed: int, repeat: int) -> Weights:
    """Matrices of the head in another order; all else as it is."""
    shuffled = dict(weights)
    for name, value in weights.items():
        if name.startswith("head.") and value.ndim > 1:
            order = generator(seed, "maps", "random head", repeat, name).permutation(value.size)
            shuffled[name] = np.ascontiguousarray(value.ravel()[order].reshape(value.shape))
    return shuffled

"""A synthetic stand-in for the neuroblastoma patches: made in seconds from a seed, with NumPy and Pillow alone.

Two classes, as in the report: D (differentiating: fewer, larger nuclei in a fibrous background) and PD (poorly
differentiated: dense small nuclei). A group stands for one source image. Groups are of very unequal sizes, and each has
a stain, brightness, grain and fibre direction of its own, which say nothing of the class: whoever mixes groups between
splits learns them by heart, and his validation flatters him. Where a group lies between the two classes is drawn too,
so some groups are ambiguous.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from orchestrator.store.storage import LocalStorage

CLASSES = ("D", "PD")
_MARK = "SYNTHETIC.json"
_VERSION = 1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SyntheticParameters:
    """groups, patches: number for D and for PD (the report's classes are about 1 : 1.75). image_size: side in pixels.
    spread: standard deviation of a group's place between D (0) and PD (1); patch_spread: of a patch about its group."""

    groups: tuple[int, int] = (12, 15)
    patches: tuple[int, int] = (64, 112)
    image_size: int = 250
    spread: float = 0.25
    patch_spread: float = 0.1


SYNTHETIC_DEFAULTS = SyntheticParameters()
"""176 patches of 250×250 in 27 groups of 1 to about 20 patches."""


@dataclass(frozen=True)
class _Look:
    """What the patches of one group share. place: 0 like D … 1 like PD; the rest is independent of the class."""

    place: float
    nuclear_stain: Floats
    background_stain: Floats
    light: float
    tint: Floats
    blur: float
    grain: float
    angle: float


def make_synthetic(
    folder: Path,
    seed: int = 0,
    *,
    groups: tuple[int, int] = SYNTHETIC_DEFAULTS.groups,
    patches: tuple[int, int] = SYNTHETIC_DEFAULTS.patches,
    image_size: int = SYNTHETIC_DEFAULTS.image_size,
) -> Path:
    """Write PNG patches below `folder`, `labels.csv` (file, label, group) and the mark SYNTHETIC.json; return `folder`.

    The same arguments give the same pixels (and, with the same Pillow, the same bytes). The mark is written last, so a
    folder that has it is complete; one that already has the mark of the same arguments is left as it is. Raises
    ValueError for fewer patches than groups.
    """
    if any(count < number or number < 1 for number, count in zip(groups, patches, strict=True)):
        raise ValueError(f"{patches} patches for {groups} groups: expected at least one for each group")
    parameters = SyntheticParameters(groups=groups, patches=patches, image_size=image_size)
    mark = {"synthetic": True, "version": _VERSION, "seed": seed, "parameters": asdict(parameters)}
    content = (json.dumps(mark, indent=1, sort_keys=True) + "\n").encode()
    storage = LocalStorage(folder)
    if (folder / _MARK).is_file() and storage.read(_MARK) == content:
        return folder
    storage.delete(_MARK)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("file", "label", "group"))
    for index, label in enumerate(CLASSES):
        places = _places(np.random.default_rng([seed, index]), index, groups[index], parameters.spread)
        for number, size in enumerate(group_sizes(groups[index], patches[index]), 1):
            group = f"{label}-{number:02d}"
            look = _look(np.random.default_rng([seed, index, number]), places[number - 1])
            for patch in range(size):
                generator = np.random.default_rng([seed, index, number, patch])
                file = f"{label}/{group}_{patch:02d}.png"
                storage.replace(file, _png(_patch(generator, look, parameters)))
                writer.writerow((file, label, group))
    storage.replace("labels.csv", table.getvalue().encode())
    storage.replace(_MARK, content)
    return folder


def group_sizes(groups: int, patches: int) -> list[int]:
    """Sizes of `groups` groups that sum to `patches`, largest first, falling geometrically from about a fifth of all to
    one patch, as the sizes of real source images do."""
    weights = np.geomspace(20.0, 0.7, groups)
    sizes = 1 + np.floor((patches - groups) * weights / weights.sum()).astype(int)
    for index in range(patches - int(sizes.sum())):
        sizes[index % groups] += 1
    return [int(size) for size in sizes]


def _places(generator: np.random.Generator, index: int, groups: int, spread: float) -> list[float]:
    """Places of a class's groups: the quantiles of a normal distribution about the class in a drawn order, so that
    every seed has as many ambiguous groups as any other."""
    normal = NormalDist(index, spread)
    return [normal.inv_cdf((int(rank) + 0.5) / groups) for rank in generator.permutation(groups)]


def _look(generator: np.random.Generator, place: float) -> _Look:
    """Absorbances of the two stains (per channel R, G, B) vary about those of haematoxylin and eosin."""
    return _Look(
        place=place,
        nuclear_stain=np.array([0.95, 1.05, 0.55]) * generator.uniform(0.65, 1.3, 3),
        background_stain=np.array([0.10, 0.55, 0.22]) * generator.uniform(0.55, 1.5, 3),
        light=float(generator.uniform(205, 250)),
        tint=generator.uniform(0.94, 1.0, 3),
        blur=float(generator.uniform(0.5, 1.4)),
        grain=float(generator.uniform(1.5, 6.0)),
        angle=float(generator.uniform(0, 180)),
    )


def _patch(generator: np.random.Generator, look: _Look, parameters: SyntheticParameters) -> NDArray[np.uint8]:
    """One patch, uint8 [image_size, image_size, 3], by the Beer–Lambert law: light · exp(-Σ stain · amount)."""
    size = parameters.image_size
    place = float(np.clip(look.place + parameters.patch_spread * generator.standard_normal(), -0.3, 1.3))
    nuclei = _nuclei(generator, size, place, look.blur)
    fibres = _fibres(generator, size, look.angle + 20 * generator.standard_normal())
    clouds = _noise(generator, size, size // 40 + 2)
    background = np.clip(0.55 + 0.2 * clouds + (0.34 - 0.2 * place) * fibres, 0.02, None)
    absorbance = (
        nuclei[:, :, None] * look.nuclear_stain + (background * (1 - 0.6 * nuclei))[:, :, None] * look.background_stain
    )
    pixels = look.light * look.tint * np.exp(-absorbance) + look.grain * generator.standard_normal((size, size, 1))
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _nuclei(generator: np.random.Generator, size: int, place: float, blur: float) -> Floats:
    """Amount of the nuclear stain, float64 [size, size] of about 0–1: ellipses with speckled chromatin."""
    radius = size / 250 * (9.5 - 3.2 * place)
    covered = (0.17 + 0.13 * place) * generator.uniform(0.75, 1.25)
    count = max(1, int(covered * size * size / (np.pi * radius * radius)))
    canvas = Image.new("L", (size, size))
    draw = ImageDraw.Draw(canvas)
    turns = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for _ in range(count):
        x, y = generator.uniform(-radius, size + radius, 2)
        long, short = radius * generator.uniform(0.8, 1.35), radius * generator.uniform(0.6, 1.0)
        angle, depth = generator.uniform(0, np.pi), generator.uniform(0.6, 1.0)
        across, down = long * np.cos(turns), short * np.sin(turns)
        points = np.stack(
            [x + across * np.cos(angle) - down * np.sin(angle), y + across * np.sin(angle) + down * np.cos(angle)],
            axis=1,
        )
        draw.polygon([(float(a), float(b)) for a, b in points], fill=int(255 * depth))
    smooth = np.asarray(canvas.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float64) / 255
    return np.clip(smooth * (1 + 0.25 * _noise(generator, size, size // 4)), 0, None)


def _fibres(generator: np.random.Generator, size: int, angle: float) -> Floats:
    """Noise drawn out along one direction, float64 [size, size], about zero mean and unit variance."""
    side = int(size * 1.5)
    coarse = Image.fromarray(generator.standard_normal((side // 3, side // 30 + 2)).astype(np.float32))
    turned = coarse.resize((side, side), Image.Resampling.BICUBIC).rotate(angle, Image.Resampling.BILINEAR)
    start = (side - size) // 2
    return np.asarray(turned, dtype=np.float64)[start : start + size, start : start + size]


def _noise(generator: np.random.Generator, size: int, cells: int) -> Floats:
    """Smooth noise of `cells` × `cells` cells, float64 [size, size], about zero mean and unit variance."""
    coarse = Image.fromarray(generator.standard_normal((max(cells, 2), max(cells, 2))).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", compress_level=3)
    return target.getvalue()

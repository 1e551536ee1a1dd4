"""Neuroblastoma patches in two classes: D and PD.

D (differentiating): fewer, larger nuclei in a fibrous background; PD (poorly differentiated): dense small nuclei. A
group stands for one source image, of one class; groups are of very unequal sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from trainables.data.synthetic.drawing import Floats, noise
from trainables.data.synthetic.making import Kind

_SPREAD = 0.25
"""Standard deviation of a group's place between D (0) and PD (1)."""
_PATCH_SPREAD = 0.1
"""Of a patch about its group."""


@dataclass(frozen=True)
class _Look:
    nuclear_stain: Floats
    background_stain: Floats
    light: float
    tint: Floats
    blur: float
    grain: float
    angle: float


def _look(generator: np.random.Generator) -> _Look:
    """Absorbances of the two stains (per channel R, G, B) vary about those of haematoxylin and eosin."""
    return _Look(
        nuclear_stain=np.array([0.95, 1.05, 0.55]) * generator.uniform(0.65, 1.3, 3),
        background_stain=np.array([0.10, 0.55, 0.22]) * generator.uniform(0.55, 1.5, 3),
        light=float(generator.uniform(205, 250)),
        tint=generator.uniform(0.94, 1.0, 3),
        blur=float(generator.uniform(0.5, 1.4)),
        grain=float(generator.uniform(1.5, 6.0)),
        angle=float(generator.uniform(0, 180)),
    )


def _patch(generator: np.random.Generator, look: _Look, index: int, standing: float, size: int) -> NDArray[np.uint8]:
    """One patch, uint8 [size, size, 3], by the Beer–Lambert law: light · exp(-Σ stain · amount)."""
    place = index + _SPREAD * standing
    place = float(np.clip(place + _PATCH_SPREAD * generator.standard_normal(), -0.3, 1.3))
    nuclei = _nuclei(generator, size, place, look.blur)
    fibres = _fibres(generator, size, look.angle + 20 * generator.standard_normal())
    clouds = noise(generator, size, size // 40 + 2)
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
    return np.clip(smooth * (1 + 0.25 * noise(generator, size, size // 4)), 0, None)


def _fibres(generator: np.random.Generator, size: int, angle: float) -> Floats:
    """Noise drawn out along one direction, float64 [size, size], about zero mean and unit variance."""
    side = int(size * 1.5)
    coarse = Image.fromarray(generator.standard_normal((side // 3, side // 30 + 2)).astype(np.float32))
    turned = coarse.resize((side, side), Image.Resampling.BICUBIC).rotate(angle, Image.Resampling.BILINEAR)
    start = (side - size) // 2
    return np.asarray(turned, dtype=np.float64)[start : start + size, start : start + size]


NEUROBLASTOMA = Kind(
    "neuroblastoma",
    version=1,
    classes=("D", "PD"),
    groups=(12, 15),
    images=(64, 112),
    image_size=250,
    look=_look,
    draw=_patch,
    falling=(20.0, 0.7),
)
"""176 patches of 250×250 in 27 groups of 1 to about 20 patches; the report's classes are about 1 : 1.75."""

"""Single white cells cut out of bone marrow smears, on black: leukaemic blasts (all) and healthy cells (hem).

Blasts are larger, their nucleus fills nearly the whole cell, its chromatin is fine, often with a pale nucleolus.
Healthy lymphoid cells are smaller, with clumped chromatin and more cytoplasm. A group stands for one patient, of one
class, with a stain and light of his own; where his cells lie between both is drawn, so some patients are ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.data.synthetic.drawing import Floats, filled, finished, noise, outline, spots, stained
from trainables.data.synthetic.making import Kind

_CLASSES = ("all", "hem")
_BOX = 0.84
"""Side of the part of the image that a cell is drawn in, as a share; around it all is black."""


@dataclass(frozen=True)
class _Look:
    nuclear_stain: Floats
    cytoplasm_stain: Floats
    light: Floats
    blur: float
    grain: float


def _look(generator: np.random.Generator) -> _Look:
    return _Look(
        nuclear_stain=np.array([0.62, 1.15, 0.38]) * generator.uniform(0.75, 1.25, 3),
        cytoplasm_stain=np.array([0.42, 0.55, 0.14]) * generator.uniform(0.7, 1.3, 3),
        light=np.array([236.0, 228.0, 240.0]) * generator.uniform(0.86, 1.04, 3),
        blur=float(generator.uniform(0.8, 2.2)),
        grain=float(generator.uniform(1, 5)),
    )


def _image(generator: np.random.Generator, look: _Look, index: int, standing: float, size: int) -> NDArray[np.uint8]:
    """One cell in the middle of a black square, uint8 [size, size, 3]."""
    side = int(_BOX * size)
    health = float(np.clip(index + 0.3 * standing + 0.2 * generator.standard_normal(), -0.4, 1.4))
    centre, angle = (side / 2, side / 2), float(generator.uniform(0, np.pi))
    radius = size * (0.27 - 0.055 * health) * float(generator.uniform(0.85, 1.12))
    body = outline(generator, side, centre, radius, stretch=float(generator.uniform(1, 1.4)), angle=angle, wobble=0.09)
    share = float(np.clip(0.93 - 0.12 * health + 0.03 * generator.standard_normal(), 0.6, 0.97))
    slack = (1 - share) * radius * float(generator.uniform(0, 1))
    way = generator.uniform(0, 2 * np.pi)
    middle = (centre[0] + slack * float(np.cos(way)), centre[1] + slack * float(np.sin(way)))
    stretch, wobble = float(generator.uniform(1, 1.35)), 0.1 - 0.03 * health
    edge = outline(generator, side, middle, share * radius, stretch=stretch, angle=angle, wobble=wobble)
    cell, nucleus = body > 0, filled(np.minimum(edge, body), 0.012 * size)
    amount = nucleus * _chromatin(generator, edge, health, size)
    around = (0.75 + 0.15 * noise(generator, side, 9)) * (1 - 0.5 * nucleus)
    absorbance = amount[:, :, None] * look.nuclear_stain + around[:, :, None] * look.cytoplasm_stain
    pixels = finished(generator, stained(look.light, absorbance), look.blur, look.grain)
    image = np.zeros((size, size, 3), dtype=np.uint8)
    start = (size - side) // 2
    image[start : start + side, start : start + side] = np.where(cell[:, :, None], pixels, 0)
    return image


def _chromatin(generator: np.random.Generator, edge: Floats, health: float, size: int) -> Floats:
    """Amount of nuclear stain, about 1, [side, side]: fine grains in blasts, dark clumps in healthy cells."""
    side = len(edge)
    fine, clumps = (
        noise(generator, side, int(side / (0.012 * size))),
        noise(generator, side, int(side / (0.055 * size))),
    )
    coarse = 0.1 + 0.24 * float(np.clip(health, 0, 1.2))
    amount = 0.92 + 0.12 * health + 0.1 * fine + coarse * np.tanh(1.5 * clumps)
    pale = int(generator.integers(0, 3)) if generator.uniform() > 0.2 + 0.6 * health else 0
    nucleoli = np.clip(spots(generator, filled(edge - 0.05 * size, 1), pale, 0.02 * size), 0, 1)
    return np.asarray(np.clip(amount * (1 - 0.3 * nucleoli), 0.2, None))


LEUKOCYTES = Kind(
    "leukocytes",
    version=1,
    classes=_CLASSES,
    groups=(14, 10),
    images=(116, 54),
    image_size=450,
    look=_look,
    draw=_image,
)
"""170 cells of 450×450 from 24 patients; about two of three are blasts, as in the challenge's set."""

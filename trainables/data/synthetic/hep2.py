"""Single HEp-2 cells under the fluorescence microscope, in grey: six patterns of antinuclear antibodies.

Homogeneous nuclei, speckled ones with dark nucleoli, nucleolar (a few large bright bodies), centromere (some 46 tiny
dots), numem (the nuclear membrane, a bright rim) and golgi (a patch on one side of the nucleus). A group stands for one
specimen, of one pattern; specimens are bright or of intermediate intensity. Beside its own, a cell shows some of the
pattern that its own is mistaken for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from trainables.data.synthetic.drawing import Floats, filled, finished, noise, outline, spots
from trainables.data.synthetic.making import Kind

_CLASSES = ("homogeneous", "speckled", "nucleolar", "centromere", "numem", "golgi")
_MISTAKEN_FOR = {
    "homogeneous": "speckled",
    "speckled": "homogeneous",
    "nucleolar": "speckled",
    "centromere": "speckled",
    "numem": "homogeneous",
    "golgi": "nucleolar",
}


@dataclass(frozen=True)
class _Look:
    light: float
    background: float
    cytoplasm: float
    blur: float
    grain: float
    radius: float


def _look(generator: np.random.Generator) -> _Look:
    intermediate = generator.uniform() < 0.5
    return _Look(
        light=float(generator.uniform(70, 120) if intermediate else generator.uniform(140, 235)),
        background=float(generator.uniform(4, 22)),
        cytoplasm=float(generator.uniform(0.06, 0.2)),
        blur=float(generator.uniform(0.5, 1.2)),
        grain=float(generator.uniform(2, 7)),
        radius=float(generator.uniform(0.26, 0.33)),
    )


def _cell(generator: np.random.Generator, look: _Look, index: int, standing: float, size: int) -> NDArray[np.uint8]:
    """One cell in the middle, uint8 [size, size]."""
    doubt = float(np.clip(0.22 + 0.14 * standing + 0.08 * generator.standard_normal(), 0, 0.55))
    centre = (size / 2 + generator.normal(0, 0.02 * size), size / 2 + generator.normal(0, 0.02 * size))
    body = {"stretch": float(generator.uniform(1.0, 1.5)), "angle": float(generator.uniform(0, np.pi))}
    radius = look.radius * size * float(generator.uniform(0.92, 1.08))
    edge = outline(generator, size, centre, radius, wobble=0.07, **body)
    cell = filled(outline(generator, size, centre, radius * 1.45, wobble=0.08, **body), 0.1 * size)
    own = _CLASSES[index]
    amount = (1 - doubt) * _pattern(generator, own, edge, cell, size)
    amount += doubt * _pattern(generator, _MISTAKEN_FOR[own], edge, cell, size)
    amount += look.cytoplasm * cell * (1 + 0.3 * noise(generator, size, size // 5))
    pixels = look.background + look.light * np.clip(amount, 0, None)
    return finished(generator, pixels, look.blur, look.grain)


def _pattern(generator: np.random.Generator, name: str, edge: Floats, cell: Floats, size: int) -> Floats:
    """Fluorescence of a pattern, about 0–1, [size, size]. edge: distance from that of the nucleus; cell: its body."""
    nucleus = filled(edge, 0.03 * size)
    if name == "homogeneous":
        return np.asarray(nucleus * (0.85 + 0.05 * noise(generator, size, size // 6)))
    if name == "speckled":
        grains = noise(generator, size, int(size / generator.uniform(2.5, 4.0)))
        nucleoli = np.clip(
            spots(generator, filled(edge - 0.06 * size, 1), int(generator.integers(1, 4)), 0.035 * size), 0, 1
        )
        return np.asarray(nucleus * np.clip(0.5 + 0.3 * grains, 0.1, None) * (1 - 0.8 * nucleoli))
    if name == "nucleolar":
        inside, count = filled(edge - 0.07 * size, 1), int(generator.integers(2, 6))
        bodies = spots(generator, inside, count, 0.04 * size) + spots(generator, inside, count, 0.025 * size)
        return np.asarray(nucleus * (0.2 + np.clip(1.2 * bodies, 0, 1)))
    if name == "centromere":
        dots = spots(generator, filled(edge - 0.02 * size, 1), int(generator.integers(36, 56)), 0.0125 * size)
        return np.asarray(nucleus * (0.2 + np.clip(dots, 0, 1)))
    if name == "numem":
        rim = np.exp(-(((edge - 0.015 * size) / (0.02 * size)) ** 2))
        patches = 1 + 0.15 * noise(generator, size, 8)
        return np.asarray(rim * patches + 0.38 * nucleus * (1 + 0.12 * noise(generator, size, size // 4)))
    return _golgi(generator, edge, cell, size) + 0.08 * nucleus


def _golgi(generator: np.random.Generator, edge: Floats, cell: Floats, size: int) -> Floats:
    """An uneven clump beside the nucleus, in the direction of one drawn angle."""
    down, across = np.mgrid[0:size, 0:size] + 0.5 - size / 2
    angle = generator.uniform(0, 2 * np.pi)
    apart = np.abs((np.arctan2(down, across) - angle + np.pi) % (2 * np.pi) - np.pi)
    beside = (edge < -0.01 * size) & (edge > -0.12 * size) & (apart < generator.uniform(0.4, 0.7)) & (cell > 0.3)
    clump = spots(generator, beside.astype(np.float64), int(generator.integers(14, 26)), 0.018 * size)
    return np.asarray(np.clip(0.7 * clump, 0, 1.1) + 0.25 * gaussian_filter(np.clip(clump, 0, 1), 0.04 * size))


HEP2 = Kind(
    "hep2",
    version=1,
    classes=_CLASSES,
    groups=(8, 8, 8, 8, 8, 6),
    images=(52, 58, 54, 56, 46, 22),
    image_size=72,
    look=_look,
    draw=_cell,
)
"""288 cells of 72×72 from 46 specimens; golgi is rare, as in the challenge's set."""

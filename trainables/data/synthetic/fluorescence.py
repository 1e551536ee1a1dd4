"""Fields of indirect immunofluorescence: bright green nuclei on dark ground, good, with an anomaly, or blurry.

Anomalies are debris, fibres, bubbles and smears. A group stands for one slide, which has fields of all classes: its
antibodies' pattern, brightness, density of cells and grain. Some good fields hold a speck of dust, some anomalies are
faint, some blurry fields only a little out of focus. As in the report, most fields are good and few blurry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from trainables.data.synthetic.drawing import Floats, add_at, filled, finished, noise, outline, spots
from trainables.data.synthetic.making import Kind

_CLASSES = ("good", "anomaly", "blurry")


@dataclass(frozen=True)
class _Look:
    """pattern: shares of an even glow, of grains and of nucleoli; leak: of green light in red and blue."""

    pattern: Floats
    light: float
    background: float
    leak: Floats
    radius: float
    cells: float
    blur: float
    grain: float


def _look(generator: np.random.Generator) -> _Look:
    return _Look(
        pattern=generator.dirichlet([0.8, 0.8, 0.5]),
        light=float(generator.uniform(90, 230)),
        background=float(generator.uniform(3, 24)),
        leak=np.array([generator.uniform(0, 0.08), 1.0, generator.uniform(0, 0.12)]),
        radius=float(generator.uniform(0.05, 0.085)),
        cells=float(generator.uniform(0.16, 0.32)),
        blur=float(generator.uniform(0.6, 1.3)),
        grain=float(generator.uniform(1.5, 6)),
    )


def _field(generator: np.random.Generator, look: _Look, index: int, standing: float, size: int) -> NDArray[np.uint8]:
    """One field, uint8 [size, size, 3]."""
    severity = float(np.clip(0.55 + 0.22 * standing + 0.12 * generator.standard_normal(), 0.08, 1.2))
    glow = _cells(generator, look, size)
    blur = look.blur
    match _CLASSES[index]:
        case "good":
            if generator.uniform() < 0.5 * severity:
                glow = _debris(generator, glow, 0.35, size)
            blur *= 1 + 0.5 * float(generator.uniform(0, 1)) * severity
        case "anomaly":
            flaw = (_debris, _fibre, _bubble, _smear)[int(generator.integers(4))]
            glow = flaw(generator, glow, severity, size)
        case _:
            blur = look.blur + size / 224 * (0.8 + 5.5 * severity * float(generator.uniform(0.5, 1.2)))
    green = look.background * (1 + 0.15 * noise(generator, size, 4)) + look.light * glow
    return finished(generator, green[:, :, None] * look.leak, blur, look.grain)


def _cells(generator: np.random.Generator, look: _Look, size: int) -> Floats:
    """Nuclei in their faint cells, of about 0–1, [size, size]; they do not lie on one another."""
    glow = np.zeros((size, size))
    radius = look.radius * size
    wanted = look.cells * generator.uniform(0.7, 1.3) / (np.pi * look.radius**2)
    places: list[tuple[float, float]] = []
    for _ in range(6 * int(wanted)):
        x, y = (float(place) for place in generator.uniform(-radius, size + radius, 2))
        if len(places) < wanted and all((x - a) ** 2 + (y - b) ** 2 > (2.2 * radius) ** 2 for a, b in places):
            places.append((x, y))
    side = int(4.5 * radius)
    for x, y in places:
        left, top = int(x) - side // 2, int(y) - side // 2
        add_at(glow, _nucleus(generator, look, radius, side, (x - left, y - top)), left, top)
    return glow


def _nucleus(
    generator: np.random.Generator, look: _Look, radius: float, side: int, centre: tuple[float, float]
) -> Floats:
    """One cell about that centre of a small picture, [side, side]."""
    stretch, angle = float(generator.uniform(1, 1.5)), float(generator.uniform(0, np.pi))
    radius *= float(generator.uniform(0.85, 1.15))
    edge = outline(generator, side, centre, radius, stretch=stretch, angle=angle)
    nucleoli = spots(generator, filled(edge - 0.3 * radius, 1), int(generator.integers(2, 5)), 0.16 * radius)
    grains = np.clip(0.6 + 0.4 * noise(generator, side, side // 3), 0, None)
    even, grainy, nucleolar = look.pattern * generator.uniform(0.75, 1.1)
    inside = even + grainy * grains + nucleolar * (0.15 + np.clip(nucleoli, 0, 1))
    return np.asarray(filled(edge, 2.5) * inside + 0.07 * filled(edge + 0.6 * radius, 1.2 * radius))


def _debris(generator: np.random.Generator, glow: Floats, severity: float, size: int) -> Floats:
    """Ragged clumps, brighter than any cell, in their own halo."""
    for _ in range(1 + int(3 * severity * generator.uniform())):
        place = (float(generator.uniform(0, size)), float(generator.uniform(0, size)))
        radius = size * (0.015 + 0.05 * severity * float(generator.uniform(0.5, 1.2)))
        edge = outline(generator, size, place, radius, stretch=float(generator.uniform(1, 2.5)), wobble=0.35)
        clump = filled(edge, 2) * (1 + 0.35 * noise(generator, size, size // 4))
        glow = glow + (0.5 + severity) * (clump + 0.6 * gaussian_filter(clump, 0.6 * radius))
    return glow


def _fibre(generator: np.random.Generator, glow: Floats, severity: float, size: int) -> Floats:
    """A thin bright thread that winds through the field."""
    steps = 6 * size
    turns = np.cumsum(generator.standard_normal(steps)) * 0.03 + generator.uniform(0, 2 * np.pi)
    length = size * (0.4 + 0.9 * severity) / steps
    x = np.cumsum(np.cos(turns)) * length + generator.uniform(0.2, 0.8) * size
    y = np.cumsum(np.sin(turns)) * length + generator.uniform(0.2, 0.8) * size
    inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    thread = np.zeros((size, size))
    thread[y[inside].astype(int), x[inside].astype(int)] = 1.0
    width = size / 224 * float(generator.uniform(0.9, 1.8))
    fine, halo = gaussian_filter(thread, width), gaussian_filter(thread, 4 * width)
    return np.asarray(glow + (0.35 + 0.9 * severity) * fine / max(float(fine.max()), 1e-6) + 0.5 * halo)


def _bubble(generator: np.random.Generator, glow: Floats, severity: float, size: int) -> Floats:
    """A round hole in the fluorescence with a bright rim, its cells seen dimly through it."""
    for _ in range(1 + int(2 * severity * generator.uniform())):
        place = (float(generator.uniform(0.1, 0.9)) * size, float(generator.uniform(0.1, 0.9)) * size)
        radius = size * (0.06 + 0.16 * severity * float(generator.uniform(0.6, 1.2)))
        edge = outline(generator, size, place, radius, stretch=float(generator.uniform(1, 1.15)), wobble=0.015)
        rim = np.exp(-((edge / (0.012 * size)) ** 2)) + 0.35 * np.exp(-(((edge - 0.045 * size) / (0.01 * size)) ** 2))
        glow = glow * (1 - (0.45 + 0.4 * severity) * filled(edge, 3)) + (0.2 + 0.6 * severity) * rim
    return glow


def _smear(generator: np.random.Generator, glow: Floats, severity: float, size: int) -> Floats:
    """A broad streak of bright stain across the field, drawn out along its direction."""
    down, across = np.mgrid[0:size, 0:size] / size - 0.5
    angle, shift = generator.uniform(0, np.pi), generator.uniform(-0.3, 0.3)
    aside = across * np.sin(angle) - down * np.cos(angle) - shift + 0.03 * noise(generator, size, 4)
    streaks = np.interp(aside.ravel(), np.linspace(-1, 1, 90), generator.standard_normal(90)).reshape(size, size)
    band = np.exp(-((aside / generator.uniform(0.06, 0.16)) ** 2))
    return np.asarray(glow + (0.15 + 0.75 * severity) * band * np.clip(0.7 + 0.35 * streaks, 0, None))


FLUORESCENCE = Kind(
    "fluorescence",
    version=1,
    classes=_CLASSES,
    groups=(14, 14, 12),
    images=(140, 56, 30),
    image_size=224,
    look=_look,
    draw=_field,
    shared="slide",
)
"""226 fields of 224×224 from 14 slides."""

"""Single cells of stained blood smears among red cells: eight types.

Basophil (dark granules over its nucleus), eosinophil (two lobes, large orange granules), erythroblast (small, a dense
round nucleus), immature granulocyte (large, an oval nucleus, few granules), lymphocyte (a round nucleus in a thin blue
rim), monocyte (large, a folded nucleus, grey-blue), neutrophil (three to five lobes, pale) and platelet (tiny, without
a nucleus). A group stands for one smear, which has cells of all types: its stain, light, sharpness and grain. A cell is
somewhere on the way from its own type to the one that it is mistaken for.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trainables.data.synthetic.drawing import Floats, filled, finished, noise, outline, spots, stained
from trainables.data.synthetic.making import Kind


@dataclass(frozen=True)
class _Type:
    """radius: of the cell, as a share of the image; nucleus: share of that radius that it takes, were it one body;
    apart: how far its lobes lie from the middle, in radii of the cell; density: of nuclear stain; clumps: of its
    chromatin. pink, blue: stain of the cytoplasm. granules: how many; their radius as a share of the image; their
    stain, of eosin (pink to orange) and of the nuclear stain.
    """

    radius: float
    nucleus: float
    lobes: float
    apart: float
    density: float
    clumps: float
    pink: float
    blue: float
    granules: float
    granule_radius: float
    orange: float
    violet: float


_TYPES = {
    "basophil": _Type(0.24, 0.68, 2, 0.28, 0.85, 0.15, 0.3, 0.3, 75, 0.016, 0.0, 1.1),
    "eosinophil": _Type(0.27, 0.62, 2, 0.42, 1.05, 0.2, 0.5, 0.05, 230, 0.014, 1.0, 0.0),
    "erythroblast": _Type(0.19, 0.62, 1, 0.05, 1.6, 0.25, 0.5, 0.35, 0, 0.01, 0.0, 0.0),
    "immature_granulocyte": _Type(0.3, 0.72, 1, 0.16, 0.85, 0.08, 0.35, 0.35, 60, 0.008, 0.1, 0.4),
    "lymphocyte": _Type(0.21, 0.86, 1, 0.05, 1.2, 0.28, 0.05, 0.75, 0, 0.01, 0.0, 0.0),
    "monocyte": _Type(0.32, 0.72, 2, 0.24, 0.8, 0.16, 0.25, 0.5, 20, 0.006, 0.1, 0.2),
    "neutrophil": _Type(0.27, 0.62, 4, 0.42, 1.15, 0.22, 0.42, 0.05, 90, 0.006, 0.25, 0.12),
    "platelet": _Type(0.08, 0.0, 0, 0.0, 0.0, 0.0, 0.3, 0.45, 14, 0.011, 0.0, 0.45),
}
_CLASSES = tuple(_TYPES)
_MISTAKEN_FOR = {
    "basophil": "immature_granulocyte",
    "eosinophil": "neutrophil",
    "erythroblast": "lymphocyte",
    "immature_granulocyte": "monocyte",
    "lymphocyte": "erythroblast",
    "monocyte": "immature_granulocyte",
    "neutrophil": "immature_granulocyte",
    "platelet": "platelet",
}


@dataclass(frozen=True)
class _Look:
    nuclear: Floats
    eosin: Floats
    orange: Floats
    azure: Floats
    light: Floats
    red_cells: float
    blur: float
    grain: float


def _look(generator: np.random.Generator) -> _Look:
    """Absorbances by channel R, G, B of the stains of May, Grünwald and Giemsa, each varied."""
    return _Look(
        nuclear=np.array([0.72, 1.15, 0.32]) * generator.uniform(0.75, 1.25, 3),
        eosin=np.array([0.06, 0.34, 0.22]) * generator.uniform(0.7, 1.35, 3),
        orange=np.array([0.08, 0.6, 0.55]) * generator.uniform(0.8, 1.2, 3),
        azure=np.array([0.45, 0.32, 0.08]) * generator.uniform(0.75, 1.25, 3),
        light=np.array([250.0, 238.0, 226.0]) * generator.uniform(0.88, 1.02, 3),
        red_cells=float(generator.uniform(0.7, 1.3)),
        blur=float(generator.uniform(0.5, 1.1)),
        grain=float(generator.uniform(1.5, 6)),
    )


def _image(generator: np.random.Generator, look: _Look, index: int, standing: float, size: int) -> NDArray[np.uint8]:
    """One cell in the middle, uint8 [size, size, 3]."""
    own = _CLASSES[index]
    doubt = float(np.clip(0.2 + 0.16 * standing + 0.1 * generator.standard_normal(), 0, 0.6))
    cell = _between(_TYPES[own], _TYPES[_MISTAKEN_FOR[own]], doubt)
    centre = (size * float(generator.uniform(0.46, 0.54)), size * float(generator.uniform(0.46, 0.54)))
    radius = cell.radius * size * float(generator.uniform(0.88, 1.12))
    stretch, angle = float(generator.uniform(1, 1.22)), float(generator.uniform(0, np.pi))
    edge = outline(generator, size, centre, radius, stretch=stretch, angle=angle, wobble=0.05)
    body, nucleus = (
        filled(edge, 1.5),
        np.minimum(_nucleus(generator, cell, centre, radius, size), filled(edge - 1, 1.5)),
    )
    cytoplasm = body * (1 - 0.8 * nucleus) * (1 + 0.15 * noise(generator, size, size // 5))
    chromatin = cell.density * (1 + cell.clumps * np.tanh(1.2 * noise(generator, size, size // 7)))
    over = 1.0 if cell.violet > 0.7 else 0.15
    grains = _granules(generator, cell, filled(edge - 1.5, 1), size) * (1 - (1 - over) * nucleus)
    absorbance = (
        _red_cells(generator, look, centre, radius, size)[:, :, None] * (1 - body)[:, :, None] * look.eosin
        + cytoplasm[:, :, None] * (cell.pink * look.eosin + cell.blue * look.azure)
        + (nucleus * chromatin)[:, :, None] * look.nuclear
        + grains[:, :, None] * (cell.orange * look.orange + cell.violet * look.nuclear)
    )
    return finished(generator, stained(look.light, absorbance), look.blur, look.grain)


def _between(one: _Type, other: _Type, share: float) -> _Type:
    return _Type(
        *((1 - share) * getattr(one, field.name) + share * getattr(other, field.name) for field in fields(one))
    )


def _nucleus(
    generator: np.random.Generator, cell: _Type, centre: tuple[float, float], radius: float, size: int
) -> Floats:
    """Its lobes along an arc, each joined to the next, 0–1, [size, size]."""
    lobes = int(cell.lobes + generator.uniform(0, 1)) if cell.lobes > 1.2 else round(cell.lobes)
    nucleus = np.zeros((size, size))
    if not lobes:
        return nucleus
    each = cell.nucleus * radius / np.sqrt(lobes) * (1.08 if lobes > 1 else 1.0)
    start, step = generator.uniform(0, 2 * np.pi), min(1.7, 4.6 / lobes) if lobes > 2 else 2.3
    turns = start + step * np.arange(lobes) + 0.15 * generator.standard_normal(lobes)
    apart = cell.apart * radius * (1 + 0.15 * generator.standard_normal(lobes))
    places = [(centre[0] + a * np.cos(t), centre[1] + a * np.sin(t)) for a, t in zip(apart, turns, strict=True)]
    for place in places:
        lobe = each * float(generator.uniform(0.85, 1.12))
        stretch, angle = float(generator.uniform(1, 1.35)), float(generator.uniform(0, np.pi))
        nucleus = np.maximum(nucleus, filled(outline(generator, size, place, lobe, stretch=stretch, angle=angle), 1.5))
    for (x, y), (to_x, to_y) in itertools.pairwise(places):
        for share in (0.35, 0.5, 0.65):
            place = (x + share * (to_x - x), y + share * (to_y - y))
            nucleus = np.maximum(nucleus, filled(outline(generator, size, place, (0.75 - 0.1 * lobes) * each), 1.5))
    return nucleus


def _granules(generator: np.random.Generator, cell: _Type, where: Floats, size: int) -> Floats:
    count = int(generator.poisson(cell.granules))
    return np.asarray(where * np.clip(spots(generator, where, count, cell.granule_radius * size), 0, 1.2))


def _red_cells(
    generator: np.random.Generator, look: _Look, centre: tuple[float, float], radius: float, size: int
) -> Floats:
    """Amount of eosin of the red cells around, pale in their middles, [size, size]; none lies in the cell's middle."""
    eosin = np.zeros((size, size))
    large = 0.185 * size
    for _ in range(int(generator.integers(3, 9))):
        place = (float(generator.uniform(-0.1, 1.1)) * size, float(generator.uniform(-0.1, 1.1)) * size)
        if np.hypot(place[0] - centre[0], place[1] - centre[1]) < radius + 0.75 * large:
            continue
        edge = outline(generator, size, place, large * float(generator.uniform(0.9, 1.1)), wobble=0.04)
        disc = filled(edge, 2) * (0.95 - 0.45 * np.clip(edge / large - 0.35, 0, 1) / 0.65)
        eosin = np.maximum(eosin, look.red_cells * disc)
    return eosin


BLOOD_CELLS = Kind(
    "blood_cells",
    version=1,
    classes=_CLASSES,
    groups=(12,) * len(_CLASSES),
    images=(24, 52, 30, 48, 26, 28, 54, 40),
    image_size=96,
    look=_look,
    draw=_image,
    shared="smear",
)
"""302 cells of 96×96 from 12 smears; numbers of the types as unequal as in the set that has these eight."""

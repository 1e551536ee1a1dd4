"""Makes the images of a kind: files, labels, groups and the mark that they are synthetic.

Every group (slide, patient, specimen) has a look of its own, stain, brightness and grain, which is drawn without
knowledge of the class. Where a group has one class, whoever divides groups between splits learns their looks by heart,
and his validation flatters him. How typical of its class a group is, is drawn too, so some groups are ambiguous.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.store.storage import LocalStorage

_MARK = "SYNTHETIC.json"

Pixels = NDArray[np.uint8]
"""[side, side] in grey, or [side, side, 3]."""


@dataclass(frozen=True)
class Kind:
    """One kind of image, made from a seed. version: rises when the pixels of equal arguments change.

    groups, images: numbers for each class. shared: what a group with images of several classes is called, as a slide
    is; "" where each group has one class. falling: weights of the largest and the smallest group of a class, between
    which sizes fall geometrically. image_size: side in pixels.
    look: what the images of a group share, whatever their class. draw(generator, look, class index, standing, side)
    makes one image; standing: of a group in its class, standard normal over the groups.
    """

    name: str
    version: int
    classes: tuple[str, ...]
    groups: tuple[int, ...]
    images: tuple[int, ...]
    image_size: int
    look: Callable[[np.random.Generator], Any]
    draw: Callable[[np.random.Generator, Any, int, float, int], Pixels]
    shared: str = ""
    falling: tuple[float, float] = (4.0, 1.0)


def make_synthetic(folder: Path, kind: Kind, seed: int = 0) -> Path:
    """Write PNG images below `folder`, `labels.csv` (file, label, group) and the mark SYNTHETIC.json; return `folder`.

    The same arguments give the same pixels (and, with the same libraries, the same bytes). The mark is written last, so
    a folder that has it is complete; one that already has the mark of the same arguments is left as it is. Raises
    ValueError for fewer images than groups.
    """
    if any(count < number or number < 1 for number, count in zip(kind.groups, kind.images, strict=True)):
        raise ValueError(f"{kind.images} images for {kind.groups} groups: expected at least one for each group")
    parameters = {"groups": kind.groups, "images": kind.images, "image_size": kind.image_size}
    mark = {"synthetic": True, "kind": kind.name, "version": kind.version, "seed": seed, "parameters": parameters}
    content = (json.dumps(mark, indent=1, sort_keys=True) + "\n").encode()
    storage = LocalStorage(folder)
    if (folder / _MARK).is_file() and storage.read(_MARK) == content:
        return folder
    storage.delete(_MARK)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("file", "label", "group"))
    for index, label in enumerate(kind.classes):
        standings = _standings(np.random.default_rng([seed, index]), kind.groups[index])
        of_look = len(kind.classes) if kind.shared else index
        for number, size in enumerate(group_sizes(kind.groups[index], kind.images[index], *kind.falling), 1):
            group = f"{kind.shared or label}-{number:02d}"
            look = kind.look(np.random.default_rng([seed, of_look, number]))
            for image in range(size):
                generator = np.random.default_rng([seed, index, number, image])
                pixels = kind.draw(generator, look, index, standings[number - 1], kind.image_size)
                file = f"{label}/{group}_{image:02d}.png"
                storage.replace(file, _png(pixels))
                writer.writerow((file, label, group))
    storage.replace("labels.csv", table.getvalue().encode())
    storage.replace(_MARK, content)
    return folder


def group_sizes(groups: int, images: int, largest: float, smallest: float) -> list[int]:
    """Sizes of `groups` groups that sum to `images`, largest first, each at least one, falling geometrically as
    between the weights `largest` and `smallest`."""
    weights = np.geomspace(largest, smallest, groups)
    sizes = 1 + np.floor((images - groups) * weights / weights.sum()).astype(int)
    for index in range(images - int(sizes.sum())):
        sizes[index % groups] += 1
    return [int(size) for size in sizes]


def _standings(generator: np.random.Generator, groups: int) -> list[float]:
    """The quantiles of a standard normal distribution in a drawn order, so that every seed has as many ambiguous groups
    as any other."""
    return [NormalDist().inv_cdf((int(rank) + 0.5) / groups) for rank in generator.permutation(groups)]


def _png(pixels: Pixels) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", compress_level=3)
    return target.getvalue()

"""What is no content of the picture and tells the class all the same: its size, its format, its camera, its depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.checking.finding import Finding, Item, Weight, count
from orchestrator.checking.material import Material

LEAST = 5
"""Images of a class below which nothing is said of it."""
NEARLY_ALL = 0.95
"""Share of a class that has a value no other class has."""
APART = 0.98
"""Share of pairs, one image of the class and one of the others, that a size orders alike."""


def confounders(material: Material) -> Finding | None:
    """Classes that can be told without looking at the picture."""
    frame = material.manifest
    labels = frame["label"].to_numpy(dtype=object)
    sizes = [f"{width} × {height} pixels" for width, height in zip(frame["width"], frame["height"], strict=True)]
    properties: dict[str, Sequence[str]] = {
        "size": sizes,
        "format": [name or "another format" for name in material.formats],
        "camera": [name or "no camera named" for name in material.cameras],
        "colour": ["grey" if is_grey else "colour" for is_grey in material.grey],
        "depth": [f"more than 8 bits ({text})" if text else "8 bits" for text in frame["reading"]],
    }
    items, told = list[Item](), set[tuple[str, str]]()
    for name, values in properties.items():
        for label, value, share in exclusive(labels, np.array(values, dtype=object)):
            told.add((label, name))
            every = "every image" if share == 1 else f"{share:.0%} of the images"
            only = f"{_has(name)} {value}, and none of another class"
            items.append(Item(f"{name}: {every} of class {label} {only}"))
    area = (frame["width"] * frame["height"]).to_numpy(dtype=float)
    for label in sorted(set(labels)):
        order = ordered(area[labels == label], area[labels != label])
        if order is not None and (label, "size") not in told:
            larger = "larger" if order > 0 else "smaller"
            pairs = f"{abs(order):.0%} of pairs"
            items.append(Item(f"size: an image of class {label} is {larger} than one of another class in {pairs}"))
    if not items:
        return None
    return Finding(
        "class told by file properties",
        Weight.LOOK,
        f"There {'is' if len(items) == 1 else 'are'} {count(len(items), 'way')} to tell a class without looking at the "
        "picture.",
        "A network may learn the size, format or camera instead of what is shown, score well here, and fail on images "
        "from elsewhere.",
        "Use the same camera, format and scale for all classes, or take pictures of every class with each. If the size "
        "belongs to what is shown, as it may with cells, it is not a fault.",
        tuple(items),
    )


def exclusive(labels: NDArray[np.object_], values: NDArray[np.object_]) -> list[tuple[str, str, float]]:
    """(class, value, share of the class) where nearly all of a class, and nothing else, has one value."""
    telling = []
    for label in sorted(set(labels)):
        mine = labels == label
        if mine.sum() < LEAST or mine.all():
            continue
        names, numbers = np.unique(values[mine].astype(str), return_counts=True)
        value, share = str(names[numbers.argmax()]), float(numbers.max() / mine.sum())
        if share >= NEARLY_ALL and not (values[~mine].astype(str) == value).any():
            telling.append((str(label), value, share))
    return telling


def ordered(mine: NDArray[np.float64], others: NDArray[np.float64]) -> float | None:
    """Share of pairs in which mine is larger (negative: smaller), from APART on; None where it is less sure."""
    if min(len(mine), len(others)) < 2 * LEAST:
        return None
    every = np.sort(others)
    below = np.searchsorted(every, mine, side="left").mean() / len(every)
    above = 1 - np.searchsorted(every, mine, side="right").mean() / len(every)
    return float(below) if below >= APART else -float(above) if above >= APART else None


def _has(name: str) -> str:
    return {"size": "has", "format": "is", "camera": "says", "colour": "is", "depth": "has"}[name]

"""Pictures of small datasets: each number another one, unlike all others, and the same for the same number."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 72


def picture(number: int, side: int = SIDE) -> Image.Image:
    """Blots of colour with fine grain."""
    draws = np.random.default_rng(number)
    blots = Image.fromarray(draws.integers(60, 200, (9, 9, 3), dtype=np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    grain = draws.integers(-20, 21, (side, side, 1))
    return Image.fromarray(np.clip(np.asarray(blots, dtype=np.int64) + grain, 0, 255).astype(np.uint8))


def write_pictures(folder: Path, pictures: Mapping[str, Image.Image | int]) -> Path:
    """Files below a folder, each an image or the number of one."""
    for name, one in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture(one) if isinstance(one, int) else one).save(path)
    return folder


def patients(count: int = 6, each: int = 2, classes: Iterable[str] = ("a", "b")) -> dict[str, Image.Image | int]:
    """a/p0_0.png …: so many patients of each class, with so many images; --group-by '(p\\d+)_' reads them."""
    found: dict[str, Image.Image | int] = {}
    for place, label in enumerate(classes):
        for patient in range(count):
            for number in range(each):
                name = f"{label}/p{place * count + patient}_{number}.png"
                found[name] = len(found)
    return found


def write_table(path: Path, header: str, rows: Iterable[Iterable[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path

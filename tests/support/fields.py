"""Large fields to cut: dark cells on white, in classes and groups, with a margin, an empty corner and a blurred one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SIDE = 32
"""Of the patches that tests cut."""


def field(seed: int, columns: int = 4, rows: int = 3, rest: int = 7) -> NDArray[np.uint8]:
    """uint8 [rows · SIDE + rest, columns · SIDE + rest, 3]: stained noise on white; its first square is empty."""
    shape = (rows * SIDE + rest, columns * SIDE + rest)
    draws = np.random.default_rng(seed)
    stain = np.asarray(
        Image.fromarray(draws.integers(0, 255, shape, dtype=np.uint8)).filter(ImageFilter.GaussianBlur(1.5))
    )
    pixels = np.full((*shape, 3), 245, np.uint8)
    cells = stain > 127
    pixels[cells] = (150, 40, 160)
    pixels[:SIDE, :SIDE] = 245
    pixels += draws.integers(0, 8, pixels.shape, dtype=np.uint8)
    return pixels


def write_fields(folder: Path, per_class: int = 3, suffix: str = ".png") -> Path:
    """Classes a and b of some fields each: a/slide0.png …"""
    for index, label in enumerate("ab"):
        (folder / label).mkdir(parents=True)
        for number in range(per_class):
            Image.fromarray(field(10 * index + number)).save(folder / label / f"slide{number}{suffix}")
    return folder

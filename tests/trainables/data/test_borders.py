"""Black borders: found whatever JPEG and a few specks do to them, and cut off alike wherever images are read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainables.data.borders import border_share, inner_box, without_borders
from trainables.data.decode import to_square

CELL = 40, 130, 70, 190


def cell(level: int = 120) -> np.ndarray:
    """An ellipse of uneven brightness on black, 200 × 300 pixels, that fills CELL."""
    top, bottom, left, right = CELL
    y, x = np.mgrid[:200, :300]
    inside = (2 * (y + 0.5 - (top + bottom) / 2) / (bottom - top)) ** 2
    inside = inside + (2 * (x + 0.5 - (left + right) / 2) / (right - left)) ** 2
    shade = np.random.default_rng(0).integers(level - 40, level + 40, (200, 300, 3))
    return np.where(inside[..., None] <= 1, shade, 0).astype(np.uint8)


def as_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def test_what_lies_on_black_is_found() -> None:
    pixels = cell()
    assert inner_box(pixels) == CELL
    assert np.array_equal(without_borders(pixels), pixels[40:130, 70:190])
    assert border_share(pixels) == pytest.approx(1 - 90 * 120 / (200 * 300))


def test_specks_are_no_part_of_the_image() -> None:
    pixels = cell()
    for y, x in np.random.default_rng(1).permutation([(y, x) for y in range(5, 35) for x in range(5, 65)])[:12]:
        pixels[y, x] = 255
    pixels[150, 250] = pixels[199, 0] = (0, 255, 0)
    assert inner_box(pixels) == CELL


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_what_jpeg_leaves_around_an_edge_moves_it_by_a_block_at_most(quality: int) -> None:
    found = inner_box(as_jpeg(cell(), quality))
    assert all(abs(one - other) <= 8 for one, other in zip(found, CELL, strict=True))


@pytest.mark.parametrize("level", [0, 16])
def test_an_image_that_is_all_black_is_left_whole(level: int) -> None:
    pixels = np.full((20, 30, 3), level, dtype=np.uint8)
    pixels[3, 4] = 255
    assert without_borders(pixels).shape == (20, 30, 3)
    assert border_share(pixels) == 0


def test_one_colour_is_enough_and_dark_parts_inside_stay() -> None:
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[5:10, 8:30, 2] = pixels[20:25, 8:30, 2] = 17
    assert inner_box(pixels) == (5, 25, 8, 30)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32))
def test_a_turned_image_has_turned_borders(height: int, width: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    pixels = np.where(draw.random((height, width, 1)) < draw.random() / 4, 255, 0).repeat(3, axis=2).astype(np.uint8)
    found = without_borders(pixels)
    assert 0 <= border_share(pixels) < 1
    assert np.array_equal(without_borders(pixels[::-1]), found[::-1])
    assert np.array_equal(without_borders(pixels.transpose(1, 0, 2)), found.transpose(1, 0, 2))


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_a_square_is_made_of_what_is_left(fit: str) -> None:
    pixels = cell()
    found = to_square(pixels, 32, "bilinear", fit, "cropped")  # type: ignore[arg-type]
    assert np.array_equal(found, to_square(pixels[40:130, 70:190], 32, "bilinear", fit))  # type: ignore[arg-type]
    assert not np.array_equal(found, to_square(pixels, 32, "bilinear", fit))  # type: ignore[arg-type]

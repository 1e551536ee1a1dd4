"""Tissue stands out of white, of black and of grey; a dark negative is not empty, and blur is seen in any exposure."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from orchestrator.patches.tissue import NO_BACKGROUND, otsu, sharpness, tissue_mask

PIXELS = (256, 384)


def with_disc(background: tuple[int, ...], colour: tuple[int, ...], noise: int = 6) -> NDArray[np.uint8]:
    """A disc of radius 64 around (128, 128): π/4 of the square of 128 pixels that it touches."""
    y, x = np.mgrid[: PIXELS[0], : PIXELS[1]]
    pixels = np.empty((*PIXELS, 3), np.int16)
    pixels[:] = background
    pixels[(y - 128) ** 2 + (x - 128) ** 2 < 64**2] = colour
    pixels += np.random.default_rng(0).integers(0, noise, pixels.shape, dtype=np.int16)
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("background", "colour"),
    [((240, 240, 242), (170, 60, 150)), ((0, 4, 0), (0, 130, 0)), ((230, 225, 210), (90, 60, 140))],
    ids=["stain on white", "fluorescence", "yellow light"],
)
def test_coloured_tissue_is_found(background: tuple[int, ...], colour: tuple[int, ...]) -> None:
    mask = tissue_mask(with_disc(background, colour), 128)
    assert mask.by == "saturation"
    assert mask.share(64, 64, 128, 128) == pytest.approx(np.pi / 4, abs=0.02)
    assert mask.share(256, 0, 128, 128) == 0.0


def test_grey_tissue_is_found_by_its_texture() -> None:
    pixels = with_disc((200, 200, 200), (200, 200, 200), 4).astype(np.int16)
    draws = np.random.default_rng(1)
    pixels[64:192, 64:192] += draws.integers(-60, 60, (128, 128, 1), dtype=np.int16)
    pixels[:] = pixels[:, :, :1]
    mask = tissue_mask(pixels.clip(0, 255).astype(np.uint8), 128)
    assert mask.by == "variance"
    assert mask.share(64, 64, 128, 128) == pytest.approx(1.0, abs=0.02)
    assert mask.share(256, 0, 128, 128) == 0.0


@pytest.mark.parametrize("bar", [False, True])
def test_a_dark_negative_has_no_background_with_or_without_a_scale_bar(bar: bool) -> None:
    pixels = with_disc((1, 3, 1), (1, 5, 1), 4)
    if bar:
        pixels[10:16, 20:120] = (0, 150, 0)
    mask = tissue_mask(pixels, 128)
    assert mask.by == NO_BACKGROUND
    assert mask.share(256, 128, 128, 128) == 1.0


def test_otsus_threshold_is_the_one_of_all_that_parts_best() -> None:
    values = np.random.default_rng(0).normal(20, 4, 4000)
    values[:1000] += 60
    found = otsu(values)

    def between(threshold: float) -> float:
        above = values > threshold
        return float(above.mean() * (~above).mean() * (values[above].mean() - values[~above].mean()) ** 2)

    assert between(found) == pytest.approx(max(between(t) for t in np.linspace(values.min(), values.max(), 258)[1:-1]))


@pytest.mark.parametrize("exposure", [1.0, 0.3])
def test_sharpness_falls_with_blur_and_not_with_exposure(exposure: float) -> None:
    image = Image.fromarray((with_disc((240, 240, 240), (60, 60, 60), 3)[64:192, 64:192] * exposure).astype(np.uint8))
    sharp, blurred = (sharpness(np.asarray(image.filter(ImageFilter.GaussianBlur(radius)))) for radius in (0.7, 8))
    assert sharp > 0.2
    assert blurred < 0.06

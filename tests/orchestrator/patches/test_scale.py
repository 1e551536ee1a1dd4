"""What files say of their scale: OME, ImageJ, Aperio and resolutions; screens and printers say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from orchestrator.patches.scale import scale_of, stated_scale

OME = '<?xml version="1.0"?><OME><Pixels ID="p" PhysicalSizeX="{x}" {unit} PhysicalSizeY="{y}" SizeX="8"/></OME>'


def tiff(path: Path, description: str = "", unit: int = 2, resolution: float | None = None) -> Path:
    tags = ImageFileDirectory_v2()
    if description:
        tags[270] = description
    if resolution is not None:
        tags[282], tags[283], tags[296] = resolution, resolution, unit
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(path, tiffinfo=tags)
    return path


@pytest.mark.parametrize(
    ("given", "um", "by"),
    [
        ({"resolution": 25_400 / 0.5, "unit": 2}, 0.5, "TIFF resolution"),
        ({"resolution": 40_000, "unit": 3}, 0.25, "TIFF resolution"),
        ({"description": "ImageJ=1.53\nunit=micron\n", "resolution": 4.0, "unit": 1}, 0.25, "ImageJ"),
        ({"description": "ImageJ=1.53\nunit=nm\n", "resolution": 0.004, "unit": 1}, 0.25, "ImageJ"),
        ({"description": "Aperio Image Library |AppMag = 20|MPP = 0.4990|x"}, 0.499, "Aperio"),
        ({"description": OME.format(x=0.65, y=0.65, unit="")}, 0.65, "OME"),
        ({"description": OME.format(x=650, y=650, unit='PhysicalSizeXUnit="nm" PhysicalSizeYUnit="nm"')}, 0.65, "OME"),
    ],
)
def test_scales_that_files_say(tmp_path: Path, given: dict[str, Any], um: float, by: str) -> None:
    scale = scale_of(tiff(tmp_path / "a.tif", **given))
    assert scale is not None
    assert (scale.x, scale.y) == pytest.approx((um, um), rel=1e-4)
    assert scale.said_by == by
    assert scale.is_square


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"resolution": 72, "unit": 2},
        {"resolution": 300, "unit": 2},
        {"resolution": 4.0, "unit": 1},
        {"description": "ImageJ=1.53\nunit=pixel\n", "resolution": 4.0, "unit": 1},
        {"description": OME.format(x=0.5, y=0.5, unit='PhysicalSizeXUnit="pixel" PhysicalSizeYUnit="pixel"')},
    ],
)
def test_what_says_nothing(tmp_path: Path, given: dict[str, Any]) -> None:
    assert scale_of(tiff(tmp_path / "a.tif", **given)) is None


def test_a_png_says_it_by_dots_per_inch_and_a_lying_image_is_turned(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((8, 12, 3), np.uint8))
    image.save(tmp_path / "a.png", dpi=(25_400, 50_800))
    scale = scale_of(tmp_path / "a.png")
    assert scale is not None
    assert (scale.x, scale.y) == pytest.approx((1.0, 0.5), rel=1e-3)
    assert not scale.is_square
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "b.png", dpi=(25_400, 50_800), exif=exif)
    turned = scale_of(tmp_path / "b.png")
    assert turned is not None
    assert (turned.x, turned.y) == pytest.approx((0.5, 1.0), rel=1e-3)


def test_files_that_are_no_images_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\x00\x08")
    assert scale_of(tmp_path / "a.tif") is None
    assert scale_of(tmp_path / "none.tif") is None


@pytest.mark.parametrize("written", ["0", "-1", "nan", "inf", "", "0,5"])
def test_what_users_cannot_mean(written: str) -> None:
    assert stated_scale(written) is None

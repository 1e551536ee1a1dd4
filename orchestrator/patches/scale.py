"""How many micrometres a pixel of a file is, where the file knows it: OME, ImageJ, Aperio, else its resolution.

Cameras and editors write 72, 96 or 300 dots per inch into files of which nobody measured anything. A resolution that
makes a pixel wider than 25 µm (1,016 dots per inch) is one of a screen or a printer, and says nothing here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

WIDEST_UM = 25.0
_UNITS = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "\\u00b5m": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
_UM_PER_TIFF_UNIT = {2: 25_400.0, 3: 10_000.0}
_X, _Y, _UNIT, _DESCRIPTION, _ORIENTATION = 282, 283, 296, 270, 274
_LYING = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange width and height."""


@dataclass(frozen=True)
class Scale:
    """µm per pixel across and down the upright image, and what said so."""

    x: float
    y: float
    said_by: str

    @property
    def is_square(self) -> bool:
        return abs(self.x / self.y - 1) < 0.01


def scale_of(path: Path) -> Scale | None:
    """What the file says; None where it does not, or where its header cannot be read (nor can its pixels then)."""
    try:
        with Image.open(path) as image:
            scale = _of_tiff(image) if isinstance(image, TiffImageFile) else _of_dpi(image)
            lying = image.getexif().get(_ORIENTATION) in _LYING
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    if scale is None or not (0 < scale.x <= WIDEST_UM and 0 < scale.y <= WIDEST_UM):
        return None
    return Scale(scale.y, scale.x, scale.said_by) if lying else scale


def stated_scale(written: str) -> Scale | None:
    """What a user says of files that do not; None where it is no number above 0."""
    um = _number(written)
    return Scale(um, um, "you") if um else None


def _of_tiff(image: TiffImageFile) -> Scale | None:
    text = str(image.tag_v2.get(_DESCRIPTION, ""))
    across, down = (_number(image.tag_v2.get(tag)) for tag in (_X, _Y))
    if "PhysicalSizeX" in text:
        x = _ome(text, "X")
        y = _ome(text, "Y") or x
        return Scale(x, y, "OME") if x and y else None
    if text.startswith("ImageJ"):
        unit = re.search(r"^unit=(\S+)", text, re.M)
        um = _UNITS.get(unit[1], 0.0) if unit else 0.0
        return Scale(um / across, um / down, "ImageJ") if um and across and down else None
    aperio = re.search(r"\bMPP\s*=\s*([\d.]+)", text)
    if aperio and (um := _number(aperio[1])):
        return Scale(um, um, "Aperio")
    um = _UM_PER_TIFF_UNIT.get(int(image.tag_v2.get(_UNIT, 2)), 0.0)
    return Scale(um / across, um / down, "TIFF resolution") if um and across and down else None


def _ome(text: str, axis: str) -> float:
    """PhysicalSizeX in µm, its unit where none is given; read by pattern, for a parser would resolve entities."""
    size = re.search(rf'\bPhysicalSize{axis}\s*=\s*"([^"]+)"', text)
    unit = re.search(rf'\bPhysicalSize{axis}Unit\s*=\s*"([^"]+)"', text)
    return _number(size[1] if size else None) * _UNITS.get(unit[1].replace("&#181;", "µ") if unit else "µm", 0.0)


def _of_dpi(image: Image.Image) -> Scale | None:
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    across, down = map(_number, dpi)
    return Scale(25_400 / across, 25_400 / down, "dots per inch") if across and down else None


def _number(value: object) -> float:
    """A positive, finite number, else 0."""
    try:
        number = float(value)  # type: ignore[arg-type]  # rationals of Pillow, texts, None
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if 0 < number < float("inf") else 0.0

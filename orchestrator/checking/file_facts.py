"""What a file says of itself before its pixels: its format, and the camera or scanner that wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

_BEGIN: tuple[tuple[bytes, str, Callable[[IO[bytes]], ImageFile.ImageFile] | None], ...] = (
    (b"\xff\xd8\xff", "JPEG", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImageFile),
    (b"II*\x00", "TIFF", TiffImageFile),
    (b"MM\x00*", "TIFF", TiffImageFile),
    (b"II+\x00", "TIFF", TiffImageFile),
    (b"MM\x00+", "TIFF", TiffImageFile),
    (b"BM", "BMP", None),
    (b"RIFF", "WebP", WebPImageFile),
    (b"GIF8", "GIF", None),
)
_MAKE, _MODEL = 271, 272
_LONGEST = 60


def facts_of(path: Path) -> tuple[str, str]:
    """(format, camera) of a file, "" for what it does not say; never raises: that it can be read is known elsewhere."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
            file.seek(0)
            for magic, name, plugin in _BEGIN:
                if start.startswith(magic):
                    return name, _camera(plugin(file)) if plugin is not None else ""
            return ("DICOM", "") if start[128:] == b"DICM" else ("", "")
    except Exception:  # headers meet hostile bytes; what they do not say is not known
        return "", ""


def _camera(image: ImageFile.ImageFile) -> str:
    exif = image.getexif()
    told = [str(exif.get(tag, "")).strip("\x00 ") for tag in (_MAKE, _MODEL)]
    text = " ".join(part for part in told if part)
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_LONGEST]

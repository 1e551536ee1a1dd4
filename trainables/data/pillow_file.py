"""What Pillow reads: pages in colour as they are, and grey of more than 8 bits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from trainables.data.pages import Layout, check_size, layout_of
from trainables.data.reading import Intensity, Reading, RefusedImageError
from trainables.data.shades import HIDDEN, Picture, Pixels, Shades

# The plug-ins are called by themselves: Image.open has a pixel limit of its own, which warns on stderr from any thread.
_FORMATS: tuple[tuple[bytes, Callable[[IO[bytes]], ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"II*\x00", TiffImageFile),
    (b"MM\x00*", TiffImageFile),
    (b"II+\x00", TiffImageFile),
    (b"MM\x00+", TiffImageFile),
    (b"BM", BmpImageFile),
    (b"RIFF", WebPImageFile),
    (b"GIF8", GifImageFile),
)
_CONVERTED = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LA", "PA", "RGBA", "RGBa", "La"})
_DEEP = ("I", "F")
"""How the modes of grey with more than 8 bits begin: I;16 and its kin, I (32-bit or signed), F (floating point)."""
_TAG_BITS, _TAG_PHOTOMETRIC, _TAG_DESCRIPTION, _TAG_SAMPLES, _TAG_MAX_SAMPLE, _TAG_FORMAT = 258, 262, 270, 277, 281, 339
_TAG_EXTRA = 338
_SIGNED = 2


def may_be_picture(path: Path) -> bool:
    """Whether a file has no suffix and begins as one of the formats here."""
    if path.suffix:
        return False
    try:
        with path.open("rb") as file:
            return _plugin_of(file.read(12)) is not None
    except (OSError, ValueError):
        return False


def opened_picture(start: bytes, file: IO[bytes], reading: Reading, max_pixels: int) -> PillowFile | None:
    """The file as what its first bytes say; None where they are of no format here."""
    plugin = _plugin_of(start)
    return None if plugin is None else PillowFile(plugin(file), file, reading, max_pixels)


def _plugin_of(start: bytes) -> Callable[[IO[bytes]], ImageFile.ImageFile] | None:
    for magic, plugin in _FORMATS:
        if start.startswith(magic) and (plugin is not WebPImageFile or start[8:12] == b"WEBP"):
            return plugin
    return None


class PillowFile:
    """width, height: in pixels, of the first page. layout: its pages, for which the header of each is opened; raises
    RefusedImageError. Of the pixels nothing is decoded before `pages`."""

    def __init__(self, image: ImageFile.ImageFile, file: IO[bytes], reading: Reading, max_pixels: int) -> None:
        self._image, self._file, self._reading, self._max_pixels = image, file, reading, max_pixels
        self.width, self.height = image.size

    def close(self) -> None:
        self._image.close()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of the samples in a pixel is passed over: Pillow drops those that a TIFF adds and does not explain."""
        if not isinstance(self._image, TiffImageFile) or 0 not in self._image.tag_v2.get(_TAG_EXTRA, ()):
            return ()
        samples = int(self._image.tag_v2.get(_TAG_SAMPLES, 1))
        read = "only colour is read" if self.is_colour else "only the first is read, as grey"
        return (f"{samples} samples per pixel, and the file does not say what each one is: {read}",)

    @property
    def is_colour(self) -> bool:
        return self._image.mode not in ("1", "L") and not self._image.mode.startswith(_DEEP)

    @cached_property
    def layout(self) -> Layout:
        image = self._image
        pages = int(getattr(image, "n_frames", 1))
        if isinstance(image, TiffImageFile):
            said = image.tag_v2.get(_TAG_DESCRIPTION, "")
            samples = int(image.tag_v2.get(_TAG_SAMPLES, 1))
            return layout_of(said if isinstance(said, str) else "", pages, samples, bool(self._reading.channels))
        if pages > 1 and isinstance(image, GifImageFile | WebPImageFile | PngImageFile):
            raise RefusedImageError(
                f"animated {image.format}: {pages} frames, expected one picture; save the one you want as PNG"
            )
        return Layout((range(1),), ("",))

    def pages(self, numbers: Sequence[int]) -> Generator[Picture]:
        """The pages of these numbers, from 0."""
        image, size = self._image, (0, 0)
        for number in numbers:
            if number or image.tell() != number:
                image.seek(number)
            if size not in ((0, 0), image.size):
                raise RefusedImageError("pages differ: in size; give one of them, --page N")
            size = image.size
            check_size(*size, self._max_pixels)
            if image.mode == "L" and isinstance(image, TiffImageFile) and _SIGNED in image.tag_v2.get(_TAG_FORMAT, ()):
                raise RefusedImageError("signed samples: 8-bit ones are not supported; save it with 16 bits")
            if image.mode not in _CONVERTED and not image.mode.startswith(_DEEP):
                raise RefusedImageError(f"unknown colours: mode {image.mode}; save it as RGB")
            if image.mode.startswith(_DEEP):
                yield _shades(image)
            else:
                yield _colours(image, self._file, self._reading.intensity)


def _colours(image: ImageFile.ImageFile, file: IO[bytes], intensity: Intensity | None) -> Pixels:
    sixteen_bit = _bits_per_sample(image, file) > 8
    image.load()
    upright: Image.Image = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        if not np.asarray(layered)[..., 3].any():
            raise RefusedImageError(HIDDEN)
        upright = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    pixels = np.array(upright.convert("RGB"), dtype=np.uint8)
    if sixteen_bit and intensity not in (None, Intensity(0, 65535)):
        raise RefusedImageError(
            f"16-bit colour: it can only be read with 0:65535, not with {intensity}; save it with 8 bits"
        )
    if sixteen_bit and pixels.max() < 16:
        raise RefusedImageError("12-bit colour: 16-bit colour with values below 4096 only; save it with 8 bits")
    return pixels


def _shades(image: ImageFile.ImageFile) -> Shades:
    """Samples of more than 8 bits."""
    declared = _declared_white(image)
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    image.load()
    key = image.info.get("transparency")
    values = np.asarray(ImageOps.exif_transpose(image))
    if image.mode == "I" and tags.get(_TAG_FORMAT, (1,))[0] == 1:
        values = values.astype(np.int32).view(np.uint32)  # Pillow has no unsigned mode
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise RefusedImageError("not numbers: some values are NaN or infinite; replace them by numbers")
    hidden = None if key is None else values == key
    return Shades(values, image.mode.startswith("I;"), declared, tags.get(_TAG_PHOTOMETRIC) == 0, hidden)


def _bits_per_sample(image: ImageFile.ImageFile, file: IO[bytes]) -> int:
    if isinstance(image, TiffImageFile):
        return max(int(bits) for bits in image.tag_v2.get(_TAG_BITS, (1,)))
    if isinstance(image, PngImageFile):
        position = file.tell()
        file.seek(24)  # the bit depth in the IHDR chunk, which is always the first
        depth = file.read(1)[0]
        file.seek(position)
        return depth
    return 8


def _declared_white(image: ImageFile.ImageFile) -> int | None:
    """The largest possible value of a TIFF that says it; PNG has no such field (its sBIT is about the source)."""
    if not isinstance(image, TiffImageFile):
        return None
    if image.tag_v2.get(_TAG_BITS) == (12,):
        return 4095
    declared = image.tag_v2.get(_TAG_MAX_SAMPLE)
    value = declared[0] if isinstance(declared, tuple) else declared
    return value if isinstance(value, int) and value in {2**bits - 1 for bits in range(10, 17)} else None

"""Image files to RGB pixels: one deterministic reading of JPEG, PNG, TIFF, BMP, WebP and GIF, or a refusal.

What a file may hold and how it becomes 8-bit RGB:

* 8 bits or fewer, grey, palette or colour: as it is. CMYK and YCbCr by Pillow's formulas. Colour profiles are not
  applied.
* Transparency (alpha or a transparent colour): laid over white. Refused where it hides every pixel.
* Grey of more bits (16, 32, floating point) is scaled by the range it is read with, the same for all files: never by an
  image's own minimum and maximum, nor by what one file lets guess, which would destroy the brightness that tells images
  apart. Values outside become black or white. A file that says that its values end below the range is refused.
* 16-bit colour, and grey with alpha: the high byte of each value (within 1 of the scaled value), for Pillow gives no
  more. Refused where the range is another than 0:65535, and where only values below 16 would be left.
* Refused: floating point with values that are no numbers, CIE Lab, several pages, animations, too many pixels, and
  anything that does not decode to its very end.

EXIF orientation is applied. In a JPEG with several pictures (phones) the first is the photograph and is taken.

This file and `unread` need numpy and Pillow alone: an exported model carries both (`orchestrator/export/script.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from trainables.data.unread import unread_picture

Pixels = NDArray[np.uint8]
Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Fit = Literal["crop", "pad", "squash"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif"})
MAX_PIXELS = 100_000_000
"""Width × height above which a file is refused before it is decoded."""

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
_TAG_BITS, _TAG_PHOTOMETRIC, _TAG_MAX_SAMPLE, _TAG_FORMAT = 258, 262, 281, 339
_FEW = 0.01
"""An image is nearly black or white where less than this share of its samples is above _DARK or below _LIGHT: 12 bits
read as 16 reach 16."""
_DARK, _LIGHT = 16, 239
_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

FILL = (124, 116, 104)
"""Red, green and blue beside an image that is padded: the mean of ImageNet, which nearly all weights expect, hence near
to 0 in the network's input; black or white would be an edge for its first layers to see."""

_LARGE = 16_000_000
"""Images of more pixels than this are decoded one at a time, so that threads × pixels stays within memory."""
_one_large_at_a_time = threading.Lock()


class RefusedImageError(Exception):
    """A file that is not used; `reason` reads "kind: detail", so that refusals can be counted by kind."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def kind(self) -> str:
        return self.reason.partition(":")[0]


@dataclass(frozen=True)
class Intensity:
    """The range of samples that is scaled to 0–255: `low` becomes black, `high` white."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{number_text(self.low)}:{number_text(self.high)}"

    @classmethod
    def parse(cls, text: str) -> Intensity | None:
        """ "0:4095" → Intensity(0, 4095), "" → None; raises ValueError."""
        if not text:
            return None
        low, _, high = text.partition(":")
        found = cls(float(low), float(high))
        if not (math.isfinite(found.low) and math.isfinite(found.high) and found.low < found.high):
            raise ValueError(f"expected LOW:HIGH with LOW below HIGH, found {text!r}")
        return found


@dataclass(frozen=True)
class Samples:
    """What a file of more than 8 bits holds. low, high: its smallest and largest value. declared: the largest value
    that it can have, where the file says so. whole: unsigned integers of 16 bits, whose depth can give a range."""

    low: float
    high: float
    declared: int | None
    whole: bool

    @property
    def span(self) -> str:
        """In words; fractions to six digits."""
        low, high = (value if value == int(value) else float(f"{value:.6g}") for value in (self.low, self.high))
        return f"values from {number_text(low)} to {number_text(high)}"


class NoRangeError(RefusedImageError):
    """More than 8 bits, and no range to read them by."""

    def __init__(self, samples: Samples) -> None:
        super().__init__(
            f"range unknown: more than 8 bits, {samples.span}, and nothing says which are black and white; "
            "save it with 8 bits"
        )
        self.samples = samples


@dataclass(frozen=True)
class Decoded:
    """pixels: uint8 [H, W, 3], upright. bytes: size of the file. intensity: what its samples were scaled by, None for
    those of 8 bits. clipped: share of the samples (0–1) that lay outside of it."""

    pixels: Pixels
    bytes: int
    intensity: Intensity | None = None
    clipped: float = 0.0

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever looks at a result should know of the image."""
        found = [f"values outside {self.intensity} are cut off"] if self.clipped else []
        if np.count_nonzero(self.pixels > _DARK) < _FEW * self.pixels.size:
            found.append(NEARLY_BLACK)
        if np.count_nonzero(self.pixels < _LIGHT) < _FEW * self.pixels.size:
            found.append(NEARLY_WHITE)
        return tuple(found)


NEARLY_BLACK, NEARLY_WHITE = "nearly black", "nearly white"


def read_rgb(path: Path, max_pixels: int, intensity: Intensity | None = None) -> Pixels:
    """The file's pixels, uint8 [H, W, 3], upright; raises RefusedImageError. Depends on content and intensity alone."""
    return decode(path, max_pixels, intensity).pixels


def decode(path: Path, max_pixels: int, intensity: Intensity | None = None) -> Decoded:
    """Read the header, check it, decode to the end and convert; raises RefusedImageError with the reason, and
    NoRangeError for grey of more than 8 bits where `intensity` is None. What `unread` names is refused by its name."""
    if why := unread_picture(path):
        raise RefusedImageError(why)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            with _opened(file, size) as image:
                _check_header(image, max_pixels)
                with _one_large_at_a_time if image.width * image.height > _LARGE else contextlib.nullcontext():
                    return _converted(image, file, size, intensity)
    except OSError as error:
        if error.errno is not None:
            raise RefusedImageError(f"cannot be read: {error.strerror}") from error
        raise RefusedImageError(f"cannot be decoded: {error}") from error
    except (RefusedImageError, MemoryError):
        raise
    except Exception as error:  # decoders meet hostile bytes: whatever they raise, this file is not an image we can use
        raise RefusedImageError(f"cannot be decoded: {str(error) or type(error).__name__}") from error


def to_square(pixels: Pixels, size: int, interpolation: Interpolation, fit: Fit) -> Pixels:
    """uint8 [H, W, 3] → [size, size, 3], with Pillow's filters; the same bits as its own ways (`ImageOps`) give.

    crop: the shorter side is resized to `size` and the centre cut, as `fit` does. Only that is computed, so that a very
    long image costs no more than a square one. pad: the longer side is resized, and `FILL` laid on both sides of the
    other, as `pad` does. squash: both sides are resized, whatever their ratio.
    """
    height, width = pixels.shape[:2]
    if fit != "crop":
        whole, target = Image.fromarray(np.ascontiguousarray(pixels)), (size, size)
        if fit == "pad":
            return np.array(ImageOps.pad(whole, target, _RESAMPLING[interpolation], FILL), dtype=np.uint8)
        return np.array(whole.resize(target, _RESAMPLING[interpolation]), dtype=np.uint8)
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if (height, width) != (size, size):
        image = image.resize((size, size), _RESAMPLING[interpolation], box=(left, top, left + side, top + side))
    return np.array(image, dtype=np.uint8)


def content_hash(pixels: Pixels) -> str:
    """SHA-256 (64 hex digits) of shape and pixels: equal for equal images, whatever file holds them."""
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype}\n".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _opened(file: IO[bytes], size: int) -> ImageFile.ImageFile:
    if size == 0:
        raise RefusedImageError("empty file")
    start = file.read(16)
    file.seek(0)
    for magic, plugin in _FORMATS:
        if start.startswith(magic) and (plugin is not WebPImageFile or start[8:12] == b"WEBP"):
            return plugin(file)
    raise RefusedImageError("not an image: the content is no JPEG, PNG, TIFF, BMP, WebP or GIF")


def _check_header(image: ImageFile.ImageFile, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise RefusedImageError(f"too many pixels: {width} x {height}, the limit is {max_pixels:,}")
    pages = int(getattr(image, "n_frames", 1))
    if pages > 1 and isinstance(image, GifImageFile | WebPImageFile | PngImageFile):
        raise RefusedImageError(
            f"animated {image.format}: {pages} frames, expected one picture; save the one that is meant as PNG"
        )
    if pages > 1:
        raise RefusedImageError(f"several pages: {pages} pages, expected one image in a file")
    if image.mode not in _CONVERTED and not image.mode.startswith(_DEEP):
        raise RefusedImageError(f"unknown colours: mode {image.mode}; save it as RGB")


def _converted(image: ImageFile.ImageFile, file: IO[bytes], size: int, intensity: Intensity | None) -> Decoded:
    sixteen_bit = _bits_per_sample(image, file) > 8
    if image.mode.startswith(_DEEP):
        return _scaled(image, size, intensity)
    image.load()
    upright: Image.Image = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        if not np.asarray(layered)[..., 3].any():
            raise RefusedImageError(_HIDDEN)
        upright = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    pixels = np.array(upright.convert("RGB"), dtype=np.uint8)
    if sixteen_bit and intensity not in (None, Intensity(0, 65535)):
        raise RefusedImageError(
            f"16-bit colour: it can be read by 0:65535 alone, not by {intensity}; save it with 8 bits"
        )
    if sixteen_bit and pixels.max() < 16:
        raise RefusedImageError("12-bit colour: 16-bit colour with values below 4096 only; save it with 8 bits")
    return Decoded(pixels, size)


_HIDDEN = "fully transparent: its alpha hides every pixel; save it without alpha"


def _scaled(image: ImageFile.ImageFile, size: int, intensity: Intensity | None) -> Decoded:
    """Samples of more than 8 bits to grey RGB, rounded to the nearest."""
    declared = _declared_white(image)
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    image.load()
    key = image.info.get("transparency")
    values = np.asarray(ImageOps.exif_transpose(image))
    if image.mode == "I" and tags.get(_TAG_FORMAT, (1,))[0] == 1:
        values = values.astype(np.int32).view(np.uint32)  # Pillow has no unsigned mode
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise RefusedImageError("no numbers: some values are not finite; replace them by numbers")
    if intensity is None:
        raise NoRangeError(Samples(values.min().item(), values.max().item(), declared, image.mode.startswith("I;")))
    if declared is not None and declared < intensity.high:
        raise RefusedImageError(
            f"another range: the file says that its values end at {declared}, it would be read by {intensity}; save it "
            "with values of that range"
        )
    clipped = np.count_nonzero((values < intensity.low) | (values > intensity.high)) / values.size
    grey = (np.clip(values, intensity.low, intensity.high) - intensity.low) * 255 / (intensity.high - intensity.low)
    grey = np.floor(grey + 0.5).astype(np.uint8)
    if tags.get(_TAG_PHOTOMETRIC) == 0:
        grey = 255 - grey
    if key is not None:
        grey = np.where(values == key, np.uint8(255), grey)
        if (values == key).all():
            raise RefusedImageError(_HIDDEN)
    return Decoded(np.repeat(grey[:, :, None], 3, axis=2), size, intensity, clipped)


def number_text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


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

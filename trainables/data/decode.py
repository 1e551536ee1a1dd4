"""Image files to RGB pixels: one deterministic reading of JPEG, PNG, TIFF and BMP, or a refusal with its reason.

What a file may hold and how it becomes 8-bit RGB:

* 8 bits or fewer, grey, palette or colour: as it is. CMYK and YCbCr by Pillow's formulas. Colour profiles are not
  applied.
* Transparency (alpha or a transparent colour): laid over white.
* 16-bit grey is scaled, never clipped, and never stretched to an image's own minimum and maximum, which would destroy
  the brightness that tells images apart. The full range is 4095 where the file says so (12 bits per sample, or a TIFF
  MaxSampleValue of 2^k - 1, k from 10 to 16: cameras write it for their range). A file that says nothing is taken as
  12-bit camera data when no value exceeds 4095, as full 16-bit data otherwise. `load_dataset` refuses the first kind
  where both occur in one dataset, since a dark 16-bit image would look the same.
* 16-bit colour: the high byte of each value (within 1 of the scaled value). Where that leaves only values below 16 the
  file is refused: it holds 12-bit data that would come out black.
* Refused: floating point, 32-bit and signed samples (no known range), CIE Lab, several pages or frames, too many
  pixels, and anything that does not decode to its very end.

EXIF orientation is applied. In a JPEG with several pictures (phones) the first is the photograph and is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
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
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

Pixels = NDArray[np.uint8]
Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Fit = Literal["crop", "pad", "squash"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp"})

# The plug-ins are called by themselves: Image.open has a pixel limit of its own, which warns on stderr from any thread.
_FORMATS: tuple[tuple[bytes, Callable[[IO[bytes]], ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"II*\x00", TiffImageFile),
    (b"MM\x00*", TiffImageFile),
    (b"II+\x00", TiffImageFile),
    (b"MM\x00+", TiffImageFile),
    (b"BM", BmpImageFile),
)
_CONVERTED = frozenset({"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LA", "PA", "RGBA", "RGBa", "La"})
_NO_RANGE = {"F": "32-bit floating point", "I": "32-bit or signed integers"}
_TAG_BITS, _TAG_PHOTOMETRIC, _TAG_MAX_SAMPLE = 258, 262, 281
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
class Decoded:
    """pixels: uint8 [H, W, 3], upright. bytes: size of the file. assumed_bits: 12 or 16 for a file of 16-bit grey that
    does not say its range, None for every other; peak: the largest stored value of such a file."""

    pixels: Pixels
    bytes: int
    assumed_bits: int | None = None
    peak: int = 255


def read_rgb(path: Path, max_pixels: int) -> Pixels:
    """The file's pixels, uint8 [H, W, 3], upright; raises RefusedImageError. Depends on the file's content alone."""
    return decode(path, max_pixels).pixels


def decode(path: Path, max_pixels: int) -> Decoded:
    """Read the header, check it, decode to the end and convert; raises RefusedImageError with the reason."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            with _opened(file, size) as image:
                _check_header(image, max_pixels)
                with _one_large_at_a_time if image.width * image.height > _LARGE else contextlib.nullcontext():
                    return _converted(image, file, size)
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
        if start.startswith(magic):
            return plugin(file)
    raise RefusedImageError("not an image: the content is no JPEG, PNG, TIFF or BMP")


def _check_header(image: ImageFile.ImageFile, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise RefusedImageError(f"too many pixels: {width} x {height}, the limit is {max_pixels:,}")
    pages = int(getattr(image, "n_frames", 1))
    if pages > 1:
        raise RefusedImageError(f"several pages: {pages} pages or frames, expected one image in a file")
    if image.mode in _NO_RANGE:
        raise RefusedImageError(f"no known range: samples are {_NO_RANGE[image.mode]}; save it with 8 or 16 bits")
    if image.mode not in _CONVERTED and not image.mode.startswith("I;16"):
        raise RefusedImageError(f"unknown colours: mode {image.mode}; save it as RGB")


def _converted(image: ImageFile.ImageFile, file: IO[bytes], size: int) -> Decoded:
    sixteen_bit = _bits_per_sample(image, file) > 8
    white = _declared_white(image)
    inverted = isinstance(image, TiffImageFile) and image.tag_v2.get(_TAG_PHOTOMETRIC) == 0
    image.load()
    upright: Image.Image = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return _scaled(np.asarray(upright).astype(np.uint32), white, inverted, size)
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    pixels = np.array(upright.convert("RGB"), dtype=np.uint8)
    if sixteen_bit and pixels.max() < 16:
        raise RefusedImageError("12-bit colour: 16-bit colour with values below 4096 only; save it with 8 bits")
    return Decoded(pixels, size)


def _scaled(values: NDArray[np.uint32], white: int | None, inverted: bool, size: int) -> Decoded:
    """uint32 [H, W] with values of 0–65535 to grey RGB, rounded to the nearest."""
    peak = int(values.max())
    assumed = None
    if white is None or peak > white:
        assumed = 12 if peak <= 4095 else 16
        white = 2**assumed - 1
    if inverted:
        values = white - values
    grey = ((values * 255 + white // 2) // white).astype(np.uint8)
    return Decoded(np.repeat(grey[:, :, None], 3, axis=2), size, assumed if peak else None, peak)


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

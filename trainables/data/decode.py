"""Image files to RGB pixels: one deterministic reading of JPEG, PNG, TIFF, BMP, WebP, GIF and DICOM, or a refusal.

What a file may hold and how it becomes 8-bit RGB:

* 8 bits or fewer, grey, palette or colour: as it is. CMYK and YCbCr by Pillow's formulas. Colour profiles are not
  applied.
* Transparency (alpha or a transparent colour): laid over white. Refused where it hides every pixel.
* Grey of more bits (16, 32, floating point) and of DICOM is scaled by the range it is read with, the same for all
  files: never by an image's own minimum and maximum, nor by what one file lets guess, which would destroy the
  brightness that tells images apart. Values outside become black or white. A TIFF that says that its values end below
  the range is refused.
* 16-bit colour, and grey with alpha: the high byte of each value (within 1 of the scaled value), for Pillow gives no
  more. Refused where the range is another than 0:65535, and where only values below 16 would be left.
* Several pages, planes or channels: those that the `Reading` names. Refused where it names none.
* Samples beyond grey or colour that a TIFF does not explain are not read, which is told.
* Refused: floating point with values that are no numbers, signed samples of 8 bits, CIE Lab, animations, too many
  pixels, and anything that does not decode to its very end.

EXIF orientation is applied. In a JPEG with several pictures (phones) the first is the photograph and is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import Image, ImageOps

from trainables.data.borders import Borders, without_borders
from trainables.data.dicom import DICOM_SUFFIXES, DicomFile, is_dicom, may_be_dicom
from trainables.data.pages import check_size, chosen
from trainables.data.pillow_file import PillowFile, may_be_picture, opened_picture
from trainables.data.reading import AS_IT_IS, INPUTS, Intensity, Reading, RefusedImageError, channels_text
from trainables.data.shades import NoRangeError, Picture, Pixels, Samples, Shades, joined, projected
from trainables.data.unread import unread_picture

Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Fit = Literal["crop", "pad", "squash"]

IMAGE_SUFFIXES = DICOM_SUFFIXES | {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif"}
MAX_PIXELS = 100_000_000
"""Width × height above which a file is refused before it is decoded."""
_MOST_PAGES = 20
"""How many times as many pixels the pages may have that are projected into one image."""

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


@dataclass(frozen=True)
class Decoded:
    """pixels: uint8 [H, W, 3], upright. bytes: size of the file. reading: what of the rule came to bear: the range that
    scaled its samples, None for those of 8 bits; the page where it has several; its channels. clipped: share of the
    samples (0–1) that lay outside of the range. told: how the file contradicts the rule, or itself. samples: of a DICOM
    file of 8 bits that was taken as it is, where no range was given."""

    pixels: Pixels
    bytes: int
    reading: Reading = AS_IT_IS
    clipped: float = 0.0
    told: tuple[str, ...] = ()
    samples: Samples | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever looks at a result should know of the image."""
        remarks = [f"values outside {self.reading.intensity} are clipped"] if self.clipped else []
        remarks += self.told
        if np.count_nonzero(self.pixels > _DARK) < _FEW * self.pixels.size:
            remarks.append(NEARLY_BLACK)
        if np.count_nonzero(self.pixels < _LIGHT) < _FEW * self.pixels.size:
            remarks.append(NEARLY_WHITE)
        return tuple(remarks)


NEARLY_BLACK, NEARLY_WHITE = "nearly black", "nearly white"
_EIGHT_BITS = Intensity(0, 255)


def is_image(path: Path) -> bool:
    """Whether a file is read, by its name; without a suffix by its first bytes."""
    return path.suffix.lower() in IMAGE_SUFFIXES or may_be_dicom(path) or may_be_picture(path)


def read_rgb(path: Path, max_pixels: int, reading: Reading = AS_IT_IS) -> Pixels:
    """The file's pixels, uint8 [H, W, 3], upright; raises RefusedImageError. Depends on content and reading alone."""
    return decode(path, max_pixels, reading).pixels


def decode(path: Path, max_pixels: int, reading: Reading = AS_IT_IS) -> Decoded:
    """Read the header, check it, decode to the end and convert; raises RefusedImageError with the reason, and
    NoRangeError for grey of more than 8 bits where no range is given. What `unread` names is refused by its name."""
    if why := unread_picture(path):
        raise RefusedImageError(why)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            with _opened(path, file, size, reading, max_pixels) as source:
                return _decoded(source, size, max_pixels, reading)
    except OSError as error:
        if error.errno is not None:
            raise RefusedImageError(f"cannot be read: {error.strerror}") from error
        raise RefusedImageError(f"cannot be decoded: {error}") from error
    except (RefusedImageError, MemoryError):
        raise
    except Exception as error:  # decoders meet hostile bytes: whatever they raise, this file is not an image we can use
        raise RefusedImageError(f"cannot be decoded: {' '.join(str(error).split()) or type(error).__name__}") from error


def _decoded(source: PillowFile | DicomFile, size: int, max_pixels: int, reading: Reading) -> Decoded:
    one = source.width * source.height
    check_size(source.width, source.height, max_pixels)
    if reading.channels and source.is_colour:
        raise RefusedImageError(
            f"channels: expected grey channels ({channels_text(reading.channels)}), found a colour image"
        )
    parts = chosen(source.layout, reading)
    pages = sum(len(numbers) for _, numbers in parts)
    if pages > len(parts) and pages * one > _MOST_PAGES * max_pixels:
        raise RefusedImageError(
            f"too many pixels: {pages} pages of {source.width} x {source.height}, the limit for all pages is "
            f"{_MOST_PAGES * max_pixels:,}"
        )
    with _one_large_at_a_time if one > _LARGE else contextlib.nullcontext():
        pictures = []
        for target, numbers in parts:
            with contextlib.closing(source.pages(numbers)) as pages_read:
                pictures.append((target, projected(pages_read, reading.page)))
        return _painted(pictures, source, size, reading)


def _painted(
    pictures: Sequence[tuple[str, Picture]], source: PillowFile | DicomFile, size: int, reading: Reading
) -> Decoded:
    """Scale what needs a range, and put each channel into its input; those without one are black."""
    shades = [picture for _, picture in pictures if isinstance(picture, Shades)]
    intensity, plain = reading.intensity, None
    if shades and intensity is None:
        plain = joined(one.samples for one in shades)
        if plain.stated is None or plain.stated.range != _EIGHT_BITS:
            raise NoRangeError(plain)
    used = Reading(
        intensity if shades else None,
        reading.page if source.layout.planes > 1 else "",
        reading.channels,
        len(source.layout.pages) if reading.channels else 0,
    )
    told = [*source.remarks]
    if reading.of and used.of != reading.of:
        told.append(f"{used.of} channels, but images of the study have {reading.of}")
    if intensity is not None:
        told += dict.fromkeys(remark for one in shades for remark in one.remarks(intensity))
    clipped, planes = [0.0], dict[str, Pixels]()
    for target, picture in pictures:
        if isinstance(picture, Shades):
            grey, share = picture.scaled(intensity or _EIGHT_BITS)
            clipped.append(share)
            planes[target] = grey
        elif not reading.channels:
            return Decoded(picture, size, used, told=tuple(told))
        elif (picture != picture[..., :1]).any():
            raise RefusedImageError(
                f"channels: expected grey channels ({channels_text(reading.channels)}), found a colour page"
            )
        else:
            planes[target] = picture[..., 0]
    alone = next(iter(planes.values()))
    if any(plane.shape != alone.shape for plane in planes.values()):
        raise RefusedImageError("pages differ: channels of different sizes; save them all in one size")
    black = np.zeros_like(alone)
    inputs = [planes.get(name, black) for name in INPUTS] if {*planes} <= {*INPUTS} else [alone] * 3
    return Decoded(np.stack(inputs, axis=2), size, used, sum(clipped) / max(1, len(shades)), tuple(told), plain)


def to_square(pixels: Pixels, size: int, interpolation: Interpolation, fit: Fit, borders: Borders = "kept") -> Pixels:
    """uint8 [H, W, 3] → [size, size, 3], with Pillow's filters; the same bits as its own ways (`ImageOps`) give.

    cropped borders: of what lies within black ones (`without_borders`), in the place of the image.
    crop: the shorter side is resized to `size` and the centre cut, as `fit` does. Only that is computed, so that a very
    long image costs no more than a square one. pad: the longer side is resized, and `FILL` laid on both sides of the
    other, as `pad` does. squash: both sides are resized, whatever their ratio.
    """
    if borders == "cropped":
        pixels = without_borders(pixels)
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


def _opened(
    path: Path, file: BinaryIO, size: int, reading: Reading, max_pixels: int
) -> contextlib.AbstractContextManager[PillowFile | DicomFile]:
    if size == 0:
        raise RefusedImageError("empty file")
    start = file.read(132)
    file.seek(0)
    by_name = path.suffix.lower() in DICOM_SUFFIXES
    picture = None if by_name and is_dicom(start) else opened_picture(start, file, reading, max_pixels)
    if picture is not None:
        return contextlib.closing(picture)
    if is_dicom(start):
        return contextlib.nullcontext(DicomFile(path, file))
    if by_name:
        raise RefusedImageError(
            "not an image: named DICOM, but without DICM at byte 128; convert it: gdcmconv IN.dcm OUT.dcm"
        )
    raise RefusedImageError("not an image: the content is not JPEG, PNG, TIFF, BMP, WebP, GIF or DICOM")

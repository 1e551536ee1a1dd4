"""Entries of an array of images as PNG files, with the bits that they have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from orchestrator.store.errors import Faults
from trainables.data.decode import MAX_PIXELS
from trainables.data.unpacking.arrays import Array

_CHANNELS = (1, 3)
_LEAST_SIDE = 4
"""Of images whose channels come first; below that the last axis may be anything."""
_SMALLER = "save them as uint8; values from 0 to 1: (images * 255).round().astype('uint8')"


@dataclass(frozen=True)
class Pictures:
    """array: its first axis counts the images. channels_first: N × C × H × W in place of N × H × W × C."""

    array: Array
    channels_first: bool

    def rows(self) -> Iterator[np.ndarray]:
        """uint8 or uint16 [H, W], or uint8 [H, W, 3]."""
        for row in self.array.rows():
            turned = np.moveaxis(row, 0, -1) if self.channels_first else row
            picture = turned[..., 0] if turned.ndim == 3 and turned.shape[2] == 1 else turned
            yield np.ascontiguousarray(picture, picture.dtype.newbyteorder("="))


def pictures_of(array: Array, faults: Faults) -> Pictures | None:
    """None where the array cannot be read as images; the fault is added."""
    shape, fault = array.shape, ""
    is_last = len(shape) == 3 or (len(shape) == 4 and shape[3] in _CHANNELS)
    is_first = len(shape) == 4 and not is_last and shape[1] in _CHANNELS and min(shape[2:]) >= _LEAST_SIDE
    grey = len(shape) == 3 or (is_last and shape[3] == 1) or (is_first and shape[1] == 1)
    if len(shape) == 5 or (len(shape) == 4 and not is_last and not is_first and min(shape[1:]) >= _LEAST_SIDE):
        fault = "volumes or other channels than 1 or 3: save slices as images, and make the patient the group"
    elif not is_last and not is_first:
        fault = "expected N × H × W or N × H × W × 3"
    elif array.is_pickled:
        fault = "is pickled, which is not opened: put images of one size into one array, or save them as PNG"
    elif array.dtype.kind != "u" or array.dtype.itemsize > 2:
        fault = f"expected uint8 or uint16: {_SMALLER}"
    elif array.dtype.itemsize == 2 and not grey:
        fault = f"16-bit colour, expected uint8: {_SMALLER.partition(';')[0]}"
    elif array.in_columns:
        fault = "its values are in Fortran order: save it again, numpy.ascontiguousarray(images)"
    elif not math.prod(shape):
        fault = "holds no image"
    elif len(shape) == 3 and shape[2] in (3, 4):
        fault = (
            "may be one image in colour, H × W × 3: expected N × H × W, or N × H × W × 3 (images[None] is one image)"
        )
    elif math.prod(shape[2:] if is_first else shape[1:3]) > MAX_PIXELS:
        fault = f"more than {MAX_PIXELS:,} pixels in one image"
    if fault:
        faults.add(f"array {array}: {fault}")
        return None
    return Pictures(array, is_first)


def write_picture(path: Path, picture: np.ndarray) -> int:
    """Write the PNG file; returns the bytes of its pixels."""
    Image.fromarray(picture).save(path, "PNG", compress_level=1)
    return int(picture.nbytes)

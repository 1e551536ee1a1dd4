"""Views: numbered, deterministic versions of an image, made by exact moves of pixels.

A view's number is symmetry + 8 · crop. Symmetries are the eight of a square:

    0  as it is                      4  mirrored left to right
    1  turned by 90°                 5  mirrored, then turned by 90°  (transposed: mirrored about the falling diagonal)
    2  turned by 180°                6  mirrored, then turned by 180° (mirrored top to bottom)
    3  turned by 270°                7  mirrored, then turned by 270° (mirrored about the rising diagonal)

Turns are anticlockwise as the image is seen. The crop is cut first. Crop 0 is the centre; the others lie at places that
follow from their number alone and are the same for all images. View 0 is the one that scores use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SYMMETRIES = 8

INVERSE = (0, 3, 2, 1, 4, 5, 6, 7)
"""`INVERSE[s]` undoes symmetry s: a mirrored one is its own inverse."""


def assign_views(content: Sequence[str], per_image: Sequence[int], crops: int, seed: int) -> np.ndarray:
    """Return int32 [rows, 2]: (image index, view number), images in the order given, views rising.

    content: one hash of the pixels per image. per_image: how many views each gets, 1 to 8, view 0 always among them.
    The other symmetries, and with `crops` > 1 a crop for each of them, follow from the image's hash and the seed, never
    from its class. More views of an image contain the fewer ones.
    """
    if len(content) != len(per_image):
        raise ValueError(f"{len(content)} images and {len(per_image)} numbers of views: expected as many")
    if crops < 1 or any(not 1 <= number <= SYMMETRIES for number in per_image):
        raise ValueError(f"expected crops ≥ 1 and 1 to {SYMMETRIES} views of each image")
    rows: list[tuple[int, int]] = []
    for image, (digest, number) in enumerate(zip(content, per_image, strict=True)):
        rows.append((image, 0))
        if number == 1:
            continue
        order = _words(f"symmetry\0{seed}\0{digest}")
        places = _words(f"crop\0{seed}\0{digest}")
        chosen = sorted(range(1, SYMMETRIES), key=lambda s: (order[s], s))[: number - 1]
        rows.extend((image, view) for view in sorted(s + SYMMETRIES * (places[s] * crops >> 32) for s in chosen))
    return np.array(rows, dtype=np.int32).reshape(-1, 2)


def crop_offset(crop: int, store_size: int, image_size: int) -> tuple[int, int]:
    """(top, left) in pixels of crop number `crop` of side `image_size` in a square of side `store_size`.

    Crop 0 is the centre. The relative place of any other number is the same at all sizes.
    """
    if crop < 0 or not 1 <= image_size <= store_size:
        raise ValueError(f"crop {crop} of {image_size} pixels from {store_size}: expected crop ≥ 0 and no larger side")
    room = store_size - image_size
    if crop == 0:
        return room // 2, room // 2
    top, left = _words(f"place\0{crop}")[:2]
    return top * (room + 1) >> 32, left * (room + 1) >> 32


def apply_views(images: torch.Tensor, views: torch.Tensor, image_size: int, crops: int) -> torch.Tensor:
    """Return the views, [n, 3, image_size, image_size] of the images' type, on their device.

    images: [n, 3, S, S] with S ≥ image_size, already one row per view. views: integer [n], below 8 · crops.
    """
    if images.ndim != 4 or images.shape[2] != images.shape[3] or views.shape != images.shape[:1]:
        raise ValueError(f"images {tuple(images.shape)}, views {tuple(views.shape)}: expected [n, C, S, S] and [n]")
    numbers = views.tolist()
    if any(not 0 <= number < SYMMETRIES * crops for number in numbers):
        raise ValueError(f"expected views from 0 to {SYMMETRIES * crops - 1}, found {min(numbers)} to {max(numbers)}")
    members: dict[int, list[int]] = {}
    for row, number in enumerate(numbers):
        members.setdefault(number, []).append(row)
    result = images.new_empty((*images.shape[:2], image_size, image_size))
    for number, rows in members.items():
        top, left = crop_offset(number // SYMMETRIES, images.shape[2], image_size)
        whole = len(members) == 1
        part = (images if whole else images[rows])[:, :, top : top + image_size, left : left + image_size]
        result[slice(None) if whole else rows] = _moved(part, number % SYMMETRIES)
    return result


def _moved(images: torch.Tensor, symmetry: int) -> torch.Tensor:
    if symmetry >= 4:
        images = images.flip(3)
    return images.rot90(symmetry % 4, (2, 3)) if symmetry % 4 else images


def _words(purpose: str) -> tuple[int, ...]:
    """Eight integers of 32 bits that depend on the text alone."""
    digest = hashlib.sha256(purpose.encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, 32, 4))

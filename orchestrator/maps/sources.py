"""Images that `orch data patches` cut: their patches are explained together, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image as Picture

from orchestrator.evaluation.choice import USER_PREFIX
from orchestrator.export.pseudonyms import pseudonyms
from orchestrator.maps.drawn import Pixels
from orchestrator.maps.images import Image, Wanted, choose_images, seen_by
from orchestrator.store.errors import InputError

SAID = ("source", "x", "y", "width", "height")
"""What the table of patches says of each."""
MOST = 1024
"""Longest side of a picture of patches, pixels."""
_NOTHING = 235
"""The grey of places that no patch is of."""


class Tile(NamedTuple):
    """place: of a patch among the images that are explained. The rest: where it lies in its source, in its pixels."""

    place: int
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Source:
    """image: what is said of the source as of an image; probabilities are means over its patches."""

    image: Image
    tiles: tuple[Tile, ...]


def choose_sources(
    images: pd.DataFrame,
    several: Sequence[np.ndarray],
    classes: Sequence[str],
    wanted: Wanted,
    seed: int,
    called: Mapping[str, str],
    *,
    explains_truth: bool = False,
) -> tuple[list[tuple[Image, ...]], list[tuple[Source, ...]]]:
    """For each configuration the patches of the chosen sources, and these sources; as `images.choose_images`, where a
    source is an image whose probabilities are the means over its patches. All patches of a source explain one class.

    Raises InputError too where the table of images does not say what patches are of.
    """
    placed = _placed(images)
    named = placed["source"].to_numpy()
    names = list(dict.fromkeys(named))
    rows_of: list[list[int]] = [np.flatnonzero(named == name).tolist() for name in names]
    first = images.iloc[[rows[0] for rows in rows_of]]
    whole = first.assign(file=names).reset_index(drop=True)
    means = [np.stack([chances[:, rows].mean(axis=1) for rows in rows_of], axis=1) for chances in several]
    numbers = pseudonyms(names, "source", seed)
    chosen = choose_images(whole, means, classes, wanted, seed, numbers, explains_truth=explains_truth)
    truth = images["truth"].to_numpy(dtype=np.int64)
    targets = truth.copy()
    kinds: dict[int, tuple[str, ...]] = {}
    for image in chosen[0]:
        kinds |= dict.fromkeys(rows_of[image.row], image.kinds)
        targets[rows_of[image.row]] = list(classes).index(image.target)
    place_of = {row: place for place, row in enumerate(kinds)}
    tiles = {row: Tile(place, *map(int, placed.iloc[row][list(SAID[1:])])) for row, place in place_of.items()}
    patches = [seen_by(chances, kinds, images, truth, targets, classes, called) for chances in several]
    sources = [tuple(Source(one, tuple(tiles[row] for row in rows_of[one.row])) for one in each) for each in chosen]
    return patches, sources


def put_together(source: Source, share: float, draw: Callable[[int], Pixels], most: int = MOST) -> Pixels:
    """Pictures of patches uint8 [S, S, C] where they lie in their source: uint8 [H, W, C], no side longer than `most`.

    share: of a patch's side that networks see, its centre. draw: the picture of an explained image, by
    its place. Where there is no patch it is grey, or of four channels clear.
    """
    tiles = source.tiles
    left, top = min(one.x for one in tiles), min(one.y for one in tiles)
    right, bottom = max(one.x + one.width for one in tiles), max(one.y + one.height for one in tiles)
    scale = min(1.0, most / max(right - left, bottom - top))
    pictures = [draw(one.place) for one in tiles]
    channels = pictures[0].shape[2]
    size = max(1, round((bottom - top) * scale)), max(1, round((right - left) * scale))
    canvas = np.full((*size, channels), _NOTHING if channels == 3 else 0, dtype=np.uint8)
    margin = (1 - share) / 2
    for one, picture in zip(tiles, pictures, strict=True):
        columns = [round((one.x - left + one.width * part) * scale) for part in (margin, 1 - margin)]
        rows = [round((one.y - top + one.height * part) * scale) for part in (margin, 1 - margin)]
        if columns[0] < columns[1] and rows[0] < rows[1]:
            drawn = Picture.fromarray(picture).resize((columns[1] - columns[0], rows[1] - rows[0]))
            canvas[slice(*rows), slice(*columns)] = np.asarray(drawn)
    return canvas


def _placed(images: pd.DataFrame) -> pd.DataFrame:
    """Columns SAID of the images, numbers of pixels as float64."""
    lacking = [name for name in SAID if f"{USER_PREFIX}{name}" not in images]
    placed = pd.DataFrame({name: images.get(f"{USER_PREFIX}{name}", "") for name in SAID}, index=images.index)
    numbers = placed[list(SAID[1:])].apply(pd.to_numeric, errors="coerce")
    if lacking or numbers.isna().to_numpy().any() or (numbers[["width", "height"]] < 1).to_numpy().any():
        of = f"none of {', '.join(lacking)}" if lacking else "some without a position"
        raise InputError(
            "--whole: expected images cut by orch data patches, whose table gives source, x, y, width and height of "
            f"each, found {of}",
            "Leave --whole out to explain each image by itself.",
        )
    return placed.assign(**{name: numbers[name] for name in SAID[1:]})

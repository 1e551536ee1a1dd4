"""What images are sliced by: columns of the user's table, their size, and how bright and sharp they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.checking.looks import NAMES, look_of
from orchestrator.evaluation.choice import LARGEST_SUBGROUPS, USER_PREFIX
from orchestrator.mistakes.gathered import Floats
from orchestrator.mistakes.slices import Property
from orchestrator.store.errors import InputError
from search_spaces.faults import did_you_mean, nearest
from trainables.data.decode import MAX_PIXELS, content_hash, read_rgb
from trainables.data.manifest import reading_of
from trainables.data.reading import RefusedImageError

LOOKS = {"brightness": "middle", "sharpness": "sharpness"}
"""Name of a property → what of `checking.looks.NAMES` it is: the median grey level, the mean step to a neighbour."""
NOTES = ("label_before", "review", "cleaned")
"""Columns of a table that a review made: they are no property of images."""
_QUARTERS = 4


def of_columns(images: pd.DataFrame, asked: Sequence[str]) -> list[Property]:
    """The user's columns that were asked for, else all that can be sliced by: with 2 to 20 values, or numbers.

    images: rows of the manifest. Numbers with more values are cut into quarters. Raises InputError for a name that is
    no column, with the nearest, and for one that cannot be sliced by.
    """
    there = {str(name).removeprefix(USER_PREFIX): str(name) for name in images.columns if _is_own(str(name))}
    properties = {name: _property(name, images[column]) for name, column in there.items()}
    if not asked:
        return [one for one in properties.values() if one is not None and len(one.values) > 1 and one.name not in NOTES]
    chosen = []
    for name in dict.fromkeys(asked):
        fit = [one for one in there if one == name] or [one for one in there if one.casefold() == name.casefold()]
        if len(fit) != 1:
            known = f"Columns: {', '.join(there)}." if there else "The study was made from data without other columns."
            raise InputError(
                f"--by {name}: expected a column of the table that the study was made from"
                f"{did_you_mean(nearest(name, there))}",
                known,
            )
        one = properties[fit[0]]
        if one is None:
            count = images[there[fit[0]]].nunique()
            raise InputError(
                f"--by {fit[0]}: expected numbers, or at most {LARGEST_SUBGROUPS} different values, found {count}",
                "Put ranges or sites into a column of their own and make the study from that table.",
            )
        chosen.append(one)
    return chosen


def of_size(images: pd.DataFrame) -> list[Property]:
    """Quarters by the number of pixels; [] where all images have as many."""
    area = (images["width"] * images["height"]).to_numpy(dtype=np.float64)
    return quarters("size", area, lambda value: f"{value:,.0f} px")


def of_looks(root: Path, images: pd.DataFrame, progress: Callable[[int, int], None]) -> list[Property]:
    """Quarters by brightness and sharpness; reads these images. Raises InputError where one is not as it was."""
    reading, measured = reading_of(images), []
    for done, (file, content) in enumerate(zip(images["file"], images["content"], strict=True), 1):
        try:
            pixels = read_rgb(root / file, MAX_PIXELS, reading)
        except (RefusedImageError, OSError):
            pixels = None
        if pixels is None or content_hash(pixels) != content:
            raise InputError(
                f"{root / file}: expected the image that the study was made from, found no image or a different one",
                "Put it back, or name the folder that holds the images with --data-root DIR.",
            )
        measured.append(look_of(pixels))
        progress(done, len(images))
    every = np.stack(measured).astype(np.float64)
    properties = []
    for name, look in LOOKS.items():
        properties += quarters(name, every[:, NAMES.index(look)], lambda value: f"{value:.1f}")
    return properties


def quarters(name: str, values: Floats, words: Callable[[float], str]) -> list[Property]:
    """A property whose values are quarters of the images by a number; fewer where many are equal, [] where all are.

    Images without the number (NaN) are in none.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return []
    inner = np.unique(np.quantile(known, np.arange(1, _QUARTERS) / _QUARTERS))
    places = np.searchsorted(inner, values, side="left")  # equal to an edge: in the quarter below it
    kept, of = np.unique(places[np.isfinite(values)], return_inverse=True)
    if len(kept) < 2:
        return []
    whole = np.full(len(values), -1, dtype=np.int64)
    whole[np.isfinite(values)] = of
    named = []
    for place in range(len(kept)):
        here = values[whole == place]
        low, high = words(float(here.min())), words(float(here.max()))
        named.append(low if low == high else f"{low} to {high}")
    return [Property(name, tuple(named), whole)]


def _property(name: str, column: pd.Series[str]) -> Property | None:
    """None where there are too many values that are no numbers."""
    shown = column.fillna("").astype(str).str.strip()
    values, of = np.unique(shown.replace("", "(empty)").to_numpy(dtype=object), return_inverse=True)
    if len(values) <= LARGEST_SUBGROUPS:
        order = np.array(sorted(range(len(values)), key=lambda place: _by_value(str(values[place]))))
        return Property(name, tuple(map(str, values[order])), np.argsort(order)[of])
    numbers = pd.to_numeric(shown.replace("", "nan"), errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(numbers[(shown != "").to_numpy()]).any():
        return None
    return next(iter(quarters(name, numbers, lambda value: f"{value:g}")), None)


def _by_value(text: str) -> tuple[bool, float, str]:
    """Numbers come first, in their order."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


def _is_own(name: str) -> bool:
    return name.startswith(USER_PREFIX)

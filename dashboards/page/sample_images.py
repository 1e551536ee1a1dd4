"""Small pictures of a study's images, for a page that was asked to show them, never more than a budget allows."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboards.figures.dataset import SPLITS, group_splits
from dashboards.figures.markup import text
from dashboards.page.controls import nothing
from orchestrator.maps.record import KeptMap, MapsRecord
from orchestrator.results.names import counted
from orchestrator.results.stored_data import read_table
from orchestrator.store import layout
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration

SIDE = 96
"""Longest side of a thumbnail, pixels."""
BUDGET = 3_000_000
"""Bytes of all thumbnails of a page, as they stand in it."""
SAMPLES = 240
"""Sample images of a page at most, and of one class and split at most:"""
SAMPLES_OF_ONE = 6
_QUALITY = 80

Pixels = NDArray[np.uint8]
Reader = Callable[[Path, str], Pixels]
Redrawing = Callable[[Pixels, Configuration, MapsRecord, KeptMap], Sequence[tuple[str, Pixels]]]
Numbering = Callable[[Iterable[str], str, int], dict[str, str]]


@dataclass(frozen=True)
class Shown:
    """What a page shows beside numbers: by default neither images nor names of files and groups.

    root: the folder that holds the images. read(path, content hash, "" for any): uint8 [H, W, 3], upright; raises
    where the file is not that image. numbers(names, what, seed): name → "what 7", which stands for it. redrawn: a
    map that the study keeps over its image, as pictures by what they are.
    """

    images: bool = False
    names: bool = False
    root: Path | None = None
    read: Reader | None = None
    numbers: Numbering | None = None
    redrawn: Redrawing | None = None

    @property
    def something(self) -> bool:
        return self.images or self.names


NOTHING_SHOWN = Shown()


class Album:
    """The images of one study: how each is called on the page, and its thumbnail while the budget lasts."""

    def __init__(self, storage: Storage, shown: Shown, seed: int, budget: int = BUDGET) -> None:
        self.shown = shown
        self.manifest = image_list(storage)
        self.missing = 0
        self.left_out = 0
        self._budget = budget
        self._known: dict[str, str] = {}
        self._called: dict[str, dict[str, str]] = {}
        self._groups = set(self.manifest["group"])
        self._content = dict(zip(self.manifest["file"], self.manifest["content"], strict=True))
        if not shown.names and shown.numbers is not None:
            self._called = {
                "image": shown.numbers(self.manifest["file"], "image", seed),
                "group": shown.numbers(self.manifest["group"], "group", seed),
            }

    @property
    def is_here(self) -> bool:
        return self.shown.root is not None and self.shown.root.is_dir()

    def name(self, what: str, name: str) -> str:
        """The file or group itself where names are shown, else its number; what: "image" or "group"."""
        return name if self.shown.names else self._called.get(what, {}).get(name, what)

    def unless_group(self, value: str) -> str:
        """A value of a column of the user's own: itself, unless it is the name of a group."""
        return self.name("group", value) if value in self._groups else value

    def picture(self, file: str, alt: str) -> str:
        """An img element, escaped; a sentence where the image is missing, changed or beyond the budget."""
        return self.element(self.source(file), alt)

    def element(self, source: str, alt: str) -> str:
        """The same of a data URI, "" of an image that cannot be had."""
        if source and len(source) <= self._budget:
            self._budget -= len(source)
            return f'<img src="{source}" alt="{text(alt)}">'
        self.left_out += bool(source)
        self.missing += not source
        return f'<span class="gone">{"left out" if source else "not shown"}</span>'

    def remarks(self) -> str:
        """What could not be shown since the last call, and why."""
        lines = []
        if self.missing:
            lines.append(
                f"{counted(self.missing, 'image')} cannot be shown: missing, unreadable, or not what was searched."
            )
        if self.left_out:
            lines.append(f"Left out, so that the page stays small: {counted(self.left_out, 'image')}.")
        self.missing = self.left_out = 0
        return nothing(" ".join(lines)) if lines else ""

    def source(self, file: str) -> str:
        """The file's thumbnail as a data URI; "" where it cannot be had."""
        if file not in self._known:
            pixels = self.pixels(file)
            self._known[file] = "" if pixels is None else thumbnail(pixels)
        return self._known[file]

    def pixels(self, file: str) -> Pixels | None:
        """The file's own, uint8 [H, W, 3]; None where it cannot be had."""
        if self.shown.root is None or self.shown.read is None:
            return None
        try:
            path = (self.shown.root / file).resolve()
            if not path.is_relative_to(self.shown.root.resolve()):
                return None
            return self.shown.read(path, self._content.get(file, ""))
        except Exception:  # decoders meet hostile bytes; an image that cannot be had is no fault of the page
            return None


def thumbnail(pixels: NDArray[np.uint8], side: int = SIDE) -> str:
    """A WebP data URI of uint8 [H, W, 3], longest side at most `side`; it holds pixels alone, nothing of the file's
    metadata."""
    from PIL import Image, features

    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    form = "webp" if features.check("webp") else "jpeg"
    target = io.BytesIO()
    image.save(target, form.upper(), quality=_QUALITY)
    return f"data:image/{form};base64,{base64.b64encode(target.getvalue()).decode()}"


def image_list(storage: Storage) -> pd.DataFrame:
    """The study's images, all columns str: file, label, group, content; no rows where the study holds no list."""
    table = read_table(storage, layout.MANIFEST, dict.fromkeys(("file", "label", "group", "content"), "text"))
    frame = pd.DataFrame() if table is None else table.to_pandas()
    columns = ("file", "label", "group", "content")
    return pd.DataFrame({name: frame[name].astype(str) if name in frame else "" for name in columns}, index=frame.index)


def sample_data(
    storage: Storage, partition: str, images: pd.DataFrame, opened: set[str], seed: int, most: int = SAMPLES
) -> pd.DataFrame:
    """Up to SAMPLES_OF_ONE images per class and split, of different groups while there are any; equal for equal seeds.

    images: as `image_list` gives them. opened: files of test images that an evaluation has opened; other test images
    are never among the samples. Columns: class, split, file, group.
    """
    split_of = group_splits(storage, partition)
    frame = images.assign(split=images["group"].map(split_of)).rename(columns={"label": "class"})
    frame = frame[(frame["split"].isin(SPLITS)) & ((frame["split"] != "test") | frame["file"].isin(opened))]
    if frame.empty:
        return frame[["class", "split", "file", "group"]]
    frame["split"] = pd.Categorical(frame["split"], SPLITS, ordered=True)
    places = frame[["class", "split"]].drop_duplicates().shape[0]
    each = max(1, min(SAMPLES_OF_ONE, most // places))
    kept = drawn(frame, ["class", "split"], seed).groupby(["class", "split"], observed=True).head(each).head(most)
    return kept[["class", "split", "file", "group"]].astype(str).reset_index(drop=True)


def drawn(frame: pd.DataFrame, by: list[str], seed: int) -> pd.DataFrame:
    """Rows with columns file and group in an order drawn at random once and for all, sorted by the columns `by`.

    Within equal values of `by` every group comes once before any comes again.
    """
    keys = [hashlib.sha256(f"{seed}\0{file}".encode()).hexdigest() for file in frame["file"]]
    mixed = frame.assign(_key=keys).sort_values("_key")
    mixed["_turn"] = mixed.groupby([*by, "group"], observed=True).cumcount()
    return mixed.sort_values([*by, "_turn", "_key"]).drop(columns=["_key", "_turn"])


def strip(album: Album, rows: Sequence[tuple[str, str, Sequence[str]]]) -> str:
    """Pictures in a row. rows: (file, alt text, lines of the caption)."""
    items = []
    for file, alt, lines in rows:
        caption = "".join(f"<span>{text(line)}</span>" for line in lines)
        items.append(f"<li>{album.picture(file, alt)}{caption}</li>")
    return f'<ul class="strip">{"".join(items)}</ul>{album.remarks()}'

"""Near-duplicates of a study: how they are kept, and what each pair means for its partition. Starts no torch."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError, first_line
from orchestrator.store.kinds import kind_of
from orchestrator.store.storage import Storage
from trainables.data.near_duplicates import SIDE, near_duplicates, small_picture

COLUMNS = ["file", "other", "similarity", "symmetry"]
KINDS = ("across splits", "across groups", "within a group")
"""The worst first: the same picture is trained on and scored; groups that are counted as independent are not."""
SYMMETRIES = (
    "as it is",
    "rotated by 90°",
    "rotated by 180°",
    "rotated by 270°",
    "mirrored",
    "mirrored and rotated by 90°",
    "mirrored and rotated by 180°",
    "mirrored and rotated by 270°",
)
"""What makes the other picture look like the first; numbers as in `trainables.data.views`."""
NONE_FOUND = (
    "None was found. The comparison of small grey copies recognises a picture that was saved again, made brighter or "
    "smaller, moved or cropped by up to 2 % of its side, rotated by right angles or mirrored. It misses nearly empty "
    "images, and pictures rotated by a few degrees or moved further."
)
"""What is said of a study in which no pair was found: that there is none is not known."""


def pairs_of(files: Sequence[str], pictures: NDArray[np.uint8]) -> pd.DataFrame:
    """Every pair of near-duplicates, most alike first; COLUMNS. pictures: uint8 [files, SIDE, SIDE]."""
    pairs = near_duplicates(pictures)
    names = np.array(files, dtype=object)
    values = (names[pairs.first], names[pairs.second], pairs.similarity.round(3), pairs.symmetry)
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


def pairs_csv(pairs: pd.DataFrame) -> bytes:
    """`dataset/near_duplicates.csv`; with its head alone where all were compared and none are alike."""
    return pairs.to_csv(index=False, lineterminator="\n").encode()


def read_pairs(storage: Storage) -> pd.DataFrame | None:
    """The pairs that the study keeps; None where it keeps no such file, or a damaged one, which is noted."""
    with passed_over(storage, layout.NEAR_DUPLICATES):
        return _pairs(storage.read(layout.NEAR_DUPLICATES))
    return None


def _pairs(content: bytes) -> pd.DataFrame:
    name, back = layout.NEAR_DUPLICATES, kind_of(layout.NEAR_DUPLICATES).back
    try:
        pairs = pd.read_csv(
            io.StringIO(content.decode()), dtype={"file": str, "other": str}, keep_default_na=False, low_memory=False
        )
        table = pairs[COLUMNS].astype({"similarity": float, "symmetry": int})
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise DamagedRecordError(f"{name} is not a whole table: {first_line(error)}", back) from error
    if not table["symmetry"].between(0, len(SYMMETRIES) - 1).all():
        raise DamagedRecordError(f"{name}: expected symmetries 0 to {len(SYMMETRIES) - 1}, found others", back)
    return pd.DataFrame(table)


def with_kinds(pairs: pd.DataFrame, images: pd.DataFrame, split_of: Mapping[str, str]) -> pd.DataFrame:
    """What each pair means on a partition (group → split); sorted by KINDS, labels that differ first, then likeness.

    images: columns file, label, group. Added: kind, and label, group and split of both, those of the other image
    behind "other_"; differs: whether the labels do. Pairs of files that are not listed are left out.
    """
    known = images.drop_duplicates("file").set_index("file")
    told = pairs[pairs["file"].isin(known.index) & pairs["other"].isin(known.index)].copy()
    for side, prefix in (("file", ""), ("other", "other_")):
        for column in ("label", "group"):
            told[prefix + column] = known[column].reindex(told[side]).to_numpy()
        told[f"{prefix}split"] = [split_of.get(group, "") for group in told[f"{prefix}group"]]
    splits = (told["split"] != told["other_split"]).to_numpy()
    groups = (told["group"] != told["other_group"]).to_numpy()
    told["kind"] = np.select([splits, groups], KINDS[:2], KINDS[2])
    told["differs"] = told["label"] != told["other_label"]
    order = told.assign(place=told["kind"].map(KINDS.index), same=~told["differs"], less=-told["similarity"])
    return told.loc[order.sort_values(["place", "same", "less", "file", "other"], kind="stable").index]


def counts(told: pd.DataFrame) -> pd.DataFrame:
    """One row per kind, all KINDS: kind, pairs, differs (how many of them under two labels)."""
    by_kind = told.groupby("kind")["differs"].agg(["size", "sum"]).reindex(KINDS, fill_value=0).astype(int)
    return by_kind.reset_index(names="kind").rename(columns={"size": "pairs", "sum": "differs"})


def warning(told: pd.DataFrame, command: str) -> str:
    """What a search says of them: "" where all are of one group and one label. command: that lists them all."""
    bad = told[(told["kind"] != KINDS[2]) | told["differs"]]
    if bad.empty:
        return ""
    first, count = bad.iloc[0].to_dict(), {row["kind"]: row["pairs"] for row in counts(told).to_dict("records")}
    across = count[KINDS[0]] + count[KINDS[1]]
    words = [f"{across} across groups" + (f", {count[KINDS[0]]} of them in two splits" if count[KINDS[0]] else "")]
    if told["differs"].any():
        words.append(f"{int(told['differs'].sum())} under two labels")
    alike = "looks alike" if len(told) == 1 else "look alike"
    return (
        f"Warning: {_number(len(told), 'pair')} of images {alike} ({'; '.join(words)}), such as {describe(first)}. "
        f"List all: {command}"
    )


def describe(pair: Mapping[Any, Any]) -> str:
    """ "a.png in train and b.png in test (0.93, mirrored)"."""
    turned = f", {SYMMETRIES[int(pair['symmetry'])]}" if pair["symmetry"] else ""
    labels = f", labels {pair['label']} and {pair['other_label']}" if pair["differs"] else ""
    where = [f" in {pair[column]}" if pair[column] else "" for column in ("split", "other_split")]
    return f"{pair['file']}{where[0]} and {pair['other']}{where[1]} ({pair['similarity']:.2f}{turned}{labels})"


def look(root: Path, images: pd.DataFrame, progress: Callable[[int, int], None]) -> tuple[pd.DataFrame, list[str]]:
    """Compare the images of a study that has not done so; returns the pairs and the files that could not be compared:
    missing, unreadable, or not the ones that the study was made from. images: columns file, content and reading."""
    from trainables.data.decode import MAX_PIXELS, content_hash, read_rgb
    from trainables.data.manifest import reading_of
    from trainables.data.reading import RefusedImageError

    reading = reading_of(images)
    files, pictures, lost = list[str](), list[NDArray[np.uint8]](), list[str]()
    for done, (file, content) in enumerate(zip(images["file"], images["content"], strict=True), 1):
        try:
            pixels = read_rgb(root / file, MAX_PIXELS, reading)
        except RefusedImageError:
            pixels = None
        if pixels is None or content_hash(pixels) != content:
            lost.append(file)
        else:
            files.append(file)
            pictures.append(small_picture(pixels))
        progress(done, len(images))
    stacked = np.stack(pictures) if pictures else np.zeros((0, SIDE, SIDE), dtype=np.uint8)
    return pairs_of(files, stacked), lost


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"

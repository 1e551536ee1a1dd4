"""Near-duplicates on the page: how many of each kind; as pictures and by name only where a page was asked for them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from dashboards.figures.choice import Source
from dashboards.figures.dataset import group_splits
from dashboards.figures.markup import table, text
from dashboards.page.controls import nothing, reading
from dashboards.page.sample_images import Album, image_list
from orchestrator.results.names import counted
from orchestrator.results.near_duplicates import KINDS, NONE_FOUND, SYMMETRIES, counts, read_pairs, with_kinds

PAIRS_SHOWN = 24
PAIRS_LISTED = 200
_MEANING = dict(
    zip(
        KINDS,
        (
            "one split leaks into the other: its scores are too good",
            "the groups are not independent, though they count as such",
            "harmless: a group is never divided",
        ),
        strict=True,
    )
)


def duplicate_data(source: Source, partition: str) -> pd.DataFrame | None:
    """Every pair of near-duplicates and what it means on a partition, see `with_kinds`; None where none were sought."""
    pairs = read_pairs(source.storage)
    if pairs is None:
        return None
    split_of = group_splits(source.storage, partition or source.summary.study.partition)
    return with_kinds(pairs, image_list(source.storage), split_of)


def duplicates(source: Source, partition: str, album: Album, opened: Collection[str]) -> str:
    """Counts by kind, and what the page was asked for: pairs as pictures, or a table of their names.

    opened: test images that an evaluation has opened; pairs with other test images are counted, not shown.
    """
    title = "<h3>Near-duplicates</h3>"
    told = duplicate_data(source, partition)
    if told is None:
        name = source.summary.study.name
        return title + nothing(
            "This study holds no list of near-duplicates: it was made by an earlier version, which did not compare "
            f"images. To compare them now: orch data duplicates {name} --look"
        )
    if told.empty:
        return title + nothing(NONE_FOUND)
    rows = [
        (row["kind"].capitalize(), f"{row['pairs']:,}", f"{row['differs']:,}", _MEANING[row["kind"]])
        for row in counts(told).to_dict("records")
    ]
    sentence = (
        "Pairs of images that look like the same picture, upright, rotated or mirrored; all images were compared when "
        "the study was made. If the two have different labels, one of them is wrong."
    )
    listed = table(["Pairs", "Number", "Under two labels", "What it means"], rows, "Near-duplicates by kind", "cards")
    return f"{title}{reading(sentence)}{listed}{_pairs(told, album, opened)}"


def _pairs(told: pd.DataFrame, album: Album, opened: Collection[str]) -> str:
    if not album.shown.something:
        return ""
    if not (album.shown.images and album.is_here):
        return _named(told, album) if album.shown.names else ""
    sides = (("file", "split"), ("other", "other_split"))
    closed = [
        any(pair[split] == "test" and pair[file] not in opened for file, split in sides)
        for pair in told.to_dict("records")
    ]
    shown = told[[not one for one in closed]].head(PAIRS_SHOWN)
    items = "".join(_pair(pair, album) for pair in shown.to_dict("records"))
    remark = album.remarks()
    notes = []
    if sum(closed):
        notes.append(f"{counted(sum(closed), 'pair')} with closed test images counted but not shown.")
    if len(told) - sum(closed) > len(shown):
        notes.append(f"The first {len(shown)} of {len(told) - sum(closed):,} pairs.")
    told_so = nothing(" ".join(notes)) if notes else ""
    return f'{told_so}<ul class="strip pairs">{items}</ul>{remark}' if items else told_so


def _pair(pair: dict[Any, Any], album: Album) -> str:
    """Both pictures side by side, with where they are, their labels and how alike."""
    pictures, names = [], []
    for prefix, file in (("", "file"), ("other_", "other")):
        label, split = pair[f"{prefix}label"], pair[f"{prefix}split"]
        name = album.name("image", str(pair[file]))
        alt = f"{split} image of class {label}, one of a pair of near-duplicates"
        pictures.append(f"<i>{album.picture(str(pair[file]), alt)}</i>")
        names.append(f"{name}, {album.name('group', str(pair[f'{prefix}group']))}, {split}")
    labels = str(pair["label"]) if not pair["differs"] else f"{pair['label']} / {pair['other_label']}"
    lines = [f"{pair['kind']}, {labels}", _how(pair), *names]
    return f"<li>{''.join(pictures)}{''.join(f'<span>{text(line)}</span>' for line in lines)}</li>"


def _how(pair: dict[Any, Any]) -> str:
    number = int(pair["symmetry"])
    turned = f", second {SYMMETRIES[number]}" if number else ""
    return f"alike {pair['similarity']:.2f}{turned}"


def _named(told: pd.DataFrame, album: Album) -> str:
    rows = [
        [pair["kind"], _how(pair)]
        + [str(pair[prefix + column]) for prefix in ("", "other_") for column in ("label", "split")]
        + [album.name("image", str(pair["file"])), album.name("image", str(pair["other"]))]
        for pair in told.head(PAIRS_LISTED).to_dict("records")
    ]
    columns = ["Kind", "How", "Label", "Split", "Other label", "Other split", "Image", "Other image"]
    more = reading(f"The first {PAIRS_LISTED} of {len(told):,}.") if len(told) > PAIRS_LISTED else ""
    return more + table(columns, rows, "Near-duplicates", "cards")

"""Numbers in place of the names of files and groups: what leaves a study must not carry patients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pandas as pd

_OWN = "user_"


def pseudonyms(names: Iterable[str], what: str, seed: int) -> dict[str, str]:
    """Name → "group 1", "group 2", …, in an order that does not follow the names; the same for the same study seed."""
    shuffled = sorted(set(names), key=lambda name: (hashlib.sha256(f"{what}\0{seed}\0{name}".encode()).digest(), name))
    width = len(str(len(shuffled)))
    return {name: f"{what} {number:0{width}d}" for number, name in enumerate(shuffled, 1)}


def without_names(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The manifest with numbered files and groups, in the order of the numbers, without the user's own columns."""
    files = pseudonyms(manifest["file"], "image", seed)
    groups = pseudonyms(manifest["group"], "group", seed)
    kept = manifest[[name for name in manifest.columns if not str(name).startswith(_OWN) and name != "content"]]
    renamed = kept.assign(file=manifest["file"].map(files), group=manifest["group"].map(groups))
    return renamed.sort_values("file", ignore_index=True)

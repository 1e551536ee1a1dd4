"""Names of patches: a folder for each class, and in it the source's name with the place of the square."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from trainables.data import contents
from trainables.data.columns import FILE_NAMES, GROUP_NAMES, LABEL_NAMES, SPLIT_NAMES
from trainables.data.labels import normalised
from trainables.data.listing import Entry

OWN_COLUMNS = ("file", "label", "group", "split", "source", "x", "y", "width", "height", "tissue")
_READ_AS_SOMETHING = frozenset({*FILE_NAMES, *LABEL_NAMES, *GROUP_NAMES, *SPLIT_NAMES, *OWN_COLUMNS, contents.COLUMN})


def folders_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Label → name of its folder. Labels are text of others: what could lead elsewhere becomes "_"."""
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted({normalised(entry.label) for entry in entries}):
        folders[label] = _untaken(_safe(label), taken)
    return folders


def stems_of(entries: Sequence[Entry]) -> dict[str, str]:
    """File of each source → what its patches are called by: its name, or its path where two of a class share that."""
    named = {entry.file: (normalised(entry.label), _safe(PurePosixPath(entry.file).stem)) for entry in entries}
    counts = Counter((label, stem.casefold()) for label, stem in named.values())
    taken: dict[str, set[str]] = defaultdict(set)
    stems = {}
    for file, (label, stem) in sorted(named.items()):
        if counts[label, stem.casefold()] > 1:
            stem = _safe(file.replace("/", "__"))
        stems[file] = _untaken(stem, taken[label])
    return stems


def patch_name(folder: str, stem: str, x: int, y: int) -> str:
    return f"{folder}/{stem}_x{x:05d}_y{y:05d}.png"


def kept_columns(header: Sequence[str]) -> Mapping[str, str]:
    """The user's other columns → what they are called beside ours: one that would be read as a file, label, group,
    split or hash of pixels is told apart."""
    called: dict[str, str] = {}
    for name in header:
        new = f"source_{name}" if _plain(name) in _READ_AS_SOMETHING else name
        while new in called.values() or (new != name and new in header):
            new = f"source_{new}"
        called[name] = new
    return called


def _plain(name: str) -> str:
    return "_".join(name.strip().casefold().replace("-", " ").replace("_", " ").split())


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:80].strip(".") or "_"


def _untaken(name: str, taken: set[str]) -> str:
    free, number = name, 1
    while free.casefold() in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free.casefold())
    return free

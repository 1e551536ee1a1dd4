"""Files beside images: what systems leave behind, tables and texts, and what may hold images in another form."""

from __future__ import annotations

import shlex
from pathlib import Path

from trainables.data.unread import said_of

_LEFT_BEHIND = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "@tmp", "#recycle", "#snapshot", "$recycle.bin"}
    | {"system volume information", "lost+found", "icon\r", "picasa.ini"}
)
_TABLES = (".csv", ".tsv", ".txt", ".json", ".xml", ".md", ".yaml", ".yml", ".xlsx", ".xls", ".ods", ".parquet", ".pdf")
_DOCUMENTS = (
    *_TABLES,
    ".html",
    ".htm",
    ".rst",
    ".log",
    ".toml",
    ".ini",
    ".cfg",
    ".py",
    ".ipynb",
    ".m",
    ".r",
    ".sh",
    ".doc",
)

_ARRAYS = (".npy", ".npz")
_HOLDERS = (
    (" ".join(_ARRAYS), "a NumPy array: give it alone, --data FILE, or save each image as PNG"),
    (".h5 .hdf5 .mat .pkl .pt .zarr .tfrecord", "an array: save each image as PNG"),
)
_UNPACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_OTHER_ARCHIVES = (".tar.zst", ".7z", ".rar")


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of this name is hidden (resource forks `._a.png` too) or made by a system for itself."""
    plain = name.casefold()
    return plain.startswith((".", "synofile_thumb", "synophoto_thumb", "@__thumb")) or plain in _LEFT_BEHIND


def unread_holder(name: str) -> str:
    """The same for files that may hold many images: arrays and archives."""
    if name.casefold().endswith((*_UNPACKED, *_OTHER_ARCHIVES)):
        return "not read: an archive within the data: unpack it there, or give it alone"
    return said_of(name, _HOLDERS)


def is_document(name: str) -> bool:
    """Whether a file lies beside images to say something about them."""
    return name.casefold().endswith(_DOCUMENTS)


def packed_kind(name: str) -> str:
    """ "archive" or "array" for a file that holds many images; "" for others."""
    plain = name.casefold()
    if plain.endswith((*_UNPACKED, *_OTHER_ARCHIVES)):
        return "archive"
    return "array" if plain.endswith(_ARRAYS) else ""


def how_to_unpack(archive: Path) -> str:
    """What to type where an archive is of a kind that is not read; "" for the others."""
    name = archive.name.casefold()
    if not name.endswith(_OTHER_ARCHIVES):
        return ""
    file = shlex.quote(str(archive))
    folder = shlex.quote(str(archive.with_name(archive.name.partition(".")[0] or "images")))
    if name.endswith((".7z", ".rar")):
        command = f"7z x {file} -o{folder}"
    else:
        command = f"mkdir {folder} && tar -xf {file} -C {folder}"
    return f"Unpack it and give the folder: {command}   then --data {folder}"

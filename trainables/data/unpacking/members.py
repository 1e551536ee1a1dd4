"""What an archive may hold: files and folders that stay below its folder, each once, under names that can be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from orchestrator.store.errors import Faults, InputError
from trainables.data.formats import is_left_behind
from trainables.data.listing import named, printable
from trainables.data.unpacking import contents

Kind = Literal["file", "folder", "link", "device"]
_MOST_NAME_BYTES, _MOST_PATH_BYTES = 255, 2000
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
_SENTENCES = {
    "outside": "files that would land outside the folder (.., absolute paths or drives): {names}",
    "link": "links: {names}; pack what they lead to (zip does, tar does with -h --hard-dereference)",
    "device": "devices or pipes: {names}",
    "encrypted": "encrypted files: {names}; unpack it with its password and give the folder",
    "method": "files compressed by a method that is not supported: {names}; use the usual one (deflate)",
    "name": "names that are not valid UTF-8, or hold control characters: {names}; rename these files and pack it again",
    "long": "names too long for a disk: {names}",
    "twice": "files that occur more than once: {names}",
    "both": "names of both a file and a folder: {names}",
}


@dataclass(frozen=True)
class Listed:
    """A member as the archive says it. name: with slashes between folders. bytes: unpacked, as the archive says.
    fault: a word of _SENTENCES that its reader saw."""

    name: str
    kind: Kind
    bytes: int = 0
    fault: str = ""


@dataclass(frozen=True)
class Member:
    """number: place among all that the archive lists. path: relative, safe. is_folder: nothing but a folder."""

    number: int
    path: PurePosixPath
    bytes: int
    is_folder: bool


def checked_members(listed: Iterable[Listed], subject: str) -> list[Member]:
    """What is to be unpacked; what is hidden or left behind by systems is passed over.

    Raises one InputError with every member that is unsafe, twice or not readable, and at once where there are too many.
    """
    members, faulty = list[Member](), dict[str, list[str]]()
    total = 0
    for number, one in enumerate(listed):
        total += one.bytes
        if number >= contents.MOST_FILES or total > contents.MOST_BYTES:
            raise InputError(
                f"{subject}: holds more than {contents.MOST_FILES:,} files or {contents.MOST_BYTES / 1e12:g} TB",
                "If it is the right one, unpack it by hand and give the folder.",
            )
        path = _path(one.name)
        if path is None:
            faulty.setdefault("outside", []).append(one.name)
        elif path.parts and not any(map(is_left_behind, path.parts)):
            fault = one.fault or (one.kind if one.kind in ("link", "device") else _fault_of_name(path))
            if fault:
                faulty.setdefault(fault, []).append(one.name)
            else:
                members.append(Member(number, path, one.bytes, one.kind == "folder"))
    _find_clashes(members, faulty)
    faults = Faults(subject)
    for fault, sentence in _SENTENCES.items():
        if names := [printable(name) for name in faulty.get(fault, [])]:
            faults.add(sentence.format(names=named(names)))
    faults.raise_if_any("Nothing was unpacked. Pack the images again, or unpack them by hand and give the folder.")
    if not any(not member.is_folder for member in members):
        raise InputError(f"{subject}: holds no files, expected images in class folders", "Give another: --data")
    return members


def _path(name: str) -> PurePosixPath | None:
    """The path below the folder of the archive; None where it leads out."""
    everywhere = name.replace("\\", "/")
    if everywhere.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in everywhere.split("/"):
        return None
    return PurePosixPath(*(part for part in name.split("/") if part not in ("", ".")))


def _fault_of_name(path: PurePosixPath) -> str:
    text = str(path)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "name"
    if "\\" in text or any(unicodedata.category(letter) in _UNPRINTABLE for letter in text):
        return "name"
    is_long = size > _MOST_PATH_BYTES or any(len(part.encode()) > _MOST_NAME_BYTES for part in path.parts)
    return "long" if is_long else ""


def _find_clashes(members: Iterable[Member], faulty: dict[str, list[str]]) -> None:
    """Files that are twice, and paths that are files and hold files; folders may be said again."""
    files, folders = set[PurePosixPath](), set[PurePosixPath]()
    for member in members:
        if member.is_folder:
            folders.add(member.path)
        elif member.path in files:
            faulty.setdefault("twice", []).append(str(member.path))
        files.update(() if member.is_folder else (member.path,))
        folders.update(member.path.parents)
    if both := sorted(map(str, files & folders)):
        faulty["both"] = both

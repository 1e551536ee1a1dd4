"""Zip archives."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from trainables.data.unpacking.contents import Wrote, damaged
from trainables.data.unpacking.members import Kind, Listed, checked_members
from trainables.data.unpacking.writing import Archive, write_members

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError, RuntimeError)
"""What zipfile raises of files that are none, are cut off or packed in ways it does not know."""
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_ENCRYPTED, _SAYS_UTF8 = 0x1, 0x800


class Zip(Archive):
    """Its members opened one by one."""

    def write(self, folder: Path, wrote: Wrote) -> None:
        try:
            with zipfile.ZipFile(self.path) as archive:
                infos = archive.infolist()
                opened = ((member, partial(archive.open, infos[member.number])) for member in self.members)
                write_members(self.subject, folder, opened, wrote)
        except DAMAGED as error:
            raise damaged(self.subject, error) from error


def zip_contents(path: Path, subject: str) -> Zip:
    """Raises InputError with all that is wrong with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except DAMAGED as error:
        raise damaged(subject, error) from error
    return Zip(path, subject, tuple(checked_members(_listed(infos), subject)))


def _listed(infos: list[zipfile.ZipInfo]) -> Iterator[Listed]:
    for info in infos:
        name, is_read = _name(info)
        kind = _kind(info, name)
        fault = ""
        if info.flag_bits & _ENCRYPTED:
            fault = "encrypted"
        elif info.compress_type not in _METHODS:
            fault = "method"
        elif not is_read:
            fault = "name"
        yield Listed(name, kind, 0 if kind == "folder" else info.file_size, fault if kind in ("file", "folder") else "")


def _name(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """The name, and whether its encoding is known: UTF-8, said or seen. Some programs write backslashes."""
    name = info.orig_filename
    if not info.flag_bits & _SAYS_UTF8 and not name.isascii():
        try:
            return name.encode("cp437").decode("utf-8").replace("\\", "/"), True
        except UnicodeError:
            return name.replace("\\", "/"), False
    return name.replace("\\", "/"), True


def _kind(info: zipfile.ZipInfo, name: str) -> Kind:
    mode = info.external_attr >> 16
    if name.endswith("/") or stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "device"

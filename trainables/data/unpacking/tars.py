"""Tar archives, plain or compressed by gzip, bzip2 or xz: read from front to end, twice."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from trainables.data.unpacking.contents import Wrote, damaged, pieces
from trainables.data.unpacking.members import Kind, Listed, Member, checked_members
from trainables.data.unpacking.writing import Archive, write_members

DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, ValueError)
"""What reading raises of files that are none or are cut off; bz2 and gzip raise OSError too."""
_MOST_HEADER_BYTES = 1 << 24
"""Of one read: the pieces of files are smaller, and so is every header that somebody meant."""


class Tar(Archive):
    """Its members in the order in which they lie in it."""

    def write(self, folder: Path, wrote: Wrote) -> None:
        with _opened(self.path, self.subject) as archive:
            write_members(self.subject, folder, self._in_turn(archive), wrote)

    def _in_turn(self, archive: _Archive) -> Iterator[tuple[Member, Callable[[], IO[bytes]]]]:
        wanted = {member.number: member for member in self.members}
        for number, info in enumerate(archive.members()):
            if number in wanted:
                yield wanted[number], partial(archive.content, info)


def tar_contents(path: Path, subject: str, read: Wrote) -> Tar:
    """Raises InputError with all that is wrong with it; `read` is told how much of its bytes was gone through."""
    with _opened(path, subject, read) as archive:
        members = checked_members(map(_listed, archive.members()), subject)
        archive.check_end()
    return Tar(path, subject, tuple(members))


def _listed(info: tarfile.TarInfo) -> Listed:
    kind: Kind = "device"
    if info.isfile():
        kind = "file"
    elif info.isdir():
        kind = "folder"
    elif info.issym() or info.islnk():
        kind = "link"
    return Listed(info.name, kind, info.size if kind == "file" else 0)


class _Archive:
    """Members in the order in which they lie; what was read is not remembered."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._tar = tarfile.open(fileobj=stream, mode="r:", encoding="utf-8")  # type: ignore[call-overload]  # noqa: SIM115

    def members(self) -> Iterator[tarfile.TarInfo]:
        while (info := self._tar.next()) is not None:
            self._tar.members = []
            yield info

    def content(self, info: tarfile.TarInfo) -> IO[bytes]:
        file = self._tar.extractfile(info)
        if file is None:
            raise tarfile.ReadError(f"{info.name} has no content")
        return cast("IO[bytes]", file)

    def check_end(self) -> None:
        """tarfile ends in silence at a header that it cannot read: only a block of zeros is the end of an archive."""
        if self._stream.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("its end mark is missing: it is cut short or damaged")
        for piece in pieces(self._stream):  # type: ignore[arg-type]
            if piece.count(0) != len(piece):
                raise tarfile.ReadError("more follows after its end, perhaps another archive: pack all in one")


class _Stream:
    """The unpacked bytes of a tar file for tarfile, which would read a header of any length into memory."""

    def __init__(self, file: IO[bytes], read: Callable[[], None]) -> None:
        self._file = file
        self._read = read
        self.last = b""

    def read(self, size: int) -> bytes:
        if size > _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        self.last = self._file.read(size)
        self._read()
        return self.last

    def seek(self, place: int) -> int:
        here = self._file.tell()
        while here < place and self._file.seek(min(place, here + _MOST_HEADER_BYTES)) > here:
            here = self._file.tell()
            self._read()
        return here if here == place else self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def _plain(raw: IO[bytes]) -> IO[bytes]:
    """The unpacked bytes, by how the file begins: browsers unpack downloads and leave their names."""
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if start.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(raw))
    return cast("IO[bytes]", lzma.LZMAFile(raw)) if start == b"\xfd7zXZ\x00" else raw


@contextmanager
def _opened(path: Path, subject: str, read: Wrote | None = None) -> Iterator[_Archive]:
    with path.open("rb") as raw:
        told = 0

        def tell() -> None:
            nonlocal told
            if read is not None and raw.tell() > told:
                read(raw.tell() - told)
                told = raw.tell()

        try:
            yield _Archive(_Stream(_plain(raw), tell))
        except DAMAGED as error:
            raise damaged(subject, error) from error
        except OSError as error:
            if error.errno is None:  # of a decompressor, not of the disk
                raise damaged(subject, error) from error
            raise

"""Archives that would write elsewhere, fill the disk or the memory, or name a file twice: refused, with all faults."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from tests.support.packing import FILES, KINDS, add, linked, packed, patched
from trainables.data.unpacking import contents
from trainables.data.unpacking.opened import opened


def error_of(path: Path) -> str:
    """The refusal; nothing may have been written anywhere but the lock."""
    before = {one for one in path.parent.rglob("*") if one != path}
    with pytest.raises(InputError) as caught:
        opened(path, path.parent / "cache", lambda _: None)
    after = {one for one in path.parent.rglob("*") if one != path} - before
    assert not [one for one in after if one.is_file() and one.suffix != ".lock"], after
    return str(caught.value)


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize(
    "name", ["../out.png", "a/../../out.png", "/tmp/out.png", "C:/out.png", "a/..", "c:out.png", ".hidden/../../x"]
)
def test_no_member_leads_out(tmp_path: Path, suffix: str, name: str) -> None:
    message = error_of(packed(tmp_path / f"a{suffix}", {**FILES, name: b"x"}))
    assert "files that would land outside the folder" in message
    assert repr(name) in message


@pytest.mark.parametrize("name", ["..\\out.png", "\\out.png", "C:\\out.png"])
def test_nor_by_backslashes(tmp_path: Path, name: str) -> None:
    for suffix in (".zip", ".tar"):
        assert "would land outside the folder" in error_of(packed(tmp_path / f"a{suffix}", {**FILES, name: b"x"}))


def test_links_and_devices(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(linked("a/link"), "/etc/passwd")
        archive.writestr(linked("a/pipe", stat.S_IFIFO), "")
        archive.writestr("a/link/1.png", b"x")
    message = error_of(tmp_path / "a.zip")
    assert "links: 'a/link'" in message
    assert "devices or pipes: 'a/pipe'" in message
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "a/soft", kind=tarfile.SYMTYPE, link="../../..")
        add(tar, "a/hard", kind=tarfile.LNKTYPE, link="/etc/passwd")
        add(tar, "a/soft/1.png", b"x")
        for number, kind in enumerate((tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)):
            add(tar, f"a/{number}", kind=kind)
    message = error_of(tmp_path / "a.tar")
    assert "links: 'a/soft', 'a/hard'" in message
    assert "devices or pipes: 'a/0', 'a/1', 'a/2'" in message


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_all_faults_come_together(tmp_path: Path, suffix: str) -> None:
    odd = {"../x": b"", "a/1\n2.png": b"", f"a/{'n' * 300}.png": b"", "a/g0.png/below.png": b""}
    message = error_of(packed(tmp_path / f"a{suffix}", {**FILES, **odd}))
    assert "4 faults" in message
    assert "would land outside the folder" in message
    assert "not valid UTF-8, or hold control characters: 'a/1\\n2.png'" in message
    assert "names too long for a disk" in message
    assert "names of both a file and a folder: 'a/g0.png'" in message
    assert message.endswith("Pack the images again, or unpack them by hand and give the folder.")


def test_names_that_no_text_is(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as tar:
        add(tar, "Tumör/1.png", b"x")
    assert "not valid UTF-8" in error_of(tmp_path / "a.tar")
    archive = packed(tmp_path / "a.zip", {"Tum\u00f6r/1.png": b"x", "b/1.png": b"x"})
    patched(archive, lambda content: content.replace("Tumör".encode(), b"Tum\x94rx"))
    assert "cannot be read to its end" in error_of(archive), "it says UTF-8 and is none"
    patched(archive, lambda content: content.replace(b"\x00\x08\x08\x00", b"\x00\x00\x08\x00"))
    assert "names that are not valid UTF-8" in error_of(archive), "which code page it is nobody knows"


def test_files_that_are_twice(tmp_path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for name in ("a/1.png", "a/1.png", "./a//1.png", "b/"):
            archive.writestr(name, name)
    assert "files that occur more than once: 'a/1.png', 'a/1.png'" in error_of(tmp_path / "a.zip")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("a/", "a/", "a/1.png", "a/1.png"):
            add(tar, name)
    assert "files that occur more than once: 'a/1.png'" in error_of(tmp_path / "a.tar")


def test_encrypted_files_and_methods_that_are_not_read(tmp_path: Path) -> None:
    def marked(at_local: int, at_central: int, value: bytes) -> Callable[[bytes], bytes]:
        def change(content: bytes) -> bytes:
            start = content.index(b"PK\x01\x02")
            content = content[: start + at_central] + value + content[start + at_central + 2 :]
            return content[:at_local] + value + content[at_local + 2 :]

        return change

    packed(tmp_path / "a.zip", FILES)
    message = error_of(patched(tmp_path / "a.zip", marked(6, 8, struct.pack("<H", 1))))
    assert "encrypted files: 'a/g0.png'; unpack it with its password and give the folder" in message
    packed(tmp_path / "b.zip", FILES)
    message = error_of(patched(tmp_path / "b.zip", marked(8, 10, struct.pack("<H", 9))))
    assert "files compressed by a method that is not supported: 'a/g0.png'" in message


@pytest.mark.parametrize("suffix", KINDS)
def test_too_many_files_and_too_many_bytes(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path / f"a{suffix}", FILES)
    monkeypatch.setattr(contents, "MOST_FILES", 5)
    assert "holds more than 5 files" in error_of(archive)
    monkeypatch.setattr(contents, "MOST_FILES", 6)
    monkeypatch.setattr(contents, "MOST_BYTES", 599)
    assert "holds more than 6 files or" in error_of(archive)
    monkeypatch.setattr(contents, "MOST_BYTES", 600)
    opened(archive, tmp_path / "cache", lambda _: None)


def test_a_hundred_thousand_files_are_none_too_many(tmp_path: Path) -> None:
    assert contents.MOST_FILES > 1_300_000, "datasets of more than a million images are usual"


@pytest.mark.parametrize("says", [1, 100, 10_000])
def test_a_zip_that_lies_about_a_size_writes_no_more(tmp_path: Path, says: int) -> None:
    """A bomb of 10 MB that says it is smaller, or larger."""
    archive = packed(tmp_path / "a.zip", {"a/1.png": bytes(10_000_000)})
    true, false = struct.pack("<I", 10_000_000), struct.pack("<I", says)
    patched(archive, lambda content: content.replace(true, false))
    message = error_of(archive)
    assert "cannot be read to its end" in message
    archive = packed(tmp_path / "b.zip", {"a/1.png": bytes(1000)})
    patched(archive, lambda content: content.replace(struct.pack("<I", 1000), struct.pack("<I", 5000)))
    assert "cannot be read to its end" in error_of(archive)


def test_what_is_written_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the library below lets through."""
    archive = packed(tmp_path / "a.zip", {"a/1.png": bytes(3_000_000)})
    patched(archive, lambda content: content.replace(struct.pack("<I", 3_000_000), struct.pack("<I", 2_000_000)))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: io.BytesIO(bytes(3_000_000)))
    assert "a/1.png is longer than the 2,000,000 bytes that it says" in error_of(archive)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: io.BytesIO(b"x"))
    assert "a/1.png is 1,999,999 bytes shorter than it says" in error_of(archive)


def test_overlapping_members_are_counted_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand entries for one compressed megabyte, as the known bombs have."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", bytes(1_000_000))
        (first,) = archive.infolist()
        for number in range(1, 1000):
            again = zipfile.ZipInfo(f"{number}.png")
            again.file_size, again.compress_size, again.CRC = first.file_size, first.compress_size, first.CRC
            again.compress_type, again.header_offset = first.compress_type, first.header_offset
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    assert (tmp_path / "a.zip").stat().st_size < 100_000
    monkeypatch.setattr(contents, "MOST_BYTES", 900_000_000)
    assert "holds more than" in error_of(tmp_path / "a.zip")


def test_a_header_of_a_tar_fills_no_memory(tmp_path: Path) -> None:
    """A long name of a gigabyte is a few kilobytes of zeros, packed; it is not read."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(1 << 20))
    assert "a header of 1,073,7" in error_of(tmp_path / "a.tar.gz")

"""Archives of every kind that is read: unpacked once, with what was packed, and nothing else."""

from __future__ import annotations

import bz2
import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from tests.support.packing import COMPRESSED, FILES, KINDS, add, below, linked, packed, patched
from trainables.data.options import DatasetOptions
from trainables.data.source import list_source
from trainables.data.unpacking.opened import Opened, opened, opened_data


def silent(_: str) -> None:
    pass


def error_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        opened(path, path.parent / "cache", silent)
    return str(caught.value)


@pytest.mark.parametrize("suffix", KINDS)
def test_every_kind_is_unpacked_once_and_read_as_a_folder(tmp_path: Path, suffix: str) -> None:
    archive, said = packed(tmp_path / f"my images{suffix}", FILES), list[str]()
    found = opened(archive, tmp_path / "cache", said.append)
    assert below(found.path) == FILES
    assert found.packed == archive
    assert found.path == tmp_path / "cache" / "unpacked" / found.digest[:32] / "files"
    assert [(e.file, e.label) for e in list_source(found.path, DatasetOptions()).entries] == [
        (name, name[0]) for name in sorted(FILES)
    ]
    assert said[0].startswith("Unpacking 6 files, ")
    assert said[1] == f"{archive} (SHA-256 {found.digest[:12]}…) is read from {found.path}."
    times = {path: path.stat().st_mtime_ns for path in found.path.rglob("*")}
    assert opened(archive, tmp_path / "cache", said.append) == found
    assert {path: path.stat().st_mtime_ns for path in found.path.rglob("*")} == times
    assert said[2:] == said[1:2], "nothing is unpacked again"


def test_the_content_names_the_folder(tmp_path: Path) -> None:
    one = opened(packed(tmp_path / "one.tar", FILES), tmp_path / "cache", silent)
    (tmp_path / "two.tar").write_bytes((tmp_path / "one.tar").read_bytes())
    assert opened(tmp_path / "two.tar", tmp_path / "cache", silent).path == one.path
    packed(tmp_path / "one.tar", {**FILES, "a/more.png": b"x"})
    assert opened(tmp_path / "one.tar", tmp_path / "cache", silent).path != one.path


def test_what_is_no_archive_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\n")
    for source in (tmp_path, tmp_path / "labels.csv", tmp_path / "missing.zip"):
        assert opened(source, tmp_path / "cache", silent) == Opened(source)
    (tmp_path / "folder.zip").mkdir()
    assert opened(tmp_path / "folder.zip", tmp_path / "cache", silent).packed is None
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("suffix", KINDS)
def test_a_single_top_folder_is_stepped_into(tmp_path: Path, suffix: str) -> None:
    hidden = {"__MACOSX/images/a/._g0.png": b"x", "images/.DS_Store": b"x", "images/a/Thumbs.db": b"x"}
    inside = {f"./images/{name}": content for name, content in FILES.items()}
    found = opened(
        packed(tmp_path / f"a{suffix}", {"images/": b"", **inside, **hidden, "README.md": b"x"}), tmp_path, silent
    )
    assert found.path.name == "images"
    assert below(found.path) == FILES, "what systems leave behind is not unpacked"
    top = opened(packed(tmp_path / f"b{suffix}", {**inside, "labels.csv": b"file,label\n"}), tmp_path, silent)
    assert top.path.name == "files", "a table beside it is read through"


def test_empty_folders_are_kept(tmp_path: Path) -> None:
    for suffix in (".zip", ".tar"):
        found = opened(packed(tmp_path / f"a{suffix}", {**FILES, "c/": b""}), tmp_path / "cache", silent)
        with pytest.raises(InputError, match="class folder 'c' is empty"), found.blamed():
            list_source(found.path, DatasetOptions())
        with (
            pytest.raises(InputError, match=f"unpacked from {tmp_path}/a{suffix}: correct the files there"),
            found.blamed(),
        ):
            list_source(found.path, DatasetOptions())


def test_a_table_and_its_root_may_both_be_packed(tmp_path: Path) -> None:
    rows = "".join(f"{name},{name[0]}\n" for name in FILES)
    archive = packed(tmp_path / "a.zip", {**FILES, "labels.csv": f"file,label\n{rows}".encode()})
    found, _ = opened_data(archive, DatasetOptions(), tmp_path / "cache", silent)
    assert len(list_source(found.path, DatasetOptions()).entries) == 6
    (tmp_path / "labels.csv").write_text(f"file,label\n{rows}")
    images = packed(tmp_path / "b.tar", FILES)
    found, options = opened_data(tmp_path / "labels.csv", DatasetOptions(data_root=images), tmp_path / "cache", silent)
    assert found.path == tmp_path / "labels.csv"
    assert found.packed == images
    listing = list_source(found.path, options)
    assert {name: (listing.root / name).read_bytes() for name in FILES} == FILES


def test_names_are_those_that_were_packed(tmp_path: Path) -> None:
    """Info-ZIP and macOS write UTF-8 without saying so; .NET wrote backslashes."""
    archive = packed(tmp_path / "a.zip", {"Tumörzellen/ä.png": b"1", "b/1.png": b"2"})
    patched(archive, lambda content: content.replace(b"\x00\x08\x08\x00", b"\x00\x00\x08\x00"))
    with zipfile.ZipFile(archive) as unsaid:
        assert "Tumörzellen/ä.png" not in unsaid.namelist()
    assert set(below(opened(archive, tmp_path / "cache", silent).path)) == {"Tumörzellen/ä.png", "b/1.png"}
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive_of_folders:
        archive_of_folders.writestr(linked("a", stat.S_IFDIR), "")
        archive_of_folders.writestr("a/1.png", b"1")
    assert set(below(opened(tmp_path / "f.zip", tmp_path / "cache", silent).path)) == {"1.png"}
    windows = packed(tmp_path / "w.zip", {"a\\p\\1.png": b"1", "b\\1.png": b"2"})
    assert set(below(opened(windows, tmp_path / "cache", silent).path)) == {"a/p/1.png", "b/1.png"}


def test_the_name_may_lie_about_the_compression(tmp_path: Path) -> None:
    """Browsers unpack the outer layer of a download and keep its name."""
    packed(tmp_path / "a.tar", FILES).rename(tmp_path / "a.tar.gz")
    assert below(opened(tmp_path / "a.tar.gz", tmp_path / "cache", silent).path) == FILES


@pytest.mark.parametrize(
    ("name", "command"),
    [("a b.7z", "7z x '{0}/a b.7z' -o'{0}/a b'"), ("a.rar", "7z x {0}/a.rar -o{0}/a"), ("a.tar.zst", "tar -xf")],
)
def test_other_kinds_are_refused_by_name(tmp_path: Path, name: str, command: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert f"Unpack it and give the folder: {command.format(tmp_path)}" in error_of(tmp_path / name).replace(
        "mkdir " + str(tmp_path / "a") + " && ", ""
    )


def test_archives_in_archives_are_named_and_not_opened(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", FILES).read_bytes()
    found = opened(packed(tmp_path / "a.zip", {**FILES, "more.zip": inner}), tmp_path / "cache", silent)
    told = dict(list_source(found.path, DatasetOptions()).other)
    assert told == {"more.zip": "not read: an archive within the data: unpack it there, or give it alone"}
    only = opened(packed(tmp_path / "b.zip", {"a.zip": inner, "b.zip": inner}), tmp_path / "cache", silent)
    with pytest.raises(InputError, match="no images among 2 files"):
        list_source(only.path, DatasetOptions())


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_half_an_archive_is_refused_and_leaves_nothing(tmp_path: Path, suffix: str, share: float) -> None:
    archive = packed(tmp_path / f"a{suffix}", {name: content * 100 for name, content in FILES.items()})
    patched(archive, lambda content: content[: int(len(content) * share)])
    assert "cannot be read to its end" in error_of(archive)
    assert not [path for path in (tmp_path / "cache" / "unpacked").iterdir() if path.is_dir()]


@pytest.mark.parametrize("suffix", list(COMPRESSED))
def test_a_tar_that_stops_between_members_is_no_whole_one(tmp_path: Path, suffix: str) -> None:
    """tarfile takes a header that it cannot read for the end, and three of six images for all."""
    plain = packed(tmp_path / "plain.tar", FILES).read_bytes()
    pack = {".tar": bytes, ".tar.bz2": bz2.compress}.get(suffix, gzip.compress)
    at = 3 * 1024  # three members of a header and a block each
    for number, broken in enumerate((plain[:at], plain[:at] + b"\x01" * 512 + plain[at + 512 :])):
        archive = tmp_path / f"{number}{suffix}"
        archive.write_bytes(pack(broken))
        with tarfile.open(archive) as read:
            assert len(read.getnames()) == 3
        assert "its end mark is missing" in error_of(archive)
    two = tmp_path / f"two{suffix}"
    two.write_bytes(pack(plain + plain))
    assert "more follows after its end" in error_of(two)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    for suffix in (".zip", ".tar.gz", ".tar.bz2", ".tar.xz"):
        archive = packed(tmp_path / f"a{suffix}", {"a/1.png": bytes(range(256)) * 40, "b/1.png": b"y" * 999})
        middle = 100 if suffix == ".zip" else archive.stat().st_size // 2
        flip = lambda content, at=middle: content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]  # noqa: E731
        assert "cannot be read to its end" in error_of(patched(archive, flip)), suffix


def test_a_file_that_is_no_archive_and_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no archive at all" * 99)
    assert "archive" in error_of(tmp_path / "a.zip")
    assert "holds no files" in error_of(packed(tmp_path / "b.zip", {"__MACOSX/._x": b"x", "a/": b""}))
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        add(archive, "a/")
    (tmp_path / "c.tar").write_bytes(target.getvalue())
    assert "holds no files" in error_of(tmp_path / "c.tar")

"""What was unpacked: whole or not there, once for all processes, within the free disk, looked at before it is used."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.store.errors import InputError
from tests.support.checkout import ROOT
from tests.support.packing import FILES, below, image_stack, packed
from trainables.data.unpacking import kept, said
from trainables.data.unpacking.opened import opened

KILLED = """
import os, signal, sys
from pathlib import Path
from trainables.data.unpacking import kept, opened

class Killing(kept.Slowly):
    def __call__(self, count):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls > 3:
            os.kill(os.getpid(), signal.SIGKILL)

kept.Slowly = Killing
opened.opened(Path(sys.argv[1]), Path(sys.argv[2]), lambda _: None)
"""


def silent(_: str) -> None:
    pass


def folders(cache: Path) -> list[Path]:
    return sorted(path for path in (cache / "unpacked").iterdir() if path.is_dir())


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.npz"])
def test_killed_halfway_it_leaves_nothing_that_counts(tmp_path: Path, name: str) -> None:
    archive = image_stack(tmp_path / name) if name == "a.npz" else packed(tmp_path / name, FILES)
    cache = tmp_path / "cache"
    ended = subprocess.run([sys.executable, "-c", KILLED, archive, cache], cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    (half,) = folders(cache)
    assert half.name.startswith(".tmp-")
    assert 0 < len(below(half)) < 6
    found = opened(archive, cache, silent)
    assert folders(cache) == [found.path.parent], "and what it left is gone"
    fresh = opened(archive, tmp_path / "other", silent)
    assert below(found.path) == below(fresh.path)


def test_an_interrupted_one_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    archive = packed(tmp_path / "a.zip", FILES)
    with monkeypatch.context() as patch:
        patch.setattr(kept.Slowly, "__call__", interrupted)
        patch.setattr("trainables.data.unpacking.opened.digest_of", lambda *_: "0" * 64)
        with pytest.raises(KeyboardInterrupt):
            opened(archive, tmp_path / "cache", silent)
    assert not folders(tmp_path / "cache")


def test_two_processes_at_once_unpack_it_once(tmp_path: Path) -> None:
    archive, cache = packed(tmp_path / "a.zip", FILES), tmp_path / "cache"
    told: list[list[str]] = [[], []]
    first_writes, second_waits = threading.Event(), threading.Event()

    def first(text: str) -> None:
        told[0].append(text)
        if text.startswith("Unpacking"):
            first_writes.set()
            assert second_waits.wait(60)

    def second(text: str) -> None:
        told[1].append(text)
        second_waits.set()

    thread = threading.Thread(target=opened, args=(archive, cache, first))
    thread.start()
    assert first_writes.wait(60)
    found = opened(archive, cache, second)
    thread.join()
    assert told[1][0] == "Another process is unpacking the same data: waiting for it."
    assert sum(text.startswith("Unpacking") for text in (*told[0], *told[1])) == 1
    assert below(found.path) == FILES


@pytest.mark.parametrize("name", ["a.zip", "a.tar.xz", "a.npz"])
def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = image_stack(tmp_path / name) if name == "a.npz" else packed(tmp_path / name, FILES)
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _: SimpleNamespace(free=499_000_000))
    with pytest.raises(InputError) as caught:
        opened(archive, tmp_path / "cache", silent)
    assert "MB and 0.50 GB to spare (free: 0.50 GB)" in str(caught.value)
    assert str(caught.value).endswith("name a folder on another disk: --cache DIR. Nothing was unpacked.")
    assert not folders(tmp_path / "cache")
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**12))
    monkeypatch.setattr(kept.os, "statvfs", lambda _: SimpleNamespace(f_files=100, f_favail=5))
    with pytest.raises(InputError, match=r"files \(the disk takes 5 more\)"):
        opened(archive, tmp_path / "cache", silent)


def test_a_disk_that_fills_up_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    archive = packed(tmp_path / "a.zip", FILES)
    monkeypatch.setattr("trainables.data.unpacking.zips.write_members", full)
    with pytest.raises(InputError, match=r"cannot be unpacked into .*: No space left on device"):
        opened(archive, tmp_path / "cache", silent)
    assert not folders(tmp_path / "cache")


@pytest.mark.parametrize("name", ["a.zip", "a.npz"])
def test_what_was_cleaned_away_is_unpacked_again(tmp_path: Path, name: str) -> None:
    """Caches are cleaned by age: whole, or file by file."""
    archive = image_stack(tmp_path / name) if name == "a.npz" else packed(tmp_path / name, FILES)
    found = opened(archive, tmp_path / "cache", silent)
    before = below(found.path)
    first = next(path for path in sorted(found.path.rglob("*.png")))
    for damage in (
        lambda: first.unlink(),
        lambda: first.write_bytes(b""),
        lambda: (found.path.parent / "unpacked.json").unlink(),
        lambda: (found.path.parent / "unpacked.json").write_text("[]"),
        lambda: shutil.rmtree(found.path),
        lambda: shutil.rmtree(tmp_path / "cache"),
    ):
        damage()
        assert opened(archive, tmp_path / "cache", silent) == found
        assert below(found.path) == before
        assert folders(tmp_path / "cache") == [found.path.parent]


def test_what_systems_leave_behind_is_no_damage(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", FILES)
    found = opened(archive, tmp_path / "cache", silent)
    for name in ("Thumbs.db", "a/.DS_Store"):
        (found.path / name).write_bytes(b"x")
    opened(archive, tmp_path / "cache", silent)
    assert (found.path / "Thumbs.db").exists(), "it is not unpacked again"


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is slower takes what the faster one unpacked."""

    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    archive = packed(tmp_path / "a.zip", FILES)
    monkeypatch.setattr(kept.fcntl, "flock", unsupported)
    told = list[str]()

    def overtaken(text: str) -> None:
        told.append(text)
        if len(told) == 1:
            opened(archive, tmp_path / "cache", silent)
            told.append("")

    found = opened(archive, tmp_path / "cache", overtaken)
    assert below(found.path) == FILES
    assert folders(tmp_path / "cache") == [found.path.parent]


def test_a_cache_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(InputError, match=r"cannot be unpacked into .*\n.* name another folder: --cache DIR"):
        opened(packed(tmp_path / "a.zip", FILES), tmp_path / "cache", silent)


def test_long_work_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 11))
    monkeypatch.setattr(said.time, "monotonic", lambda: next(clock))
    told = list[str]()
    archive = packed(tmp_path / "a.tar.gz", FILES)
    opened(archive, tmp_path / "cache", told.append)
    size = archive.stat().st_size / 1e6
    assert f"a.tar.gz: read {size:.2f} MB of {size:.2f} MB" in told
    assert any(text.startswith("a.tar.gz: looked through ") for text in told)
    assert [text for text in told if text.startswith("unpacked ")] == 6 * ["unpacked 0.00 MB of 0.00 MB"]

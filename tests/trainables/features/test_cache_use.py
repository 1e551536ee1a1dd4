"""The cache's budget: what nobody uses goes, the longest unused first; what somebody uses stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.store.errors import InputError
from tests.support.checkout import ROOT
from trainables.features import cache_use
from trainables.features.cache_use import MARK, CacheUse

MB = 1_000_000
HOLD = """
import sys, time
from pathlib import Path
from trainables.features.cache_use import CacheUse
use = CacheUse(Path(sys.argv[1]))
use.hold(Path(sys.argv[2]))
print("held", flush=True)
time.sleep(3600)
"""


def folder(cache: Path, name: str, used: float, megabytes: int = 1, room: str = "features") -> Path:
    """A folder that was last used at that second."""
    made = cache / room / name
    made.mkdir(parents=True)
    (made / "frontier0.bin").write_bytes(os.urandom(megabytes * MB))
    (made / "arrays.json").write_text("{}")
    (made / MARK).touch()
    os.utime(made / MARK, (used, used))
    return made


def there(cache: Path) -> set[str]:
    return {path.name for room in ("features", "pixels") for path in (cache / room).glob("*")}


def test_the_longest_unused_go_until_it_fits(tmp_path: Path) -> None:
    folder(tmp_path, "old", 100)
    folder(tmp_path, "older", 50, room="pixels")
    folder(tmp_path, "new", 300)
    use = CacheUse(tmp_path, 4 * MB)
    use.need("mine", 2 * MB)
    use.make_room()
    assert there(tmp_path) == {"new"}, "1 MB of files are a little more on the disk: one has to go, and one more"
    use.need("mine", MB)
    use.make_room()
    assert there(tmp_path) == {"new"}


def test_nothing_goes_while_it_fits_or_without_a_budget(tmp_path: Path) -> None:
    folder(tmp_path, "old", 100)
    for most in (None, 10 * MB):
        use = CacheUse(tmp_path, most)
        use.need("mine", 8 * MB)
        use.make_room()
    assert there(tmp_path) == {"old"}


def test_what_this_search_needs_stays_however_old(tmp_path: Path) -> None:
    mine, other = folder(tmp_path, "mine", 1), folder(tmp_path, "other", 100)
    use = CacheUse(tmp_path, 2 * MB)
    use.hold(mine)
    os.utime(mine / MARK, (1, 1))
    use.need("mine", int(1.9 * MB))
    use.make_room()
    use.release()
    assert mine.exists()
    assert not other.exists()


def test_what_another_process_uses_stays_until_it_ends(tmp_path: Path) -> None:
    used, idle = folder(tmp_path, "used", 1), folder(tmp_path, "idle", 100)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), str(used)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        os.utime(used / MARK, (1, 1))
        use = CacheUse(tmp_path, 3 * MB)
        use.need("mine", int(1.5 * MB))
        use.make_room()
        assert there(tmp_path) == {"used"}
        use.need("mine", int(2.5 * MB))
        with pytest.raises(
            InputError, match=r"may hold 3\.00 MB, this search needs 2\.50 MB beside 1\.0\d MB that oth"
        ):
            use.make_room()
    finally:
        process.kill()
        process.communicate()
    use.make_room()
    assert there(tmp_path) == set()
    assert not idle.exists()


def test_what_cannot_fit_is_refused_and_nothing_is_deleted(tmp_path: Path) -> None:
    folder(tmp_path, "old", 100)
    use = CacheUse(tmp_path, 2e9)
    use.need("one", 1_500_000_000)
    use.need("other", 1_500_000_000)
    with pytest.raises(InputError, match=r"may hold 2\.00 GB, this search needs 3\.00 GB\n") as raised:
        use.make_room()
    assert "--cache-gb" in raised.value.advice
    assert there(tmp_path) == {"old"}


def test_who_holds_while_it_is_deleted_gets_a_folder_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the mark and locking it, the folder is deleted."""
    wanted = folder(tmp_path, "wanted", 1)
    real, times = cache_use.fcntl.flock, []

    def flock(file: object, how: int) -> None:
        if not times:
            times.append(how)
            cache_use._delete(wanted)
        real(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(cache_use.fcntl, "flock", flock)
    use = CacheUse(tmp_path)
    use.hold(wanted)
    assert (wanted / MARK).exists()
    assert not (wanted / "arrays.json").exists(), "its features are computed again"
    (wanted / "frontier0.bin").write_bytes(os.urandom(MB))
    limited = CacheUse(tmp_path, 1.0)
    with pytest.raises(InputError):
        limited.make_room()
    use.release()
    limited.make_room()
    assert there(tmp_path) == set()


def test_half_deleted_folders_are_swept(tmp_path: Path) -> None:
    folder(tmp_path, ".tmp-evicted-1", 1)
    use = CacheUse(tmp_path, 10 * MB)
    use.make_room()
    assert there(tmp_path) == set()


def test_a_cache_that_cannot_be_written_is_still_used(tmp_path: Path) -> None:
    (tmp_path / "features").touch()
    CacheUse(tmp_path).hold(tmp_path / "features" / "x")

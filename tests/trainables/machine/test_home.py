"""Homes that cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainables.machine.home import can_write, keep_out_of_home
from trainables.machine.places import default_cache

VARIABLES = ("XDG_CACHE_HOME", "HF_HOME", "TORCH_HOME", "MPLCONFIGDIR")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user is told, in a folder of temporary files of the test's own."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return []


def test_caches_of_a_home_that_cannot_be_written_lie_in_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setenv("HOME", "/proc/none")
    keep_out_of_home(told.append)
    private = tmp_path / f"orch-{os.getuid()}"
    assert private.stat().st_mode & 0o777 == 0o700
    assert default_cache() == private / "cache" / "orch"
    assert told == [
        f"Note: the home folder /proc/none cannot be written: what is kept between searches is stored in {private} "
        "(XDG_CACHE_HOME names another place)."
    ]
    monkeypatch.delenv("XDG_CACHE_HOME")
    keep_out_of_home(told.append)
    assert default_cache() == private / "cache" / "orch", "the same for the next command"
    assert len(told) == 1


def test_weights_that_lie_in_the_home_are_read_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    (tmp_path / "home" / ".cache" / "torch").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("trainables.machine.home.can_write", lambda _: False)
    keep_out_of_home(told.append)
    assert os.environ["TORCH_HOME"] == str(tmp_path / "home" / ".cache" / "torch")
    assert "HF_HOME" not in os.environ


def test_what_the_user_has_set_and_a_home_that_can_be_written_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    keep_out_of_home(told.append)
    assert not any(name in os.environ for name in VARIABLES)
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv("XDG_CACHE_HOME", "/data/cache")
    keep_out_of_home(told.append)
    assert os.environ["XDG_CACHE_HOME"] == "/data/cache"
    assert told == []


def test_a_folder_that_another_user_could_write_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setenv("HOME", "/proc/none")
    (tmp_path / f"orch-{os.getuid()}").mkdir()
    (tmp_path / f"orch-{os.getuid()}").chmod(0o777)
    keep_out_of_home(told.append)
    assert not os.environ["XDG_CACHE_HOME"].startswith(f"{tmp_path}/orch-{os.getuid()}/")


def test_folders_that_can_be_written(tmp_path: Path) -> None:
    assert can_write(tmp_path)
    assert not can_write(tmp_path / "none")
    assert not can_write(None)

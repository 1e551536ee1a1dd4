"""Ray's sockets lie where their paths fit."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.running import cluster, ray_folder


@pytest.fixture(params=["TMPDIR", "RAY_TMPDIR"])
def long(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The variable that names a long folder."""
    folder = tmp_path / ("x" * 90)
    folder.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(request.param, str(folder))
    return str(request.param)


def test_a_long_one_is_told_and_a_short_one_taken(long: str) -> None:
    told: list[str] = []
    with ray_folder.ray_folder(told.append) as folder:
        assert folder is not None
        place = Path(folder + ray_folder._BELOW)
        place.parent.mkdir(parents=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
        assert Path(folder).stat().st_mode & 0o777 == 0o700, "nobody else's"
    assert not Path(folder).exists()
    (note,) = told
    assert note.startswith(f"Note: {long} is too long a path for Ray's sockets (")
    assert note.endswith(f" bytes); Ray's files are in {folder}.")


def test_the_longest_that_fits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    most = ray_folder.MOST_BYTES - len(ray_folder._BELOW) - len("/ray")
    monkeypatch.setattr(ray_folder, "can_write", lambda _: True)
    for length, is_kept in ((most, True), (most + 1, False)):
        monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (length - 1))
        with ray_folder.ray_folder(lambda _: None) as folder:
            assert (folder is None) is is_kept


@pytest.mark.parametrize("fault", ["rights", "full"])
def test_one_that_takes_nothing_is_told_too(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """The folder is nobody's to write, as the tests may run as root; its disk is full where space is asked for."""
    usual = "/proc/1" if fault == "rights" else "/var"
    monkeypatch.setenv("RAY_TMPDIR", usual)
    told: list[str] = []
    if fault == "full":
        free = SimpleNamespace(free=3_000_000)
        monkeypatch.setattr(ray_folder, "can_write", lambda _: True)
        monkeypatch.setattr(
            shutil, "disk_usage", lambda place, real=shutil.disk_usage: free if str(place) == "/var" else real(place)
        )
    with ray_folder.ray_folder(told.append) as folder:
        assert folder is not None
    why = {
        "rights": "Ray's folder /proc/1 (RAY_TMPDIR) is not writable",
        "full": "the disk of Ray's folder /var (RAY_TMPDIR) is full (3 MB free)",
    }
    assert told == [f"Note: {why[fault]}; Ray's files are in {folder}."]


def test_where_no_short_one_can_be_made_ray_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, long: str) -> None:
    monkeypatch.setattr(ray_folder, "_SHORT", ("/proc/none", "/none"))
    with ray_folder.ray_folder(pytest.fail) as folder:
        assert folder is None


def test_a_private_ray_gets_it(monkeypatch: pytest.MonkeyPatch, long: str) -> None:
    begun: list[dict[str, Any]] = []
    monkeypatch.setattr(cluster, "start", lambda options, tell: begun.append(options))
    monkeypatch.setattr(cluster, "private_ray", lambda: str)
    with cluster.cluster(None, lambda _: None):
        assert Path(begun[0]["_temp_dir"]).is_dir()
    assert not Path(begun[0]["_temp_dir"]).exists()

"""Ray's sockets lie where their paths fit."""

from __future__ import annotations

import socket
from pathlib import Path
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
    assert note.endswith(f" bytes); they lie in {folder}.")


def test_the_longest_that_fits_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    most = ray_folder.MOST_BYTES - len(ray_folder._BELOW) - len("/ray")
    for length, is_kept in ((most, True), (most + 1, False)):
        monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (length - 1))
        with ray_folder.ray_folder(lambda _: None) as folder:
            assert (folder is None) is is_kept


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

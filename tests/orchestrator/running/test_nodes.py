"""What a Ray that is up has room for, without a Ray."""

from __future__ import annotations

import pytest
import ray

from orchestrator.running import nodes


def test_room_follows_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    there: dict[str, float] = {"CPU": 2.0}
    monkeypatch.setattr(ray, "cluster_resources", lambda: there)
    room = nodes.Room()
    assert (room.devices(), room.trials(0.0)) == (2, 2)
    there["CPU"] = 3.0
    assert room.devices() == 2  # looked at a moment ago
    monkeypatch.setattr(nodes.Room, "LOOK_EVERY_S", 0.0)
    assert (room.devices(), room.trials(0.0)) == (3, 3)
    there["GPU"] = 2.0
    assert (room.devices(), room.trials(0.25)) == (2, 8)

"""Starting or joining Ray, with a Ray in its place that fails as the real one does."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import cluster as clusters
from orchestrator.cluster import STARTS, cluster
from orchestrator.store.errors import InputError, OrchError
from trainables import allocation


class FakeRay:
    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.begun: list[dict[str, Any]] = []
        self.ended = 0

    def init(self, **options: Any) -> None:
        self.begun.append(options)
        if len(self.begun) <= self.failures:
            raise RuntimeError("The current node timed out during startup.")

    def shutdown(self) -> None:
        self.ended += 1


@pytest.fixture
def fake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = FakeRay(request.param)
    monkeypatch.setattr(clusters, "ray", ray)
    for name in clusters._ENVIRONMENT:
        monkeypatch.setenv(name, "1")
    return ray


@pytest.mark.parametrize("fake", [0, STARTS - 1], indirect=True)
def test_a_private_ray_is_begun_again_on_a_busy_machine(fake: FakeRay) -> None:
    with cluster(None):
        assert len(fake.begun) == fake.failures + 1
        assert fake.ended == fake.failures
    assert fake.ended == fake.failures + 1


@pytest.mark.parametrize("fake", [STARTS], indirect=True)
def test_one_that_never_starts_is_no_wrong_input(fake: FakeRay) -> None:
    with (
        pytest.raises(OrchError, match="could not be started, 3 times: The current node timed out") as caught,
        cluster(None),
    ):
        pass
    assert caught.value.exit_status == 1, "what runs it again and again must not take this for wrong usage"


@pytest.mark.parametrize("fake", [1], indirect=True)
def test_a_cluster_that_cannot_be_joined_is_wrong_input(fake: FakeRay) -> None:
    with pytest.raises(InputError, match="could not join"), cluster("10.0.0.1:6379"):
        pass
    assert len(fake.begun) == 1


@pytest.mark.parametrize("fake", [0], indirect=True)
def test_ray_gets_what_the_allocation_has(fake: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocation, "cpus", lambda: 3)
    monkeypatch.setattr(allocation, "memory_bytes", lambda: 2_000_000_000)
    with cluster(None):
        pass
    assert fake.begun[0]["num_cpus"] == 3
    assert fake.begun[0]["object_store_memory"] == 200_000_000

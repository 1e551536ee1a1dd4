"""What a trial tells Tune and keeps in the study; Ray itself is replaced."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orchestrator.store.leases import Driver, Lease, current_lease
from orchestrator.store.segments import Segment
from tests.support.tiny_study import KEEPS, TinyStudy, make_tiny_study
from trainables import trial
from trainables.bundles import attempts
from trainables.bundles.failures import failures_of
from trainables.bundles.states import stored_states
from trainables.bundles.work import all_parts, owed_lanes
from trainables.learning.learner import Learner
from trainables.trial import Assignment, SegmentTrial

RATES = iter(0.1 + 0.001 * number for number in range(1000))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("trial"))


@pytest.fixture(autouse=True)
def stopping(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Without Ray; what is put in the list raises the flag."""
    raised = list[bool]()
    here = SimpleNamespace(get_node_id=lambda: "the node")
    ray = SimpleNamespace(get=lambda _: bool(raised), get_gpu_ids=list, get_runtime_context=lambda: here)
    monkeypatch.setattr(trial, "ray", ray)
    bench = study.bench()
    monkeypatch.setattr(trial, "workbench", lambda *_: bench)
    return raised


def stack(study: TinyStudy, epochs: int = 2) -> Segment:
    """Of a configuration that no other test has."""
    return Segment(study.partition, (study.configuration(lr=next(RATES)).id,), (0, 1), 0, epochs)


def begun(study: TinyStudy, *segments: Segment, over: tuple[int, ...] | None = None, **told: Any) -> SegmentTrial:
    one = SegmentTrial.__new__(SegmentTrial)
    leases = [current_lease(study.storage, segment.folder) for segment in segments]
    seen = tuple(lease.number if lease else 0 for lease in leases) if over is None else over
    flag = SimpleNamespace(is_raised=SimpleNamespace(remote=lambda: None))
    one._begin({"assignment": Assignment(str(study.folder), study.places, segments, seen, **told), "flag": flag})
    return one


def run(study: TinyStudy, *segments: Segment, over: tuple[int, ...] | None = None, **told: Any) -> dict[str, Any]:
    """The last report of a trial of these segments."""
    one = begun(study, *segments, over=over, **told)
    while not (report := one.step())["done"]:
        pass
    return report


def told(report: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(report[name] for name in ("outcome", "failure", "epochs_total", "at"))


def is_free(study: TinyStudy, segment: Segment) -> bool:
    lease = current_lease(study.storage, segment.folder)
    return lease is not None and lease.is_released


def test_a_stack_is_trained(study: TinyStudy) -> None:
    segment = stack(study)
    report = run(study, segment, keeps=KEEPS)
    assert report["segment"] == segment.id
    assert told(report) == ("finished", "", 4, 0)
    assert owed_lanes(study.storage, segment) == []
    assert len(stored_states(study.storage, segment)) == 1
    assert told(run(study, segment)) == ("finished", "", 0, 0)


def test_lanes_are_trained_in_turn_by_one_trial(study: TinyStudy) -> None:
    lanes = stack(study).in_turn()
    assert told(run(study, *lanes)) == ("finished", "", 4, 1)
    for lane in lanes:
        assert owed_lanes(study.storage, lane) == []
        assert stored_states(study.storage, lane) == [], "nobody said that it is to be kept"
        assert is_free(study, lane)


def test_a_lease_says_for_whom_and_where_it_was_taken(study: TinyStudy) -> None:
    segment, driver = stack(study), Driver.here()
    run(study, segment, driver=driver)
    lease = current_lease(study.storage, segment.folder)
    assert lease is not None
    assert lease.is_through(driver)
    assert not lease.is_through(Driver.here())
    assert lease.node == "the node"


def test_what_others_hold_is_left_out(study: TinyStudy) -> None:
    lanes = stack(study).in_turn()
    assert Lease.take(study.storage, lanes[0].folder, 0) is not None
    assert told(run(study, *lanes, over=(0, 0))) == ("finished", "", 2, 1)
    assert owed_lanes(study.storage, lanes[0]) == list(lanes[0].lanes)
    assert told(run(study, *lanes, over=(0, 0))) == ("busy", "", 0, 1), "what is owed is all held by others"


def test_an_end_state_is_restored(study: TinyStudy) -> None:
    segment = stack(study)
    run(study, segment)
    assert stored_states(study.storage, segment) == []
    assert told(run(study, segment, restores=True)) == ("finished", "", 4, 0)
    assert len(stored_states(study.storage, segment)) == 1
    assert told(run(study, segment, restores=True)) == ("finished", "", 0, 0), "it is there"


def test_a_stop_ends_the_segment_under_way(
    study: TinyStudy, stopping: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "REPORT_EVERY_S", 0.0)
    lanes = stack(study, epochs=50).in_turn()
    one = begun(study, *lanes)
    for _ in range(9):
        assert not one.step()["done"]
    stopping.append(True)
    report = one.step()
    assert (report["outcome"], report["at"]) == ("stopped", 0)
    assert len(attempts.checkpoints(study.storage, lanes[0])) == 1
    assert is_free(study, lanes[0])
    assert current_lease(study.storage, lanes[1].folder) is None
    one.cleanup()
    assert one.outcome == "stopped"


def test_what_does_not_fit_goes_on_in_parts(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = stack(study)
    real = Learner.train

    def train(self: Learner, rows: torch.Tensor, *rest: int) -> None:
        if len(rows) > 1:
            raise torch.OutOfMemoryError("too much")
        real(self, rows, *rest)

    monkeypatch.setattr(Learner, "train", train)
    assert told(run(study, segment)) == ("superseded", "", 0, 0)
    parts = all_parts(study.storage, [segment])
    assert parts == list(segment.in_turn())
    assert told(run(study, segment)) == ("superseded", "", 0, 0)
    assert is_free(study, segment)
    assert told(run(study, *parts)) == ("finished", "", 4, 1)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("no"), "exception"), (torch.OutOfMemoryError("too much"), "memory")],
    ids=["exception", "memory"],
)
@pytest.mark.parametrize("where", ["train", "material"])
def test_a_failure_is_told_and_kept_with_its_kind(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: str, where: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    first, second, third = (stack(study).in_turn()[0] for _ in range(3))
    run(study, first)
    if where == "train":
        monkeypatch.setattr(Learner, "train", fails)
    else:
        monkeypatch.setattr("trainables.bundles.workbench.Workbench.material", fails)
    assert told(run(study, first, second, third)) == ("failed", kind, 0, 1)
    (failure,) = failures_of(study.storage, second)
    assert (failure.kind, failure.lease) == (kind, 1)
    assert (failure.partition, failure.configurations, failure.repeats) == (
        second.partition,
        second.configurations,
        second.repeats,
    )
    assert is_free(study, second)
    assert failures_of(study.storage, third) == []

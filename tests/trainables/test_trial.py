"""What a trial tells Tune and keeps in the study; Ray itself is replaced."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orchestrator.store.leases import current_lease
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables import trial
from trainables.bundles.failures import failures_of
from trainables.bundles.work import Work, owed_repeats
from trainables.learning.learner import Learner
from trainables.trial import Assignment, BundleTrial


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("trial"))


@pytest.fixture(autouse=True)
def no_ray(study: TinyStudy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flag = SimpleNamespace(get=lambda _: False, get_gpu_ids=list)
    monkeypatch.setattr(trial, "ray", flag)
    bench = study.bench()
    monkeypatch.setattr(trial, "workbench", lambda *_: bench)


def run(study: TinyStudy, *works: Work) -> dict[str, Any]:
    """The last report of a trial of these bundles."""
    one = BundleTrial.__new__(BundleTrial)
    leases = [current_lease(study.storage, work.key) for work in works]
    over = tuple(lease.number if lease else 0 for lease in leases)
    flag = SimpleNamespace(is_raised=SimpleNamespace(remote=lambda: None))
    one._begin({"assignment": Assignment(str(study.folder), study.places, works, over), "flag": flag})
    while not (report := one.step())["done"]:
        pass
    return report


def test_a_bundle_is_trained(study: TinyStudy) -> None:
    work = Work(study.key(study.configuration(lr=0.1)), (0, 1), 2)
    report = run(study, work)
    assert (report["outcome"], report["failure"], report["epochs_total"]) == ("finished", "", 4)
    assert owed_repeats(study.storage, work) == []
    assert run(study, work)["outcome"] == "finished"


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

    if where == "train":
        monkeypatch.setattr(Learner, "train", fails)
    else:
        monkeypatch.setattr("trainables.bundles.workbench.Workbench.material", fails)
    lr = 0.2 + 0.01 * len(kind) + 0.001 * len(where)
    work = Work(study.key(study.configuration(lr=lr)), (0, 1), 2)
    report = run(study, work)
    assert (report["outcome"], report["failure"]) == ("failed", kind)
    last = failures_of(study.storage, work.key)[-1]
    assert (last.kind, last.lease) == (kind, 1)
    lease = current_lease(study.storage, work.key)
    assert lease is not None
    assert lease.is_released

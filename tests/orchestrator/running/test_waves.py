"""A wave of trials serves one memory class: a large trial does not set the share of small ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from orchestrator.running.interruption import Interruption
from orchestrator.running.tally import Tally
from orchestrator.running.tune_search import OwedWork
from orchestrator.running.work_queue import WorkQueue
from orchestrator.store.layout import ConfigurationKey
from tests.support.tiny_study import make_tiny_study
from trainables.bundles.stacks import Stack
from trainables.bundles.work import Work

LARGE, SMALL = 1.0, 0.25


class Ready:
    def error(self, of: ConfigurationKey) -> None: ...

    def is_ready(self, of: ConfigurationKey) -> bool:
        return True


def test_stacks_of_one_share_go_out_together(tmp_path: Path) -> None:
    study = make_tiny_study(tmp_path)
    works = [Work(study.key(study.configuration(lr=0.1, unfrozen=u)), (0,), 1) for u in (0, 1, 0, 1)]
    works += [Work(study.key(study.configuration(lr=0.2 + i)), (0,), 1) for i in range(3)]
    works = list(dict.fromkeys(works))
    large = {work for work in works if study.bench().configuration(work.key.configuration).adaptation.unfrozen}

    def share_of(stack: Stack) -> float:
        return LARGE if stack[0] in large else SMALL

    queue = WorkQueue(study.storage, works, lambda owed: [(work,) for work in owed], Ready(), Tally(len(works)))
    asked: list[float] = []

    def workers(share: float) -> int:
        asked.append(share)
        return int(2 / share)

    searcher = OwedWork(queue, Interruption(), workers, lambda: None, lambda taken: {"stack": taken.stack}, share_of)
    waves: list[tuple[float, int]] = []
    while not searcher.is_done:
        assert searcher.has_work()
        with searcher.wave() as share:
            given: list[Any] = []
            while isinstance(one := searcher.suggest(f"{len(waves)}-{len(given)}"), dict):
                given.append(one["stack"])
            assert one is None, "some are under way, and nothing else is of this share"
            assert {share_of(stack) for stack in given} == {share}
            for number, stack in enumerate(given):
                study.train(study.bench().configuration(stack[0].key.configuration), (0,), 1)
                searcher.on_trial_complete(f"{len(waves)}-{number}", {"outcome": "finished"})
            assert searcher.suggest("none") == Searcher.FINISHED, "Tune ends, and the next wave begins"
            waves.append((share, len(given)))
    assert sorted(waves) == [(SMALL, 4), (LARGE, 1)]
    assert set(asked) == {SMALL, LARGE}

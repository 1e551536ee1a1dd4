"""Ray Tune runs the owed bundles: the queue hands stacks out, actors are reused, the study is the truth.

Tune's own files lie in a temporary folder and are dropped.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, RunConfig, TuneConfig, Tuner
from ray.tune.error import TuneError

from orchestrator.running.cluster import HOW_TO_GO_ON
from orchestrator.running.interruption import Interruption
from orchestrator.running.nodes import Room
from orchestrator.running.stages import FeatureStage, feature_options
from orchestrator.running.stop_flag import stop_flag
from orchestrator.running.tally import Tally
from orchestrator.running.tune_search import OwedWork, Watcher
from orchestrator.running.work_queue import Taken, WorkQueue
from orchestrator.store.errors import OrchError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place
from trainables.bundles.memory import share_for
from trainables.bundles.stacks import Stack, form_stacks
from trainables.bundles.work import Work
from trainables.bundles.workbench import Workbench
from trainables.features.cache_use import CacheUse
from trainables.trial import Assignment, BundleTrial

MOST_TRIALS = 10_000
"""What Tune is told; how many there are follows from the cluster."""


@dataclass(frozen=True)
class Job:
    """What is run. owed: a part of all that was asked for; bench: of the driver, which decides and does not train."""

    study: Place
    bench: Workbench
    asked: Sequence[Work]
    owed: Sequence[Work]


@dataclass(frozen=True)
class Outcome:
    failed: int
    interrupted: bool
    errors: tuple[Exception, ...] = ()
    """What kept features from being computed, each once."""


def launch(
    job: Job, use: CacheUse, tally: Tally, interruption: Interruption, on_beat: Callable[[FeatureStage], None]
) -> Outcome:
    """Run all that is owed on the Ray that is up; returns when nothing is left, or after a signal.

    Features that cannot be computed (a changed image, a full disk) cost their own bundles only; where nothing at all
    could be trained for that reason, the OrchError is raised.
    """
    bench, room, flag = job.bench, Room(), stop_flag()
    stage = FeatureStage(job.study, bench, room.devices, feature_options(room.gpus), use)
    stage.add(ConfigurationKey(work.key.partition, work.key.configuration) for work in job.owed)
    stage.reserve()
    largest = share_for(bench, job.owed) if room.gpus else 0.0
    _keep_facts(job)

    @cache
    def share_of(stack: Stack) -> float:
        return share_for(bench, stack) if room.gpus else 0.0

    def assign(taken: Taken) -> dict[str, Any]:
        told = Assignment(str(job.study), bench.places, taken.stack, taken.over, stage.layer(taken.key))
        return {"assignment": told, "flag": flag}

    queue = WorkQueue(
        bench.storage, job.owed, partial(form_stacks, bench, job.asked, workers=room.trials(largest)), stage, tally
    )
    searcher = OwedWork(queue, interruption, room.trials, stage.poll, assign, share_of)
    watcher = Watcher(tally, interruption, flag, lambda: on_beat(stage))
    scratch = Path(tempfile.mkdtemp(prefix="orch-tune-"))
    try:
        for wave in itertools.count():
            if not _wait_for_work(stage, searcher, watcher, interruption):
                break
            with searcher.wave() as share:
                per_trial = {"cpu": 1.0, "gpu": share} if room.gpus else {"cpu": 1.0}
                _tuner(per_trial, searcher, watcher, scratch, wave).fit()
    except (ray.exceptions.RayError, TuneError) as error:
        raise OrchError(f"Ray failed while it ran the search: {error}", HOW_TO_GO_ON) from error
    finally:
        with contextlib.suppress(ray.exceptions.RayError):
            stage.cancel()
        shutil.rmtree(scratch, ignore_errors=True)
    if queue.errors and not tally.finished and isinstance(queue.errors[0], OrchError):
        raise queue.errors[0]
    return Outcome(tally.failed, interruption.is_raised, tuple(queue.errors))


def _keep_facts(job: Job) -> None:
    """What the libraries say of the backbones is in the cache before workers ask for it, and what the shares followed
    from for the next search."""
    configurations = [job.bench.configuration(work.key.configuration) for work in job.owed]
    for configuration in {c.network.backbone: c for c in configurations}.values():
        job.bench.facts(configuration)
    job.bench.keep_facts()


def _tuner(per_trial: dict[str, float], searcher: OwedWork, watcher: Watcher, scratch: Path, wave: int) -> Tuner:
    return Tuner(
        tune.with_resources(BundleTrial, per_trial),
        tune_config=TuneConfig(
            search_alg=searcher,
            num_samples=-1,
            max_concurrent_trials=MOST_TRIALS,
            reuse_actors=True,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=RunConfig(
            name=f"wave-{wave}",
            storage_path=str(scratch),
            verbose=0,
            callbacks=[watcher],
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    )


def _wait_for_work(stage: FeatureStage, searcher: OwedWork, watcher: Watcher, interruption: Interruption) -> bool:
    """Wait until Tune has something to start; False when nothing is left, or after a signal.

    Bundles wait for their features, or for the lease of another driver to end.
    """
    while not searcher.is_done and not interruption.is_raised:
        stage.poll()
        watcher.on_beat()
        if searcher.has_work():
            return True
        time.sleep(0.1)
    return False


def _trial_name(trial: Any) -> str:
    return f"bundle_{trial.trial_id}"

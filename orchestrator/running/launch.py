"""Ray Tune runs what is decided: the queue hands segments out, actors are reused, the study is the truth.

Tune's own files lie in a temporary folder and are dropped.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, RunConfig, TuneConfig, Tuner
from ray.tune.error import TuneError

from orchestrator.proposing.deciding import Machine
from orchestrator.results.decided import Decided
from orchestrator.running.decider import Decider
from orchestrator.running.interruption import Interruption
from orchestrator.running.lifeline import HOW_TO_GO_ON
from orchestrator.running.losses import Losses
from orchestrator.running.nodes import Room
from orchestrator.running.stages import FeatureStage, feature_options
from orchestrator.running.stop_flag import stop_flag
from orchestrator.running.tally import Tally
from orchestrator.running.tune_search import OwedWork, Watcher
from orchestrator.running.work_queue import Taken, WorkQueue
from orchestrator.store.errors import OrchError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.study.owed import alone
from trainables.bundles.memory import share_for
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.workbench import Workbench
from trainables.features.cache_use import CacheUse
from trainables.trial import Assignment, SegmentTrial

MOST_TRIALS = 10_000
"""What Tune is told; how many there are follows from the cluster."""


@dataclass(frozen=True)
class Job:
    """What is run: all that `searches` ask for, now and later, of `configurations` and what samplers make from these.
    decided: so far.

    benches: two of the driver, which decides and does not train; the second is for the thread that divides work.
    only: what alone is trained, whatever else is owed; None: all. kept_bytes: what end states may take in the study.
    """

    study: Place
    bench: Workbench
    dividing_bench: Workbench
    decided: Decided
    searches: tuple[str, ...]
    configurations: Collection[ConfigurationKey]
    kept_bytes: float
    only: Collection[Segment] | None = None


@dataclass(frozen=True)
class Outcome:
    failed: int
    """Repeats."""
    interrupted: bool
    errors: tuple[Exception, ...] = ()
    """What kept features from being computed, each once."""


def launch(
    job: Job,
    use: CacheUse,
    tally: Tally,
    interruption: Interruption,
    on_beat: Callable[[FeatureStage], None],
    tell: Callable[[str], None],
) -> Outcome:
    """Run all that is owed, and what is decided meanwhile, on the Ray that is up; returns when nothing is left, or
    after a signal. tell: called with a message for the user when a node is lost.

    Features that cannot be computed (a changed image, a full disk) cost their own segments only; where nothing at all
    could be trained for that reason, the OrchError is raised.
    """
    bench, room, flag = job.bench, Room(), stop_flag()
    stage = FeatureStage(job.study, bench, room.devices, feature_options(room.gpus), use)
    largest = share_for(bench, [alone(LaneKey(*key, 0), 0) for key in job.configurations]) if room.gpus else 0.0
    _keep_facts(job)

    @cache
    def share_of(segment: Segment) -> float:
        return share_for(bench, [segment]) if room.gpus else 0.0

    workers = room.trials(largest)
    dividing = job.dividing_bench
    divide = partial(divide_into_stacks, dividing, workers=workers)
    machine = Machine(workers, bench.device.type, divide, dividing.remember)
    why_lost = Losses(tell).why
    queue = WorkQueue(bench.storage, stage, tally, lambda: room.trials(largest), why_lost, bench.configuration)
    scratch = Path(tempfile.mkdtemp(prefix="orch-tune-"))
    with Decider(job.decided, job.searches, job.configurations, machine) as decider:
        work = _Work(job, queue, stage, decider)

        def assign(taken: Taken) -> dict[str, Any]:
            keeps = int(job.kept_bytes // max(1, decider.said.repeats))
            told = (bench.places, taken.segments, taken.over, stage.layer(taken.key), keeps, taken.restores)
            return {"assignment": Assignment(str(job.study), *told, queue.driver), "flag": flag}

        searcher = OwedWork(queue, interruption, room.trials, work.poll, assign, share_of)
        watcher = Watcher(tally, interruption, flag, lambda: on_beat(stage))
        try:
            while not work.has_begun and not interruption.is_raised:
                work.poll(0.1)
                watcher.on_beat()
            stage.reserve()
            for wave in itertools.count():
                if not _wait_for_work(work, searcher, watcher, interruption):
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


class _Work:
    """Brings what is decided to the queue, and what has finished to whoever decides."""

    def __init__(self, job: Job, queue: WorkQueue, stage: FeatureStage, decider: Decider) -> None:
        self.job = job
        self.queue = queue
        self.stage = stage
        self.decider = decider
        self.has_begun = False
        """Whether what was decided before, or at once, is in the queue."""
        self._finished = 0

    def poll(self, wait_s: float = 0.0) -> bool:
        """Whether there is more in the queue than before, or may soon be; waits so long for a decision being made."""
        self.stage.poll()
        self.queue.watch()
        if self.queue.tally.finished != self._finished:
            self._finished = self.queue.tally.finished
            self.decider.notice()
        if not self.decider.poll(wait_s):
            return False
        self.has_begun = True
        said = self.decider.said
        self.queue.know(said.every)
        if said.is_spent:
            self.queue.keep(said.segments)
        wanted = said.segments if self.job.only is None else self.job.only
        return bool(self.queue.add(wanted))

    @property
    def is_open(self) -> bool:
        """Whether more may be decided, which is not known before what has finished, here or elsewhere, was told."""
        return self.decider.is_open or self.queue.tally.finished != self._finished


def _keep_facts(job: Job) -> None:
    """What the libraries say of the backbones is in the cache before workers ask for it, and what the shares followed
    from for the next search."""
    configurations = [job.bench.configuration(key.configuration) for key in job.configurations]
    for configuration in {c.form: c for c in configurations}.values():
        job.bench.facts(configuration)
    job.bench.keep_facts()


def _tuner(per_trial: dict[str, float], searcher: OwedWork, watcher: Watcher, scratch: Path, wave: int) -> Tuner:
    return Tuner(
        tune.with_resources(SegmentTrial, per_trial),
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


def _wait_for_work(work: _Work, searcher: OwedWork, watcher: Watcher, interruption: Interruption) -> bool:
    """Wait until Tune has something to start; False when nothing is left and nothing more is decided, or after a
    signal.

    Segments wait for their features, for what they go on from, or for the lease of another driver to end.
    """
    while not interruption.is_raised:
        work.poll()
        watcher.on_beat()
        if searcher.take_next():
            return True
        if searcher.is_done and not work.is_open:
            return False
        time.sleep(0.1)
    return False


def _trial_name(trial: Any) -> str:
    return f"segments_{trial.trial_id}"

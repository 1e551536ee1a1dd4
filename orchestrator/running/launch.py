"""Ray Tune runs the owed bundles: a searcher hands stacks out on demand, actors are reused, the study is the truth.

Nothing of Tune's own experiment state is used: it lies in a temporary folder and is dropped.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, RunConfig, TuneConfig, Tuner
from ray.tune.error import TuneError
from ray.tune.search import Searcher

from orchestrator.running.cluster import HOW_TO_GO_ON
from orchestrator.running.interruption import Interruption
from orchestrator.running.nodes import Room
from orchestrator.running.pace import Pace
from orchestrator.running.stages import FeatureStage, feature_options
from orchestrator.running.stop_flag import stop_flag
from orchestrator.store.errors import DamagedRecordError, OrchError, StorageError
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import StaleWatch, current_lease
from orchestrator.store.place import Place
from orchestrator.store.storage import Storage
from trainables.bundles.failures import RULES, Kind, failures_of, note_failure
from trainables.bundles.memory import share_for
from trainables.bundles.stacks import Stack, divide
from trainables.bundles.stored_recipes import go_alone, stacked_with
from trainables.bundles.work import Work, owed_repeats
from trainables.bundles.workbench import Workbench
from trainables.features.cache_use import CacheUse
from trainables.machine.places import Places
from trainables.trial import Assignment, BundleTrial

BUSY_RETRY_S = 2.0
MOST_TRIALS = 10_000
"""What Tune is told; how many there are follows from the cluster."""


@dataclass
class Tally:
    """What the driver saw so far; the study's files are the truth, this is for the display."""

    bundles: int
    finished: int = 0
    failed: int = 0
    running: dict[str, int] = field(default_factory=dict)
    """Epochs of all repeats trained so far by each trial, by its first bundle."""
    epochs: int = 0
    """Epochs of all repeats trained by trials that ended."""
    pace: Pace = field(default_factory=Pace)

    def epochs_per_second(self) -> float:
        """Of about the last minute; NaN before anything was trained."""
        return self.pace.per_second(self.epochs + sum(self.running.values()))


@dataclass(frozen=True)
class Outcome:
    failed: int
    interrupted: bool
    errors: tuple[Exception, ...] = ()
    """What kept features from being computed, each once."""


class OwedWork(Searcher):
    """Gives each free worker the next stack that is owed, ready and not leased by somebody else."""

    def __init__(
        self,
        storage: Storage,
        asked: Sequence[Work],
        owed: Sequence[Work],
        stage: FeatureStage,
        interruption: Interruption,
        tally: Tally,
        workers: Callable[[], int],
        make: Callable[[Stack, tuple[int, ...], str], dict[str, Any]],
    ) -> None:
        """workers: how many trials there is room for; nodes of a cluster come and go while it runs."""
        super().__init__()
        self.storage = storage
        self.stage = stage
        self.interruption = interruption
        self.tally = tally
        self.errors: list[Exception] = []
        self._make = make
        self._workers = workers
        self._divide_all = partial(divide, stage.bench, asked, workers=workers())
        self._settings = stage.bench.configuration
        self._watch = StaleWatch()
        self._in_hand: dict[str, tuple[Stack, tuple[int, ...]]] = {}
        self._failed: Counter[tuple[Work, Kind]] = Counter()
        self._alone: set[Work] = set()
        self._not_before: dict[Work, float] = {}
        self.waiting = self._divide(owed)

    def suggest(self, trial_id: str) -> Any:
        if self.interruption.is_raised:
            return Searcher.FINISHED
        self.stage.poll()
        if len(self._in_hand) >= self._workers():
            return None
        return self._next(trial_id)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """True: the limit is the searcher's own, what Tune is told only bounds it."""
        return True

    def has_work(self) -> bool:
        """Whether a stack could be handed out now; finished bundles are dropped on the way."""
        return self._pick(take=False) is not None

    def _next(self, trial_id: str) -> dict[str, Any] | str | None:
        found = self._pick()
        if found is not None:
            stack, over = found
            self._in_hand[trial_id] = found
            layer = self.stage.layer(stack[0].key.partition, self._settings(stack[0].key.configuration))
            return self._make(stack, over, layer)
        # With nothing in hand Tune would block, its idle actors keeping the cores that features need: end the wave
        return None if self._in_hand else Searcher.FINISHED

    def _pick(self, *, take: bool = True) -> tuple[Stack, tuple[int, ...]] | None:
        """The next stack that is owed, ready and free, with the numbers of its last leases.

        Of a stack that others hold in part the rest is handed out; what they hold waits by itself.
        """
        now = time.monotonic()
        for stack in list(self.waiting):
            if any(self._not_before.get(work, 0.0) > now for work in stack):
                continue
            partition, settings = stack[0].key.partition, self._settings(stack[0].key.configuration)
            error = self.stage.error(partition, settings)
            if error is not None:
                self._give_up(stack, error)
                continue
            if not self.stage.is_ready(partition, settings):
                continue
            owed = tuple(work for work in stack if owed_repeats(self.storage, work))
            self.tally.finished += len(stack) - len(owed)
            leases = {work: current_lease(self.storage, work.key) for work in owed}
            free = tuple(work for work in owed if self._watch.is_free(work.key, leases[work]))
            held = tuple(work for work in owed if work not in free)
            self._not_before |= dict.fromkeys(held, now + BUSY_RETRY_S)
            place = self.waiting.index(stack)
            keep = () if take else free
            self.waiting[place : place + 1] = [part for part in (keep, held) if part]
            if free:
                return free, tuple(lease.number if (lease := leases[work]) else 0 for work in free)
        return None

    def _give_up(self, stack: Stack, error: Exception) -> None:
        """Its features cannot be had: keep the cause in the study, go on with the others."""
        self.waiting.remove(stack)
        self.tally.failed += len(stack)
        if error not in self.errors:
            self.errors.append(error)
        for work in stack:
            with contextlib.suppress(StorageError):
                note_failure(self.storage, work.key, error, Kind.FEATURES, work.repeats)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if trial_id not in self._in_hand:
            return
        stack, over = self._in_hand.pop(trial_id)
        died = error or result is None
        told = result or {}
        outcome = "failed" if died else str(told.get("outcome") or "stopped")
        self.tally.epochs += self.tally.running.pop(str(stack[0].key), 0)
        if outcome == "stopped" and self.interruption.is_raised:
            return
        left = [work for work in stack if owed_repeats(self.storage, work)]
        self.tally.finished += len(stack) - len(left)
        if outcome == "failed":
            kind = self._why_died(dict(zip(stack, over, strict=True))) if died else Kind(told["failure"])
            left = self._again(left, kind)
        else:  # the rest of it is held by others, or goes on in smaller stacks
            self._not_before |= dict.fromkeys(left, time.monotonic() + (BUSY_RETRY_S if outcome != "superseded" else 0))
        self.waiting += self._divide(left)

    def _why_died(self, over: Mapping[Work, int]) -> Kind:
        """Why a worker process is gone: it hung, which it noted under its lease before it ended; else nobody knows."""
        with contextlib.suppress(StorageError, DamagedRecordError, AttributeError, TypeError, ValueError):
            for work, number in over.items():
                for failure in failures_of(self.storage, work.key):
                    if failure.kind == Kind.HANG and failure.lease == number + 1:
                        return Kind.HANG
        cause = RuntimeError("the worker process died; it was killed or ran out of memory")
        for work, number in over.items():
            if owed_repeats(self.storage, work):
                with contextlib.suppress(StorageError):
                    note_failure(self.storage, work.key, cause, Kind.WORKER, work.repeats, lease=number + 1)
        return Kind.WORKER

    def _again(self, failed: list[Work], kind: Kind) -> list[Work]:
        """Those of them that are tried again, by the rule for what happened."""
        rule = RULES[kind]
        self._failed.update((work, kind) for work in failed)
        together = stacked_with(self.storage, failed)
        if len(together) > 1 and not self._alone.issuperset(failed):
            if max(self._failed[work, kind] for work in failed) >= rule.stack_tries:
                self._take_apart(failed, together)
            return failed
        again = [work for work in failed if self._failed[work, kind] <= rule.retries]
        self.tally.failed += len(failed) - len(again)
        return again

    def _take_apart(self, failed: Sequence[Work], together: Sequence[BundleKey]) -> None:
        """Whichever bundle of the stack is at fault, the others are not to fail with it."""
        with contextlib.suppress(StorageError):
            go_alone(self.storage, together)
        self._alone.update(failed)
        for work, kind in itertools.product(failed, Kind):
            del self._failed[work, kind]

    def _divide(self, owed: Sequence[Work]) -> list[Stack]:
        """As trials; what failed in a stack goes by itself."""
        alone: list[Stack] = [(work,) for work in owed if work in self._alone]
        return self._divide_all([work for work in owed if work not in self._alone]) + alone

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its parts for a restore that is never used here."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the study is the state."""


class _Watcher(Callback):
    """Feeds the tally and the display, and raises the trials' flag when a signal came."""

    def __init__(self, tally: Tally, interruption: Interruption, flag: Any, on_beat: Callable[[], None]) -> None:
        self.tally = tally
        self.interruption = interruption
        self.flag = flag
        self.on_beat = on_beat
        self.told = False

    def __getstate__(self) -> dict[str, Any]:
        """As above."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self.interruption.is_raised and not self.told:
            self.told = True
            self.flag.raise_it.remote()
        self.on_beat()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.tally.running[result["bundle"]] = int(result["epochs_total"])


def launch(
    study: Place,
    storage: Storage,
    places: Places,
    asked: Sequence[Work],
    work: Sequence[Work],
    bench: Workbench,
    tally: Tally,
    interruption: Interruption,
    on_beat: Callable[[FeatureStage], None],
    use: CacheUse,
) -> Outcome:
    """Run all of `work`, a part of `asked`, on the Ray that is up; returns when nothing is left, or after a signal.

    Features that cannot be computed (a changed image, a full disk) cost their own bundles only; where nothing at all
    could be trained for that reason, the OrchError is raised.
    """
    room = Room()
    stage = FeatureStage(str(study), places, bench, room.devices, feature_options(gpus := room.gpus), use)
    stage.add((w.key.partition, bench.configuration(w.key.configuration)) for w in work)
    stage.reserve()
    for configuration in {(c := bench.configuration(w.key.configuration)).backbone: c for w in work}.values():
        bench.facts(configuration)
    bench.keep_facts()
    flag = stop_flag()

    def make(stack: Stack, over: tuple[int, ...], layer: str) -> dict[str, Any]:
        return {"assignment": Assignment(str(study), places, stack, over, layer), "flag": flag}

    share = share_for(bench, work) if gpus else 0.0
    per_trial = {"cpu": 1.0, "gpu": share} if gpus else {"cpu": 1.0}
    searcher = OwedWork(storage, asked, work, stage, interruption, tally, partial(room.trials, share), make)
    watcher = _Watcher(tally, interruption, flag, lambda: on_beat(stage))
    scratch = Path(tempfile.mkdtemp(prefix="orch-tune-"))
    try:
        for wave in itertools.count():
            if not _wait_for_work(stage, searcher, watcher, interruption):
                break
            Tuner(
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
            ).fit()
    except (ray.exceptions.RayError, TuneError) as error:
        raise OrchError(f"Ray failed while it ran the search: {error}", HOW_TO_GO_ON) from error
    finally:
        with contextlib.suppress(ray.exceptions.RayError):
            stage.cancel()
        shutil.rmtree(scratch, ignore_errors=True)
    if searcher.errors and not tally.finished and isinstance(searcher.errors[0], OrchError):
        raise searcher.errors[0]
    return Outcome(tally.failed, interruption.is_raised, tuple(searcher.errors))


def _wait_for_work(stage: FeatureStage, searcher: OwedWork, watcher: _Watcher, interruption: Interruption) -> bool:
    """Wait until Tune has something to start; False when nothing is left, or after a signal.

    Bundles wait for their features, or for the lease of another driver to end.
    """
    while searcher.waiting and not interruption.is_raised:
        stage.poll()
        watcher.on_beat()
        if searcher.has_work():
            return True
        time.sleep(0.1)
    return False


def _trial_name(trial: Any) -> str:
    return f"bundle_{trial.trial_id}"

"""Trains what a search owes, on a Ray of its own or one that is up: features, then segments, and what is decided on the
way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.resolved import KEPT_BYTES, Search
from orchestrator.results.names import counted
from orchestrator.running.interruption import GRACE_S, Interruption
from orchestrator.running.monitor import Monitor, Training
from orchestrator.running.progress import Display
from orchestrator.store.storage import sweep_temporaries
from trainables.features.cache_use import CacheUse

if TYPE_CHECKING:
    from orchestrator.running.stages import FeatureStage


@dataclass(frozen=True)
class RunOptions:
    """How a search runs here, which changes none of its numbers."""

    address: str | None = None
    """Of a running Ray cluster."""
    grace_s: float = GRACE_S
    """Within this time after SIGINT or SIGTERM the process ends, whatever it is doing."""
    cache_bytes: float | None = None
    """What squares and features in the cache may take."""
    kept_bytes: float = KEPT_BYTES
    """What end states may take in the study; see `Job`."""
    time_s: float | None = None
    """After this time it ends as after a signal, with status 0."""
    nice: int = 0
    """How much lower than this process's the priority of its workers is."""


def run(search: Search, display: Display, rewrite: Callable[[], object], options: RunOptions) -> int:
    """Train what is owed; the exit status: 0 done, 1 some failed, 130 or 143 interrupted and resumable.

    rewrite: writes the page; called about every minute. Raises InputError where the search needs more of the cache than
    it may take.
    """
    from orchestrator.energy.meters import metered
    from orchestrator.planning.meanwhile import Meanwhile
    from orchestrator.running.cluster import cluster
    from orchestrator.running.gpus import gpus_here, own_gpus
    from orchestrator.running.launch import Job, Outcome, launch
    from orchestrator.running.nodes import check_nodes
    from orchestrator.running.tally import Tally

    study = search.study
    if study.place.path is not None:
        sweep_temporaries(study.place.path)
    tally = Tally()
    training = Training(study.name, study.storage, search.asked.configurations, search.searches, search.keys)
    monitor, meanwhile = Monitor(training, display, rewrite), Meanwhile(search)
    outcome = Outcome(0, interrupted=True)
    use = CacheUse(search.places.cache, options.cache_bytes)
    try:
        with (
            Interruption(options.grace_s, time_s=options.time_s) as interruption,
            # The GPUs of a cluster are given out by its own Ray
            own_gpus(display.say, lambda: interruption.is_raised, dict if options.address else gpus_here),
        ):
            if not interruption.is_raised:
                with cluster(options.address, display.say, options.nice), metered(study.storage):
                    interruption.trap()
                    if options.address:
                        check_nodes(study.place.absolute(), search.places)
                    job = Job(
                        study.place.absolute(),
                        search.bench(),
                        search.bench(),
                        search.decided,
                        search.searches,
                        frozenset(search.keys),
                        options.kept_bytes,
                        search.only,
                    )

                    def beat(stage: FeatureStage) -> None:
                        monitor.beat(tally.epochs_per_second(), tally.failed, stage.progress_line())
                        meanwhile.beat(has_trained=tally.has_trained, is_missed=monitor.misses_times)

                    outcome = launch(job, use, tally, interruption, beat, display.say)
    finally:
        use.release()
        display.close()
    for error in outcome.errors:
        display.say(f"Failed: {error}")
    if outcome.interrupted:
        why = "Interrupted" if interruption.signal is not None else "The time is up"
        display.say(f"{why}. Kept: {_kept(search)}; the same command goes on from there.")
        return interruption.exit_status
    for told in search.now().spent():
        display.say(told)
    return 1 if outcome.failed else 0


def _kept(search: Search) -> str:
    """What an interrupted search leaves behind."""
    now = search.now()
    asked = sum(len(epochs) for epochs in now.epochs.values())
    left = len(now.owed_lanes())
    return f"{asked - left} of {counted(asked, 'repeat')}, and the last checkpoint of those under way"

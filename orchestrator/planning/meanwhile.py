"""Measures what epochs will take of networks that nobody has trained yet, while a search trains others.

Cheap configurations come first, so that for a while nothing is known of deeper ones, which are most of the time that is
left. A few of their steps are timed as for a plan, in a thread of the driver beside the workers; what they say is
stored in the study, for everybody who tells the time left. On a GPU it would take memory from the trials, so nothing is
measured there.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict

from orchestrator.resolved import Search, searched
from orchestrator.results.decided import Decided
from orchestrator.results.epoch_times import add_epoch_times

AFTER_S = 10.0
"""A search that is over by then is not disturbed."""
THREAD = "orch-epoch-times"


class Meanwhile:
    """Measures once, in a thread of its own, when a search has trained for a while and something is not known yet."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self._began: float | None = None
        self._thread: threading.Thread | None = None

    def beat(self, *, has_trained: bool, is_missed: bool) -> None:
        """Called now and then. is_missed: whether somebody would like to know."""
        now = time.monotonic()
        if self._began is None and has_trained:
            self._began = now
        is_due = self._began is not None and now - self._began >= AFTER_S
        if is_due and is_missed and self._thread is None:
            self._thread = threading.Thread(target=self._measure, name=THREAD, daemon=True)
            self._thread.start()

    def _measure(self) -> None:
        try:
            add_epoch_times(self.search.study.storage, epoch_times(self.search))
        except Exception:
            return


def epoch_times(search: Search) -> dict[str, float]:
    """Seconds of one worker for an epoch of one repeat, of each configuration that owes any; see `EpochTimes`. Empty
    where there is a GPU."""
    import torch

    from orchestrator.planning.estimate import costs_of_segments  # with the networks' library, which takes seconds

    if torch.cuda.device_count():
        return {}
    torch.set_num_threads(1)
    decided = Decided.of(search.study.storage)
    now = searched(search.prepared, search.asked, decided, search.searches, search.places)
    times = defaultdict[str, list[float]](list)
    for segment, seconds in costs_of_segments(now).items():
        for name in segment.configurations:
            times[name].append(seconds)
    return {name: sum(several) / len(several) for name, several in times.items()}

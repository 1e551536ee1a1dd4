"""Has the proposers of a search asked in the background, so that no worker waits while a decision is made."""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from orchestrator.proposing.deciding import Deciding, Machine, spent_hours
from orchestrator.proposing.proposer import proposer_of
from orchestrator.results.decided import Decided
from orchestrator.results.news import NewsReader
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.leases import Lease, StaleWatch, current_lease, kept_alive
from orchestrator.store.searches import search_folder
from orchestrator.store.segments import Segment
from orchestrator.study.owed import serving

LOOK_EVERY_S = 1.0
"""How often decisions of others, and raised budgets, are looked for."""
WAIT_S = 1.0
"""As long as a worker may wait for a decision that is under way."""


@dataclass(frozen=True)
class Said:
    """segments: that serve the searches so far. every: of all of the study. repeats: asked of the study.

    is_open: whether something may still be decided, here or by another driver that holds the lease. is_spent: whether
    the hours of a search's budget are used up: its segments are none of these any more.
    """

    segments: tuple[Segment, ...]
    every: tuple[Segment, ...]
    repeats: int
    is_open: bool
    is_spent: bool = False


class Decider:
    """Of one driver, for some searches. Whoever holds a search's lease decides for all; others read what it says.

    Only the driver's main thread calls it; one thread of its own reads, asks and writes.
    """

    def __init__(
        self, decided: Decided, searches: Sequence[str], keys: Container[ConfigurationKey], machine: Machine
    ) -> None:
        """decided: what the study holds, with the searches and their budgets; this decider's alone from now on.
        keys: configurations that are to be trained."""
        self.storage = decided.storage
        self.searches = tuple(searches)
        self.keys = keys
        self.machine = machine
        self._decided = decided
        self._reader = NewsReader(decided.storage)
        self._watch = StaleWatch()
        self._leases: dict[str, Lease] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="deciding")
        self._job: Future[Said] | None = None
        self._looked = -LOOK_EVERY_S
        self._has_news = True
        self._has_looked = False
        self.said = Said((), (), 0, is_open=True)

    def __enter__(self) -> Decider:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the leases back, after what is being written."""
        self._pool.shutdown(wait=True)
        for lease in self._leases.values():
            lease.release()

    @property
    def is_open(self) -> bool:
        """Whether more may be said, as far as is known: not before what has happened meanwhile was told."""
        return self.said.is_open or self._has_news or self._job is not None

    def notice(self) -> None:
        """Something has finished."""
        self._has_news = True

    def poll(self, wait_s: float = 0.0) -> bool:
        """Ask again where it is time; whether `said` is new. wait_s: for what is being decided. Raises OrchError."""
        if self._job is None and (self._has_news or time.monotonic() - self._looked >= LOOK_EVERY_S):
            self._has_news = False
            self._looked = time.monotonic()
            self._job = self._pool.submit(self._look)
        if self._job is None:
            return False
        if not self._job.done():
            if wait_s <= 0:
                return False
            try:
                self._job.exception(wait_s)
            except TimeoutError:
                return False
        job, self._job = self._job, None
        before, self.said = self.said, job.result()
        return self.said != before

    def _look(self) -> Said:
        """In the background: read what others have said, and say what is due."""
        is_new, is_open = self._decided.read() or not self._has_looked, False
        self._has_looked = True
        before = self._decided.last_number.copy()
        spent = {search for search in self.searches if self._is_spent(search)}
        with kept_alive(list(self._leases.values())):
            for search in self.searches:
                is_open |= search not in spent and self._ask(search)
        if not is_new and before == self._decided.last_number and bool(spent) == self.said.is_spent:
            return replace(self.said, is_open=is_open)
        repeats = sum(len(epochs) for epochs in self._decided.asked().values())
        segments = serving(self._decided, [one for one in self.searches if one not in spent], self.keys)
        return Said(tuple(segments), tuple(self._decided.segments()), repeats, is_open, bool(spent))

    def _is_spent(self, search: str) -> bool:
        decisions = self._decided.decisions.get(search, ())
        return spent_hours(self._decided.budget(search), self._reader, decisions) is not None

    def _ask(self, search: str) -> bool:
        """Say what is due; whether another driver is to say more."""
        listens = proposer_of(self._decided.searches[search]).listens
        if not listens and self._decided.is_answered(search):
            return False
        lease = self._lease(search)
        if lease is None:
            return True
        with kept_alive([lease]):
            deciding = Deciding(self.storage, self._decided, search, self._reader, self.machine)
            while deciding.decide() is not None:
                pass
        return False

    def _lease(self, search: str) -> Lease | None:
        """That on deciding, where it is this driver's or free."""
        folder = search_folder(search)
        held = self._leases.get(search)
        if held is not None and held.beat_on():
            return held
        self._leases.pop(search, None)
        current = current_lease(self.storage, folder)
        if not self._watch.is_free(folder, current):
            return None
        taken = Lease.take(self.storage, folder, current.number if current else 0)
        if taken is not None:
            self._leases[search] = taken
            self._decided.read()
        return taken

"""What a search shows while it trains: how far it is, from final records and leases, and the page now and then."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from orchestrator.proposing.words import standing
from orchestrator.results.decided import Decided
from orchestrator.results.names import and_more, names_of
from orchestrator.results.news import NewsReader
from orchestrator.running.progress import Display, Row, Snapshot
from orchestrator.running.time_left import TimeLeft
from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BundleKey, ConfigurationKey, FinalName
from orchestrator.store.leases import LeaseView, current_lease
from orchestrator.store.searches import asked_of_lanes
from orchestrator.store.segments import SEGMENTS, LaneKey, Segment
from orchestrator.store.storage import Storage
from search_spaces.configuration import Configuration
from search_spaces.stored import read_configuration
from trainables.bundles.failures import failures_of
from trainables.bundles.work import all_parts, is_enough, longest_finals

REWRITE_EVERY_S = 60.0
"""How often the dashboard is written while a search runs."""


@dataclass(frozen=True)
class Training:
    """What is watched: all that these searches ask, now and later, of these configurations and of what samplers make
    from them."""

    name: str
    storage: Storage
    configurations: Mapping[str, Configuration]
    searches: Collection[str]
    keys: Collection[ConfigurationKey]


class Monitor:
    """Makes snapshots for the display and has the dashboard rewritten now and then."""

    def __init__(self, training: Training, display: Display, rewrite: Callable[[], object]) -> None:
        self.training = training
        self.display = display
        self.rewrite = rewrite
        self._rewritten = time.monotonic()
        self._told = False
        self._known = dict(training.configurations)
        self._names = names_of(self._known.values())
        self._decided = Decided(training.storage)
        self._reader = NewsReader(training.storage)
        self._asked: dict[LaneKey, int] = {}
        self._done: set[LaneKey] = set()
        self._owed: dict[BundleKey, list[LaneKey]] = {}
        self._finals: dict[LaneKey, FinalName] = {}
        """The longest result that was seen of each."""
        self._open: list[Segment] = []
        self._at_work: list[tuple[Segment, int]] = []
        self._time_left = TimeLeft(training.storage)
        self._reached: dict[str, tuple[int, int]] = {}
        """By a segment's folder: number of its last lease, and the epoch that was told under it."""

    @property
    def misses_times(self) -> bool:
        """Whether something is left of whose epochs nobody knows yet what they take; see `TimeLeft`."""
        return self._time_left.misses_times

    def beat(self, rate: float, failed: int, preparing: str) -> None:
        if self.display.is_due():
            self.display.show(self.snapshot(rate, failed, preparing))
        if time.monotonic() - self._rewritten >= REWRITE_EVERY_S:
            self._rewritten = time.monotonic()
            self._rewrite()

    def _rewrite(self) -> None:
        """A page that cannot be drawn or written must not end the training; its own command will say why."""
        try:
            self.rewrite()
        except Exception as error:
            if not self._told:
                self.display.say(f"The dashboard could not be written ({error}); the search goes on.")
            self._told = True

    def snapshot(self, rate: float, failed: int, preparing: str) -> Snapshot:
        """As far as decisions have asked up to now."""
        self._read_decisions()
        trained = self._read_finals()
        rows = self._read_leases(trained)
        done = {lane: self._asked[lane] if lane in self._done else trained[lane] for lane in {*self._done, *trained}}
        return Snapshot(
            act=self.training.name,
            epochs_done=sum(self._asked[lane] for lane in self._done) + sum(trained.values()),
            epochs_asked=sum(self._asked.values()),
            repeats_done=len(self._done),
            repeats_asked=len(self._asked),
            epochs_per_second=rate,
            failed=failed,
            preparing=preparing,
            rows=rows,
            decided=self._standing(),
            left=self._time_left.look(self._asked, done, self._finals, self._open, self._at_work),
        )

    def _standing(self) -> str:
        decided = self._decided
        mine = [search for name, search in decided.searches.items() if name in self.training.searches]
        limited = [one.id for one in mine if (budget := decided.budget(one.id)) is not None and budget.hours]
        hours = {name: self._reader.hours(asked_of_lanes(decided.decisions[name])) for name in limited}
        return standing(mine, decided.budgets, decided.decisions, hours)

    def _read_decisions(self) -> None:
        if not self._decided.read():
            return
        training = self.training
        bases = self._decided.bases(*training.searches)
        suggested = [name for name, base in bases.items() if name != base and base in training.configurations]
        keys = set(training.keys)
        self._asked = {
            LaneKey(*key, repeat): epochs
            for key, several in self._decided.asked(training.searches).items()
            if ConfigurationKey(key.partition, bases.get(key.configuration, key.configuration)) in keys
            for repeat, epochs in several.items()
        }
        if not self._names.keys() >= set(suggested):
            self._known |= {name: read_configuration(training.storage, name) for name in suggested}
            self._names = names_of(self._known.values())
        self._done = set()
        owed = defaultdict(list)
        for lane in self._asked:
            owed[lane.bundle].append(lane)
        self._owed = dict(owed)

    def _read_finals(self) -> dict[LaneKey, int]:
        """Epochs that earlier results of lanes have which still owe some; what is whole is not looked at again."""
        trained: dict[LaneKey, int] = {}
        for bundle, lanes in list(self._owed.items()):
            there = longest_finals(self.training.storage, bundle)
            for lane in lanes:
                final = there.get(lane.repeat)
                if final is not None:
                    self._finals[lane] = final
                if is_enough(final, self._asked[lane]):
                    self._done.add(lane)
                elif final is not None:
                    trained[lane] = final.epochs
            if self._done.issuperset(lanes):
                del self._owed[bundle]
        return trained

    def _read_leases(self, trained: dict[LaneKey, int]) -> list[Row]:
        """One row for each segment that somebody works on; adds to what lanes have trained."""
        storage, rows = self.training.storage, []
        begun = set(storage.list(SEGMENTS))
        owed = [one for one in self._decided.segments() if self._is_owed(one)]
        whole = all_parts(storage, [one for one in owed if one.id in begun])
        self._open = [*(one for one in owed if one.id not in begun), *whole]
        self._at_work = []
        for segment in whole:
            lease = current_lease(storage, segment.folder)
            if lease is None:
                continue
            reached = self._reached_in(segment, lease)
            for lane in segment.lanes:
                if lane in self._asked and lane not in self._done:
                    trained[lane] = max(trained.get(lane, 0), reached)
            if not lease.is_released:
                self._at_work.append((segment, reached))
                if reached:
                    rows.append(self._row(segment, reached))
        return rows

    def _reached_in(self, segment: Segment, lease: LeaseView) -> int:
        """The epoch it is at. Whoever goes on from a checkpoint may be behind whoever wrote it: that is said once."""
        reached = _epoch_of(lease, segment)
        number, before = self._reached.get(segment.folder) or self._earlier(segment, lease.number)
        if number < lease.number and not reached:
            return before  # not yet told from where it goes on
        self._reached[segment.folder] = lease.number, reached
        if number < lease.number and reached < before:
            name = self._row(segment, reached).name
            self.display.say(
                f"{name}: had reached epoch {before}, goes on from its last checkpoint, at epoch {reached}"
                f"{self._why(segment, number)}"
            )
        return reached

    def _earlier(self, segment: Segment, number: int) -> tuple[int, int]:
        """The same of the lease before, as far as it is kept."""
        name = layout.lease(segment.folder, number - 1).rpartition("/")[2]
        earlier = current_lease(self.training.storage, segment.folder, [name])
        return (earlier.number, _epoch_of(earlier, segment)) if earlier is not None else (0, 0)

    def _why(self, segment: Segment, lease: int) -> str:
        try:
            causes = [one.cause for one in failures_of(self.training.storage, segment) if one.lease == lease]
        except (DamagedRecordError, AttributeError, TypeError, ValueError):
            causes = []
        return f" ({causes[-1]})" if causes else ""

    def _is_owed(self, segment: Segment) -> bool:
        return any(lane in self._asked and lane not in self._done for lane in segment.lanes)

    def _row(self, segment: Segment, reached: int) -> Row:
        first, *others = segment.configurations
        name = and_more(self._names.get(first, first), len(others))
        if len(segment.repeats) == 1:  # another worker may train the next one
            name += f", repeat {segment.repeats[0]}"
        done = sum(lane in self._done for lane in segment.lanes)
        return Row(name, done, len(segment.lanes), f"{reached}/{segment.epochs}")


def _epoch_of(lease: LeaseView, segment: Segment) -> int:
    return min(int(lease.content.get("epoch") or 0), segment.epochs)

"""Looking at a study again and again while others write to it: who works on what, how far, how fast; torch-free.

A look costs a few listings: bundles whose repeats are all done are not visited again, and histories are never read. So
it can be repeated every second, beside any number of drivers, on a study of thousands of repeats.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestrator.results.standing import SILENT_AFTER_S, epochs_asked, read_requests
from orchestrator.running.pace import Pace
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BUNDLES, REQUESTS, RESULTS, BundleKey, parse_final, parse_lease
from orchestrator.store.leases import STALE_AFTER_S, LeaseView, current_lease
from orchestrator.store.record import short_hash
from orchestrator.store.schema import BUNDLE_SIZE, Recipe, parse_toml
from orchestrator.store.storage import Storage
from trainables.bundles.attempts import checkpoints


@dataclass(frozen=True)
class Running:
    """A bundle that somebody works on."""

    key: BundleKey
    home: BundleKey
    """In whose folder its checkpoints lie: itself, or the first of the bundles that are trained stacked with it."""
    epochs: Mapping[int, int]
    """Repeat → epochs trained so far, of the repeats that are still owed."""
    asked: int
    """Epochs asked of each."""
    host: str
    device: str
    silent_s: float
    """Since this observer last saw the heartbeat change, seconds."""


@dataclass(frozen=True)
class Look:
    """A study at one moment. epochs count those of every repeat, done and running."""

    stamp: str
    """Changes with everything but the progress of running repeats: results, requests, failures, who runs."""
    running: tuple[Running, ...]
    repeats_done: int
    repeats_asked: int
    epochs_done: int
    epochs_asked: int
    epochs_per_second: float
    """Over the last minute of looking; NaN where nothing was seen to happen yet."""

    @property
    def seconds_left(self) -> float | None:
        left = self.epochs_asked - self.epochs_done
        return left / self.epochs_per_second if left > 0 and self.epochs_per_second > 0 else None


@dataclass
class _Seen:
    """What is known of a bundle that is still owed."""

    asked: Mapping[int, int]
    """Repeat → epochs."""
    trained: dict[int, int] = field(default_factory=dict)

    def reach(self, repeat: object, epochs: object) -> None:
        """Note that a repeat has come this far; what is no number is passed over."""
        number, reached = str(repeat), str(epochs)
        if number.isdecimal() and reached.isdecimal() and int(number) in self.asked:
            place = int(number)
            self.trained[place] = min(max(self.trained[place], int(reached)), self.asked[place])


class StudyWatch:
    """Looks at one study; keeps between looks what cannot change any more. Not shared between threads."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._requests: list[str] | None = None
        self._owed: dict[BundleKey, _Seen] = {}
        self._epochs_asked = self._repeats_asked = 0
        self._whole = [0, 0]
        self._beats: dict[BundleKey, tuple[int, tuple[str, int], float]] = {}
        self._pace = Pace()

    def look(self) -> Look:
        """The study now. Files that are torn or vanish while one looks are passed over."""
        self._read_requests()
        facts: list[object] = [self._requests, self._results()]
        running: list[Running] = []
        repeats = epochs = 0
        for key in self._there():
            seen = self._owed[key]
            names = self.storage.list(key.folder)
            done = self._read_finals(key, seen)
            if len(done) == len(seen.asked):
                del self._owed[key]
                self._whole = [self._whole[0] + len(done), self._whole[1] + sum(seen.asked.values())]
                continue
            at_work = self._read_lease(key, seen, done, names)
            if at_work is not None:
                running.append(at_work)
            repeats += len(done)
            epochs += sum(asked if repeat in done else seen.trained[repeat] for repeat, asked in seen.asked.items())
            failures = [name for name in names if name.startswith("failure-")]
            facts.append([str(key), sorted(done), failures, at_work is not None])
        repeats, epochs = repeats + self._whole[0], epochs + self._whole[1]
        stamp = short_hash([*facts, self._whole])
        pace = self._pace.per_second(epochs)
        return Look(stamp, tuple(running), repeats, self._repeats_asked, epochs, self._epochs_asked, pace)

    def _read_requests(self) -> None:
        """What is owed, again whenever somebody asked for more."""
        names = self.storage.list(REQUESTS)
        if names == self._requests:
            return
        self._requests = names
        self._owed = {}
        self._whole = [0, 0]
        asked = epochs_asked(read_requests(self.storage)[0])
        for (partition, configuration), wanted in asked.items():
            for first in range(0, len(wanted), BUNDLE_SIZE):
                key = BundleKey(partition, configuration, first // BUNDLE_SIZE)
                part = wanted[first : first + BUNDLE_SIZE]
                self._owed[key] = _Seen({first + place: epochs for place, epochs in enumerate(part)})
        self._repeats_asked = sum(len(wanted) for wanted in asked.values())
        self._epochs_asked = sum(sum(wanted) for wanted in asked.values())

    def _there(self) -> list[BundleKey]:
        """Owed bundles that have a folder: most that wait have none, and cost nothing."""
        partitions = {key.partition for key in self._owed}
        there = {partition: set(self.storage.list(f"{BUNDLES}/{partition}")) for partition in sorted(partitions)}
        return [key for key in self._owed if key.configuration in there[key.partition]]

    def _read_finals(self, key: BundleKey, seen: _Seen) -> set[int]:
        """Repeats that have all they were asked for; of the others the epochs that an earlier search left."""
        done = set()
        seen.trained = dict.fromkeys(seen.asked, 0)
        for name in self.storage.list(key.finals):
            final = parse_final(name)
            if final is None or final[0] not in seen.asked:
                continue
            repeat, epochs, state = final
            seen.trained[repeat] = max(seen.trained[repeat], epochs)
            if state.ended_by_itself() or epochs >= seen.asked[repeat]:
                done.add(repeat)
        return done

    def _read_lease(self, key: BundleKey, seen: _Seen, done: set[int], names: Sequence[str]) -> Running | None:
        """Who works on the bundle, from its newest lease; how far, from the lease and the names of checkpoints.

        A lease that was just taken says nothing of what an earlier one left; the checkpoints do, whoever is gone.
        """
        lease = current_lease(self.storage, key) if any(parse_lease(name) is not None for name in names) else None
        if lease is None:
            return None
        told = lease.content.get("done")
        for repeat, epochs in (told if isinstance(told, dict) else {}).items():
            seen.reach(repeat, epochs)
        home = self._home(key)
        for checkpoint in checkpoints(self.storage, home):
            for number in checkpoint.repeats:
                seen.reach(number, checkpoint.epoch)
        if lease.is_released or lease.owner_is_dead():
            return None
        silent = self._silent(key, lease)
        if silent >= STALE_AFTER_S or _age_s(lease) >= SILENT_AFTER_S:
            return None
        owed = {repeat: asked for repeat, asked in seen.asked.items() if repeat not in done}
        epochs = {repeat: seen.trained[repeat] for repeat in owed}
        host, device = str(lease.content.get("host", "")), str(lease.content.get("device", ""))
        return Running(key, home, epochs, max(owed.values()), host, device, silent)

    def _home(self, key: BundleKey) -> BundleKey:
        try:
            recipe = parse_toml(Recipe, self.storage.read(key.recipe), key.recipe)
            return BundleKey.parse(recipe.with_bundles[0]) if recipe.with_bundles else key
        except (FileNotFoundError, DamagedRecordError, ValueError):
            return key

    def _silent(self, key: BundleKey, lease: LeaseView) -> float:
        """Seconds since the heartbeat was first seen as it is, on this observer's own clock."""
        now, seen = time.monotonic(), self._beats.get(key)
        if seen is None or seen[:2] != (lease.number, lease.beat):
            self._beats[key] = seen = (lease.number, lease.beat, now)
        return now - seen[2]

    def _results(self) -> list[object]:
        """Names of what evaluation and selection left behind, two levels deep."""
        return [[name, self.storage.list(f"{RESULTS}/{name}")] for name in self.storage.list(RESULTS)]


def _age_s(lease: LeaseView) -> float:
    """Since the lease says that it was renewed, by the clocks of both machines; infinite where it does not say."""
    try:
        updated = datetime.fromisoformat(str(lease.content.get("updated")))
    except ValueError:
        return float("inf")
    if updated.tzinfo is None:
        updated = updated.replace(tzinfo=UTC)
    return (datetime.now(UTC) - updated).total_seconds()

"""A study's files driven at random (ask, decide, lease, write, crash, damage, compact) against a simple model."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.decided import Decided
from orchestrator.results.histories import compact, list_finals, read_parts, read_repeats
from orchestrator.results.news import NewsReader
from orchestrator.store import layout
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.schema import FinalRecord, History
from orchestrator.store.searches import SearchRecord, search_file
from orchestrator.store.segments import LaneKey, Segment
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage, sweep_temporaries
from orchestrator.study.owed import owed
from orchestrator.study.studies import raise_budget
from tests.support.configurations import configured
from tests.support.handing_out import as_wanted
from trainables.bundles.work import owed_lanes

PARTITION = "0" * 12
RESOLVED = {c.id: c for c in (configured(lr=0.1), configured(lr=0.2))}
CONFIGURATIONS = tuple(sorted(RESOLVED))
EPOCHS = (1, 2, 3)
REPEATS = 12  # two bundles

configurations = st.sampled_from(CONFIGURATIONS)
epochs = st.sampled_from(EPOCHS)
shares = st.floats(0, 1, exclude_max=True)

Key = tuple[str, int, int]
"""(configuration, repeat, epochs)"""


def record(configuration: str, repeat: int, epochs: int) -> FinalRecord:
    """What anybody who trains this would write."""
    seed = CONFIGURATIONS.index(configuration) * 100 + repeat
    loss = np.random.default_rng(seed).random((epochs + 1, 2))
    confusion = np.random.default_rng(seed).integers(0, 9, (epochs + 1, 2, 2, 2)).astype(np.int32)
    meta = {
        "configuration": configuration, "partition": PARTITION, "repeat": repeat, "epochs": epochs,
        "state": "finished", "diverged_epoch": None, "selected_epoch": epochs, "selection": "loss", "attempts": [1],
        "seconds": 1.0, "host": "h", "device": "cpu", "devices_mixed": False, "recipe": {}, "finished": "2026-01-01",
        "total_parameters": 1, "trainable_parameters": 1,
    }  # fmt: skip
    return FinalRecord(meta, History(("train", "valid"), loss, confusion), np.zeros((3, 1), np.float16))


def path_of(key: Key) -> str:
    configuration, repeat, epochs = key
    return LaneKey(PARTITION, configuration, repeat).bundle.final(repeat, epochs)


class StudyMachine(RuleBasedStateMachine):
    """The model: what was asked and decided, which final records are whole, which lie there damaged, who holds which
    lease."""

    @initialize()
    def make(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.storage = LocalStorage(self.folder)
        self.searches: dict[str, str] = {}
        for name, configuration in RESOLVED.items():
            self.storage.create(layout.configuration(name), configuration.to_toml())
            search = SearchRecord(proposer="grid", partitions=(PARTITION,), configurations=(name,))
            self.storage.create(search_file(search.id), search.to_toml())
            self.searches[name] = search.id
        self.budgets: dict[str, tuple[int, int]] = {}
        """(repeats, epochs)"""
        self.answered: dict[str, tuple[int, int]] = {}
        """The budget that was decided on last."""
        self.segments: dict[Segment, None] = {}
        self.whole: set[Key] = set()
        self.damaged: set[Key] = set()
        self.gathered: set[Key] = set()
        """Held by a part: a final record that is damaged later does not matter to readers of the table."""
        self.leases: list[Lease] = []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(configuration=configurations, count=st.integers(1, REPEATS), epochs=epochs)
    def ask(self, configuration: str, count: int, epochs: int) -> None:
        raise_budget(self.storage, self.searches[configuration], {configuration: (count, epochs)}, "")
        before = self.budgets.get(configuration, (0, 0))
        self.budgets[configuration] = max(before[0], count), max(before[1], epochs)

    @rule(configuration=configurations)
    def decide(self, configuration: str) -> None:
        """Once for each budget: every lane from the epochs that were asked of it before, those with a result left out,
        whether that can be read or not."""
        before, now = self.answered.get(configuration, (0, 0)), self.budgets.get(configuration, (0, 0))
        search = self.searches[configuration]
        machine = Machine(1, "cpu", as_wanted)
        made = Deciding(self.storage, Decided.of(self.storage), search, NewsReader(self.storage), machine).decide()
        assert (made is not None) == (now != before)
        if made is None:
            return
        self.answered[configuration] = now
        spans = {(lane, segment.start, segment.epochs) for segment in made.segments() for lane in segment.lanes}
        done = self._done()
        assert spans == {
            (LaneKey(PARTITION, configuration, repeat), before[1] if repeat < before[0] else 0, now[1])
            for repeat in range(now[0])
            if (repeat >= before[0] or now[1] > before[1]) and done.get((configuration, repeat), -1) < now[1]
        }
        self.segments |= dict.fromkeys(made.segments())

    @precondition(lambda self: self.segments)
    @rule(share=shares, view_is_late=st.booleans())
    def lease(self, share: float, view_is_late: bool) -> None:
        """Whoever takes over names the lease it saw; one whose view was late is refused."""
        folder = self._segment(share).folder
        current = current_lease(self.storage, folder)
        number = current.number if current else 0
        taken = Lease.take(self.storage, folder, max(0, number - 1) if view_is_late else number, "cpu")
        assert (taken is not None) == (not view_is_late or number == 0)
        if taken is not None:
            assert taken.number == number + 1
            self.leases.append(taken)

    @precondition(lambda self: self.leases)
    @rule(share=shares)
    def renew_or_find_out(self, share: float) -> None:
        lease = self.leases[int(share * len(self.leases))]
        newest = max(other.number for other in self.leases if other.folder == lease.folder)
        assert lease.renew(0, 1, force=True) == (lease.number == newest)

    @precondition(lambda self: self.segments)
    @rule(share=shares, lane=shares)
    def write(self, share: float, lane: float) -> None:
        """By anybody, with or without a lease, as often as it likes: the first wins."""
        key = self._key(share, lane)
        created = self.storage.create(path_of(key), record(*key).to_bytes())
        assert created == (key not in self.whole | self.damaged)
        if created:
            self.whole.add(key)

    @precondition(lambda self: self.segments)
    @rule(share=shares, lane=shares, size=shares)
    def crash_in_a_write(self, share: float, lane: float, size: float) -> None:
        """A temporary is left, whole or not; the target never."""
        key = self._key(share, lane)
        content, target = record(*key).to_bytes(), self.folder / path_of(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        (target.parent / f"{TEMPORARY_PREFIX}{key[1]}").write_bytes(content[: int(size * len(content))])

    def _segment(self, share: float) -> Segment:
        return list(self.segments)[int(share * len(self.segments))]

    def _key(self, share: float, lane: float) -> Key:
        segment = self._segment(share)
        chosen = segment.lanes[int(lane * len(segment.lanes))]
        return chosen.configuration, chosen.repeat, segment.epochs

    def _done(self) -> dict[tuple[str, int], int]:
        """Epochs of the longest record of each repeat, by its name alone."""
        done: dict[tuple[str, int], int] = {}
        for configuration, repeat, count in self.whole | self.damaged:
            done[configuration, repeat] = max(count, done.get((configuration, repeat), 0))
        return done

    @precondition(lambda self: self.whole)
    @rule(share=shares, cut=st.booleans(), place=shares)
    def damage(self, share: float, cut: bool, place: float) -> None:
        """Bit rot, or a file system that lost the end of a file."""
        key = sorted(self.whole)[int(share * len(self.whole))]
        path = self.folder / path_of(key)
        content = bytearray(path.read_bytes())
        at = int(place * len(content))
        if cut:
            del content[at:]
        else:
            content[at] ^= 0x40
        path.write_bytes(content)
        self.whole.discard(key)
        self.damaged.add(key)

    @rule()
    def compact(self) -> None:
        """Damaged records that no part holds are set aside and owed again; the others are in the table already."""
        compact(self.storage)
        self.gathered |= self.whole
        self.damaged &= self.gathered
        self.gathered &= self.whole | self.damaged

    @rule()
    def sweep(self) -> None:
        sweep_temporaries(self.folder, max_age_s=-1.0)

    @rule(share=shares)
    def lose_a_part(self, share: float) -> None:
        """Compacted histories are derived and may be deleted, or cut, at any time."""
        parts = sorted(self.folder.glob("histories/*"))
        if parts:
            path = parts[int(share * len(parts))]
            path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
            self.gathered = {key for key in self.gathered if key in self._held()}

    def _held(self) -> set[Key]:
        parts, _ = read_parts(self.storage)
        return {(key.configuration, key.repeat, key.epochs) for part in parts.values() for key in part.keys}

    @invariant()
    def what_is_owed_is_decided_minus_done(self) -> None:
        if not hasattr(self, "segments"):
            return
        decided = Decided.of(self.storage)
        assert not decided.damaged
        assert set(decided.segments()) == set(self.segments)
        found = [
            (lane, segment.epochs)
            for segment in owed(self.storage, decided.segments())
            for lane in owed_lanes(self.storage, segment)
        ]
        done = self._done()
        every = [(lane, segment.epochs) for segment in self.segments for lane in segment.lanes]
        assert len(set(every)) == len(every), "no lane is trained twice to the same epoch"
        assert sorted(found) == sorted(
            (lane, epochs) for lane, epochs in every if done.get((lane.configuration, lane.repeat), -1) < epochs
        )

    @invariant()
    def the_table_holds_every_whole_record_once(self) -> None:
        if not hasattr(self, "segments"):
            return
        names = {(key.configuration, key.repeat, key.epochs) for key in list_finals(self.storage)}
        assert names == self.whole | self.damaged
        known = self.whole | (self.damaged & self.gathered)
        longest: dict[tuple[str, int], int] = {}
        for configuration, repeat, count in known:
            longest[configuration, repeat] = max(count, longest.get((configuration, repeat), 0))
        table = read_repeats(self.storage)
        rows = list(zip(table.table["configuration"], table.table["repeat"], table.table["epochs"], strict=True))
        assert rows == [(*key, longest[key]) for key in sorted(longest)]
        for index, (configuration, repeat, count) in enumerate(rows):
            expected = record(configuration, int(repeat), int(count)).history
            found = slice(table.start[index], table.start[index + 1])
            assert table.loss[found].tobytes() == expected.loss.tobytes()
            assert table.statistics[found].tobytes() == expected.statistics.tobytes()


def test_the_files_of_a_study_agree_with_the_model() -> None:
    run_state_machine_as_test(
        StudyMachine,
        settings=settings(
            max_examples=10, stateful_step_count=25, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_they_agree_over_many_more_steps() -> None:
    run_state_machine_as_test(
        StudyMachine,
        settings=settings(
            max_examples=200, stateful_step_count=50, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip

"""A study's files driven at random (ask, lease, write, crash, damage, compact, sweep) against a simple model."""

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

from orchestrator.results.histories import _read_parts, compact, list_finals, read_repeats
from orchestrator.results.standing import epochs_asked, read_requests
from orchestrator.store import layout
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.schema import FinalRecord, History, Request, RequestItem
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage, sweep_temporaries
from orchestrator.study.owed import owed

PARTITION = "0" * 12
CONFIGURATIONS = ("a" * 12, "b" * 12)
EPOCHS = (1, 2, 3)
REPEATS = 12  # two bundles

configurations = st.sampled_from(CONFIGURATIONS)
repeats = st.integers(0, REPEATS - 1)
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


class StudyMachine(RuleBasedStateMachine):
    """The model: what was asked, which final records are whole, which lie there damaged, who holds which lease."""

    @initialize()
    def make(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.storage = LocalStorage(self.folder)
        self.asked: dict[str, list[int]] = {}
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
        item = RequestItem(configuration=configuration, repeats=count, epochs=epochs)
        request = Request(partitions=(PARTITION,), items=(item,))
        self.storage.create(layout.request(request.id), request.to_toml())
        asked = self.asked.setdefault(configuration, [])
        asked.extend([0] * (count - len(asked)))
        asked[:count] = [max(epochs, before) for before in asked[:count]]

    @rule(configuration=configurations, repeat=repeats, view_is_late=st.booleans())
    def lease(self, configuration: str, repeat: int, view_is_late: bool) -> None:
        """Whoever takes over names the lease it saw; one whose view was late is refused."""
        key = BundleKey.of_repeat(PARTITION, configuration, repeat)
        current = current_lease(self.storage, key)
        number = current.number if current else 0
        taken = Lease.take(self.storage, key, max(0, number - 1) if view_is_late else number, "cpu")
        assert (taken is not None) == (not view_is_late or number == 0)
        if taken is not None:
            assert taken.number == number + 1
            self.leases.append(taken)

    @precondition(lambda self: self.leases)
    @rule(share=shares)
    def renew_or_find_out(self, share: float) -> None:
        lease = self.leases[int(share * len(self.leases))]
        newest = max(other.number for other in self.leases if other.key == lease.key)
        assert lease.renew({}, 1, force=True) == (lease.number == newest)

    @rule(configuration=configurations, repeat=repeats, epochs=epochs)
    def write(self, configuration: str, repeat: int, epochs: int) -> None:
        """By anybody, with or without a lease, as often as it likes: the first wins."""
        key = (configuration, repeat, epochs)
        path = BundleKey.of_repeat(PARTITION, configuration, repeat).final(repeat, epochs)
        created = self.storage.create(path, record(*key).to_bytes())
        assert created == (key not in self.whole | self.damaged)
        if created:
            self.whole.add(key)

    @rule(configuration=configurations, repeat=repeats, epochs=epochs, share=shares)
    def crash_in_a_write(self, configuration: str, repeat: int, epochs: int, share: float) -> None:
        """A temporary is left, whole or not; the target never."""
        folder = self.folder / BundleKey.of_repeat(PARTITION, configuration, repeat).finals
        folder.mkdir(parents=True, exist_ok=True)
        content = record(configuration, repeat, epochs).to_bytes()
        (folder / f"{TEMPORARY_PREFIX}{repeat}").write_bytes(content[: int(share * len(content))])

    @precondition(lambda self: self.whole)
    @rule(share=shares, cut=st.booleans(), place=shares)
    def damage(self, share: float, cut: bool, place: float) -> None:
        """Bit rot, or a file system that lost the end of a file."""
        key = sorted(self.whole)[int(share * len(self.whole))]
        path = self.folder / BundleKey.of_repeat(PARTITION, *key[:2]).final(*key[1:])
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
        parts, _ = _read_parts(self.storage)
        return {(key.configuration, key.repeat, key.epochs) for part in parts.values() for key in part.keys}

    @invariant()
    def what_is_owed_is_asked_minus_done(self) -> None:
        if not hasattr(self, "asked"):
            return
        requests, broken = read_requests(self.storage)
        assert not broken
        found = {(work.key.configuration, repeat, work.epochs) for work in owed(self.storage, epochs_asked(requests))
                 for repeat in work.repeats}  # fmt: skip
        done: dict[tuple[str, int], int] = {}
        for configuration, repeat, count in self.whole | self.damaged:  # by their names alone
            done[configuration, repeat] = max(count, done.get((configuration, repeat), 0))
        expected = {
            (configuration, repeat, count)
            for configuration, asked in self.asked.items()
            for repeat, count in enumerate(asked)
            if done.get((configuration, repeat), -1) < count
        }
        assert expected <= found
        assert {key for key in found if done.get(key[:2], -1) < key[2]} == expected

    @invariant()
    def the_table_holds_every_whole_record_once(self) -> None:
        if not hasattr(self, "asked"):
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

"""What is trained again after a failure, how often and in which company."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.layout import BundleKey
from orchestrator.store.storage import Storage
from trainables.bundles.failures import RULES, Kind, failures_of, note_failure
from trainables.bundles.stored_recipes import go_alone, stacked_with
from trainables.bundles.work import Work, owed_repeats


class Retries:
    """Counts failures within one search, by their kind; `RULES` says what follows."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._failed: Counter[tuple[Work, Kind]] = Counter()
        self._alone: set[Work] = set()

    def is_alone(self, work: Work) -> bool:
        """Whether the stack that it failed in was taken apart."""
        return work in self._alone

    def again(self, failed: list[Work], kind: Kind) -> list[Work]:
        """Those of them that are tried again, by the rule for what happened."""
        rule = RULES[kind]
        self._failed.update((work, kind) for work in failed)
        together = stacked_with(self.storage, failed)
        if len(together) > 1 and not self._alone.issuperset(failed):
            if max(self._failed[work, kind] for work in failed) >= rule.stack_tries:
                self._take_apart(failed, together)
            return failed
        return [work for work in failed if self._failed[work, kind] <= rule.retries]

    def _take_apart(self, failed: Sequence[Work], together: Sequence[BundleKey]) -> None:
        """Whichever bundle of the stack is at fault, the others are not to fail with it."""
        with contextlib.suppress(StorageError):
            go_alone(self.storage, together)
        self._alone.update(failed)
        for work, kind in itertools.product(failed, Kind):
            del self._failed[work, kind]


def why_died(storage: Storage, over: Mapping[Work, int]) -> Kind:
    """Why a worker process is gone: it hung, which it noted under its lease before it ended; else nobody knows.

    over: the numbers of the leases that its own followed. A death without a word is noted here.
    """
    with contextlib.suppress(StorageError, DamagedRecordError, AttributeError, TypeError, ValueError):
        for work, number in over.items():
            for failure in failures_of(storage, work.key):
                if failure.kind == Kind.HANG and failure.lease == number + 1:
                    return Kind.HANG
    cause = RuntimeError("the worker process died; it was killed or ran out of memory")
    for work, number in over.items():
        if owed_repeats(storage, work):
            with contextlib.suppress(StorageError):
                note_failure(storage, work.key, cause, Kind.WORKER, work.repeats, lease=number + 1)
    return Kind.WORKER

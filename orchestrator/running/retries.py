"""What is trained again after a failure, how often and in which company."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence

from orchestrator.store.errors import DamagedRecordError, StorageError
from orchestrator.store.leases import LeaseView, current_lease
from orchestrator.store.segments import Segment
from orchestrator.store.storage import Storage
from trainables.bundles.failures import RULES, Kind, LostError, NodeLostError, failures_of, note_failure
from trainables.bundles.work import divide


class Retries:
    """Counts failures within one search, by their kind; `RULES` says what follows."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._failed: Counter[tuple[Segment, Kind]] = Counter()

    def again(self, failed: Segment, kind: Kind, *, divides: bool = True) -> tuple[Segment, ...]:
        """What is tried again of it, by the rule for what happened: itself, its configurations alone, or nothing.

        Whichever configuration of a stack is at fault, the others are not to fail with it. divides: False where it is
        trained for the state at its end, which is one of all its lanes.
        """
        rule = RULES[kind]
        self._failed[failed, kind] += 1
        tries = self._failed[failed, kind]
        if divides and len(failed.configurations) > 1:
            if tries < rule.stack_tries:
                return (failed,)
            with contextlib.suppress(StorageError):
                divide(self.storage, failed, failed.alone())
            return failed.alone()
        return (failed,) if tries <= rule.retries else ()


def why_died(
    storage: Storage,
    segments: Sequence[Segment],
    over: Sequence[int],
    why_lost: Callable[[LeaseView | None], LostError] = lambda lease: LostError("the worker process died"),
) -> tuple[Segment, Kind]:
    """At which of its segments a worker process is gone, and why: it hung, which it noted under its lease before it
    ended; else what `why_lost` says of that lease (None: it had taken none) is noted here.

    over: the numbers of the leases that its own followed.
    """
    under_way, held = segments[0], None
    for segment, number in zip(segments, over, strict=True):
        with contextlib.suppress(StorageError, DamagedRecordError, AttributeError, TypeError, ValueError):
            if any(one.kind == Kind.HANG and one.lease == number + 1 for one in failures_of(storage, segment)):
                return segment, Kind.HANG
        with contextlib.suppress(StorageError):
            lease = current_lease(storage, segment.folder)
            if lease is not None and lease.number == number + 1 and not lease.is_released:
                under_way, held = segment, lease
    cause = why_lost(held)
    kind = Kind.NODE if isinstance(cause, NodeLostError) else Kind.WORKER
    with contextlib.suppress(StorageError):
        lease_number = over[segments.index(under_way)] + 1
        note_failure(storage, under_way, cause, kind, lease=lease_number)
    return under_way, kind

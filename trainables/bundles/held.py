"""Bundles that this process holds: their leases are renewed and given back together, failures noted under each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.store.concurrently import concurrently
from orchestrator.store.layout import BundleKey
from orchestrator.store.leases import Lease
from orchestrator.store.storage import Storage
from trainables.bundles.failures import Kind, note_failure
from trainables.bundles.work import Work


class HeldBundles:
    """Works of one number of epochs, each under the lease at its place."""

    def __init__(self, works: Sequence[Work], leases: Sequence[Lease]) -> None:
        self.works = tuple(works)
        self.leases = tuple(leases)
        self.epochs = works[0].epochs
        self._done: dict[int, int] = {}

    def tell(self, repeats: Iterable[int], epoch: int) -> None:
        """These repeats have come so far; leases say so from their next renewal on."""
        self._done |= dict.fromkeys(repeats, epoch)

    def renew(self) -> BundleKey | None:
        """Renew what is due; a bundle that another process has taken over, if there is one."""
        held = concurrently(lambda lease: lease.renew(self._done, self.epochs), self.leases)
        return None if all(held) else self.works[held.index(False)].key

    def release(self) -> None:
        """Give all of them back."""
        concurrently(lambda lease: lease.release(self._done, self.epochs), self.leases)

    def note(self, storage: Storage, error: BaseException, kind: Kind, attempt: int, stacks: str | None = None) -> None:
        """Keep a failure of this attempt beside each bundle; stacks: see `note_failure`."""
        for work, lease in zip(self.works, self.leases, strict=True):
            note_failure(storage, work.key, error, kind, work.repeats, attempt, lease.number, stacks)

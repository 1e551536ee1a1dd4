"""Exclusive creation where the storage has none: everybody claims, the folder settles, all see the same winner.

Google Drive and its like permit two files of one name and show new ones late. What they do keep apart are files of
different names. So a creator writes a claim of a name of its own beside the target, `<target>.claim-<random>`, waits
until everybody's claims must have become visible, and the smallest claim wins. The winner alone writes the target.

Let D be the longest time after which a written file is seen by all. With `settle_s` ≥ 2 D (and a little for the writes)
there is one winner: of two claims written within settle_s − D each is seen by both, and of those further apart the
later one sees the target that the earlier one has written by then. Time is counted by each driver on its own monotonic
clock; clocks that differ do no harm. A claim whose owner died is passed over when its target has not come in time.
Should the folder take longer than it was trusted to, two drivers may both believe that they won: a bundle is then
trained twice and gives the same keyed rows.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Callable

from orchestrator.store.errors import StorageError
from orchestrator.store.storage import Storage

SETTLE_S = 60.0
"""Twice the half minute in which mounted drives usually show a file that another machine wrote."""

_CLAIM = re.compile(r"(.+)\.claim-[0-9a-f]{32}", re.DOTALL)
_CONTENDED = re.compile(
    r"(?:.*/)?(?:lease-\d+\.json|study\.toml|manifest\.parquet|divided\.toml)|searches/[^/]+/(?:\d+|budget-\d+)\.toml"
)


def is_contended(path: str) -> bool:
    """Whether it matters who creates this file: leases, decisions, budgets, how a segment is divided, and
    the making of a study.

    All other files of a study are named by their content, written under a lease, or keyed records that are equal
    whoever makes them; for those a look at the folder before writing is enough.
    """
    return _CONTENDED.fullmatch(path) is not None


class SettledStorage:
    """A storage whose `create` is decided by claims; everything else is the inner storage's own."""

    def __init__(
        self,
        inner: Storage,
        settle_s: float = SETTLE_S,
        *,
        contended: Callable[[str], bool] = is_contended,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.inner = inner
        self.settle_s = settle_s
        self._contended = contended
        self._clock = clock
        self._sleep = sleep
        self._new_id = new_id

    def __repr__(self) -> str:
        return f"SettledStorage({self.inner!r}, {self.settle_s:g})"

    def read(self, path: str) -> bytes:
        return self.inner.read(path)

    def list(self, folder: str) -> list[str]:
        """Names without claims; a name that the storage holds twice is listed once."""
        return sorted({name for name in self.inner.list(folder) if not _CLAIM.fullmatch(name)})

    def replace(self, path: str, content: bytes) -> None:
        self.inner.replace(path, content)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def rename(self, path: str, name: str) -> None:
        self.inner.rename(path, name)

    def create(self, path: str, content: bytes) -> bool:
        """As the contract says, after `settle_s` seconds at least where it matters who was first."""
        folder, _, name = path.rpartition("/")
        if name in self.inner.list(folder):
            return False
        if not self._contended(path):
            self.inner.replace(path, content)
            return True
        claim = f"{name}.claim-{self._new_id()}"
        self.inner.replace(self._beside(folder, claim), content)
        try:
            if not self._wins(folder, name, claim):
                return False
            self.inner.replace(path, content)
            with contextlib.suppress(StorageError):
                self._clear_up(folder, name, claim)
            return True
        finally:
            with contextlib.suppress(StorageError):
                self.inner.delete(self._beside(folder, claim))

    def _wins(self, folder: str, name: str, claim: str) -> bool:
        """Wait until the folder has settled; whether the target is this claim's to write.

        A smaller claim is waited for from the moment when it was first seen, whether it is still there or not: it may
        itself wait for those before it, so the one of rank k (0 the smallest) has (2 + k) × `settle_s`.
        """
        begun = self._clock()
        rivals: dict[str, float] = {}
        while True:
            asked = self._clock()
            names = self.inner.list(folder)
            seen = self._clock()
            if name in names:
                return False
            for other in names:
                if other < claim and self._is_claim(other, name):
                    rivals.setdefault(other, seen)
            waits = [rivals[rival] + (2 + rank) * self.settle_s for rank, rival in enumerate(sorted(rivals))]
            left = max([begun + self.settle_s, *waits]) - asked
            if left <= 0:
                return True
            self._sleep(min(left, self.settle_s / 10))

    def _clear_up(self, folder: str, name: str, claim: str) -> None:
        """The winner's, once the target is there: the claims of the dead. Everybody else takes away its own."""
        for other in self.inner.list(folder):
            if other < claim and self._is_claim(other, name):
                self.inner.delete(self._beside(folder, other))

    @staticmethod
    def _is_claim(other: str, name: str) -> bool:
        match = _CLAIM.fullmatch(other)
        return match is not None and match[1] == name

    @staticmethod
    def _beside(folder: str, name: str) -> str:
        return f"{folder}/{name}" if folder else name

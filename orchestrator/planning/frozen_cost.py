"""What the frozen part of one depth takes, and which of its views the cache does not have."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from trainables.network.division import PIXELS


@dataclass(frozen=True)
class FrozenCost:
    """What the frozen part of one depth takes, on all partitions that owe something of it.

    rows: views of one partition. wanted, lacking: views by name under each key of features, all of them and those that
    are not in the cache yet; partitions share what agrees in its key. note: what follows where nothing is cached.
    """

    layer: str
    why: str
    values: int
    rows: int
    row_bytes: int = 0
    wanted: Mapping[str, Set[str]] = field(default_factory=dict)
    lacking: Mapping[str, Set[str]] = field(default_factory=dict)
    note: str = ""

    @property
    def is_cached(self) -> bool:
        return self.layer != PIXELS

    @property
    def views(self) -> int:
        return sum(map(len, self.wanted.values())) if self.is_cached else self.rows

    @property
    def size_bytes(self) -> int:
        return self.views * self.row_bytes

    @property
    def missing(self) -> int:
        """Views that are to be computed."""
        return sum(map(len, self.lacking.values()))

"""The whole state of a group at one moment, as checkpoints and ends of segments have it. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from orchestrator.store.record import canonical_json, pack, unpack

DETERMINED = ("configurations", "repeats", "epoch", "position")
"""What of the meta is the same whoever trains."""


@dataclass(frozen=True)
class GroupState:
    """meta["group"] holds configurations (ids) and repeats of the lanes in their order, epoch, position and seconds of
    each lane; arrays, by the names of `Learner.state` and `Group.snapshot`, hold all the rest.

    name: of the file that it was read from.
    """

    meta: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    name: str = "a state"

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> GroupState:
        """Raises DamagedRecordError."""
        return cls(*unpack(content, name), name)

    def to_bytes(self) -> bytes:
        return pack(self.meta, self.arrays)

    @property
    def about(self) -> Mapping[str, Any]:
        """What the meta says of the group; empty where it says nothing."""
        found: Mapping[str, Any] = self.meta.get("group", {})
        return found

    @property
    def lanes(self) -> list[tuple[str, int]]:
        """(configuration, repeat) in the order of lanes. Raises KeyError or ValueError where the meta does not say."""
        return list(zip(self.about["configurations"], self.about["repeats"], strict=True))

    def digest(self) -> str:
        """SHA-256 of everything that follows from what was trained, hexadecimal; not of times, attempts and places."""
        digest = hashlib.sha256(canonical_json({name: self.about[name] for name in DETERMINED}).encode())
        for name in sorted(self.arrays):
            array = self.arrays[name]
            digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(_one_nan(array)).data)
        return digest.hexdigest()

    def lane(self, configuration: str, repeat: int) -> LaneState | None:
        """None where it is not in the group, or had ended before this began."""
        place = self.lanes.index((configuration, repeat)) if (configuration, repeat) in self.lanes else -1
        return None if place < 0 or self.arrays["absent"][place] else LaneState(self, place)


class LaneState(NamedTuple):
    """One lane of a group's state."""

    of: GroupState
    place: int


def _one_nan(array: np.ndarray) -> np.ndarray:
    """With one pattern of bits for whatever is no number, which depends on how operands were laid out."""
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return array
    return np.where(np.isnan(array), array.dtype.type(np.nan), array)

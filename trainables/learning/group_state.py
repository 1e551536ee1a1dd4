"""The whole state of a group at one moment, as checkpoints and ends of segments have it. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from orchestrator.store.errors import DamagedRecordError
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
        """Raises DamagedRecordError, also for a whole record that does not say of which repeats it is."""
        state = cls(*unpack(content, name), name)
        if not _is_of_lanes(state.meta.get("group"), state.arrays.get("absent")):
            raise DamagedRecordError(f"{name} does not say of which repeats it is")
        return state

    def to_bytes(self) -> bytes:
        return pack(self.meta, self.arrays)

    @property
    def about(self) -> Mapping[str, Any]:
        """What the meta says of the group; empty where it says nothing."""
        about: Mapping[str, Any] = self.meta.get("group", {})
        return about

    @property
    def lanes(self) -> list[tuple[str, int]]:
        """(configuration, repeat) in the order of lanes. Raises KeyError or ValueError where the meta does not say."""
        return list(zip(self.about["configurations"], self.about["repeats"], strict=True))

    @property
    def size(self) -> int:
        """Bytes of its arrays: the same whoever trained, as its digest. What is said beside them has times."""
        return sum(array.nbytes for array in self.arrays.values())

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


def _is_of_lanes(about: object, absent: np.ndarray | None) -> bool:
    if not isinstance(about, dict) or absent is None:
        return False
    lists = [about.get(name) for name in ("configurations", "repeats", "seconds")]
    numbers = [about.get(name) for name in ("epoch", "position")]
    return (
        all(isinstance(values, list) and absent.shape == (len(values),) for values in lists)
        and all(isinstance(name, str) for name in about["configurations"])
        and all(isinstance(value, int | float) for name in ("repeats", "seconds") for value in about[name])
        and all(isinstance(number, int) and 0 <= number < 1 << 63 for number in numbers)
    )


def _one_nan(array: np.ndarray) -> np.ndarray:
    """With one pattern of bits for whatever is no number, which depends on how operands were laid out."""
    if array.dtype.kind != "f" or not np.isnan(array).any():
        return array
    return np.where(np.isnan(array), array.dtype.type(np.nan), array)

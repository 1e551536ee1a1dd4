"""Segments: lanes that are trained together from one number of epochs to the next; what is leased and checkpointed.

A segment's folder, named by what it is, holds its leases, its recipe, attempts with their checkpoints, failures, the
state at its end, and, where it was too large or failed, the smaller segments that it goes on as. What a repeat leaves
behind lies with its bundle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BundleKey
from orchestrator.store.record import short_hash
from orchestrator.store.schema import Epochs, FinalRecord, Identity, Record, RepeatNumber, RepeatState, told_of

SEGMENTS = "segments"
_STATE = re.compile(r"state-([0-9a-f]{16})\.b(\d{1,15})")


class LaneKey(NamedTuple):
    """One repeat of one configuration on one partition."""

    partition: str
    configuration: str
    repeat: int

    @property
    def bundle(self) -> BundleKey:
        return BundleKey.of_repeat(*self)


@dataclass(frozen=True)
class Segment:
    """Every repeat of every configuration, as lanes from `start` epochs to `epochs`."""

    partition: Identity
    configurations: tuple[Identity, ...]
    repeats: tuple[RepeatNumber, ...]
    start: Epochs
    epochs: Epochs

    def __str__(self) -> str:
        return self.id

    def __hash__(self) -> int:
        """Kept, for segments are looked up far more often than made."""
        return self._hash

    def __reduce__(self) -> tuple[type[Segment], tuple[object, ...]]:
        """Without the hash: those of texts differ between processes."""
        return Segment, self._fields

    @cached_property
    def _hash(self) -> int:
        return hash(self._fields)

    @property
    def _fields(self) -> tuple[object, ...]:
        return self.partition, self.configurations, self.repeats, self.start, self.epochs

    @cached_property
    def id(self) -> str:
        return short_hash(self._fields)

    @cached_property
    def lanes(self) -> tuple[LaneKey, ...]:
        """In the order in which they are trained: repeat by repeat, each with every configuration."""
        return tuple(LaneKey(self.partition, name, repeat) for repeat in self.repeats for name in self.configurations)

    @property
    def bundles(self) -> tuple[BundleKey, ...]:
        """Where the records of its lanes lie."""
        return tuple(dict.fromkeys(lane.bundle for lane in self.lanes))

    @property
    def folder(self) -> str:
        return f"{SEGMENTS}/{self.id}"

    @property
    def recipe(self) -> str:
        return f"{self.folder}/recipe.toml"

    @property
    def divided(self) -> str:
        return f"{self.folder}/divided.toml"

    def attempt(self, number: int) -> str:
        return f"{self.folder}/attempt-{number}"

    def failure(self, number: int) -> str:
        return f"{self.folder}/failure-{number}.json"

    def state(self, digest: str, size: int) -> str:
        """The state at its end, of `size` bytes; the first 16 digits of its digest tell it from others."""
        return f"{self.folder}/state-{digest[:16]}.b{size}"

    def final(self, lane: LaneKey, state: RepeatState) -> str:
        return lane.bundle.final(lane.repeat, self.epochs, state)

    def alone(self) -> tuple[Segment, ...]:
        """Each configuration by itself."""
        return tuple(
            Segment(self.partition, (one,), self.repeats, self.start, self.epochs) for one in self.configurations
        )

    def in_turn(self) -> tuple[Segment, ...]:
        """Each lane by itself."""
        return tuple(
            Segment(self.partition, (lane.configuration,), (lane.repeat,), self.start, self.epochs)
            for lane in self.lanes
        )

    def halves(self) -> tuple[Segment, ...]:
        """Half of the configurations each; where there is one alone, each of its repeats."""
        if len(self.configurations) == 1:
            return self.in_turn()
        middle = (len(self.configurations) + 1) // 2
        parts = self.configurations[:middle], self.configurations[middle:]
        return tuple(Segment(self.partition, part, self.repeats, self.start, self.epochs) for part in parts)


class StateName(NamedTuple):
    """What the file name of a segment's end state says."""

    digest: str
    bytes: int


def parse_state(name: str) -> StateName | None:
    """None for any other file."""
    match = _STATE.fullmatch(name)
    return StateName(match[1], int(match[2])) if match else None


class Recipe(Record):
    """How a segment is computed; decided by a fixed rule at its first step and kept by whoever goes on."""

    segment: Segment
    device: Literal["cpu", "cuda"]
    device_name: str
    threads: int = Field(ge=1)
    scoring_batch: int = Field(ge=1)
    frontier: str = ""
    """Name of the layer up to which the frozen part is cached."""


def recipe_of(record: FinalRecord, name: str) -> Recipe:
    """How the segment was computed that a final record is of. Raises DamagedRecordError where it does not say."""
    try:
        return Recipe.model_validate(record.meta.get("recipe"))
    except ValidationError as error:
        raise DamagedRecordError(f"{name} has no recipe: {told_of(error)}") from error


class Divided(Record):
    """`segments/<id>/divided.toml`: the smaller segments that one goes on as; the first who writes it decides."""

    parts: tuple[Segment, ...]

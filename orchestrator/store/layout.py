"""Every file name of a study, in one place, and the rules for names that become paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.store.errors import InputError
from orchestrator.store.schema import BUNDLE_SIZE, RepeatState

STUDY = "study.toml"
MANIFEST = "dataset/manifest.parquet"
REFUSED = "dataset/refused.csv"
NEAR_DUPLICATES = "dataset/near_duplicates.csv"
NOTES = "dataset/notes.json"
DASHBOARD = "dashboard.html"
SEARCHES = "searches"
PARTITIONS = "partitions"
CONFIGURATIONS = "configurations"
BUNDLES = "bundles"
HISTORIES = "histories"
FORGOTTEN = "forgotten.json"
REMARKS = "results/remarks"
RESULTS = "results"
ENSEMBLES = "results/ensembles"
MAPS = "results/maps"
EPOCH_TIMES = "results/epoch_times.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FINAL = re.compile(r"(\d{1,6})\.e(\d{1,6})(?:\.(stopped|diverged))?")
_ATTEMPT = re.compile(r"attempt-(\d{1,6})")
_LEASE = re.compile(r"lease-(\d{1,9})\.json")


def is_name(name: str) -> bool:
    """Whether a study can have this name."""
    return _NAME.fullmatch(name) is not None and not name.endswith(".")


def checked_name(name: str, what: str = "study name") -> str:
    """Return `name` if it may become a folder; raise InputError otherwise."""
    if is_name(name):
        return name
    raise InputError(
        f"{what} {name[:80]!r}: expected at most 64 letters, digits, '.', '_' and '-', a letter or digit first",
        "Choose another name.",
    )


def partition(partition_id: str) -> str:
    return f"{PARTITIONS}/{partition_id}.parquet"


def configuration(configuration_id: str) -> str:
    return f"{CONFIGURATIONS}/{configuration_id}.toml"


def remark(number: int) -> str:
    return f"{REMARKS}/{number}.json"


def ensemble(ensemble_id: str) -> str:
    return f"{ENSEMBLES}/{ensemble_id}.json"


def maps(record_id: str) -> str:
    return f"{MAPS}/{record_id}.json"


class ConfigurationKey(NamedTuple):
    """One configuration on one partition: what is asked for, summarised and ranked."""

    partition: str
    configuration: str


@dataclass(frozen=True, order=True)
class BundleKey:
    """Ten consecutive repeats of one configuration on one partition: where their records lie."""

    partition: str
    configuration: str
    index: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.configuration}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> BundleKey:
        partition_id, configuration_id, index = text.split("/")
        return cls(partition_id, configuration_id, int(index))

    @classmethod
    def of_repeat(cls, partition_id: str, configuration_id: str, repeat: int) -> BundleKey:
        return cls(partition_id, configuration_id, repeat // BUNDLE_SIZE)

    @property
    def repeats(self) -> range:
        return range(self.index * BUNDLE_SIZE, (self.index + 1) * BUNDLE_SIZE)

    @property
    def folder(self) -> str:
        return f"{BUNDLES}/{self.partition}/{self.configuration}/{self.index}"

    @property
    def finals(self) -> str:
        return f"{self.folder}/final"

    def final(self, repeat: int, epochs: int, state: RepeatState = RepeatState.FINISHED) -> str:
        """The final record of a repeat that was asked for so many epochs; its name alone says how it ended."""
        return f"{self.finals}/{repeat}.e{epochs}{'' if state is RepeatState.FINISHED else f'.{state.value}'}"


class FinalName(NamedTuple):
    """What a final record's file name says."""

    repeat: int
    epochs: int
    """As many as were asked for."""
    state: RepeatState


def parse_final(name: str) -> FinalName | None:
    """None for any other file."""
    match = _FINAL.fullmatch(name)
    return FinalName(int(match[1]), int(match[2]), RepeatState(match[3] or "finished")) if match else None


def damaged(final: str) -> str:
    """Where a final record goes that cannot be read: a name that is no final record's, so that it is owed again."""
    return f"{final}.damaged"


def parse_damaged(name: str) -> FinalName | None:
    """The name that a final record had before it was set aside; None for any other file."""
    return parse_final(name.removesuffix(".damaged")) if name.endswith(".damaged") else None


def parse_attempt(name: str) -> int | None:
    match = _ATTEMPT.fullmatch(name)
    return int(match[1]) if match else None


def lease(folder: str, number: int) -> str:
    """Of a segment or a search, in its folder."""
    return f"{folder}/lease-{number}.json"


def parse_lease(name: str) -> int | None:
    match = _LEASE.fullmatch(name)
    return int(match[1]) if match else None

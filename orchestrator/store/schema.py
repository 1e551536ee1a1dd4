"""What the files of a study hold. Any later version can read them: fields are added, never given another meaning."""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.parsing import parsed_toml
from orchestrator.store.record import pack, unpack

SCHEMA_VERSION = 8
"""1: studies of version 0.1, whose configurations were flat. 3: what was asked lay in `requests/`. 4: no configuration
said by which rule it selects. 5: manifests did not say by what images of more than 8 bits were scaled. 6: they said
nothing of pages and channels."""
ENGINE = 3
"""Raised whenever learning changes, so that results of another engine are never mixed with these."""

BUNDLE_SIZE = 10
"""A bundle is this many consecutive repeat numbers, 0–9, 10–19, …: where the records of a repeat lie."""

Identity = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Of a partition or configuration: it becomes part of paths."""
MOST = 999_999
"""Of repeats and epochs: what names of files can say."""
MOST_REPEATS = 10_000_000
"""Of one budget or decision, over all its configurations: few bytes can ask for more than any memory holds."""
RepeatNumber = Annotated[int, Field(ge=0, le=MOST)]
Epochs = Annotated[int, Field(ge=0, le=MOST)]

_CHECKSUM = re.compile(rb"# sha256 ([0-9a-f]{64})\r?\n")
Metric = str
"""Name of a metric: a variant of `search_spaces.settings.selection.METRICS`."""


class RepeatState(enum.Enum):
    """Where one repeat stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """By its ending, before all epochs that were asked: more would stop at the same one."""
    DIVERGED = "diverged"
    FAILED = "failed"

    def has_result(self) -> bool:
        """A diverged repeat is a result too: it counts with its score at epoch 0."""
        return self in (RepeatState.FINISHED, RepeatState.STOPPED, RepeatState.DIVERGED)

    def ended_by_itself(self) -> bool:
        """Whether more epochs would change nothing."""
        return self in (RepeatState.STOPPED, RepeatState.DIVERGED)


class Record(BaseModel):
    """Base of everything stored as TOML: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_toml(self) -> bytes:
        """The record as TOML, its checksum in a comment of the first line."""
        body = tomli_w.dumps(_without_none(self.model_dump(mode="json"))).encode()
        return f"# sha256 {hashlib.sha256(body).hexdigest()}\n".encode() + body


class JsonRecord(BaseModel):
    """Base of everything stored as JSON, and of its parts: immutable; unknown keys of a later version are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


Duplicates = Literal["refuse", "keep-one", "keep-all"]


class StudyRecord(Record):
    """`study.toml`: what a study is; written once when the study is made."""

    schema_version: int = SCHEMA_VERSION
    name: str
    task: str
    """Name of a variant of `search_spaces.settings.data.TASKS`."""
    classes: tuple[str, ...]
    """Class names in the order of their indices; a binary task has (negative, positive)."""
    class_names: dict[str, str] = Field(default_factory=dict)
    """Of these, by what the data call them, those that the data call otherwise."""
    seed: int = 0
    precision: Literal["fp32", "bf16"]
    selection: Metric = "loss"
    synthetic: bool = False
    synthetic_kind: str = ""
    """Of images that the program made itself, and makes again from the seed; "" for a folder or table of the user's."""
    group_meaning: str
    """What a group is, in words shown to the reader: "folder", "column slide", "images assumed independent" …"""
    data_fingerprint: str
    """SHA-256 over the pixels and labels of all train and valid images, in no particular order."""
    test_fingerprint: str
    """The same over the test images; it enters no identity."""
    duplicates: Duplicates = "refuse"
    """What became of images with equal pixels in several splits, or under several labels."""
    partition: str = ""
    """Id of the partition that searches use unless they name others."""
    data_source: str = ""
    """Where the data lay when the study was made; each machine may say otherwise."""
    data_packed: str = ""
    """The archive or array that it was unpacked from; "" for a folder or table of the user's own."""
    data_sha256: str = ""
    """Of the content of that, 64 hex digits."""
    space: str = ""
    """Name of the search space that the study was made from."""
    title: str = ""
    """Of that search space, as a reader meets it."""
    input_size: Literal["network", "images"] = "network"
    """What a network's input is as large as where nobody says: the network's own size, or the images'."""
    created: str
    """UTC, ISO 8601."""
    versions: dict[str, str] = Field(default_factory=dict)


class History:
    """Per epoch and split: loss and statistics of one repeat, epoch 0 (untrained) included.

    loss: float64 [epochs + 1, splits], the mean unweighted loss over the split's images, as the task has it.
    statistics: int32 [epochs + 1, splits, *shape], what the task's metrics are made of: where there are classes,
        confusion counts [K, K].
    measured: float64 [epochs + 1, splits], the metric that selects, where it does not follow from those; else None.
    splits: names of the second axis: "train", "valid" and, where asked for, "valid_views".
    """

    def __init__(
        self, splits: tuple[str, ...], loss: np.ndarray, statistics: np.ndarray, measured: np.ndarray | None = None
    ) -> None:
        self.splits = splits
        self.loss = loss
        self.statistics = statistics
        self.measured = measured

    @property
    def epochs(self) -> int:
        """Trained epochs: one less than there are rows."""
        return len(self.loss) - 1


_FINAL_ARRAYS = {"loss": ("f", 2), "statistics": ("i", 2), "measured": ("f", 2), "logits": ("f", 2)}
"""Kind of type, and axes at least."""
_MAY_LACK = ("measured",)
_MOST_AXES = 8
_FINAL_META: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("configuration", "partition", "state", "selection", "host", "device", "undetermined"), str),
    **dict.fromkeys(("finished", "end_state"), str),
    **dict.fromkeys(("repeat", "epochs", "diverged_epoch", "selected_epoch"), int),
    **dict.fromkeys(("total_parameters", "trainable_parameters"), int),
    "seconds": (int, float),
    "devices_mixed": bool,
}
"""Of what a record says, the type; settings of a later version may be among the rest."""


class FinalRecord:
    """`final/<repeat>.e<epochs>`: a finished repeat, created exclusively; the first writer wins.

    meta holds: configuration, partition, repeat, epochs (asked), state ("finished" | "stopped" | "diverged"),
    diverged_epoch, selected_epoch, selection, attempts (list of attempt numbers), seconds (training time of this
    repeat, earlier segments included), host, device, devices_mixed (bool), undetermined (operations without a
    deterministic algorithm, as torch names them), recipe (with the segment that it was trained in; attempts are those
    at it), end_state (digest of what that left behind, whether it is kept or not), finished (UTC), splits,
    total_parameters, trainable_parameters.
    logits: float16 [n_valid, outputs], of view 0 of each valid image at the selected epoch, in manifest order.
    """

    def __init__(self, meta: Mapping[str, Any], history: History, logits: np.ndarray) -> None:
        self.meta = dict(meta)
        self.history = history
        self.logits = logits

    def to_bytes(self) -> bytes:
        meta = {**self.meta, "splits": list(self.history.splits)}
        arrays = {"loss": self.history.loss, "statistics": self.history.statistics, "logits": self.logits}
        if self.history.measured is not None:
            arrays["measured"] = self.history.measured
        return pack(meta, arrays)

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> FinalRecord:
        meta, arrays = unpack(content, name)
        splits = meta.get("splits")
        for key, (kind, axes) in _FINAL_ARRAYS.items():
            array = arrays.get(key)
            if array is None and key in _MAY_LACK:
                continue
            if array is None:
                raise DamagedRecordError(f"{name} lacks {key!r}")
            if array.dtype.kind != kind or not axes <= array.ndim <= _MOST_AXES or 0 in array.shape[2:]:
                raise DamagedRecordError(f"{name}: its {key} is of type {array.dtype} and shape {array.shape}")
        if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
            raise DamagedRecordError(f"{name} lacks 'splits'")
        for key, kinds in _FINAL_META.items():
            value = meta.get(key)
            if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool)):
                raise DamagedRecordError(f"{name}: its {key} is a {type(value).__name__}")
        history = History(tuple(splits), arrays["loss"], arrays["statistics"], arrays.get("measured"))
        return cls(meta, history, arrays["logits"])

    @property
    def state(self) -> RepeatState:
        return RepeatState(self.meta["state"])


R = TypeVar("R", bound=Record)


def parse_toml(kind: type[R], content: bytes, name: str) -> R:
    """Read a stored TOML record; raise DamagedRecordError when it is not one, or not as it was written.

    One without a checksum, of an earlier version or with that line removed by hand, is taken as it is.
    """
    stated = _CHECKSUM.match(content)
    if stated and stated[1].decode() != hashlib.sha256(content[stated.end() :]).hexdigest():
        raise DamagedRecordError(f"{name} fails its checksum (if it was changed on purpose, remove its first line)")
    try:
        return kind.model_validate(parsed_toml(content, name, f"a valid {kind.__name__}"))
    except ValidationError as error:
        raise DamagedRecordError(f"{name} is not a valid {kind.__name__}: {told_of(error)}") from error


def told_of(error: ValidationError) -> str:
    """The first faults that pydantic found, in one line."""
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['msg']}"[:200]
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
    return f"{'; '.join(faults[:3])}{more}"


J = TypeVar("J", bound=BaseModel)


def parse_model(kind: type[J], content: bytes, name: str) -> J:
    """A stored record of JSON; DamagedRecordError where it is none."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise DamagedRecordError(f"{name} is not a whole {kind.__name__}: {told_of(error)}") from error


def _without_none(value: Any) -> Any:
    """TOML has no null: leave such keys out; reading gives the default back."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value

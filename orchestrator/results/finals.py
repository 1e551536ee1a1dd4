"""Final records: their keys, what a whole one says, and what becomes of one that cannot be read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pyarrow as pa

from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import BundleKey
from orchestrator.store.schema import FinalRecord, RepeatState
from orchestrator.store.storage import Storage
from trainables.learning.metrics import is_measured

KEY = ["partition", "configuration", "repeat", "epochs"]
REPEAT_COLUMNS: dict[str, pa.DataType] = {
    "partition": pa.string(),
    "configuration": pa.string(),
    "repeat": pa.int32(),
    "epochs": pa.int32(),
    "state": pa.string(),
    "diverged_epoch": pa.int32(),
    "selected_epoch": pa.int32(),
    "selection": pa.string(),
    "seconds": pa.float64(),
    "host": pa.string(),
    "device": pa.string(),
    "devices_mixed": pa.bool_(),
    "undetermined": pa.string(),
    "finished": pa.string(),
    "total_parameters": pa.int64(),
    "trainable_parameters": pa.int64(),
    "recipe": pa.string(),
    "history_epochs": pa.int32(),
    "history_splits": pa.int32(),
    "digest": pa.string(),
}
"""Of a part's table of repeats; digest: what tells the record's bytes from others, see `digest_of`."""


@dataclass(frozen=True)
class FinalKey:
    """One final record: a repeat trained for so many epochs."""

    partition: str
    configuration: str
    repeat: int
    epochs: int
    state: RepeatState = RepeatState.FINISHED

    def place(self) -> tuple[str, str, int, int, str]:
        """Among others; of several of one repeat and number of epochs the one with all its epochs comes first."""
        state = "" if self.state is RepeatState.FINISHED else self.state.value
        return self.partition, self.configuration, self.repeat, self.epochs, state

    @property
    def path(self) -> str:
        bundle = BundleKey.of_repeat(self.partition, self.configuration, self.repeat)
        return bundle.final(self.repeat, self.epochs, self.state)


def digest_of(content: bytes) -> str:
    """First 16 hex digits of the SHA-256 of a final record's bytes: what a decision cites of it."""
    return hashlib.sha256(content).hexdigest()[:16]


def read_final(key: FinalKey, content: bytes) -> tuple[dict[str, object], FinalRecord]:
    """A row of REPEAT_COLUMNS and the record; DamagedRecordError where it is not the whole one that its name says."""
    record = FinalRecord.from_bytes(content, key.path)
    return {**_repeat_row(key, record), "digest": digest_of(content)}, record


def set_aside(storage: Storage, key: FinalKey) -> bool:
    """Keep a final record that cannot be read under another name; False when it is gone or whole by now."""
    try:
        read_final(key, storage.read(key.path))
    except FileNotFoundError:
        return False
    except DamagedRecordError:
        storage.rename(key.path, layout.damaged(key.path))
        return True
    return False


def _repeat_row(key: FinalKey, record: FinalRecord) -> dict[str, object]:
    history, meta = record.history, record.meta
    whole = (
        history.loss.shape == history.statistics.shape[:2] == (len(history.loss), len(history.splits))
        and (history.measured is not None) == is_measured(meta.get("selection"))
        and (history.measured is None or history.measured.shape == history.loss.shape)
        and len(history.loss) >= 1
        and {"train", "valid"} <= set(history.splits)
        and meta.get("state") == key.state.value
        and (key.state.ended_by_itself() or history.epochs == key.epochs)
        and 0 <= (meta.get("selected_epoch") or 0) <= history.epochs
        and all(abs(meta.get(name) or 0) < 1 << 63 for name in ("total_parameters", "trainable_parameters"))
        and abs(meta.get("diverged_epoch") or 0) < 1 << 31
    )
    if not whole:
        raise DamagedRecordError(f"{key.path} does not hold a history of {key.epochs} epochs")
    recipe = meta.get("recipe")
    return {
        **{name: meta.get(name) for name in REPEAT_COLUMNS},
        **{name: getattr(key, name) for name in KEY},
        "recipe": recipe if isinstance(recipe, str) else json.dumps(recipe, sort_keys=True),
        "history_epochs": history.epochs,
        "history_splits": len(history.splits),
    }

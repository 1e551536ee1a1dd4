"""What epochs are expected to take before anybody has trained them: `results/epoch_times.json`.

A search measures it while it trains something else (`planning.meanwhile`); whoever tells the time left reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from orchestrator.store import layout
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import Identity, JsonRecord, parse_model
from orchestrator.store.storage import Storage


class EpochTimes(JsonRecord):
    seconds: dict[Identity, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    """By configuration: of one worker, for an epoch of one repeat, its share of a stack."""


def read_epoch_times(storage: Storage) -> Mapping[str, float]:
    """Empty where nobody measured, or what was written cannot be read: it is a guess, and nothing hangs on it."""
    try:
        return parse_model(EpochTimes, storage.read(layout.EPOCH_TIMES), layout.EPOCH_TIMES).seconds
    except (FileNotFoundError, DamagedRecordError):
        return {}


def add_epoch_times(storage: Storage, seconds: Mapping[str, float]) -> None:
    """Beside those of other configurations that are there."""
    record = EpochTimes(seconds={**read_epoch_times(storage), **seconds})
    storage.replace(layout.EPOCH_TIMES, record.model_dump_json(indent=1).encode())

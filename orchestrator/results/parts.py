"""Parts of compacted histories: what the two files of one hold, and whether it is what was written."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from orchestrator.results.finals import KEY, REPEAT_COLUMNS, FinalKey
from orchestrator.store.errors import DamagedRecordError, first_line
from orchestrator.store.parquet import read_parquet
from orchestrator.store.schema import RepeatState

_OF_REPEATS = {
    **dict.fromkeys(("partition", "configuration", "state"), "text"),
    **dict.fromkeys(("repeat", "epochs", "history_epochs", "history_splits"), "number"),
}
_OF_EPOCHS = {"epoch": "number", "split": "text", "loss": "number", "measured": "number", "statistics": "list"}
"""What a part has in every row, see `read_parquet`."""

SHAPE = b"shape of statistics"
"""Key in the metadata of a part's epochs: its rows hold them flat."""


@dataclass(frozen=True)
class Part:
    """repeats: a row per repeat. epochs: of each, in the same order, a row per epoch and split."""

    repeats: pa.Table
    epochs: pa.Table

    @cached_property
    def keys(self) -> list[FinalKey]:
        """Of its repeats, in their order."""
        columns = (self.repeats.column(name).to_pylist() for name in (*KEY, "state"))
        return [FinalKey(p, c, repeat, n, RepeatState(s)) for p, c, repeat, n, s in zip(*columns, strict=True)]

    @property
    def rows(self) -> np.ndarray:
        """int64 [repeats]: rows that each repeat has in `epochs`."""
        epochs = self.repeats.column("history_epochs").to_numpy().astype(np.int64)
        rows: np.ndarray = (epochs + 1) * self.repeats.column("history_splits").to_numpy()
        return rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the statistics of an epoch and split."""
        return tuple(json.loads(self.epochs.schema.metadata[SHAPE]))

    def statistics(self) -> np.ndarray:
        """int32 [rows of epochs, values]: flat."""
        flat: np.ndarray = self.epochs.column("statistics").combine_chunks().flatten().to_numpy()
        return flat.reshape(self.epochs.num_rows, -1)


def whole_part(repeats: bytes, epochs: bytes, files: tuple[str, str], whole: bool) -> Part:
    """Raises DamagedRecordError where the two are not what `_write_part` wrote."""
    columns = {**_OF_EPOCHS, **dict.fromkeys(KEY[:2], "text"), **dict.fromkeys(KEY[2:], "number")}
    table = read_parquet(repeats, files[0], _OF_REPEATS)
    if table.schema.remove_metadata() != pa.schema(list(REPEAT_COLUMNS.items())):
        raise DamagedRecordError(f"{files[0]} has other columns than histories have")
    rows = read_parquet(
        epochs, files[1], columns if whole else _OF_EPOCHS, only=True, codes=() if whole else ("split",)
    )
    try:
        place, kind = rows.column_names.index("statistics"), rows.schema.field("statistics").type
        rows = rows.set_column(place, "statistics", rows.column(place).cast(pa.list_(pa.int32(), kind.list_size)))
        part = Part(table, rows)
        count, each = part.rows, np.repeat(table.column("history_splits").to_numpy(), part.rows)
        begins = np.repeat(np.cumsum(count) - count, count)
        is_whole = (
            part.keys is not None
            and math.prod(part.shape) == kind.list_size > 0
            and kind.value_type == pa.int32()
            and rows.schema.field("loss").type == rows.schema.field("measured").type == pa.float64()
            and int(count.sum()) == rows.num_rows
            and bool((count > 0).all())
            and bool((rows.column("epoch").to_numpy() == (np.arange(rows.num_rows) - begins) // each).all())
        )
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise DamagedRecordError(f"{files[1]} is no part of histories: {first_line(error)}") from error
    if not is_whole:
        raise DamagedRecordError(f"{files[1]} is no part of histories")
    return part

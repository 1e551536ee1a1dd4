"""What a study keeps of its data, as far as it can be read; what is damaged is noted and left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError, first_line
from orchestrator.store.kinds import kind_of
from orchestrator.store.parquet import read_parquet
from orchestrator.store.storage import Storage
from trainables.data.partition import Partition

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("file", "reason")


def read_table(storage: Storage, path: str, columns: Mapping[str, str]) -> pa.Table | None:
    """These columns of a Parquet file, see `read_parquet`; None where it is missing or damaged."""
    with passed_over(storage, path):
        return read_parquet(storage.read(path), path, columns, only=True)
    return None


def read_partition(storage: Storage, partition: str) -> Partition | None:
    """None where it is missing or damaged."""
    path = layout.partition(partition)
    with passed_over(storage, path):
        return Partition.from_bytes(storage.read(path), path)
    return None


def read_refused(storage: Storage) -> list[dict[str, str]]:
    """Of the files that are not used, a row of COLUMNS for each; none where there is no such list, or a damaged one."""
    with passed_over(storage, layout.REFUSED):
        return _rows(storage.read(layout.REFUSED))
    return []


def _rows(content: bytes) -> list[dict[str, str]]:
    back = kind_of(layout.REFUSED).back
    try:
        reader = csv.DictReader(io.StringIO(content.decode()))
        rows = [{name: str(row.get(name) or "") for name in COLUMNS} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedRecordError(f"{layout.REFUSED} is not a whole table: {first_line(error)}", back) from error
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        raise DamagedRecordError(f"{layout.REFUSED} lacks the columns {', '.join(COLUMNS)}", back)
    return rows

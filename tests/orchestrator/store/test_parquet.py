"""A small Parquet file may stand for gigabytes, and say anything of its sizes."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.parquet import read_parquet

PATH = "partitions/abc.parquet"
COLUMNS = {"group": "text", "split": "text"}
SMALL = pa.table({"group": ["a", "b"], "split": ["train", "valid"]})


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("rows", [0, 1, 30_000])
def test_what_was_written_is_read(compression: str, version: str, rows: int) -> None:
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(4 * rows, dtype=np.int32)), 4)
    table = pa.table(
        {
            "group": pa.array([f"group {n}" for n in range(rows)], type=pa.string()),
            "split": pa.array(["train"] * rows, type=pa.string()),
            "number": np.linspace(0, 1, rows),
            "list": lists,
            "gaps": pa.array([None, True] * (rows // 2) + [None] * (rows % 2), type=pa.bool_()),
        }
    )
    content = written(table, compression=compression, data_page_version=version)
    found = read_parquet(content, PATH, {**COLUMNS, "number": "number", "list": "list"})
    assert found.equals(table.cast(found.schema))
    assert read_parquet(content, PATH, COLUMNS, only=True).column_names == ["group", "split"]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (pa.table({"group": ["a"]}), "lacks the column split"),
        (pa.table({"group": [1], "split": ["a"]}), "its column group is of type int64, not text"),
        (pa.table({"group": ["a", None], "split": ["a", "b"]}), "its column group has gaps"),
        (pa.table({"group": ["a"], "split": ["a"], "x": [{"deep": 1}]}), "its column x is of type struct"),
    ],
)
def test_other_columns_are_told(table: pa.Table, told: str) -> None:
    with pytest.raises(DamagedRecordError, match=told):
        read_parquet(written(table), PATH, COLUMNS)


def test_a_text_that_is_no_utf_8_is_told() -> None:
    """Nothing but the text itself says so where it is stored as it is."""
    content = written(SMALL, compression="none", write_statistics=False)
    with pytest.raises(DamagedRecordError, match="is not a whole Parquet file"):
        read_parquet(content.replace(b"valid", b"val\xb7d"), PATH, COLUMNS)


@pytest.mark.parametrize(
    "kind", ["equal texts", pytest.param("one page", marks=pytest.mark.slow), "texts that continue others"]
)
def test_what_stands_for_gigabytes_is_refused_before_it_is_decoded(kind: str) -> None:
    codes = pa.array(np.zeros(20_000_000, dtype=np.int8))
    options: dict[str, Any] = {"compression": "zstd"}
    if kind == "one page":
        table = pa.table({"group": pa.DictionaryArray.from_arrays(codes.slice(0, 1), ["t" * 400_000_000])})
        table = table.append_column("split", pa.array(["train"]))
        options["use_dictionary"] = False
    elif kind == "equal texts":
        table = pa.table({name: pa.DictionaryArray.from_arrays(codes, ["t" * 1000]) for name in COLUMNS})
    else:
        table = pa.table({name: ["t" * 100_000] * 100 for name in COLUMNS})
        options |= {"use_dictionary": False, "column_encoding": dict.fromkeys(COLUMNS, "DELTA_BYTE_ARRAY")}
    content = written(table, **options)
    before = pa.total_allocated_bytes()
    if kind == "one page":
        assert read_parquet(content, "dataset/manifest.parquet", COLUMNS).num_rows == 1
        path = "results/energy/other"  # whose values may take 1 GiB at most
        content = written(pa.concat_tables([table] * 3), row_group_size=1, **options)
    else:
        path = PATH
    with pytest.raises(DamagedRecordError, match=r"holds more than 1 GiB|encoding 7"):
        read_parquet(content, path, COLUMNS)
    assert pa.total_allocated_bytes() <= before + 100_000_000


def test_no_byte_is_believed() -> None:
    """Whatever one byte says, the table is the same or refused; also of rows, of sizes and of places."""
    content = written(SMALL)
    for place in range(len(content)):
        for other in (0, 0x7F, 0xFF, content[place] ^ 1, content[place] ^ 0x40):
            changed = content[:place] + bytes([other]) + content[place + 1 :]
            with contextlib.suppress(DamagedRecordError):
                assert read_parquet(changed, PATH, COLUMNS).num_rows == 2
    for length in range(len(content)):
        with pytest.raises(DamagedRecordError):
            read_parquet(content[:length], PATH, COLUMNS)

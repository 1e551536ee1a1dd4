"""Parquet files that anybody may have written: what a file says of its sizes is added up before anything is decoded.

A few kilobytes can stand for gigabytes: by compression, by runs of equal values, by texts that repeat. So the header of
every page is read first, which takes no more than the file's own bytes. A page must say how large it is when it is not
compressed, and hold no more values than its column says; texts come as codes into a dictionary, and are written out
only where they fit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.store.errors import DamagedRecordError, first_line
from orchestrator.store.kinds import GIB, MIB, amount, kind_of
from orchestrator.store.thrift import Column, Page, columns_of, page_header

if TYPE_CHECKING:
    import pyarrow as pa

FOOTER_MOST = 4 * MIB
_CONTAINER_MOST = 1_000_000
_LONGEST_COLUMNS = 20_000
_READ_AS_IT_IS = frozenset({0, 2, 3, 8})
"""Encodings of pages that are read: plain, dictionary (old and new) and runs; others can repeat a text endlessly."""


def read_parquet(
    content: bytes,
    path: str,
    columns: Mapping[str, str] | None = None,
    *,
    only: bool = False,
    codes: Collection[str] = (),
) -> pa.Table:
    """The table of a study's file at `path`; texts are of type string. Metadata of pandas are left out.

    columns: what it must have, by name "text", "number" or "list", without gaps. only: nothing but those. codes: texts
    that stay codes into a dictionary. Raises DamagedRecordError for anything else, and for what would take more memory
    than the file's kind may.
    """
    import pyarrow as pa

    try:
        table = _checked(content, path, columns or {}, only, codes)
    except DamagedRecordError:
        raise
    except pa.ArrowMemoryError as error:
        raise MemoryError(str(error)) from error
    except Exception as error:  # the parser's errors have no common base
        raise DamagedRecordError(
            f"{path} is not a whole Parquet file: {first_line(error)}", kind_of(path).back
        ) from None
    return table


def _checked(content: bytes, path: str, columns: Mapping[str, str], only: bool, codes: Collection[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    length = int.from_bytes(content[-8:-4], "little")
    if not 0 < length <= min(FOOTER_MOST, len(content) - 12) or content[-4:] != b"PAR1":
        raise ValueError("its footer is longer than one can be, or missing")
    most = kind_of(path).decoded or GIB
    taken = _decoded_bytes(content, len(content) - 8 - length, most)
    limits = {"thrift_string_size_limit": FOOTER_MOST, "thrift_container_size_limit": _CONTAINER_MOST}
    file = pq.ParquetFile(pa.BufferReader(content), **limits)
    schema = file.schema_arrow
    _check_types(schema)
    lacking = [name for name in columns if schema.get_all_field_indices(name) == []]
    if lacking:
        raise DamagedRecordError(
            f"{path} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}", kind_of(path).back
        )
    texts = [field.name for field in schema if _is_text(field.type)]
    file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts, **limits)
    table = file.read([name for name in schema.names if name in columns] if only else None)
    for name in texts:
        if name in table.column_names and name not in codes:
            place = table.column_names.index(name)
            taken += _text_bytes(table.column(place))
            if taken > most:
                raise ValueError(f"it holds more than {amount(most)} of values")
            table = table.set_column(place, name, table.column(place).cast(pa.string()))
    for name, kind in columns.items():
        _check_column(table, name, kind)
    table.validate(full=True)  # texts are UTF-8, codes lie in their dictionary
    kept = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"pandas"}
    return table.replace_schema_metadata(kept or None)


def _check_types(schema: pa.Schema) -> None:
    """Numbers, truth values, texts, lists of numbers: what this project writes."""
    import pyarrow as pa

    if len(schema.names) > _LONGEST_COLUMNS or len(set(schema.names)) < len(schema.names):
        raise ValueError("it has too many columns, or two of one name")
    for field in schema:
        kind: Any = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            kind = kind.value_type
            if not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
                raise ValueError(f"its column {field.name} is of type {field.type}")
        plain = (
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_boolean,
            pa.types.is_string,
            pa.types.is_large_string,
        )
        if not any(is_kind(kind) for is_kind in plain) and not pa.types.is_null(kind):
            raise ValueError(f"its column {field.name} is of type {field.type}")


def _decoded_bytes(content: bytes, footer: int, most: int) -> int:
    """What all values take in memory, texts as codes; ValueError where that is more than `most`, or pages lie."""
    taken = 0
    for column in columns_of(content, footer)[1]:
        values = 0
        for page in _pages(content, column):
            values += page.values
            # a dictionary's values once more for codes, and 9 bytes each for a number and whether there is one
            taken += page.uncompressed + 9 * page.values
            if taken > most:
                raise ValueError(f"it holds more than {amount(most)} of values")
        if values != column.values or values < column.rows:
            raise ValueError("a column holds other numbers of values than it says")
    return taken


def _pages(content: bytes, column: Column) -> Iterator[Page]:
    """The headers of a column's pages, from the first to the last byte that the footer gives it."""
    if not column.values and not column.rows:
        return
    at, end = column.start, column.start + column.size
    if not 4 <= at <= end <= len(content):
        raise ValueError("a column lies outside of it")
    while at < end:
        page = page_header(content, at)
        at = page.end + page.compressed
        if page.compressed < 0 or page.uncompressed < 0 or page.values < 0 or at > end:
            raise ValueError("a page lies outside of its column")
        if page.encoding not in _READ_AS_IT_IS:
            raise ValueError(f"a page has encoding {page.encoding}")
        yield page


def _is_text(kind: Any) -> bool:
    """Also where it is written as codes into a dictionary."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _text_bytes(column: pa.ChunkedArray) -> int:
    """What the texts of a column of codes take once they are written out."""
    import pyarrow.compute as pc

    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).cast("int64")
        total += int(pc.sum(lengths.take(chunk.indices)).as_py() or 0) + 8 * len(chunk)
    return total


def _check_column(table: pa.Table, name: str, kind: str) -> None:
    import pyarrow as pa

    column = table.column(name)
    given: Any = column.type
    is_kind = {
        "text": pa.types.is_string(given) or (pa.types.is_dictionary(given) and pa.types.is_string(given.value_type)),
        "number": pa.types.is_integer(given) or pa.types.is_floating(given),
        "list": pa.types.is_fixed_size_list(given),
    }[kind]
    if not is_kind:
        raise ValueError(f"its column {name} is of type {given}, not {kind}")
    if column.null_count:
        raise ValueError(f"its column {name} has gaps")

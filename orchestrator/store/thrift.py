"""Sizes in Parquet files, in Thrift's compact protocol: what the footer says of columns, and the headers of pages.

pyarrow's own objects of a footer end the process where it contradicts itself, so that nothing is asked of them.
"""

from __future__ import annotations

from typing import NamedTuple

_DEEPEST = 12
_LONGEST = 100_000
"""Items of a list."""
_BYTES_OF = {1: 0, 2: 0, 3: 1, 7: 8}
"""Of values of fixed length: true, false, byte, double."""
_DATA, _DICTIONARY, _DATA_2 = 5, 7, 8
"""Fields of a page's header that describe it, see `parquet.thrift`."""


class Page(NamedTuple):
    """end: where the header ends, and the page itself begins. compressed, uncompressed: its bytes.

    values: those of the column; 0 of a dictionary. encoding: by its number.
    """

    end: int
    compressed: int
    uncompressed: int
    values: int
    encoding: int


class Column(NamedTuple):
    """One column of one group of rows. start: where its first page begins; size: bytes of all its pages."""

    rows: int
    values: int
    start: int
    size: int


def columns_of(content: bytes, footer: int) -> tuple[int, list[Column]]:
    """(rows, every column of every group of rows), by the footer that begins there. Raises ValueError, IndexError."""
    meta, _ = _struct(content, footer, 0)
    types = [one.get(1) for one in _structs(meta.get(2)) if 5 not in one]  # a field 5 has those of inner nodes
    columns = []
    rows = 0
    for group in _structs(meta.get(4)):
        rows += _whole(group.get(3))
        chunks = [_structs([chunk.get(3)])[0] for chunk in _structs(group.get(1))]
        if [about.get(1) for about in chunks] != types:
            raise ValueError("its footer contradicts itself")
        for about in chunks:
            places = [_whole(about.get(field)) for field in (9, 11) if about.get(field)]
            size, values = _whole(about.get(7)), _whole(about.get(5))
            columns.append(Column(_whole(group.get(3)), values, min(places, default=0), size))
    if rows != _whole(meta.get(3)):
        raise ValueError("it holds another number of rows than it says")
    return rows, columns


def _structs(value: object) -> list[dict[int, object]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("its footer lacks columns")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("its footer lacks a number")
    return value


def page_header(content: bytes, at: int) -> Page:
    """The header that begins there. Raises ValueError or IndexError for anything else."""
    fields, end = _struct(content, at, 0)
    about = next((fields[field] for field in (_DATA, _DICTIONARY, _DATA_2) if field in fields), None)
    uncompressed, compressed = fields.get(2), fields.get(3)
    if not isinstance(about, dict) or not isinstance(uncompressed, int) or not isinstance(compressed, int):
        raise ValueError("a page has no header")
    values = about.get(1, 0) if _DICTIONARY not in fields else 0
    encoding = about.get(4 if _DATA_2 in fields else 2, -1)
    if not isinstance(values, int) or not isinstance(encoding, int):
        raise ValueError("a page has no header")
    return Page(end, compressed, uncompressed, values, encoding)


def _struct(content: bytes, at: int, depth: int) -> tuple[dict[int, object], int]:
    """Whole numbers and structures by the number of their field; everything else is stepped over."""
    if depth > _DEEPEST:
        raise ValueError("a page's header is too deep")
    fields: dict[int, object] = {}
    field = 0
    while True:
        head = content[at]
        at += 1
        if head == 0:
            return fields, at
        if head >> 4:
            field += head >> 4
        else:
            field, at = _number(content, at)
        fields[field], at = _value(content, at, head & 15, depth)


def _value(content: bytes, at: int, kind: int, depth: int) -> tuple[object, int]:
    if kind in _BYTES_OF:
        return None, at + _BYTES_OF[kind]
    if kind in (4, 5, 6):
        return _number(content, at)
    if kind == 8:
        size, at = _varint(content, at)
        return None, at + size
    if kind == 12:
        return _struct(content, at, depth + 1)
    if kind == 9:
        return _list(content, at, depth + 1)
    raise ValueError("it holds a value of an unknown kind")


def _list(content: bytes, at: int, depth: int) -> tuple[list[object], int]:
    head = content[at]
    size, at = (head >> 4, at + 1) if head >> 4 < 15 else _varint(content, at + 1)
    if size > _LONGEST or depth > _DEEPEST:
        raise ValueError("a list is too long or too deep")
    values = []
    for _ in range(size):
        one, at = (None, at + 1) if head & 15 in (1, 2) else _value(content, at, head & 15, depth)
        values.append(one)
    return values, at


def _number(content: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(content, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = content[at]
        at += 1
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at
    raise ValueError("a page's header holds a number that is too long")

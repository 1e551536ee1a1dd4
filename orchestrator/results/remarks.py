"""What people note of a study, and the tags that they give it: `results/remarks/<n>.json`, one file for each act."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field

from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import InputError
from orchestrator.store.schema import JsonRecord, parse_model
from orchestrator.store.storage import Storage

LONGEST = 2000
"""Letters of a note."""
_TAG = re.compile(r"[\w.-]{1,40}")


class Remark(JsonRecord):
    """A note, "" where tags alone were given or taken away."""

    text: str = Field("", max_length=LONGEST)
    tags: tuple[str, ...] = ()
    untagged: tuple[str, ...] = ()
    who: str = ""
    created: str
    """UTC, ISO 8601."""


class Remarks(NamedTuple):
    """notes: by number, in the order in which they were made. tags: those that count now, sorted."""

    notes: tuple[tuple[int, Remark], ...]
    tags: tuple[str, ...]


def checked_tags(names: Sequence[str]) -> tuple[str, ...]:
    """Raises InputError for what is no tag."""
    wrong = [name for name in names if not _TAG.fullmatch(name)]
    if wrong:
        raise InputError(
            f"tag {wrong[0][:60]!r}: expected at most 40 letters, digits, '.', '_' and '-'", "Choose another one."
        )
    return tuple(dict.fromkeys(names))


def read_remarks(storage: Storage) -> Remarks:
    """One that cannot be read is left out and noted."""
    remarks: dict[int, Remark] = {}
    for number in _numbers(storage):
        path = layout.remark(number)
        with passed_over(storage, path):
            remarks[number] = parse_model(Remark, storage.read(path), path)
    tags = set[str]()
    for remark in remarks.values():
        tags = tags.union(remark.tags).difference(remark.untagged)
    return Remarks(tuple((number, one) for number, one in remarks.items() if one.text), tuple(sorted(tags)))


def add_remark(storage: Storage, remark: Remark) -> int:
    """Its number; two people who write at the same time get two. Raises StorageError."""
    number = max(_numbers(storage), default=0) + 1
    while not storage.create(layout.remark(number), remark.model_dump_json().encode()):
        number += 1
    return number


def delete_note(storage: Storage, number: int) -> None:
    """Its tags stay. Raises InputError where there is none of this number."""
    notes = dict(read_remarks(storage).notes)
    if number not in notes:
        raise InputError(
            f"note {number}: expected one of {', '.join(map(str, notes)) or 'none'}", "Look at them first."
        )
    storage.replace(layout.remark(number), notes[number].model_copy(update={"text": ""}).model_dump_json().encode())


def _numbers(storage: Storage) -> list[int]:
    stems = (name.removesuffix(".json") for name in storage.list(layout.REMARKS) if name.endswith(".json"))
    return sorted(int(name) for name in stems if name.isdecimal() and len(name) < 10)

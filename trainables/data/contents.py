"""A table that names the content of its images: they must have it, wherever they lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from orchestrator.store.errors import InputError
from trainables.data.listing import Entry, named

COLUMN = "pixels_sha256"
"""The column of a table with the hash of each image's pixels, as `decode.content_hash` gives it and `orch data split`
writes it; an empty cell says nothing."""
_HASH = re.compile(r"[0-9a-f]{64}")


def check_contents(subject: str, entries: Sequence[Entry], read: Mapping[str, str]) -> None:
    """Raise one InputError that names every image whose pixels are not those that its row says.

    read: file → hash of the pixels, of the images that could be read.
    """
    said = {entry.file: entry.extra.get(COLUMN, "").strip().lower() for entry in entries}
    said = {file: content for file, content in said.items() if content and file in read}
    broken = [file for file, content in said.items() if not _HASH.fullmatch(content)]
    if broken:
        raise InputError(
            f"{subject}: column {COLUMN!r}: {len(broken)} rows without a hash of 64 hex digits: {named(broken)}",
            "Use the table as it was written, or leave the column out.",
        )
    other = [file for file, content in said.items() if read[file] != content]
    if other:
        raise InputError(
            f"{subject}: {len(other)} of {len(said)} images are not those that the table was written for (their pixels "
            f"have another hash than column {COLUMN!r} says): {named(other)}",
            "Get the images that the table was written for. If it was written with --intensity, give the same "
            "range; to search these images as they are, leave the column out.",
        )

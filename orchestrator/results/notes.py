"""What was told of a study's data when it was made: kept with it, without a name of a file, group or folder."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.store import layout
from orchestrator.store.storage import Storage


def notes_json(notes: Sequence[str]) -> bytes:
    """`dataset/notes.json`, a list of sentences."""
    return (json.dumps(list(dict.fromkeys(notes)), ensure_ascii=False, indent=1) + "\n").encode()


def read_notes(storage: Storage) -> tuple[str, ...]:
    """The notes that a study keeps; () where it keeps none, or a file that cannot be read."""
    try:
        found = json.loads(storage.read(layout.NOTES))
    except (FileNotFoundError, ValueError):
        return ()
    return tuple(note for note in found if isinstance(note, str)) if isinstance(found, list) else ()

"""What was told of a study's data when it was made: kept with it, without a name of a file, group or folder."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.kinds import kind_of
from orchestrator.store.parsing import parsed_json
from orchestrator.store.storage import Storage


def notes_json(notes: Sequence[str]) -> bytes:
    """`dataset/notes.json`, a list of sentences."""
    return (json.dumps(list(dict.fromkeys(notes)), ensure_ascii=False, indent=1) + "\n").encode()


def read_notes(storage: Storage) -> tuple[str, ...]:
    """The notes that a study keeps; () where it keeps none, or a file that cannot be read, which is told."""
    with passed_over(storage, layout.NOTES):
        notes = parsed_json(storage.read(layout.NOTES), layout.NOTES)
        if isinstance(notes, list) and all(isinstance(note, str) for note in notes):
            return tuple(notes)
        raise DamagedRecordError(f"{layout.NOTES}: expected a list of texts", kind_of(layout.NOTES).back)
    return ()

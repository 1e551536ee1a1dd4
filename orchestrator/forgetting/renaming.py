"""A study under another name: its folder and what its file says."""

from __future__ import annotations

from orchestrator.store import layout
from orchestrator.store.errors import InputError, StorageError
from orchestrator.store.open import open_storage
from orchestrator.store.place import Place
from orchestrator.study.studies import Study, find_study

_MOVES = {"s3": "aws s3 mv --recursive", "gs": "gcloud storage mv"}


def rename(study: Study, name: str) -> Study:
    """The study under its new name. Raises InputError where something has this name, or the study lies in an object
    store, and StorageError where the folder cannot be renamed."""
    layout.checked_name(name)
    target = study.place.parent / name
    if target.path.exists() if target.path is not None else open_storage(target).list(""):
        raise InputError(f"{target}: expected nothing there, found something", "Choose another name.")
    place = study.place.path
    if place is None or target.path is None:
        raise InputError(
            f"study {study.place}: expected a study in a folder, found one in an object store",
            f"A study takes the name of its folder: {_move(study.place, target)}",
        )
    try:
        place.rename(target.path)
    except OSError as error:
        raise StorageError(f"cannot rename {place} to {target}: {error.strerror}", "Check its permissions.") from error
    renamed = find_study(study.place.parent, name)
    assert renamed is not None  # it was renamed just now
    return renamed


def _move(place: Place, target: Place) -> str:
    """The command of the store's own tool, where one moves all that lies below an address."""
    tool = _MOVES.get(place.text.partition("://")[0])
    return f"{tool} {place} {target}" if tool else f"move all its files to {target}"

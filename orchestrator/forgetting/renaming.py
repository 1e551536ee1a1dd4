"""A study under another name: its folder and what its file says."""

from __future__ import annotations

from orchestrator.store import layout
from orchestrator.store.errors import InputError, StorageError
from orchestrator.study.studies import Study, find_study


def rename(study: Study, name: str) -> Study:
    """The study under its new name. Raises InputError where there is one of this name, or the study lies in an object
    store, and StorageError where the folder cannot be renamed."""
    layout.checked_name(name)
    place, target = study.place.path, study.place.parent / name
    if place is None or target.path is None:
        raise InputError(
            f"study {study.place}: expected a study in a folder, found one in an object store",
            f"Move it with the store's own tool, as: aws s3 mv --recursive {study.place} {target}\n"
            "A study takes the name that it finds itself under.",
        )
    if target.path.exists():
        raise InputError(f"{target}: expected nothing there, found something", "Choose another name.")
    try:
        place.rename(target.path)
    except OSError as error:
        raise StorageError(f"cannot rename {place} to {target}: {error.strerror}", "Look at its rights.") from error
    found = find_study(study.place.parent, name)
    assert found is not None  # it was renamed just now
    return found

"""What a plan says where memory or disk may not be enough."""

from __future__ import annotations

import shutil

from orchestrator.resolved import Search
from trainables.machine import allocation


def disk_notes(search: Search, study_bytes: int, cache_bytes: int) -> list[str]:
    """Study and cache may lie on one file system; each is held against what is free where it goes."""
    notes = []
    studies = search.study.place.absolute().path
    for what, place, needed, option in (
        *([("study", studies, study_bytes, "--studies DIR")] if studies is not None else []),
        (
            "cache",
            search.places.cache.absolute(),
            cache_bytes,
            "--cache DIR; --cache-gb N deletes what no search uses",
        ),
    ):
        free = shutil.disk_usage(next(path for path in (place, *place.parents) if path.exists())).free
        if needed > free:
            notes.append(
                f"the {what} needs {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free: the search will stop "
                f"when the disk is full. Free some space, or choose another place: {option}"
            )
    return notes


def memory_notes(needed: int) -> list[str]:
    total = allocation.memory_bytes()
    if needed <= total:
        return []
    return [
        f"the trials that run at a time need {needed / 1e9:.1f} GB of memory, but there are only {total / 1e9:.1f} GB: "
        "fewer repeats or configurations will be trained at a time, or the search will run out of memory"
    ]

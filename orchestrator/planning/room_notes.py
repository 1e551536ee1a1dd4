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
                f"the {what} needs {needed / 1e9:.1f} GB, of which {free / 1e9:.1f} GB are free: the search will stop "
                f"there and go on once there is room, or elsewhere with {option}"
            )
    return notes


def memory_notes(needed: int) -> list[str]:
    total = allocation.memory_bytes()
    if needed <= total:
        return []
    return [
        f"the trials that run at a time need {needed / 1e9:.1f} GB of memory, of which there are {total / 1e9:.1f} GB: "
        "fewer repeats or configurations at a time will be trained, or the search will fail for want of memory"
    ]

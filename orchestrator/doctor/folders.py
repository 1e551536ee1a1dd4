"""Checks of folders: studies, cache, temporary files, home, and the clock of whoever keeps the studies' files."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

from orchestrator.doctor.told import Asked, Told, by_least, fault, gigabytes, ok, warning
from orchestrator.store.errors import OrchError
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage
from orchestrator.study.studies import check_writable
from trainables.machine.home import can_write, home

LEAST_STUDIES, GOOD_STUDIES = 100e6, 1e9
LEAST_CACHE, GOOD_CACHE = 1e9, 10e9
MOST_APART_S = 30.0
"""Between two clocks."""


def studies(asked: Asked) -> Told:
    if asked.studies.path is None:
        try:
            check_writable(asked.studies)
        except OrchError as error:
            return fault(error.message, error.advice)
        return ok(f"{asked.studies}, writable")
    return _folder(asked.studies.path, LEAST_STUDIES, GOOD_STUDIES, "Choose another folder: --studies DIR")


def cache(asked: Asked) -> Told:
    return _folder(
        asked.cache,
        LEAST_CACHE,
        GOOD_CACHE,
        "Choose another folder (--cache DIR), or free some space: --cache-gb N deletes",
    )


def _folder(folder: Path, least: float, good: float, mend: str) -> Told:
    there = _nearest(folder)
    if not can_write(there):
        return fault(f"{there} is not writable", mend)
    free = shutil.disk_usage(there).free
    beside = "" if there == folder else ", will be created"
    return by_least(free, least, good, f"{folder}{beside}, {gigabytes(free)} free", mend)


def _nearest(folder: Path) -> Path:
    whole = folder.absolute()
    return next(place for place in (whole, *whole.parents) if place.exists())


def temporary(_: Asked) -> Told:
    """Where Ray keeps its files; a search takes another folder where this one does not do."""
    from orchestrator.running.ray_folder import short_folder, usual_folder, why_not

    folder = usual_folder()
    why = why_not(folder)
    if not why:
        return ok(f"{folder}, {len(os.fsencode(folder))} bytes long, {gigabytes(_free(folder))} free")
    other = short_folder()
    if other is None:
        return fault(f"{why}, and no usual short folder is writable", "Choose a short one: export RAY_TMPDIR=DIR")
    shutil.rmtree(other, ignore_errors=True)
    return warning(why, f"A search uses a new folder in {Path(other).parent} instead. To choose one: RAY_TMPDIR=DIR")


def _free(folder: str) -> int:
    return shutil.disk_usage(_nearest(Path(folder))).free


def home_folder(asked: Asked) -> Told:
    """By the time that it is asked, `keep_out_of_home` has found another place."""
    here = home()
    if can_write(here):
        return ok(f"{here}, writable")
    trouble = f"{here} is not writable" if here is not None else "this user has none"
    return warning(
        trouble, f"Caches are kept elsewhere, features in {asked.cache}. To choose the place: XDG_CACHE_HOME=DIR"
    )


def clock(asked: Asked) -> Told:
    """This machine's, against the one that gives files of the studies' folder their times."""
    here = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC"
    there = _nearest(asked.studies.path) if asked.studies.path is not None else None
    if there is None or not can_write(there):
        return ok(here)
    storage, probe = LocalStorage(there), f"{TEMPORARY_PREFIX}probe-{uuid.uuid4().hex}"
    before = time.time()
    try:
        storage.replace(probe, b"")
        changed = (there / probe).stat().st_mtime
    finally:
        storage.delete(probe)
    apart = max(before - changed, changed - time.time())
    if apart > MOST_APART_S:
        return warning(
            f"{here}; files in {there} are {apart:,.0f} s {'behind' if changed < before else 'ahead'}",
            "Set both by NTP (timedatectl). Searches run all the same, but the times that they record differ.",
        )
    return ok(f"{here}, as in {there}")

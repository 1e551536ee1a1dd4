"""Where a study's images lie on this machine: as they lay, as somebody says now, or unpacked again."""

from __future__ import annotations

import shlex
from pathlib import Path

from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.study.studies import Study
from trainables.data.manifest import read_manifest, verify_unchanged
from trainables.data.unpacking.opened import opened
from trainables.data.unpacking.said import Show
from trainables.machine.places import default_cache


def root_of(study: Study, given: Path | None, cache: Path, show: Show) -> Path:
    """The folder of the study's images, which may not be there; given: a folder, archive or array that somebody names.

    What the study unpacked from an archive is unpacked again where it is not whole and the archive still lies where it
    did. Raises InputError where that holds something else by now.
    """
    if given is not None:
        return opened(given, cache, show).path
    root, packed = Path(study.record.data_source), Path(study.record.data_packed)
    if not study.record.data_packed or not packed.is_file():
        return root
    if not verify_unchanged(root, read_manifest(study.storage.read(layout.MANIFEST))):
        return root
    unpacked = opened(packed, cache, show)
    if unpacked.digest != study.record.data_sha256:
        raise InputError(
            f"{packed} is not what study {study.name!r} was made from: expected SHA-256 "
            f"{study.record.data_sha256[:12]}…, found {unpacked.digest[:12]}…",
            f"Put it back, or say where it or its unpacked images are: orch resume {study.name} --data-root PATH",
        )
    return unpacked.path


def images_at(study: Study, given: Path | None, show: Show, command: str) -> Path:
    """The folder of the study's images; InputError where it is not there. command: what was typed without it."""
    root = root_of(study, given, default_cache(), show)
    if (not study.record.data_source and given is None) or not root.is_dir():
        raise InputError(
            f"the images of study {study.name!r} are not here: expected a folder {root}",
            f"Say where they are: {command} --data-root DIR",
        )
    return root


def where_else(study: Study, given: Path | None) -> str:
    """What to type where the folder is not there."""
    packed = study.record.data_packed
    if not packed or given is not None:
        return f"If they are elsewhere: orch resume {study.name} --data-root DIR"
    again = f"orch resume {study.name} --data-root {shlex.quote(Path(packed).name)}"
    return f"They were unpacked from {packed}, which is not here either. If it is elsewhere: {again}"

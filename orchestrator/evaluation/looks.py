"""How often test images were looked at: by the images' hashes, over selections and over all studies of a folder.

A look is written before the images are opened. It is known by model and images, so that repeating a command is no new
look. It lies in the study, which may be copied, and beside all studies, where a new study of the same images finds it.
Any look that opened at least one of the images counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from orchestrator.evaluation.record import EvaluationRecord, Look
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.schema import parse_model
from orchestrator.store.storage import Storage

REGISTRY = ".looks"
"""Folder beside the studies; no study can have such a name."""
_DIGITS = 16


def test_set_of(contents: Iterable[str]) -> str:
    """Sixteen hex digits over the content hashes of a set of images, in no particular order."""
    return hashlib.sha256("\n".join(sorted(set(contents))).encode()).hexdigest()[:_DIGITS]


def short_hashes(contents: Iterable[str]) -> tuple[str, ...]:
    """What a look keeps of its images, sorted."""
    return tuple(sorted({content[:_DIGITS] for content in contents}))


def note_look(study: Storage, beside: Storage, look: Look) -> Look:
    """Write a look in the study and beside the studies, unless it is there; returns the one that counts."""
    content = look.model_dump_json().encode()
    beside.create(_path(REGISTRY, look.id), content)
    study.create(_path(_in_study(), look.id), content)
    return min((same for same in looks_at(study, beside, look.images) if same.id == look.id), key=_when)


def looks_at(study: Storage, beside: Storage, images: Sequence[str]) -> list[Look]:
    """Every look at one of these images (`short_hashes`), the first one first."""
    wanted = frozenset(images)
    by_id: dict[str, Look] = {}
    for storage, folder in ((beside, REGISTRY), (study, _in_study())):
        for name in storage.list(folder):
            path = f"{folder}/{name}"
            with passed_over(storage, path):
                look = parse_model(Look, storage.read(path), path)
                if not wanted.isdisjoint(look.images):
                    earlier = by_id.get(look.id)
                    by_id[look.id] = look if earlier is None else min(earlier, look, key=_when)
    return sorted(by_id.values(), key=_when)


class Standing(NamedTuple):
    """A look among all at its images. number: its place, from 1. first: which the first one was; "" of the first."""

    number: int
    looks: int
    first: str


def standing_of(study: Storage, beside: Storage, look: Look) -> Standing:
    looks = looks_at(study, beside, look.images)
    number = [one.id for one in looks].index(look.id) + 1
    first = "" if number == 1 else f"{looks[0].name} of study {looks[0].study}, {looks[0].time[:10]}"
    return Standing(number, len(looks), first)


def count_looks(study: Storage, beside: Storage, images: Sequence[str]) -> int:
    """How often these images were looked at, to be shown with every score on them."""
    return len(looks_at(study, beside, images))


def looks_by_now(study: Storage, beside: Storage, record: EvaluationRecord) -> int:
    """How many there are at the images of a record; others may have followed it."""
    path = _path(_in_study(), record.look)
    with passed_over(study, path):
        look = parse_model(Look, study.read(path), path)
        return count_looks(study, beside, look.images)
    return record.looks


def _when(look: Look) -> tuple[str, str]:
    return look.time, look.id


def _path(folder: str, look_id: str) -> str:
    return f"{folder}/{look_id}.json"


def _in_study() -> str:
    return f"{layout.RESULTS}/looks"

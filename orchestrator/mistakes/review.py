"""A list to be reviewed: suspected images among as many that are not, in an order that does not tell them apart."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from orchestrator.dividing.shared_table import write_shared
from orchestrator.mistakes.found import Mistakes
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.record import canonical_json
from orchestrator.store.schema import parse_model
from orchestrator.store.storage import Storage
from orchestrator.study.studies import now, who

COLUMNS = ("image", "label", "verdict", "why")
KEEP, EXCLUDE = "keep", "exclude"
"""Verdicts beside the names of classes."""
MOST = 100
"""Suspected images of a list, those whose label is furthest behind."""
FOLDER = f"{layout.RESULTS}/reviews"


class Listed(BaseModel):
    """One row. suspected: else drawn at random among the images that are not. looks_like: the class that networks take
    it for, "" of one that is not suspected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    label: str
    suspected: bool
    looks_like: str = ""


class ReviewList(BaseModel):
    """`results/reviews/<id>.json`: what the reviewer is not told. id: follows from files and labels alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    study: str
    partitions: tuple[str, ...]
    configurations: tuple[str, ...]
    by: str
    created: str
    rows: tuple[Listed, ...]


def list_id(rows: Iterable[tuple[str, str]]) -> str:
    """Twelve hex digits of the pairs (file, label), in no particular order."""
    return hashlib.sha256(canonical_json(sorted([list(row) for row in rows])).encode()).hexdigest()[:12]


def review_list(mistakes: Mistakes) -> ReviewList:
    """At most MOST suspected images and as many others that were judged, in an order drawn by the study's seed.

    Raises InputError where nothing is suspected, or a class is called as a verdict is.
    """
    of, name = mistakes.gathered, mistakes.study.name
    taken = [word for word in (KEEP, EXCLUDE) if word in {one.casefold() for one in of.classes}]
    if taken:
        raise InputError(
            f"study {name!r}: a class is called {taken[0]!r}, which is also a verdict",
            "Rename the class in the data and make a new study.",
        )
    if mistakes.suspects.empty:
        raise InputError(f"study {name!r}: no label is suspected, so there is nothing to review", "")
    first = mistakes.suspects.head(MOST)
    looks = dict(zip(first["file"], first["looks_like"], strict=True))
    suspected = set(mistakes.suspects["file"])
    label = dict(zip(of.images["file"], of.images["label"], strict=True))
    others = _mixed([file for file in label if file not in suspected], of.seed, "drawn")[: len(looks)]
    rows = tuple(
        Listed(file=file, label=label[file], suspected=file in looks, looks_like=looks.get(file, ""))
        for file in _mixed([*looks, *others], of.seed, "order")
    )
    return ReviewList(
        id=list_id((row.file, row.label) for row in rows),
        study=name,
        partitions=tuple(of.split_of),
        configurations=tuple(member.id for member in of.members),
        by=who(),
        created=now(),
        rows=rows,
    )


def write_review(storage: Storage, mistakes: Mistakes, path: Path) -> ReviewList:
    """Keep the list in the study and write what the reviewer gets; a file of other content is not written over."""
    listed = review_list(mistakes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((row.file, row.label, "", "") for row in listed.rows)
    storage.create(f"{FOLDER}/{listed.id}.json", listed.model_dump_json().encode())
    write_shared(path, text.getvalue().encode(), "--review")
    return listed


def kept_list(storage: Storage, identity: str) -> ReviewList | None:
    """None where the study made no such list."""
    path = f"{FOLDER}/{identity}.json"
    try:
        return parse_model(ReviewList, storage.read(path), path)
    except FileNotFoundError:
        return None


def lists_of(storage: Storage) -> list[ReviewList]:
    """All lists that the study made, the newest first."""
    names = [name.removesuffix(".json") for name in storage.list(FOLDER) if name.endswith(".json")]
    lists = [one for name in names if (one := kept_list(storage, name)) is not None]
    return sorted(lists, key=lambda one: (one.created, one.id), reverse=True)


def _mixed(files: Iterable[str], seed: int, purpose: str) -> list[str]:
    """In an order drawn at random once and for all; equal for equal seeds."""
    return sorted(files, key=lambda file: hashlib.sha256(f"review\0{purpose}\0{seed}\0{file}".encode()).digest())

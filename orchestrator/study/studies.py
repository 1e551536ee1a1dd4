"""Opening, making and checking a study in its place: a folder, or a prefix of an object store."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

from orchestrator.store import layout
from orchestrator.store.concurrently import concurrently
from orchestrator.store.errors import DamagedRecordError, InputError, StorageError, UnreachedError
from orchestrator.store.open import FIRST_ANSWER_S, open_storage
from orchestrator.store.packages import DISTRIBUTION
from orchestrator.store.parsing import parsed_toml
from orchestrator.store.place import Place, Where
from orchestrator.store.schema import SCHEMA_VERSION, StudyRecord, parse_toml
from orchestrator.store.searches import (
    Budget,
    SearchRecord,
    allowances,
    budget_file,
    parse_budget,
    search_file,
    search_folder,
)
from orchestrator.store.storage import TEMPORARY_PREFIX, Storage
from orchestrator.study.unwritten import UnwrittenStudy
from search_spaces.configuration import Configuration
from search_spaces.limits import Limits
from search_spaces.stored import parse_study

T = TypeVar("T")

RECORDED_PACKAGES = (
    "ray",
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "scikit-learn",
    "optuna",
)


@dataclass(frozen=True)
class Study:
    """A study that is stored, or one whose files are still in memory (see `write_study`)."""

    place: Place
    storage: Storage
    record: StudyRecord
    partitions: Mapping[str, bytes] = field(default_factory=dict)
    """Files of the partitions, by id, that a search asks for beside the study's own; written with its search."""

    @property
    def name(self) -> str:
        return self.record.name


def studies_place(given: str | None) -> Place:
    """`--studies`, else `$ORCH_STUDIES`, else `studies` here; raises InputError for what cannot be one."""
    place = Place.of(given or os.environ.get("ORCH_STUDIES") or "studies")
    if place.text.startswith("memory://"):
        raise InputError(
            f"address {place}: its files are lost when the process ends", "Name a folder, or s3://BUCKET/PREFIX."
        )
    return place


def check_writable(studies: Place) -> None:
    """Raise UnreachedError where an object store lets us write nothing: to be told before images are read."""
    probe = f"{TEMPORARY_PREFIX}probe-{uuid.uuid4().hex}"

    def write(storage: Storage) -> None:
        storage.replace(probe, b"")
        storage.delete(probe)

    if studies.path is None:
        _first_asked(studies, write)


def find_study(studies: Where, name: str) -> Study | None:
    """The study of that name, or None; raises InputError when it is of another version or damaged."""
    place = Place.of(studies) / layout.checked_name(name)
    try:
        content = _first_asked(place, lambda storage: storage.read(layout.STUDY))
        _check_version(content, place)
        record = parse_study(content, str(place / layout.STUDY))
        if record.name != place.name:
            record = _moved(place, record)
        return Study(place, open_storage(place), record)
    except FileNotFoundError:
        return None
    except DamagedRecordError as error:
        raise InputError(
            f"study {name!r}: {error.message}",
            f"Restore {place / layout.STUDY} from a copy, or choose another folder with --studies DIR.",
        ) from error


def _moved(place: Place, record: StudyRecord) -> StudyRecord:
    """Of a study whose folder was renamed, or is a copy: it is called as its folder, and its file says so from now on,
    where it can be written and is not only meant by another spelling or a link."""
    named = record.model_copy(update={"name": place.name})
    is_link = place.path is not None and place.path.is_symlink()
    if not is_link and place.name in open_storage(place.parent).list(""):
        with contextlib.suppress(StorageError):
            open_storage(place).replace(layout.STUDY, named.to_toml())
    return named


def open_study(studies: Where, name: str) -> Study:
    """The study of that name, or of its synthetic demo; InputError with those that exist when there is none."""
    for candidate in (name, f"{name}-demo"):
        study = find_study(studies, candidate)
        if study is not None:
            return study
    from search_spaces.faults import nearest
    from search_spaces.loader import bundled

    there = studies_in(studies)
    known = f"Studies here: {', '.join(there)}." if there else f"There is no study in {studies} yet."
    near = nearest(name, there)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    make = f"orch search {name} {'BACKBONE' if name in bundled() else 'BACKBONE --data DIR'}"
    raise InputError(f"study {name!r} is not in {studies}", f"{meant}{known} Make one with: {make}")


def studies_in(studies: Where) -> list[str]:
    """Names of all studies of a place."""

    def names_there(storage: Storage) -> list[str]:
        names = [name for name in storage.list("") if layout.is_name(name)]
        there = concurrently(lambda name: layout.STUDY in storage.list(name), names)
        return [name for name, is_study in zip(names, there, strict=True) if is_study]

    return _first_asked(Place.of(studies), names_there)


def new_study(studies: Where, record: StudyRecord, files: dict[str, bytes]) -> Study:
    """A study in memory, which `write_study` puts into its place once nothing speaks against it any more."""
    return Study(Place.of(studies) / record.name, UnwrittenStudy({**files, layout.STUDY: record.to_toml()}), record)


def selecting_by(study: Study, asked: Iterable[Configuration]) -> Study:
    """A study in memory as its first search makes it: it ranks by the metric that all of that selects by, if none of it
    selects by the metric of the study's file."""
    metrics = {c.selection.metric for c in asked}
    if not isinstance(study.storage, UnwrittenStudy) or len(metrics) != 1 or study.record.selection in metrics:
        return study
    record = study.record.model_copy(update={"selection": metrics.pop()})
    storage = UnwrittenStudy({**study.storage.files, layout.STUDY: record.to_toml()})
    return replace(study, storage=storage, record=record)


def write_study(study: Study) -> Study:
    """Store a new study: its files first, `study.toml` last, so that a torn start leaves no study.

    One that is stored is returned as it is. Raises InputError where its place cannot be written, and where somebody
    else has just made another study of this name: never does one lie there with the images of two.
    """
    if not isinstance(study.storage, UnwrittenStudy):
        return study
    studies, storage = study.place.parent, open_storage(study.place)
    files = study.storage.files
    try:
        if not storage.create(layout.MANIFEST, files[layout.MANIFEST]):
            _check_same_images(study, storage)
        for path, content in files.items():
            if path not in (layout.STUDY, layout.MANIFEST):
                storage.replace(path, content)
        is_first = storage.create(layout.STUDY, files[layout.STUDY])
    except StorageError as error:
        advice = "Choose another place with --studies DIR." if study.place.path else error.advice
        raise InputError(f"study {study.name!r}: {error.message}", advice) from error
    stored = find_study(studies, study.name)
    if stored is None:
        raise InputError(f"study {study.name!r} could not be made in {studies}", "Run the same command again.")
    if not is_first:
        _check_same_study(study.record, stored.record)
    return replace(stored, partitions=study.partitions)


def _check_same_images(study: Study, storage: Storage) -> None:
    """A manifest that lies where the study is to be made must be its own; whoever wrote it first has the name."""
    from trainables.data.manifest import read_manifest

    with contextlib.suppress(FileNotFoundError, DamagedRecordError):
        there = read_manifest(storage.read(layout.MANIFEST))
        if there.equals(read_manifest(study.storage.read(layout.MANIFEST))):
            return
    raise InputError(
        f"study {study.name!r}: somebody else began to make it, from other data, in {study.place}",
        f"Choose another name, or remove {study.place} if that search has ended and left no {layout.STUDY}.",
    )


def _check_same_study(mine: StudyRecord, theirs: StudyRecord) -> None:
    """Two made at the same moment are one study where all is equal that their results depend on."""
    elsewhere = ("selection", "created", "versions", "data_source", "data_packed", "data_sha256")
    differing = [
        name
        for name in StudyRecord.model_fields
        if name not in elsewhere and getattr(mine, name) != getattr(theirs, name)
    ]
    if differing:
        told = ", ".join(f"{name} {getattr(theirs, name)!s:.20}, not {getattr(mine, name)!s:.20}" for name in differing)
        raise InputError(
            f"study {mine.name!r} was made by somebody else at the same moment, with {told}",
            "Run the same command again to go on with that one, or choose another name.",
        )


def write_configurations(study: Study, configurations: dict[str, Configuration]) -> None:
    """Store the resolved settings behind every id, once."""
    there = set(study.storage.list(layout.CONFIGURATIONS))
    for identity, configuration in configurations.items():
        if f"{identity}.toml" not in there:
            study.storage.create(layout.configuration(identity), configuration.to_toml())


def write_search(study: Study, search: SearchRecord) -> None:
    """Store what may be tried; the partitions first, so that no search names one that is not there.

    A damaged file of the same search is written anew.
    """
    for name, content in study.partitions.items():
        study.storage.create(layout.partition(name), content)
    path = search_file(search.id)
    if not study.storage.create(path, search.to_toml()):
        try:
            parse_toml(SearchRecord, study.storage.read(path), path)
        except DamagedRecordError:
            study.storage.replace(path, search.to_toml())


def raise_budget(
    storage: Storage,
    search: str,
    wanted: Mapping[str, tuple[int, int]],
    command: str,
    limits: Limits | None = None,
) -> str:
    """Have a search train at least so many (repeats, epochs) of its configurations; path of the budget that counts.

    limits: None as before. Of suggestions at least so many; hours as given.
    """
    taken = 0
    while True:
        listed = (parse_budget(name) for name in storage.list(search_folder(search)))
        numbers = {number for number in listed if number is not None} | set(range(1, taken + 1))
        before = _last_budget(storage, search, numbers)
        budget = raised(before, wanted, command, limits)
        if budget is None:
            assert before is not None  # without one anything wanted is more
            return budget_file(search, before.number)
        taken = max(numbers, default=0) + 1
        path = budget_file(search, taken)
        if storage.create(path, budget.model_copy(update={"number": taken}).to_toml()):
            return path


def _last_budget(storage: Storage, search: str, numbers: Iterable[int]) -> Budget | None:
    """Of these the last that can be read."""
    for number in sorted(numbers, reverse=True):
        path = budget_file(search, number)
        with contextlib.suppress(DamagedRecordError, FileNotFoundError):
            return parse_toml(Budget, storage.read(path), path)
    return None


def raised(
    before: Budget | None, wanted: Mapping[str, tuple[int, int]], command: str, limits: Limits | None = None
) -> Budget | None:
    """The budget after `before` that allows as much; None where that does already."""
    each = before.of_each() if before is not None else {}
    had = Limits(before.suggestions, before.hours) if before is not None else Limits()
    given = had if limits is None else limits
    given = Limits(max(had.suggestions or 0, given.suggestions or 0) or None, given.hours)
    more = raised_budget(each, wanted)
    if (more, given) == (each, had):
        return None
    number = before.number + 1 if before is not None else 1
    return Budget(
        number=number, allowances=allowances(more), **given._asdict(), command=command, who=who(), created=now()
    )


def raised_budget(
    before: Mapping[str, tuple[int, int]], wanted: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """The larger of both for each configuration."""
    every = {name: before.get(name, wanted.get(name, (1, 0))) for name in (*before, *wanted)}
    return {
        name: (max(r, wanted.get(name, (r, e))[0]), max(e, wanted.get(name, (r, e))[1]))
        for name, (r, e) in every.items()
    }


def versions() -> dict[str, str]:
    """Of this project and the packages that results may depend on."""
    installed = {"python": sys.version.split()[0]}
    for name, package in (("orch", DISTRIBUTION), *zip(RECORDED_PACKAGES, RECORDED_PACKAGES, strict=True)):
        try:
            installed[name] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def revision() -> str:
    """The git revision of this project's checkout, or "" outside one."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():  # installed: a repository around it is somebody else's
        return ""
    try:
        run = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


def who() -> str:
    """The user and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _first_asked(place: Place, act: Callable[[Storage], T]) -> T:
    """What a storage says to the first question of a command: a store is waited for less long than later on."""
    if place.path is not None:
        return act(open_storage(place))
    try:
        return act(open_storage(place, give_up_after_s=FIRST_ANSWER_S))
    except StorageError as error:
        raise UnreachedError(error.message, error.advice) from error


def _check_version(content: bytes, place: Place) -> None:
    try:
        version = parsed_toml(content, layout.STUDY).get("schema_version")
    except DamagedRecordError:
        return
    if version == 1:
        raise InputError(
            f"study {place / layout.STUDY} was made by version 0.1 of orch, whose studies later versions cannot read",
            "Make it again from the same images under another name, or open it with the version that made it.",
        )
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{place / layout.STUDY}: expected schema version {SCHEMA_VERSION}, found {version or 'none'!s}",
            "Open the study with the version of orch that made it, or choose another folder with --studies DIR.",
        )

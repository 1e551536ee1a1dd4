"""What went wrong with a segment: kept in it as failure-<n>.json, and how often each kind is tried again. No torch
until something failed.

A repeat that diverged is no failure: it is a result, with its epoch, and more tries would diverge at the same step.
"""

from __future__ import annotations

import json
import re
import socket
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from orchestrator.store.damage import passed_over
from orchestrator.store.errors import DamagedRecordError, OrchError, first_line, plain_text
from orchestrator.store.parsing import json_object
from orchestrator.store.segments import Segment
from orchestrator.store.storage import Storage
from trainables.bundles.attempts import last_attempt
from trainables.machine.out_of_memory import is_out_of_memory

_NAME = re.compile(r"failure-(\d{1,9})\.json")


class SupersededError(OrchError):
    """Another process has taken the work over, or divides it otherwise; nothing more is to be done here."""


class LostError(OrchError):
    """The process that trained is gone."""


class NodeLostError(LostError):
    """It is gone with its node: no fault of what it trained."""


class Kind(StrEnum):
    """Why a segment could not go on."""

    MEMORY = "memory"
    EXCEPTION = "exception"
    HANG = "hang"
    WORKER = "worker"
    """The process died without a word: it was killed, the system took its memory back, or its node was lost."""
    NODE = "node"
    """The machine is gone, or cut off."""
    FEATURES = "features"


@dataclass(frozen=True)
class Rule:
    """What follows a failure within one search.

    retries: how often a segment of one configuration is tried again. stack_tries: after so many failures the
    configurations of a stack go on alone, so that the one at fault does not take the others with it; their tries count
    from then on.
    """

    retries: int
    stack_tries: int


RULES = {
    # What does not fit is halved, at last to one lane; what arrives here can be no smaller
    Kind.MEMORY: Rule(retries=0, stack_tries=1),
    Kind.EXCEPTION: Rule(retries=2, stack_tries=2),
    Kind.HANG: Rule(retries=1, stack_tries=2),
    Kind.WORKER: Rule(retries=2, stack_tries=3),
    # Machines are taken away again and again; one that a segment itself brings down would be so without end
    Kind.NODE: Rule(retries=20, stack_tries=21),
    # The pass over the images ended for all that need it; the next search begins it again
    Kind.FEATURES: Rule(retries=0, stack_tries=1),
}


@dataclass(frozen=True)
class Failure:
    """One failure as the study keeps it; the file at `path` has its traceback too."""

    path: str
    kind: str
    cause: str
    """One line."""
    partition: str
    configurations: tuple[str, ...]
    repeats: tuple[int, ...]
    attempt: int
    lease: int
    """Number of the lease under which it happened; 0 where it was not noted."""


def note_failure(
    storage: Storage,
    segment: Segment,
    error: BaseException,
    kind: Kind,
    attempt: int | None = None,
    lease: int = 0,
    stacks: str | None = None,
) -> None:
    """Keep a failure in the study, under the next free number; of the last attempt by default.

    stacks: kept in place of the error's own traceback, where what matters is what other threads were doing.
    """
    if attempt is None:
        attempt = last_attempt(storage, segment)
    note = {
        "cause": f"{type(error).__name__}: {error}",
        "kind": str(kind),
        "traceback": stacks if stacks is not None else "".join(traceback.format_exception(error)),
        "attempt": attempt,
        "lease": lease,
        "partition": segment.partition,
        "configurations": segment.configurations,
        "repeats": segment.repeats,
        "start": segment.start,
        "epochs": segment.epochs,
        "host": socket.gethostname(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    number = 1
    while not storage.create(segment.failure(number), json.dumps(note).encode()):
        number += 1


def failures_of(storage: Storage, segment: Segment, names: Sequence[str] | None = None) -> list[Failure]:
    """The failures of a segment, oldest first; see `failures_in`."""
    return failures_in(storage, segment.folder, names)


def failures_in(storage: Storage, folder: str, names: Sequence[str] | None = None) -> list[Failure]:
    """The failures in a segment's folder, oldest first; names: of the files in it, where they are known.

    One that cannot be read is left out, which is noted.
    """
    failures = []
    names = storage.list(folder) if names is None else names
    for number in sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name))):
        path = f"{folder}/failure-{number}.json"
        with passed_over(storage, path):
            failures.append(_failure(storage.read(path), path, number))
    return failures


def _failure(content: bytes, path: str, number: int) -> Failure:
    note = json_object(content, path)
    cause = str(note.get("cause", "")).strip().splitlines()
    try:
        return Failure(
            path,
            str(note.get("kind", "")),
            plain_text(cause[0]) if cause else "",
            str(note.get("partition", "")),
            tuple(str(name) for name in note.get("configurations", ())),
            tuple(int(repeat) for repeat in note.get("repeats", ())),
            int(note.get("attempt", number)),
            int(note.get("lease", 0)),
        )
    except (OverflowError, TypeError, ValueError) as error:
        raise DamagedRecordError(f"{path} is not a whole failure: {first_line(error)}") from error


def has_failed(storage: Storage, segment: Segment) -> bool:
    """Whether a failure of the segment is kept, whatever came of it later."""
    return any(_NAME.fullmatch(name) for name in storage.list(segment.folder))


def kind_of(error: BaseException) -> Kind:
    return Kind.MEMORY if is_out_of_memory(error) else Kind.EXCEPTION

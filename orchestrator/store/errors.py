"""Every error that a user may meet: what object, what was expected, what was found, what to type next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

MOST_LISTED = 20
"""Faults of one kind that are told each by itself."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain_text(text: str) -> str:
    """Without what a terminal obeys: texts of files may be anybody's."""
    return _CONTROL.sub("?", text)


class OrchError(Exception):
    """Base of all errors shown to the user as one message without a traceback.

    `exit_status` is what the command line exits with. `advice` is the next thing to do, usually a command to type.
    """

    exit_status = 1

    def __init__(self, message: str, advice: str = "") -> None:
        message, advice = plain_text(message), plain_text(advice)
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}\n{self.advice}" if self.advice else self.message

    def __reduce__(self) -> tuple[type[OrchError], tuple[str, str]]:
        return type(self), (self.message, self.advice)


class InputError(OrchError):
    """Wrong usage or wrong input: nothing was changed, exit status 2. faults: each by itself, of several. unlisted:
    faults beside them that are only counted."""

    exit_status = 2
    faults: tuple[str, ...] = ()
    unlisted: int = 0


class DamagedRecordError(OrchError):
    """A file of the study fails its checksum or cannot be parsed; readers skip it or use the one before."""

    def __init__(self, message: str, advice: str = "Put the file back from a copy of the study.") -> None:
        super().__init__(message, advice)


class MissingFileError(OrchError, FileNotFoundError):
    """There is no file at `path` of a storage: often an answer, and an error of its own where the file is needed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is missing", "Put the file back from a copy of the study.")
        self.path = path

    def __reduce__(self) -> tuple[type[OrchError], tuple[str]]:  # type: ignore[override]
        return type(self), (self.path,)


class StorageError(OrchError):
    """The storage refused a write or a read (no space, no permission, an I/O error)."""


class UnreachedError(StorageError):
    """An object store refused or gave no answer to a command's first question: nothing was changed, exit status 2."""

    exit_status = 2


class Faults:
    """Collects all faults of one input and raises them together as one `InputError`."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.found: list[str] = []
        self.unlisted = 0
        """Faults beside those found that are only counted."""
        self.advice: list[str] = []

    def add(self, fault: str) -> None:
        """Add a fault, once however often it is found."""
        if fault not in self.found:
            self.found.append(fault)

    def advise(self, advice: str) -> None:
        """What to do about those found so far, beside the advice for all."""
        self.advice.append(advice)

    def extend(self, faults: Iterable[str]) -> None:
        for fault in faults:
            self.add(fault)

    def extend_shortened(self, faults: Sequence[str], what: str) -> None:
        """All of them up to twenty, else the first twenty and the number of the others."""
        self.extend(faults[:MOST_LISTED])
        if len(faults) > MOST_LISTED:
            self.add(f"and {len(faults) - MOST_LISTED} more {what}")
            self.unlisted += len(faults) - MOST_LISTED - 1

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """What is raised in this block as an InputError is added to the faults, so that the next step is taken."""
        try:
            yield
        except InputError as error:
            self.extend(error.faults or (error.message.removeprefix(f"{self.subject}: "),))
            self.unlisted += error.unlisted
            self.advise(error.advice)

    def raise_if_any(self, advice: str = "") -> None:
        """Raise all faults; `advice` stands below that of single ones."""
        if not self.found:
            return
        text = self.found[0]
        if len(self.found) > 1:
            text = "\n".join([f"{len(self.found) + self.unlisted} faults", *(f"  - {fault}" for fault in self.found)])
        told = dict.fromkeys(line for one in (*self.advice, advice) for line in one.split("\n") if line)
        error = InputError(f"{self.subject}: {text}", "\n".join(told))
        error.faults, error.unlisted = tuple(self.found), self.unlisted
        raise error


def first_line(error: BaseException) -> str:
    """What an error of somebody else's code says, in one line of at most 200 characters; its type where it is mute."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

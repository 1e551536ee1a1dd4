"""Every error that a user may meet: what object, what was expected, what was found, what to type next."""

from __future__ import annotations

from collections.abc import Iterable


class OrchError(Exception):
    """Base of all errors shown to the user as one message without a traceback.

    `exit_status` is what the command line exits with. `advice` is the next thing to do, usually a command to type.
    """

    exit_status = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}\n{self.advice}" if self.advice else self.message

    def __reduce__(self) -> tuple[type[OrchError], tuple[str, str]]:
        return type(self), (self.message, self.advice)


class InputError(OrchError):
    """Wrong usage or wrong input: nothing was changed, exit status 2."""

    exit_status = 2


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

    def add(self, fault: str) -> None:
        self.found.append(fault)

    def extend(self, faults: Iterable[str]) -> None:
        self.found.extend(faults)

    def raise_if_any(self, advice: str = "") -> None:
        if not self.found:
            return
        if len(self.found) == 1:
            raise InputError(f"{self.subject}: {self.found[0]}", advice)
        lines = "\n".join(f"  - {fault}" for fault in self.found)
        raise InputError(f"{self.subject}: {len(self.found)} faults\n{lines}", advice)


def first_line(error: BaseException) -> str:
    """What an error of somebody else's code says, in one line of at most 200 characters; its type where it is mute."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

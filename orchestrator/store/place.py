"""Where studies lie: a folder of this machine, or `s3://BUCKET/PREFIX` and other object stores that fsspec knows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from orchestrator.store.errors import InputError
from orchestrator.store.redact import has_secrets, without_secrets

EXPECTED = "expected a folder or s3://BUCKET/PREFIX"

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_NEARLY = re.compile(r"[a-z][a-z0-9+.-]*:(/|:.*://)", re.IGNORECASE)
_ON_DISK = ("file", "local")
_EXAMPLE = "For instance: --studies s3://my-bucket/studies"
_CREDENTIALS = "Leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, instead."


def is_address(text: str) -> bool:
    """Whether `text` is an address (`s3://…`) and not a path."""
    return _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True)
class Place:
    """A folder's path as it was given, or an address without a slash at its end. Made by `Place.of`, which checks it.

    As text it is what a user typed or could type, and what a process elsewhere opens it by once it is `absolute`.
    """

    text: str

    @classmethod
    def of(cls, given: Where | str) -> Place:
        """Raises InputError for an address that cannot be one, or that holds a password or a key."""
        if isinstance(given, Place):
            return given
        match = _ADDRESS.fullmatch(given) if isinstance(given, str) else None
        shown = without_secrets(str(given))[:200]
        if match is None:
            if isinstance(given, str) and _NEARLY.match(given):
                raise InputError(f"address {shown!r}: {EXPECTED}", f"{_EXAMPLE}, or ./{shown} for a folder")
            return cls(str(Path(given)))
        if has_secrets(match[0]):
            raise InputError(f"address {shown}: holds a user name, a password or a key", _CREDENTIALS)
        protocol, root = match[1].lower(), match[2].strip("/")
        if protocol in _ON_DISK:
            return cls(f"/{root}")
        if not root or any(part in ("", ".", "..") for part in root.split("/")) or not root.isprintable():
            raise InputError(f"address {shown!r}: {EXPECTED}", _EXAMPLE)
        return cls(f"{protocol}://{root}")

    @property
    def path(self) -> Path | None:
        """On this machine; none in a store."""
        return None if is_address(self.text) else Path(self.text)

    @property
    def parent(self) -> Place:
        """What it lies in; raises InputError for a whole bucket."""
        path = self.path
        if path is not None:
            return Place(str(path.parent))
        before, _, _ = self.text.rpartition("/")
        if before.endswith("/"):
            raise InputError(f"address {self.text!r}: expected s3://BUCKET/STUDY, found a bucket", _EXAMPLE)
        return Place(before)

    @property
    def name(self) -> str:
        """Its last part."""
        return Path(self.text).name

    def __truediv__(self, name: str) -> Place:
        path = self.path
        return Place(f"{self.text}/{name}" if path is None else str(path / name))

    def __str__(self) -> str:
        return self.text

    def absolute(self) -> Place:
        """The same place for a process in another working folder."""
        path = self.path
        return self if path is None else Place(str(path.resolve()))


Where: TypeAlias = Place | Path
"""What functions take that are also called with the path of a folder."""

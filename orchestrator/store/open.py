"""From a place to a storage: the operating system's own calls, or an object store through fsspec."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
import uuid
from pathlib import Path
from typing import Any

from orchestrator.store.claims import SETTLE_S, SettledStorage
from orchestrator.store.errors import InputError, StorageError
from orchestrator.store.objects import GIVE_UP_AFTER_S, ObjectStorage, s3_options
from orchestrator.store.place import EXPECTED, Place, Where
from orchestrator.store.redact import without_secrets
from orchestrator.store.storage import TEMPORARY_PREFIX, LocalStorage, Storage

WITHOUT_EXCLUSIVE_CREATE = frozenset(
    {
        "fuse.drive",
        "fuse.DriveFS",
        "fuse.google-drive-ocamlfuse",
        "fuse.rclone",
        "fuse.gcsfuse",
        "fuse.goofys",
        "fuse.s3fs",
        "fuse.mount-s3",
        "fuse.onedriver",
    }
)
"""Types of mounts on which two machines may both create one name: each sees its own file first."""

FIRST_ANSWER_S = 15.0
"""How long the first call of a command may be repeated: a wrong address is to be told soon."""

_PACKAGES = {
    "s3": "'orch-search[s3]'",
    "s3a": "'orch-search[s3]'",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
}
"""What pip installs for a protocol."""


class ProbedStorage:
    """An object store whose way of creating is found out when something is created: readers need no right to write.

    One that fails a probe of exclusive create is used in the settle-and-claim way. Thread-safe.
    """

    def __init__(self, inner: ObjectStorage, settle_s: float) -> None:
        self.inner = inner
        self._settled = SettledStorage(inner, settle_s)
        self._lock = threading.Lock()
        self._creator: Storage | None = None

    def __repr__(self) -> str:
        return f"ProbedStorage({self.inner!r})"

    def read(self, path: str) -> bytes:
        return self.inner.read(path)

    def list(self, folder: str) -> list[str]:
        return self._settled.list(folder)

    def replace(self, path: str, content: bytes) -> None:
        self.inner.replace(path, content)

    def delete(self, path: str) -> None:
        self.inner.delete(path)

    def rename(self, path: str, name: str) -> None:
        self.inner.rename(path, name)

    def create(self, path: str, content: bytes) -> bool:
        with self._lock:
            if self._creator is None:
                self._creator = self.inner if creates_exclusively(self.inner) else self._settled
        return self._creator.create(path, content)


def open_storage(
    place: Where | str, *, settle_s: float = SETTLE_S, give_up_after_s: float = GIVE_UP_AFTER_S
) -> Storage:
    """The storage at a place; nothing is made in it, and a store is not called yet.

    Credentials come from the environment or the store's own files, never from the address. A mount that is known not to
    create exclusively is used in the settle-and-claim way, where a claim takes `settle_s` seconds. give_up_after_s: how
    long a call to an object store is tried again. Raises InputError for an address that cannot be one.
    """
    place = Place.of(place)
    path = place.path
    if path is not None:
        local = LocalStorage(path)
        return SettledStorage(local, settle_s) if mount_type(local.root) in WITHOUT_EXCLUSIVE_CREATE else local
    protocol, _, root = place.text.partition("://")
    settings = frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    return ProbedStorage(ObjectStorage(_file_system(protocol, os.getpid(), settings), root, give_up_after_s), settle_s)


def creates_exclusively(storage: Storage) -> bool:
    """Whether a second create of one name is refused: tried with a small file, which is removed again."""
    path = f"{TEMPORARY_PREFIX}probe-{uuid.uuid4().hex}"
    try:
        first = storage.create(path, b"first")
        second = storage.create(path, b"second")
        return first and not second and storage.read(path) == b"first"
    except (StorageError, FileNotFoundError) as error:
        if isinstance(error, StorageError) and "NotImplemented" not in error.message:
            raise
        return False
    finally:
        with contextlib.suppress(StorageError):
            storage.delete(path)


def mount_type(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Type of the file system that `folder` lies on (or would, once made); "" where the system does not tell."""
    try:
        place = folder.resolve()
        deepest: tuple[int, str] = (-1, "")
        for line in mounts.read_text(errors="surrogateescape").splitlines():
            left, _, right = line.partition(" - ")
            point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), left.split()[4]))
            if place.is_relative_to(point) and len(point.parts) >= deepest[0]:
                deepest = len(point.parts), right.split()[0]
        return deepest[1]
    except (OSError, IndexError):
        return ""


@functools.lru_cache(maxsize=8)
def _file_system(protocol: str, process: int, settings: frozenset[tuple[str, str]]) -> Any:
    """One for each process and set of credentials: making one takes a second, and none may cross a fork."""
    import fsspec

    options = s3_options() if protocol in ("s3", "s3a") else {}
    try:
        return fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        advice = f"Install it: pip install {package}" if package else "Choose another place with --studies DIR."
        raise InputError(
            f"address {protocol}://…: its package is not installed ({without_secrets(str(error))[:200]})", advice
        ) from error
    except ValueError as error:
        raise InputError(f"address {protocol}://…: {EXPECTED}", "Correct --studies.") from error

"""From an address to a storage: a folder, or `s3://BUCKET/PREFIX` and other stores that fsspec knows."""

from __future__ import annotations

import contextlib
import re
import uuid
from pathlib import Path
from typing import Any

from orchestrator.store.claims import SETTLE_S, SettledStorage
from orchestrator.store.errors import InputError, StorageError
from orchestrator.store.objects import ObjectStorage, s3_options
from orchestrator.store.redact import has_secrets, without_secrets
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

PROBE_S = 15.0
"""How long the first calls may be repeated: a wrong address is to be told soon."""

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_EXPECTED = "expected a folder or s3://BUCKET/PREFIX"
_CREDENTIALS = "Leave them out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, instead."


def is_address(place: str | Path) -> bool:
    """Whether `place` is an address (`s3://…`) and not a path."""
    return isinstance(place, str) and _ADDRESS.fullmatch(place) is not None


def below(place: str | Path, name: str) -> str | Path:
    """The folder `name` in a folder or address."""
    return f"{place.rstrip('/')}/{name}" if isinstance(place, str) and is_address(place) else Path(place) / name


def open_storage(address: str | Path, *, settle_s: float = SETTLE_S) -> Storage:
    """The storage at a folder's path or an address; nothing is made in it.

    Credentials come from the environment or the store's own files, never from the address. A store that fails a probe
    of exclusive create, and a mount that is known not to have it, is used in the settle-and-claim way, where a claim
    takes `settle_s` seconds. Raises InputError for an address that cannot be one, StorageError when the store refuses.
    """
    match = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if match is None:
        local = LocalStorage(Path(address))
        return SettledStorage(local, settle_s) if mount_type(local.root) in WITHOUT_EXCLUSIVE_CREATE else local
    protocol, root = match[1].lower(), match[2].strip("/")
    shown = without_secrets(str(address))
    if has_secrets(str(address)):
        raise InputError(f"address {shown}: holds a user name, a password or a key", _CREDENTIALS)
    if protocol == "file":
        return open_storage(Path("/" + root), settle_s=settle_s)
    if not root or any(part in ("", ".", "..") for part in root.split("/")) or not root.isprintable():
        raise InputError(f"address {shown[:200]!r}: {_EXPECTED}", "For instance: --studies s3://my-bucket/studies")
    files = _file_system(protocol, shown)
    is_exclusive = creates_exclusively(ObjectStorage(files, root, PROBE_S))
    storage = ObjectStorage(files, root)
    return storage if is_exclusive else SettledStorage(storage, settle_s)


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
        found: tuple[int, str] = (-1, "")
        for line in mounts.read_text(errors="surrogateescape").splitlines():
            left, _, right = line.partition(" - ")
            point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), left.split()[4]))
            if place.is_relative_to(point) and len(point.parts) >= found[0]:
                found = len(point.parts), right.split()[0]
        return found[1]
    except (OSError, IndexError):
        return ""


def _file_system(protocol: str, shown: str) -> Any:
    import fsspec

    options = s3_options() if protocol in ("s3", "s3a") else {}
    try:
        return fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        advice = f"Install it: pip install {package}" if package else "Choose another place with --studies DIR."
        raise InputError(f"address {shown}: the package {package or protocol} is not installed", advice) from error
    except ValueError as error:
        raise InputError(f"address {shown}: {_EXPECTED}, found {protocol}://", "Correct --studies.") from error

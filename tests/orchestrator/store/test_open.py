"""Addresses, and what kind of storage stands behind each."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from orchestrator.store.claims import SettledStorage
from orchestrator.store.errors import InputError, StorageError
from orchestrator.store.objects import ObjectStorage
from orchestrator.store.open import ProbedStorage, creates_exclusively, mount_type, open_storage
from orchestrator.store.place import is_address
from orchestrator.store.storage import LocalStorage

MOUNTS = """\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 21 0:40 / /content/drive rw,nosuid - fuse.drive drive rw
31 21 0:41 / /mnt/my\\040share rw - nfs4 server:/share rw
32 30 0:42 / /content/drive/local rw - tmpfs tmpfs rw
"""


def test_folders_and_addresses(tmp_path: Path) -> None:
    assert is_address("s3://bucket/x")
    assert not is_address("studies")
    for place in (tmp_path, str(tmp_path), f"file://{tmp_path}"):
        storage = open_storage(place)
        assert isinstance(storage, LocalStorage)
        assert storage.root == tmp_path


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://", "expected a folder or s3://BUCKET/PREFIX"),
        ("s3://bucket/../other", "expected a folder or s3://BUCKET/PREFIX"),
        ("s3://bucket//x", "expected a folder or s3://BUCKET/PREFIX"),
        ("s3://bucket/\x1b[31m", "expected a folder or s3://BUCKET/PREFIX"),
        ("nonsense://bucket/x", "nonsense://…: expected a folder or s3://BUCKET/PREFIX"),
    ],
)
def test_addresses_that_are_none(address: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        open_storage(address)
    assert message in raised.value.message
    assert raised.value.advice
    assert "\x1b" not in str(raised.value)


def test_a_store_whose_package_is_missing_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(InputError, match="its package is not installed") as raised:
        open_storage("gs://bucket/studies")
    assert raised.value.advice == "Install it: pip install gcsfs"


def test_a_mount_without_exclusive_create_is_used_in_the_claiming_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    found = {place: mount_type(Path(place), mounts) for place in ("/x", "/content/drive/My", "/content/drive/local/a")}
    assert found == {"/x": "ext4", "/content/drive/My": "fuse.drive", "/content/drive/local/a": "tmpfs"}
    assert mount_type(Path("/mnt/my share/studies"), mounts) == "nfs4"
    assert mount_type(tmp_path, tmp_path / "nowhere") == ""
    monkeypatch.setattr("orchestrator.store.open.mount_type", lambda _: "fuse.drive")
    storage = open_storage(tmp_path, settle_s=7)
    assert isinstance(storage, SettledStorage)
    assert storage.settle_s == 7


class Overwriting(LocalStorage):
    """A store that does not know exclusive creation and overwrites."""

    def create(self, path: str, content: bytes) -> bool:
        self.replace(path, content)
        return True


class Refusing(LocalStorage):
    def __init__(self, root: Path, cause: str) -> None:
        super().__init__(root)
        self.cause = cause

    def create(self, path: str, content: bytes) -> bool:
        raise StorageError(f"cannot write {path}: {self.cause}")


def test_the_probe(tmp_path: Path) -> None:
    assert creates_exclusively(LocalStorage(tmp_path))
    assert not creates_exclusively(Overwriting(tmp_path))
    assert not creates_exclusively(Refusing(tmp_path, "NotImplemented: a header"))
    with pytest.raises(StorageError, match="AccessDenied"):
        creates_exclusively(Refusing(tmp_path, "AccessDenied: no"))
    assert list(tmp_path.iterdir()) == []


def test_any_store_of_fsspec_passes_through_the_same_door() -> None:
    storage = open_storage("memory://bucket/studies")
    assert isinstance(storage, ProbedStorage)
    assert isinstance(storage.inner, ObjectStorage)
    storage.replace("a/b", b"x")
    assert storage.read("a/b") == b"x"
    assert storage.list("a") == ["b"]
    assert storage.create("a/b", b"y") is False
    storage.delete("a/b")
    assert storage.list("a") == []

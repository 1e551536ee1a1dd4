"""Bad archives and arrays on a user's desk; see `bad_data`."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from tests.support.bad_data import case, search
from tests.support.packing import add, packed


@case("an archive of a kind that is not read")
def _(desk: Path) -> list[str]:
    (desk / "images.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    return search(desk, data=desk / "images.7z")


@case("an empty archive")
def _(desk: Path) -> list[str]:
    (desk / "images.tar.gz").write_bytes(b"")
    return search(desk, data=desk / "images.tar.gz")


@case("an archive that climbs out")
def _(desk: Path) -> list[str]:
    names = ("a/1.png", "b/../../climbs.out", "/climbs.out", "C:\\climbs.out", "a/\x1b[2J.png")
    return search(desk, data=packed(desk / "images.zip", dict.fromkeys(names, b"x")))


@case("an archive of links and devices")
def _(desk: Path) -> list[str]:
    with tarfile.open(desk / "images.tar", "w") as archive:
        add(archive, "a/1.png", b"x")
        add(archive, "b", kind=tarfile.SYMTYPE, link="/etc")
        add(archive, "b/passwd", b"x")
        add(archive, "c/1.png", kind=tarfile.CHRTYPE)
    return search(desk, data=desk / "images.tar")


@case("a volume of arrays")
def _(desk: Path) -> list[str]:
    volumes = np.zeros((2, 28, 28, 28), np.uint8)
    np.savez(desk / "organmnist3d.npz", train_images=volumes, train_labels=np.zeros((2, 1), np.uint8))
    return search(desk, data=desk / "organmnist3d.npz")


@case("an array of pickles")
def _(desk: Path) -> list[str]:
    np.savez(desk / "stack.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.array(["a", None]), allow_pickle=True)
    return search(desk, data=desk / "stack.npz")

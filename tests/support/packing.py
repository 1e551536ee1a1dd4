"""Archives of made-up files for tests: good ones, and those that somebody wrote to do harm."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.desk import write_images

FILES = {f"{label}/g{group}.png": f"{label}{group}".encode() * 50 for label in "ab" for group in range(3)}
"""Class folders; the content is no image, and need not be to be unpacked."""
COMPRESSED = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
KINDS = (".zip", *COMPRESSED)


def packed(path: Path, files: Mapping[str, bytes]) -> Path:
    """An archive of the kind that the name says; a name with a slash at its end is a folder."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    suffix = next(suffix for suffix in COMPRESSED if path.name.endswith(suffix))
    with tarfile.open(path, COMPRESSED[suffix]) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            add(archive, name, content)
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = b"", link: str = "") -> None:
    """One member of a tar file, of any kind."""
    info = tarfile.TarInfo(name.rstrip("/"))
    info.type = kind or (tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE)
    info.linkname, info.size = link, len(content)
    archive.addfile(info, io.BytesIO(content))


def linked(name: str, mode: int = stat.S_IFLNK) -> zipfile.ZipInfo:
    """A member of a zip file that is a link, or whatever the mode says."""
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (mode | 0o644) << 16
    return info


def below(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def patched(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def image_archive(path: Path, scratch: Path, top: str = "images/") -> Path:
    """Two classes of six groups with one image each, in an archive."""
    return packed(path, {f"{top}{name}": content for name, content in below(write_images(scratch)).items()})


def image_stack(path: Path, groups: int = 6, side: int = 32) -> Path:
    """MedMNIST's layout: two classes in turn, twice `groups` images to train, `groups` in the other splits; noise."""
    draw, arrays = np.random.default_rng(7), {}
    for split, count in (("train", 2 * groups), ("val", groups), ("test", groups)):
        arrays[f"{split}_images"] = draw.integers(0, 255, (count, side, side, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    np.savez_compressed(path, **arrays)
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)

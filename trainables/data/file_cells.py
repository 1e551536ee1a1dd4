"""The files that a table's rows name: found below the root, or told what is wrong with them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath, PureWindowsPath

from orchestrator.store.errors import Faults
from trainables.data.decode import IMAGE_SUFFIXES
from trainables.data.listing import named, outside

_SENTENCES = {
    "absolute": "absolute paths, expected paths relative to the table, or a --data-root DIR that contains them",
    "outside": "files lie outside the data root {root}; give a --data-root DIR that contains them",
    "missing": "of {rows} files are missing below {root}",
    "unclear": "paths fit several files below {root}: write them with their suffix and in the right case",
    "twice": "files are listed more than once",
}


def find_files(cells: Sequence[str], root: Path, data_root: Path | None, faults: Faults, notes: list[str]) -> list[str]:
    """The cells' paths relative to the root; every fault goes to `faults`, one sentence for each kind.

    A path of Windows is read with its backslashes as slashes and, where it begins with a drive, without the folders
    that all of them begin with; a file that is not there by its name is looked for without case and with the suffix
    of an image. What was found so goes to `notes`.
    """
    cells = [cell.strip() for cell in cells]
    paths = _Windows(cells, root, notes).paths()
    looked = _Looked(root)
    files, seen = list[str](), set[str]()
    faulty: dict[str, list[str]] = {kind: [] for kind in _SENTENCES}
    for written, path in zip(cells, paths, strict=True):
        relative = _relative(root, data_root, path)
        candidates: Sequence[PurePosixPath] = (relative,)
        inside = relative.parts[:1] != ("..",)
        if written and inside and not (root / relative).is_file():
            candidates = looked.alike(relative) or candidates
            relative = candidates[0]
        files.append(relative.as_posix())
        if not written:
            continue
        if Path(path).is_absolute() and data_root is None:
            faulty["absolute"].append(written)
        elif not inside or ((root / relative).exists() and outside(root, root / relative)):
            faulty["outside"].append(written)
        elif not (root / relative).is_file():
            faulty["missing"].append(written)
        elif len(candidates) > 1:
            faulty["unclear"].append(written)
        elif files[-1] in seen:
            faulty["twice"].append(written)
        seen.add(files[-1])
    told = {kind: sentence.format(root=root, rows=len(cells)) for kind, sentence in _SENTENCES.items()}
    faults.extend(f"{len(affected)} {told[kind]}: {named(affected)}" for kind, affected in faulty.items() if affected)
    if looked.told:
        first = next(iter(looked.told.items()))
        notes.append(
            f"{len(looked.told)} files were found with other capitals or with a suffix that the table leaves out, "
            f"for instance {first[0]!r} as {first[1]!r}."
        )
    return files


class _Windows:
    """Paths as Windows writes them. What lies before the table on the machine that wrote it is not here: the folders
    that all paths with a drive begin with are left out, the fewest of them that let files be found below the root."""

    def __init__(self, cells: Sequence[str], root: Path, notes: list[str]) -> None:
        self.cells, self.root, self.notes = cells, root, notes

    def paths(self) -> list[str]:
        with_drive = [number for number, cell in enumerate(self.cells) if _has_drive(cell)]
        # A backslash may be part of a name here, so a file of that very name goes first.
        paths = [
            cell.replace("\\", "/") if "\\" in cell and not _is_file(self.root / cell) else cell for cell in self.cells
        ]
        parts = [PureWindowsPath(self.cells[number]).parts for number in with_drive]
        columns = zip(*(one[:-1] for one in parts), strict=False)
        shared = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, columns)]
        looked = _Looked(self.root)
        hits = {
            length: sum(bool(looked.alike(PurePosixPath(*one[length:]))) for one in parts)
            for length in range(1, len(shared) + 1)
        }
        length = max(hits, key=lambda one: (hits[one], -one), default=0)
        if hits.get(length):
            before = str(PureWindowsPath(*shared[:length]))
            self.notes.append(f"{len(parts)} paths begin with {before!r}: read as below {self.root}.")
            for number, one in zip(with_drive, parts, strict=True):
                paths[number] = PurePosixPath(*one[length:]).as_posix()
        return paths


class _Looked:
    """Files below a root that a path may mean: each part without case and Unicode form, an image's suffix added."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[PurePosixPath, dict[str, list[str]]] = {}
        self.told: dict[str, str] = {}

    def alike(self, path: PurePosixPath) -> list[PurePosixPath]:
        """The files that `path` may mean, none where it means none."""
        candidates = [PurePosixPath()]
        for part in path.parts:
            last = len(candidates[0].parts) == len(path.parts) - 1 if candidates else False
            names = [(folder, name) for folder in candidates for name in self._named(folder, part, last)]
            candidates = [folder / name for folder, name in names]
        files = [one for one in candidates if one.parts and (self.root / one).is_file()]
        if len(files) == 1:
            self.told[str(path)] = str(files[0])
        return files

    def _named(self, folder: PurePosixPath, part: str, last: bool) -> list[str]:
        if part == "..":
            return [part]
        inside = self._inside(folder)
        alike = inside.get(_folded(part), [])
        if part in alike:
            return [part]
        if last and not alike:
            return [name for suffix in sorted(IMAGE_SUFFIXES) for name in inside.get(_folded(part) + suffix, [])]
        return alike

    def _inside(self, folder: PurePosixPath) -> dict[str, list[str]]:
        if folder not in self.folders:
            names: dict[str, list[str]] = {}
            try:
                for name in sorted(os.listdir(self.root / folder)):  # noqa: PTH208 (names alone)
                    names.setdefault(_folded(name), []).append(name)
            except (OSError, ValueError):
                names = {}
            self.folders[folder] = names
        return self.folders[folder]


def _has_drive(cell: str) -> bool:
    return bool(PureWindowsPath(cell).drive) and ("\\" in cell or cell[1:2] == ":")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _relative(root: Path, data_root: Path | None, written: str) -> PurePosixPath:
    """The path from the root, ".." resolved by name."""
    if "\x00" in written:
        return PurePosixPath("\ufffd")
    place = Path(written)
    if data_root is not None and place.is_absolute() and place.is_relative_to(data_root.absolute()):
        place = place.relative_to(data_root.absolute())
    return PurePosixPath(Path(os.path.relpath(root / place, root)).as_posix())


def _is_file(path: Path) -> bool:
    return "\x00" not in str(path) and path.is_file()

"""What is read in the place of a source that the user gave: itself, or the folder that it was unpacked into, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from orchestrator.store.errors import InputError
from trainables.data.formats import how_to_unpack, is_left_behind, packed_kind
from trainables.data.options import DatasetOptions
from trainables.data.unpacking.contents import Contents, digest_of
from trainables.data.unpacking.kept import kept_folder
from trainables.data.unpacking.said import Show, Slowly
from trainables.data.unpacking.stacks import stack_contents, stack_files
from trainables.data.unpacking.tars import tar_contents
from trainables.data.unpacking.zips import zip_contents

ROOM = "unpacked"
"""Folder of the cache with a folder for each archive or stack, named by the digest of its content."""
_SPEAKING = (".txt", ".md", ".rst", ".pdf", ".html", ".json", "readme", "license", "licence")


@dataclass(frozen=True)
class Opened:
    """path: what is read. packed: the archive or array that it was unpacked from, resolved, else None; digest: SHA-256
    of its content, 64 hex digits, else ""."""

    path: Path
    packed: Path | None = None
    digest: str = ""

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Faults of what was unpacked say where it came from: it is corrected there."""
        try:
            yield
        except InputError as error:
            if self.packed is None:
                raise
            told = f"They were unpacked from {self.packed}: correct the files there, not in the folder."
            raise InputError(error.message, f"{error.advice}\n{told}") from error


def opened(source: Path, cache: Path, show: Show, *, labelled: bool = True) -> Opened:
    """The folder in the cache that an archive or a stack of arrays is unpacked into, once; any other source as it is.

    source: what the user gave wherever a folder of images is expected. show is told what is unpacked, how much that is,
    and how far it is. labelled: whether arrays without labels are refused.

    Raises InputError, with all faults together, where the source is unsafe, damaged, of a kind that is not read, or
    does not fit the disk; nothing is left behind then.
    """
    source = source.expanduser()
    kind = packed_kind(source.name)
    if not source.is_file() or not kind:
        return Opened(source)
    subject = f"{kind} {source}"
    if advice := how_to_unpack(source):
        raise InputError(f"{subject}: archives of this kind are not supported, expected .zip, .tar, .tar.gz, …", advice)
    try:
        files = [source] if kind == "archive" else stack_files(source, subject)
        telling = Slowly(show, f"{source.name}: read", sum(path.stat().st_size for path in files))
        digest = digest_of(files, telling)
        look: Callable[[], Contents] = partial(_archive, source, subject, show)
        if kind == "array":  # each time: a prediction may have unpacked it without labels
            stack = stack_contents(source, files, subject, labelled)
            look = lambda: stack  # noqa: E731
        folder = kept_folder(cache / ROOM, digest[:32], digest, look, show)
    except BrokenPipeError:  # of whoever reads what is told
        raise
    except OSError as error:
        raise InputError(
            f"{subject}: cannot be unpacked into {cache / ROOM}: {error.strerror or error}",
            "Free some space, change its permissions, or name another folder: --cache DIR",
        ) from error
    path = _entered(folder)
    show(f"{source} (SHA-256 {digest[:12]}…) is read from {path}.")
    return Opened(path, source.resolve(), digest)


def opened_data(source: Path, options: DatasetOptions, cache: Path, show: Show) -> tuple[Opened, DatasetOptions]:
    """The source and, where it is said, the data root: both may be packed. What `packed` names holds the images."""
    dataset = opened(source, cache, show)
    if options.data_root is None:
        return dataset, options
    root = opened(options.data_root, cache, show)
    return replace(root, path=dataset.path), replace(options, data_root=root.path)


def _archive(source: Path, subject: str, show: Show) -> Contents:
    with source.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if is_zip:
        return zip_contents(source, subject)
    return tar_contents(source, subject, Slowly(show, f"{source.name}: looked through", source.stat().st_size))


def _entered(folder: Path) -> Path:
    """A single folder is stepped into; what speaks of it may lie beside it."""
    inside = [path for path in sorted(folder.iterdir()) if not is_left_behind(path.name)]
    folders = [path for path in inside if path.is_dir()]
    others = [path.name.casefold() for path in inside if not path.is_dir()]
    speaking = all(name.endswith(_SPEAKING) or name.startswith(_SPEAKING[-3:]) for name in others)
    return folders[0] if len(folders) == 1 and speaking else folder

"""Finds and reads a study's file: one that comes with the program, or the user's own."""

from __future__ import annotations

import functools
import shlex
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.store.errors import Faults, InputError
from search_spaces.checks import crossed_faults
from search_spaces.faults import first_causes, nearest, sentence, untagged, without_faults
from search_spaces.schema import Space

DEFAULT = "default"
_STUDIES = Path(__file__).parent / "studies"
MAX_BYTES = 1_000_000
_OWN = "Start from a copy: orch spaces show default --toml > my_study.toml"
_READINGS = 5
"""How often sound rests of a faulty file are read again; two are enough for every file seen."""


def bundled() -> list[str]:
    """Names of the spaces that come with the program, sorted; "default" is the one for any other study."""
    return sorted(file.stem for file in _STUDIES.glob("*.toml"))


def load_space(name_or_path: str) -> Space:
    """Read a bundled space by its name, or a file by its path (anything that ends in .toml or holds a slash).

    Raises InputError with all faults of the file, or with the nearest names where there is no such space.
    """
    return parse_space(space_source(name_or_path), _where(name_or_path))


def default_space(name: str = DEFAULT) -> Space:
    """The space of a study that has no file of its own, under that study's name; its title is of the file alone."""
    return _default().model_copy(update={"name": name} | ({} if name == DEFAULT else {"title": ""}))


def space_source(name_or_path: str) -> str:
    """The file's text as it stands; raises InputError when it cannot be read."""
    if is_path(name_or_path):
        return text_of(Path(name_or_path), "a study's file", _OWN)
    if name_or_path not in bundled():
        raise _unknown(name_or_path)
    return (_STUDIES / f"{name_or_path}.toml").read_text(encoding="utf-8")


def is_path(name_or_path: str) -> bool:
    """Whether a study was asked for by its file rather than by its name."""
    return name_or_path.endswith(".toml") or "/" in name_or_path or "\\" in name_or_path


def parse_space(text: str, where: str) -> Space:
    """Read a study's file from its text; `where` names it in messages. Raises InputError with all its faults."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(
            f"{where}: expected TOML, found {str(error) or 'tables nested too deep'}", _advice(where)
        ) from error
    faults = Faults(where)
    space = _validated(raw, faults)
    faults.raise_if_any(_advice(where))
    return space


def _validated(raw: dict[str, Any], faults: Faults) -> Space:
    """Read the file, collecting its faults; what is sound is read even so, for the checks that follow."""
    for reading in range(_READINGS):
        try:
            space = Space.model_validate(raw)
        except ValidationError as error:
            errors = untagged(error, raw)
            causes = first_causes(errors, first_reading=reading == 0)
            faults.extend(sentence(cause, Space) for cause in causes)
            raw = without_faults(raw, errors)
            raw.setdefault("name", "unnamed")
        else:
            faults.extend(crossed_faults(space))
            return space
    faults.raise_if_any("Correct these first; there may be more")
    raise InputError(f"{faults.subject}: expected a study's file, found one that cannot be read")


@functools.cache
def _default() -> Space:
    return parse_space(space_source(DEFAULT), _where(DEFAULT))


def _where(name_or_path: str) -> str:
    return name_or_path if is_path(name_or_path) else f"search_spaces/studies/{name_or_path}.toml"


def _advice(where: str) -> str:
    return f"Correct the file, then check it: orch spaces check {shlex.quote(where)}"


def text_of(path: Path, what: str, advice: str) -> str:
    """Of a file that the user wrote; raises InputError."""
    try:
        content = path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_BYTES else None
        if content is not None:
            return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1 if content else 1
        raise InputError(f"{path}: expected UTF-8 text, found another encoding in line {line}", advice) from error
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, found: {error.strerror}", advice) from error
    if path.is_file():
        raise InputError(f"{path}: expected {what} below {MAX_BYTES:,} bytes, found {path.stat().st_size:,}")
    raise InputError(f"{path}: expected {what}, found {'a folder' if path.is_dir() else 'no such file'}", advice)


def _unknown(name: str) -> InputError:
    meant = nearest(name, bundled())
    hint = f"Did you mean {' or '.join(meant)}? " if meant else ""
    return InputError(
        f"study {name[:80]!r}: expected one of {', '.join(bundled())}, or a path to a .toml file; found no such study",
        f"{hint}For a new study give its images too: orch search {name[:64]} BACKBONE --data DIR --group-by parent\n"
        + _OWN,
    )

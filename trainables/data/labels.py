"""Class names: what may be one, and when two of them are the same name written differently."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import pandas as pd

from orchestrator.store.errors import Faults, InputError
from trainables.data.spellings import DIFFERENCES, WRITTEN_BY_PROGRAMS, label_key, plain

MAX_LENGTH = 100


def normalised(name: str) -> str:
    """The form in which a class name is kept: Unicode NFC without surrounding white space."""
    return unicodedata.normalize("NFC", name).strip()


def name_faults(names: Iterable[str]) -> list[str]:
    """One sentence per name that is no class name and per set of names that a reader would take for one."""
    faults = []
    alike: dict[str, set[str]] = {}
    for name in sorted(set(names)):
        shown = repr(name if len(name) <= MAX_LENGTH else name[:40] + "…")
        if not normalised(name):
            faults.append(f"class name {shown} is empty")
        elif len(normalised(name)) > MAX_LENGTH:
            faults.append(f"class name {shown}: {len(name)} characters, expected at most {MAX_LENGTH}")
        elif not normalised(name).isprintable():
            faults.append(f"class name {name!a}: holds control or invisible characters, expected printable text")
        elif plain(name) in WRITTEN_BY_PROGRAMS:
            faults.append(f"class name {shown} stands for a missing value: leave these images out, or name their class")
        alike.setdefault(label_key(name), set()).add(name)
    for same in alike.values():
        if len(same) > 1:
            spellings = ", ".join(ascii(name) for name in sorted(same))
            faults.append(f"class names {spellings} differ only in {DIFFERENCES}")
    return faults


def check_labels(labels: pd.Series[str], subject: str, classes: Sequence[str] | None) -> None:
    """Raise InputError when names are unusable, there is one class only, or they are not the study's classes."""
    faults = Faults(subject)
    faults.extend(name_faults(labels))
    faults.raise_if_any("Rename the classes, then run the same command again.")
    present = sorted({normalised(label) for label in labels})
    if classes is not None:
        _check_agreement(present, classes, subject)
    if len(present) < 2:
        raise InputError(
            f"{subject}: one class only ({present[0]!r}), expected at least two",
            "Give a folder with one folder per class, or a table with --label-column NAME.",
        )


def _check_agreement(present: Sequence[str], classes: Sequence[str], subject: str) -> None:
    surplus = [name for name in present if name not in classes]
    lacking = [name for name in classes if name not in present]
    if not surplus and not lacking:
        return
    parts = [
        f"expected the study's classes {', '.join(map(repr, classes))}, found {', '.join(map(repr, present[:20]))}"
    ]
    if surplus:
        parts.append(f"unknown to the study: {', '.join(map(repr, surplus[:20]))}")
    if lacking:
        parts.append(f"without images: {', '.join(map(repr, lacking))}")
    raise InputError(
        f"{subject}: {'; '.join(parts)}",
        "Rename the classes, or make a study of your own from this data: orch search NEW_NAME BACKBONE --data …",
    )

"""Brings a study's file and the labels of its data together: which task, which classes, in which order."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.store.errors import InputError
from search_spaces.faults import alternatives
from search_spaces.schema import Space, with_positive_last
from search_spaces.settings.data import TASKS


def settle_classes(space: Space, labels: Iterable[str], advice: str) -> tuple[str, tuple[str, ...]]:
    """Return (task, classes by index) of a study on data with these labels; a binary task has (negative, positive).

    Where the file names its classes they must be the labels; otherwise the classes are the labels, sorted.
    `advice` is what to type instead when file and data disagree, usually a new study. Raises InputError.
    """
    present = tuple(sorted(set(labels)))
    if len(present) < 2:
        raise InputError(f"study {space.name}: expected at least two classes, found {', '.join(present) or 'none'}")
    if space.classes is not None and set(space.classes) != set(present):
        raise InputError(
            f"study {space.name}: expected the classes {', '.join(space.classes)}; found {_few(present)} in the data",
            advice,
        )
    if space.positive is not None and space.positive not in present:
        raise InputError(
            f'study {space.name}: expected the positive class "{space.positive}"; found {_few(present)} in the data',
            advice,
        )
    task = space.task or ("binary" if len(present) == 2 else "multiclass")
    if task == "binary" and len(present) != 2:
        raise InputError(f'study {space.name}: expected two classes (task "binary"); found {_few(present)}', advice)
    classes = space.classes or present
    return task, with_positive_last(classes, space.positive) if task == "binary" else classes


def check_confusion(task: str, what: str) -> None:
    """Raise InputError where the statistics of a task are no confusion counts, of which `what` is made."""
    if not TASKS.variants[task].has_confusion:
        known = alternatives([name for name, one in TASKS.variants.items() if one.has_confusion])
        raise InputError(f'{what}: expected the task {known}, found "{task}"')


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:12])
    return shown if len(names) <= 12 else f"{shown} … ({len(names)} in all)"

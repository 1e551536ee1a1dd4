"""What is asked of a check, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestrator.store.place import Place


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """A search runs, slower or with less than there could be."""
    FAULT = "fault"
    """A search would end at it."""


@dataclass(frozen=True)
class Asked:
    """studies: where studies lie. cache: the folder of features."""

    studies: Place
    cache: Path


@dataclass(frozen=True)
class Told:
    """found: what there is, in words. mend: what to do about it; "" where nothing is to be done."""

    state: State
    found: str
    mend: str = ""


def ok(found: str) -> Told:
    return Told(State.OK, found)


def warning(found: str, mend: str) -> Told:
    return Told(State.WARNING, found, mend)


def fault(found: str, mend: str) -> Told:
    return Told(State.FAULT, found, mend)


def by_least(size: float, fault_below: float, warning_below: float, found: str, mend: str) -> Told:
    """What is said of an amount: the larger the better."""
    if size < fault_below:
        return fault(found, mend)
    return warning(found, mend) if size < warning_below else ok(found)


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size < 1e11 else f"{size / 1e9:,.0f} GB"

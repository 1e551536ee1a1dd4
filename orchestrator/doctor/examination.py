"""All checks, side by side, none of which may keep the others waiting."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread

from orchestrator.doctor.registry import Check
from orchestrator.doctor.told import Asked, State, Told, fault
from orchestrator.results.report import Report
from orchestrator.store.errors import first_line

MOST_S = 60.0
"""For all of them together: libraries of a cold disk may take half of it to load."""


def examine(asked: Asked, checks: Sequence[Check], most_s: float = MOST_S) -> dict[str, Told]:
    """What each check says. One that raises, or gives no answer in time, as from a disk that is gone, is a fault."""
    end = time.monotonic() + most_s
    answers: dict[str, Future[Told]] = {check.name: Future() for check in checks}
    for check in checks:
        Thread(target=_look, args=(check, asked, answers[check.name]), daemon=True).start()
    return {name: _answer(answer, end) for name, answer in answers.items()}


def _look(check: Check, asked: Asked, answer: Future[Told]) -> None:
    try:
        answer.set_result(check.look(asked))
    except Exception as error:  # a fault of what is looked at, whatever it is
        answer.set_exception(error)


def _answer(answer: Future[Told], end: float) -> Told:
    try:
        return answer.result(max(0.0, end - time.monotonic()))
    except TimeoutError as error:
        if answer.done():
            return _not_told(error)
        return fault("gave no answer in time", "Find out what blocks it: a disk, a server or a driver may hang.")
    except Exception as error:
        return _not_told(error)


def _not_told(error: Exception) -> Told:
    return fault(f"cannot be checked ({type(error).__name__}: {first_line(error)})", "Fix what this error names.")


def report(told: dict[str, Told]) -> Report:
    width = max(map(len, told))
    lines = []
    for name, one in told.items():
        lines.append(f"{one.state:<7}  {name:<{width}}  {one.found}")
        lines += [f"{'':<{9 + width}}  {one.mend}"] if one.mend and one.state is not State.OK else []
    faults = sum(one.state is State.FAULT for one in told.values())
    warnings = sum(one.state is State.WARNING for one in told.values())
    counted = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((faults, "fault"), (warnings, "warning")) if n]
    lines.append(f"{' and '.join(counted)}." if counted else "No problems found.")
    data = [
        {"name": name, "state": one.state.value, "found": one.found, "mend": one.mend} for name, one in told.items()
    ]
    return Report(tuple(lines), {"faults": faults, "warnings": warnings, "checks": data})

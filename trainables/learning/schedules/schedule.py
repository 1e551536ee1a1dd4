"""The contract of a schedule."""

from __future__ import annotations

from typing import ClassVar, Protocol

from search_spaces.settings import schedule as settings


class Schedule(Protocol):
    """What learning rates are multiplied with. `search_spaces.settings.schedule.SCHEDULES` names them all."""

    is_constant: ClassVar[bool]
    """Whether the factor is 1 throughout: nothing is multiplied then."""

    def __init__(self, same: settings.Schedule) -> None:
        """same: settings of the stack."""

    def factor(self, step: int, length: int) -> float:
        """Of the step with this number, counted from 0; length: steps until the schedule's end, which steps may pass.

        A pure function, so that whoever goes on needs no state of it.
        """


def schedule_of(same: settings.Schedule) -> Schedule:
    kind: type[Schedule] = settings.SCHEDULES.load(same.name)
    return kind(same)

"""The contract of an ending."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from search_spaces.settings import ending as settings


class Ending(Protocol):
    """Asked of each lane at each scoring. `search_spaces.settings.ending.ENDINGS` names them all."""

    is_complete: ClassVar[bool]
    """Whether no lane ends before all epochs that are asked: it is not asked then."""

    def __init__(self, same: settings.Ending) -> None:
        """same: settings of the stack."""

    def is_over(self, scores: np.ndarray) -> bool:
        """Whether a lane stops here. scores: float64 [epochs so far + 1] from epoch 0 on, of what selection looks at;
        larger is better.

        A pure function of these: how many epochs are asked does not enter, so that 2 epochs and then 20 are 20.
        """


def ending_of(same: settings.Ending) -> Ending:
    kind: type[Ending] = settings.ENDINGS.load(same.name)
    return kind(same)

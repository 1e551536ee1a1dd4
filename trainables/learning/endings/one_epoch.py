"""Of a head that is fitted: after its one epoch nothing is left to learn."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from search_spaces.settings import ending as settings


class OneEpoch:
    is_complete: ClassVar[bool] = False

    def __init__(self, same: settings.Ending) -> None:
        """It has no settings."""

    def is_over(self, scores: np.ndarray) -> bool:
        return len(scores) > 1

"""How much a search may train in all: so many configurations of a sampler, or so many hours."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

EXPECTED = "a number of configurations, such as 60, or hours of training, such as 2gpuh"
MOST = 1_000_000
_HOURS = re.compile(r"(.+?)\s*gpuh")


class Limits(NamedTuple):
    """None: no limit. hours: of training, of GPUs or, where there are none, of cores."""

    suggestions: int | None = None
    hours: float | None = None


def read_limits(value: Any) -> Limits:
    """Raises ValueError with what was expected."""
    text = str(value).strip()
    try:
        if match := _HOURS.fullmatch(text):
            hours = float(match[1])
            if 0 < hours < math.inf:
                return Limits(hours=hours)
        elif not isinstance(value, bool) and 0 < int(text) <= MOST:
            return Limits(suggestions=int(text))
    except ValueError:
        pass
    raise ValueError(EXPECTED)

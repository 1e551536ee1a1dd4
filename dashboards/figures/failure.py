"""Why a figure could not be drawn, in a line."""

from __future__ import annotations

_LONGEST = 200


def cause_of(error: Exception) -> str:
    """The kind of the error and the first line of what it says, not escaped."""
    said = str(error).strip().partition("\n")[0].strip()
    return f"{type(error).__name__}: {said}"[:_LONGEST] if said else type(error).__name__

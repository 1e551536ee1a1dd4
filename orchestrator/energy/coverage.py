"""How much of the time that commands ran on a study its energy covers, in words."""

from __future__ import annotations

from orchestrator.energy.cost import Cost
from orchestrator.results.names import counted


def coverage(cost: Cost) -> str:
    """How long commands ran, and how much of it the energy covers: one sentence or two."""
    rest = "starting, decoding images, computing features and tests"
    if cost.covered is None:
        return f"The records do not say how long searches ran; the energy covers training only, not {rest}."
    ran = ", ".join(f"{act} {hours_text(hours)} h" for act, hours in cost.run_hours.items())
    hosts = counted(len({reading.host for reading in cost.searches}), "machine")
    rest = f", but not the rest: {rest}" if cost.covered < 0.995 else ""
    return f"Commands ran on {hosts} ({ran}); the energy covers {covered_share(cost)} of that time{rest}."


def covered_share(cost: Cost) -> str:
    """In words."""
    covered = cost.covered or 0.0
    return "all" if covered >= 0.995 else f"{covered:.0%}" if covered >= 0.01 else "less than 1%"


def hours_text(value: float) -> str:
    """Three digits."""
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"

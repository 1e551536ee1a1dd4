"""Repeats of configurations that are listed and have other epochs than they might, and how they count: in words."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import counted, counted_span


def how_ended(members: Iterable[ConfigurationSummary]) -> str:
    """A line for a list of these; "" where each repeat that has a result has all its epochs."""
    several = list(members)
    parts = {
        "stopped early": sum(member.stopped for member in several),
        "paused (more epochs may follow)": sum(member.paused for member in several),
        "owed more epochs": sum(member.extended for member in several),
    }
    told = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    if not told:
        return ""
    of = counted(sum(member.n for member in several), "repeat")
    return f"Of {of} with a result, {told}; each counts at the epoch selected among those trained so far."


def how_many_stopped(members: Iterable[ConfigurationSummary]) -> str:
    """A line on configurations that the search stopped; "" where there are none."""
    several = [member for member in members if member.stopped_by_search]
    if not several:
        return ""
    repeats = counted_span((member.n for member in several), "repeat")
    epochs = counted_span((member.epochs for member in several), "epoch")
    return (
        f"The search stopped {counted(len(several), 'configuration')} after {repeats} of {epochs}: final scores "
        "unknown, no rank."
    )


def how_many_diverged(members: Iterable[ConfigurationSummary]) -> str:
    """A line where no comparison says more; "" where none diverged."""
    diverged = sum(member.diverged for member in members)
    each = "means count each with its scores at epoch 0, differences leave it out"
    return f"{counted(diverged, 'repeat')} diverged; {each}." if diverged else ""


def ended_briefly(member: ConfigurationSummary) -> str:
    """The same of one configuration, for a cell: `1 diverged, 2 stopped early`."""
    parts = {
        "diverged": member.diverged,
        "stopped early": member.stopped,
        "paused": member.paused,
        "owed more epochs": member.extended,
    }
    return ", ".join(f"{count} {what}" for what, count in parts.items() if count)

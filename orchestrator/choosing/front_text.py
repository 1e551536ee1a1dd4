"""What `orch best` says of a score against another goal: what nothing beats in both, and what may belong there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.choosing.choice_text import SHOWN, label_of
from orchestrator.results.goals import COSTS
from orchestrator.results.names import counted, words
from orchestrator.results.report import columns, finite
from orchestrator.statistics.front import MAY_BE, Front
from orchestrator.store.schema import Metric


def front_lines(front: Front, metric: Metric, names: Mapping[str, str], every: bool) -> list[str]:
    """The front from its best score on, then what may be there; at most SHOWN of them unless `every`."""
    means = [pair.mean(axis=0) for pair in front.values]
    told = [place for place, chance in enumerate(front.chances) if front.is_there[place] or chance >= MAY_BE]
    told.sort(key=lambda place: not front.is_there[place])
    goal = COSTS.get(front.goal) or f"valid {words(front.goal)}"
    count = int(front.is_there.sum())
    are = "is" if count == 1 else "are"
    lines = [
        f"Valid {label_of(metric)} against {goal}: {count} of {counted(len(means), 'configuration')} {are} on the "
        f"front, beaten by no other in both; {len(told) - count} more may be, judging by resampled repeats."
    ]
    rows = [("", "configuration", "id", label_of(metric), goal, "on the front in")]
    for place in told if every else told[:SHOWN]:
        member, (score, other) = front.members[place], means[place]
        standing = "front" if front.is_there[place] else "may be"
        chance = f"{front.chances[place]:.0%} of draws"
        rows.append((standing, names[member.id], member.id, f"{score:.3f}", _number(front.goal, other), chance))
    lines += columns(rows, (False, False, False, True, True, True))
    if len(told) > SHOWN and not every:
        lines.append(f"  … and {len(told) - SHOWN} more (--every shows them, --json has them)")
    return lines


def front_data(front: Front) -> dict[str, Any]:
    """Of every configuration the means of both goals with their standard errors."""
    rows = []
    columns = (front.members, front.values, front.errors, front.is_there, front.chances)
    for member, pair, errors, is_there, chance in zip(*columns, strict=True):
        rows.append(
            {
                "id": member.id,
                "n": len(pair),
                **{
                    f"{name}{kind}": finite(value)
                    for kind, values in (("", pair.mean(axis=0)), ("_standard_error", errors))
                    for name, value in zip(("score", "goal"), values, strict=True)
                },
                "on_front": bool(is_there),
                "chance": float(chance),
            }
        )
    return {"goal": front.goal, "configurations": rows}


def _number(goal: str, value: float) -> str:
    return f"{value:,.0f}" if goal == "parameters" else f"{value:.3g}"

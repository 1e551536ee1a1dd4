"""A study's cost in words."""

from __future__ import annotations

from orchestrator.energy.cost import Cost
from orchestrator.energy.coverage import coverage, hours_text
from orchestrator.results.names import counted, counted_who


def cost_text(name: str, cost: Cost) -> str:
    """Several lines: hours by device, energy and where it comes from, CO₂ equivalent, what the cache saved."""
    if not cost.segments:
        return f"{name}: nothing has been trained yet, so nothing was spent on it."
    results = sum(segment.repeats for segment in cost.segments)
    attempts = sum(segment.attempts for segment in cost.segments)
    configurations = len({name for one in cost.segments if one.segment for name in one.segment.configurations})
    trained = f"{counted(results, 'repeat')} of {counted(configurations, 'configuration')}"
    lines = [f"{name}: {trained}, trained in {counted(attempts, 'attempt')} of one repeat or several", ""]
    for device in cost.devices:
        unit = "GPU hours" if device.kind == "cuda" else "core hours"
        lines.append(f"{hours_text(device.hours):>12} {unit:<10}  {device.device or 'unknown device'}")
    lines.append("")
    if cost.meters:
        lines.append(f"{_energy(cost.measured_kwh)} measured ({', '.join(cost.meters)}; the whole machine)")
    for device in cost.devices:
        if device.rated_hours > 0:
            what = "per GPU" if device.kind == "cuda" else "per core"
            lines.append(
                f"{_energy(device.rated_kwh)} estimated as {device.rating.watts:g} W {what} × "
                f"{hours_text(device.rated_hours)} h ({device.rating.source})"
            )
    lines += [
        f"{_energy(cost.kwh)} in all",
        f"{_mass(cost.kg)} at {cost.intensity.as_text()}",
    ]
    without_end = sum(segment.without_end for segment in cost.segments)
    if without_end:
        have = counted_who(without_end, "attempt", "has", "have")
        lines.append(f"{have} no recorded end; that time is not included.")
    if any(device.kind == "cuda" and device.rated_hours for device in cost.devices):
        lines.append("The rated power of a GPU covers the GPU alone, not the machine around it.")
    return "\n".join([*lines, coverage(cost), "", *_saved(name, cost)])


def _saved(name: str, cost: Cost) -> list[str]:
    if not cost.passes:
        return ["Nothing was cached: every step went through the whole network."]
    lines = ["Passes of one image through frozen layers, counted from the results:"]
    for passes in cost.passes:
        scope = passes.scope
        depth = f" u={scope.unfrozen}" if scope.unfrozen else f" {scope.name}" if scope.trains_body else ""
        line = f"  {passes.form}{depth}: {passes.made:,} made instead of {passes.without_cache:,}"
        spent = passes.hours_made
        if passes.seconds_each is not None and spent is not None and passes.hours_saved is not None:
            line += (
                f", an estimated {hours_text(spent)} h spent and {hours_text(passes.hours_saved)} h saved "
                f"({passes.seconds_each:.3g} s each on {passes.device})"
            )
        lines.append(line)
    if any(passes.seconds_each is None for passes in cost.passes):
        lines.append(f"In hours: orch cost {name} --measure   (times one batch here and keeps the result)")
    return lines


def _energy(kwh: float) -> str:
    return f"{kwh:12.4g} kWh" if kwh >= 0.01 or not kwh else f"{kwh * 1000:12.4g} Wh"


def _mass(kg: float) -> str:
    return f"{kg:12.4g} kg CO₂e" if kg >= 0.01 or not kg else f"{kg * 1000:12.4g} g CO₂e"

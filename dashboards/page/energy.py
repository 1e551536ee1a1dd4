"""What the study cost so far, in the words of the page: hours, kWh, CO₂ equivalent and where the numbers come from."""

from __future__ import annotations

from dashboards.figures.choice import Source
from orchestrator.energy.cost import Cost, cost_of_hours
from orchestrator.energy.coverage import coverage
from orchestrator.energy.grid import intensity_of
from orchestrator.energy.hours import segment_hours
from orchestrator.energy.meters import readings


def cost_so_far(source: Source) -> Cost:
    """Of the study's own records, at the world's average electricity: as `orch cost`, without what the cache saved."""
    hours = segment_hours(source.storage, repeats=source.summary.repeats)
    return cost_of_hours(hours, readings(source.storage), intensity_of(None, None))


def energy_sentence(cost: Cost) -> str:
    """For the head of the page's progress; "" where nothing was trained yet."""
    if not cost.segments:
        return ""
    return (
        f"Energy so far: about {_energy(cost.kwh)} ({_how(cost)}), {_mass(cost.kg)} CO₂e at the world’s average "
        f"electricity. {coverage(cost)}"
    )


def energy_facts(cost: Cost, study: str) -> list[tuple[str, str]]:
    """Rows for the page's provenance: hours by device, energy by source, CO₂ equivalent; [] before any training."""
    if not cost.segments:
        return []
    rows = []
    if cost.gpu_hours:
        rows.append(("GPU hours", f"{cost.gpu_hours:,.2f}, of all attempts at all repeats"))
    if cost.core_hours:
        rows.append(("Processor core hours", f"{cost.core_hours:,.2f}, of all attempts at all repeats"))
    if cost.meters:
        rows.append(("Energy measured", f"{_energy(cost.measured_kwh)}, {', '.join(cost.meters)}; the whole machine"))
    for device in cost.devices:
        if device.rated_hours > 0:
            unit = "GPU" if device.kind == "cuda" else "core"
            rated = f"{device.rating.watts:g} W per {unit} × {device.rated_hours:,.2f} h"
            named = f", {device.device}" if device.device else ""
            rows.append((f"Energy rated{named}", f"{_energy(device.rated_kwh)}: {rated} ({device.rating.source})"))
    rows.append(("Energy", _energy(cost.kwh)))
    rows.append(("CO₂ equivalent", f"{_mass(cost.kg)} at {cost.intensity.as_text()}"))
    rows.append(("Hours that the energy covers", coverage(cost)))
    rows.append(("For another place", f"orch cost {study} --country DE"))
    return rows


def _how(cost: Cost) -> str:
    if not cost.meters:
        return "rated power × time, not measured"
    return "measured" if cost.rated_kwh < 0.005 * cost.kwh else "partly measured, the rest rated power × time"


def _energy(kwh: float) -> str:
    return f"{kwh:,.4g} kWh" if kwh >= 0.01 or not kwh else f"{kwh * 1000:.3g} Wh"


def _mass(kg: float) -> str:
    return f"{kg:,.4g} kg" if kg >= 0.01 or not kg else f"{kg * 1000:.3g} g"

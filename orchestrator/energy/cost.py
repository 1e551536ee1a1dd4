"""What a study cost: hours, energy, CO₂ equivalent, and the hours that the cache saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.energy.grid import Intensity
from orchestrator.energy.hours import BundleHours, bundle_hours
from orchestrator.energy.meters import Reading, readings
from orchestrator.energy.passes import Passes, count_passes
from orchestrator.energy.ratings import Rating, rating_of
from orchestrator.results.histories import list_bundles, read_repeats
from orchestrator.store.storage import Storage

JOULES_PER_KWH = 3.6e6
COMPONENT = {"cuda": "gpu", "cpu": "cpu"}


@dataclass(frozen=True)
class DeviceCost:
    """All bundles on one kind of device."""

    kind: str
    device: str
    repeats: int
    """Of which there are results."""
    hours: float
    """Of one GPU, or of one processor core."""
    rating: Rating
    rated_hours: float
    """Those in which no meter ran."""

    @property
    def rated_kwh(self) -> float:
        return energy_kwh(self.rated_hours, self.rating.watts)


@dataclass(frozen=True)
class Cost:
    """rated_kwh is power × time for what was not measured; the two add up."""

    bundles: tuple[BundleHours, ...]
    devices: tuple[DeviceCost, ...]
    measured_kwh: float
    meters: tuple[str, ...]
    searches: tuple[Reading, ...]
    intensity: Intensity
    passes: tuple[Passes, ...]

    @property
    def gpu_hours(self) -> float:
        return sum(device.hours for device in self.devices if device.kind == "cuda")

    @property
    def core_hours(self) -> float:
        return sum(device.hours for device in self.devices if device.kind != "cuda")

    @property
    def rated_kwh(self) -> float:
        return sum(device.rated_kwh for device in self.devices)

    @property
    def kwh(self) -> float:
        return self.measured_kwh + self.rated_kwh

    @property
    def kg(self) -> float:
        return self.kwh * self.intensity.kg_per_kwh

    @property
    def hours_saved(self) -> float | None:
        """None where no pass was timed, or nothing was cached."""
        known = [hours for passes in self.passes if (hours := passes.hours_saved) is not None]
        return sum(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """Numbers in the units that their names say."""
        return {
            "gpu_hours": self.gpu_hours,
            "core_hours": self.core_hours,
            "kwh": self.kwh,
            "measured_kwh": self.measured_kwh,
            "rated_kwh": self.rated_kwh,
            "kg_co2e": self.kg,
            "kg_per_kwh": self.intensity.kg_per_kwh,
            "intensity": self.intensity.as_text(),
            "meters": list(self.meters),
            "hours_saved_estimate": self.hours_saved,
            "devices": [
                {
                    "kind": device.kind,
                    "device": device.device,
                    "repeats": device.repeats,
                    "hours": device.hours,
                    "watts": device.rating.watts,
                    "watts_source": device.rating.source,
                    "rated_hours": device.rated_hours,
                }
                for device in self.devices
            ],
            "passes": [
                {
                    "backbone": passes.backbone,
                    "unfrozen": passes.unfrozen,
                    "without_cache": passes.without_cache,
                    "made": passes.made,
                    "seconds_each": passes.seconds_each,
                    "hours_saved_estimate": passes.hours_saved,
                }
                for passes in self.passes
            ],
            "repeats": [
                {
                    "partition": bundle.key.partition,
                    "configuration": bundle.key.configuration,
                    "first": bundle.key.repeats.start,
                    "last": bundle.key.repeats.stop - 1,
                    "results": bundle.repeats,
                    "kind": bundle.kind,
                    "device": bundle.device,
                    "device_hours": bundle.device_seconds / 3600,
                    "training_hours": bundle.trained / 3600,
                    "attempt_hours": bundle.held / 3600,
                    "attempts": bundle.attempts,
                    "attempts_without_end": bundle.without_end,
                    "gpu_share": bundle.share if bundle.kind == "cuda" else None,
                }
                for bundle in self.bundles
            ],
        }


def energy_kwh(hours: float, watts: float) -> float:
    """Power × time."""
    return hours * watts / 1000


def cost_of(
    storage: Storage,
    intensity: Intensity,
    gpu_watts: float | None = None,
    core_watts: float | None = None,
    gpus_per_host: int = 1,
) -> Cost:
    """From the study's own records; writes nothing, needs neither torch nor Ray.

    Time of a bundle in which a meter counted its device's kind on the same host is covered by that meter and is not
    rated again. A meter counts its whole machine, so measured energy includes whatever else ran there meanwhile.
    """
    keys = list_bundles(storage)
    repeats = read_repeats(storage, keys)
    bundles = bundle_hours(storage, gpus_per_host, keys, repeats)
    passes = count_passes(storage, keys, repeats)
    return cost_of_hours(bundles, readings(storage), intensity, gpu_watts, core_watts, passes)


def cost_of_hours(
    bundles: tuple[BundleHours, ...],
    searches: tuple[Reading, ...],
    intensity: Intensity,
    gpu_watts: float | None = None,
    core_watts: float | None = None,
    passes: tuple[Passes, ...] = (),
) -> Cost:
    """What `cost_of` says, of hours and readings that somebody has read already."""
    by_device: dict[tuple[str, str], list[BundleHours]] = defaultdict(list)
    for bundle in bundles:
        by_device[bundle.kind, bundle.device].append(bundle)
    devices = []
    for (kind, device), here in sorted(by_device.items()):
        hours = sum(bundle.device_seconds for bundle in here) / 3600
        open_s = sum(bundle.device_seconds * (1 - _covered(bundle, searches)) for bundle in here)
        rating = rating_of(device, kind, gpu_watts, core_watts)
        devices.append(DeviceCost(kind, device, sum(bundle.repeats for bundle in here), hours, rating, open_s / 3600))
    joules = sum(_counted_once(searches))
    meters = sorted({source for reading in searches for source in reading.sources})
    return Cost(bundles, tuple(devices), joules / JOULES_PER_KWH, tuple(meters), searches, intensity, passes)


def _covered(bundle: BundleHours, searches: Sequence[Reading]) -> float:
    """The part of a bundle's attempts during which a meter of its host counted such a device, 0 to 1."""
    component = COMPONENT.get(bundle.kind, "cpu")
    total = sum(end - start for _, (start, end) in bundle.spans)
    inside = 0.0
    for host, (start, end) in bundle.spans:
        here = [(r.started, r.ended) for r in searches if r.host == host and component in r.joules]
        cut = [(max(start, begun), min(end, ended)) for begun, ended in here if ended > start and begun < end]
        inside += _length(cut)
    if total > 0:
        return inside / total
    # an attempt shorter than a second has no length of its own
    moments = [(host, start) for host, (start, _) in bundle.spans]
    held = [
        any(r.host == host and component in r.joules and r.started <= moment <= r.ended for r in searches)
        for host, moment in moments
    ]
    return float(bool(held) and all(held))


def _counted_once(searches: Sequence[Reading]) -> Iterable[float]:
    """Joules of each reading, less the part in which an earlier one of the same host counted the same machine."""
    until: dict[str, float] = {}
    for reading in searches:
        length = reading.ended - reading.started
        fresh = max(0.0, reading.ended - max(reading.started, until.get(reading.host, reading.started)))
        until[reading.host] = max(until.get(reading.host, 0.0), reading.ended)
        yield sum(reading.joules.values()) * (fresh / length if length > 0 else 1.0)


def _length(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total

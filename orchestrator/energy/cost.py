"""What a study cost: hours, energy, CO₂ equivalent, and the hours that the cache saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.energy.grid import Intensity
from orchestrator.energy.hours import SegmentHours, segment_hours
from orchestrator.energy.meters import Reading, readings
from orchestrator.energy.passes import Passes, count_passes
from orchestrator.energy.ratings import Rating, rating_of
from orchestrator.results.histories import read_repeats
from orchestrator.store.segments import Segment
from orchestrator.store.storage import Storage

JOULES_PER_KWH = 3.6e6
COMPONENT = {"cuda": "gpu", "cpu": "cpu"}


@dataclass(frozen=True)
class DeviceCost:
    """All segments on one kind of device."""

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

    segments: tuple[SegmentHours, ...]
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
    def run_hours(self) -> dict[str, float]:
        """How long commands ran on this study, by what they did; each machine once at a time."""
        acts = sorted({reading.act for reading in self.searches})
        return {act: _on_hosts(one for one in self.searches if one.act == act) for act in acts}

    @property
    def covered(self) -> float | None:
        """Share of these hours that the energy covers: those in which a training ran on the machine, or meters of
        all kinds of devices that trained. None
        where no command was timed."""
        whole = _on_hosts(self.searches)
        if not whole:
            return None
        attempts = [
            (host, (max(start, reading.started), min(end, reading.ended)))
            for segment in self.segments
            for host, (start, end) in segment.timed_spans
            for reading in self.searches
            if reading.host == host
        ]
        used = {segment.kind for segment in self.segments} or {"cpu"}
        needed = {COMPONENT.get(kind, "cpu") for kind in used}
        metered = [(one.host, (one.started, one.ended)) for one in self.searches if needed <= set(one.joules)]
        spans = [*attempts, *metered]
        there = sum(_length(span for at, span in spans if at == host) for host in {host for host, _ in spans})
        return min(1.0, there / 3600 / whole)

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
            "run_hours": self.run_hours,
            "covered_share": self.covered,
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
                    "backbone": passes.form.backbone,
                    "adaptation": passes.scope.name,
                    "unfrozen": passes.scope.unfrozen,
                    "without_cache": passes.without_cache,
                    "made": passes.made,
                    "seconds_each": passes.seconds_each,
                    "hours_made_estimate": passes.hours_made,
                    "hours_saved_estimate": passes.hours_saved,
                }
                for passes in self.passes
            ],
            "repeats": [
                {
                    **_what(segment.segment),
                    "results": segment.repeats,
                    "kind": segment.kind,
                    "device": segment.device,
                    "device_hours": segment.device_seconds / 3600,
                    "training_hours": segment.trained / 3600,
                    "attempt_hours": segment.held / 3600,
                    "attempts": segment.attempts,
                    "attempts_without_end": segment.without_end,
                    "gpu_share": segment.share if segment.kind == "cuda" else None,
                }
                for segment in self.segments
            ],
        }


def _what(segment: Segment | None) -> dict[str, Any]:
    """Which repeats, and from which number of epochs to which."""
    if segment is None:
        return {"partition": "", "configurations": [], "repeats": [], "epochs": None}
    return {
        "partition": segment.partition,
        "configurations": list(segment.configurations),
        "repeats": list(segment.repeats),
        "epochs": [segment.start, segment.epochs],
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

    Time of a segment in which a meter counted its device's kind on the same host is covered by that meter and is not
    rated again. A meter counts its whole machine, so measured energy includes whatever else ran there meanwhile.
    """
    repeats = read_repeats(storage)
    segments = segment_hours(storage, gpus_per_host, repeats)
    passes = count_passes(storage, repeats)
    return cost_of_hours(segments, readings(storage), intensity, gpu_watts, core_watts, passes)


def cost_of_hours(
    segments: tuple[SegmentHours, ...],
    searches: tuple[Reading, ...],
    intensity: Intensity,
    gpu_watts: float | None = None,
    core_watts: float | None = None,
    passes: tuple[Passes, ...] = (),
) -> Cost:
    """What `cost_of` says, of hours and readings that somebody has read already."""
    by_device: dict[tuple[str, str], list[SegmentHours]] = defaultdict(list)
    for segment in segments:
        by_device[segment.kind, segment.device].append(segment)
    devices = []
    for (kind, device), here in sorted(by_device.items()):
        hours = sum(segment.device_seconds for segment in here) / 3600
        open_s = sum(segment.device_seconds * (1 - _covered(segment, searches)) for segment in here)
        rating = rating_of(device, kind, gpu_watts, core_watts)
        devices.append(DeviceCost(kind, device, sum(segment.repeats for segment in here), hours, rating, open_s / 3600))
    joules = sum(_counted_once(searches))
    meters = sorted({source for reading in searches for source in reading.sources})
    return Cost(segments, tuple(devices), joules / JOULES_PER_KWH, tuple(meters), searches, intensity, passes)


def _covered(segment: SegmentHours, searches: Sequence[Reading]) -> float:
    """The part of a segment's attempts during which a meter of its host counted such a device, 0 to 1."""
    component = COMPONENT.get(segment.kind, "cpu")
    total = sum(end - start for _, (start, end) in segment.spans)
    inside = 0.0
    for host, (start, end) in segment.spans:
        here = [(r.started, r.ended) for r in searches if r.host == host and component in r.joules]
        cut = [(max(start, begun), min(end, ended)) for begun, ended in here if ended > start and begun < end]
        inside += _length(cut)
    if total > 0:
        return inside / total
    # an attempt shorter than a second has no length of its own
    moments = [(host, start) for host, (start, _) in segment.spans]
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


def _on_hosts(searches: Iterable[Reading]) -> float:
    """Hours, each machine once at a time."""
    by_host: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for reading in searches:
        by_host[reading.host].append((reading.started, reading.ended))
    return sum(_length(spans) for spans in by_host.values()) / 3600


def _length(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total

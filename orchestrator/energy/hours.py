"""How long every segment kept a device busy, from final records and the times of attempts."""

from __future__ import annotations

import contextlib
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from orchestrator.results.histories import Repeats, read_repeats
from orchestrator.store import layout
from orchestrator.store.damage import passed_over
from orchestrator.store.layout import parse_attempt, parse_lease
from orchestrator.store.parsing import json_object
from orchestrator.store.schema import parse_toml
from orchestrator.store.segments import SEGMENTS, Recipe, Segment
from orchestrator.store.storage import Storage

Span = tuple[float, float]
"""Start and end, in seconds since 1970."""


@dataclass(frozen=True)
class SegmentHours:
    """One segment. Times in seconds.

    trained: training time from its start to its end of the repeats whose longest result it is. held: time that attempts
    took, opening of features, checkpoints and lost work included. share: the part of a device that an attempt had on
    average, because several shared it. without_end: attempts of which nobody knows when they ended; they count nothing
    in `held`.
    """

    id: str
    segment: Segment | None
    """None where an attempt was begun and ended before it was noted how."""
    kind: str
    """cpu or cuda."""
    device: str
    hosts: tuple[str, ...]
    threads: int
    repeats: int
    """Whose longest result it is."""
    trained: float
    held: float
    attempts: int
    without_end: int
    spans: tuple[tuple[str, Span], ...]
    """(host, span) of every attempt whose end is known."""
    share: float = 1.0

    @property
    def seconds(self) -> float:
        """The longer of the two: start and end of an attempt are kept to the second only."""
        return max(self.trained, self.held)

    @property
    def timed_spans(self) -> tuple[tuple[str, Span], ...]:
        """`spans`; a single attempt is at least as long as what it trained, which is known to more than the second."""
        if len(self.spans) != 1:
            return self.spans
        host, (start, end) = self.spans[0]
        return ((host, (start, max(end, start + self.trained))),)

    @property
    def device_seconds(self) -> float:
        """Of one GPU, or of one processor core."""
        return self.seconds * (self.share if self.kind == "cuda" else self.threads)


def segment_hours(storage: Storage, gpus_per_host: int = 1, repeats: Repeats | None = None) -> tuple[SegmentHours, ...]:
    """Every segment that anybody began, by id. Attempts that ran at once on a host shared its `gpus_per_host` GPUs.

    `repeats` saves reading them again.
    """
    finals = _finals(read_repeats(storage) if repeats is None else repeats)
    names = sorted({*storage.list(SEGMENTS), *finals})
    segments = [_segment(storage, name, finals.get(name, [])) for name in names]
    busy = [segment for segment in segments if segment.attempts or segment.repeats]
    shares = _shares(busy, gpus_per_host)
    return tuple(_with_share(segment, shares) for segment in busy)


def together(spans: Iterable[Span], devices: int) -> float:
    """Seconds that `devices` equal devices were busy while each span kept one, as far as there were enough of them."""
    edges = sorted(edge for start, end in spans if end > start for edge in ((start, 1), (end, -1)))
    busy, running, before = 0.0, 0, 0.0
    for moment, change in edges:
        busy += min(running, devices) * (moment - before)
        running, before = running + change, moment
    return busy


@dataclass(frozen=True)
class _Final:
    """What hours need of a final record."""

    recipe: Recipe
    host: str
    device: str
    seconds: float


def _finals(repeats: Repeats) -> dict[str, list[_Final]]:
    """By the id of the segment that each was trained in."""
    by_segment: dict[str, list[_Final]] = defaultdict(list)
    read = functools.cache(read_recipe)
    columns = ("recipe", "host", "device", "seconds", "history_epochs")
    for text, host, device, seconds, epochs in zip(*(repeats.table[name].tolist() for name in columns), strict=True):
        recipe = read(text)
        if recipe is not None:
            known = seconds == seconds
            # seconds are those of earlier segments too
            here = seconds * (1 - min(recipe.segment.start / max(epochs, 1), 1)) if known else 0.0
            by_segment[recipe.segment.id].append(_Final(recipe, host or "", device or "", here))
    return by_segment


def read_recipe(text: object) -> Recipe | None:
    """As the table of repeats has it; None for anything else."""
    try:
        return Recipe.model_validate_json(str(text))
    except ValidationError:
        return None


def _segment(storage: Storage, name: str, finals: Sequence[_Final]) -> SegmentHours:
    folder = f"{SEGMENTS}/{name}"
    names = storage.list(folder)
    numbers = sorted(number for entry in names if (number := parse_attempt(entry)) is not None)
    starts = {number: _note(storage, f"{folder}/attempt-{number}/started.json") for number in numbers}
    spans: list[tuple[str, Span]] = []
    without_end = 0
    for number in numbers:
        start = _moment(starts[number].get("started"))
        end = _moment(_note(storage, f"{folder}/attempt-{number}/ended.json").get("ended"))
        if end is None and number == numbers[-1]:
            end = _last_sign(storage, folder, names)
        if start is None or end is None or end < start:
            without_end += 1
        else:
            spans.append((str(starts[number].get("host", "")), (start, end)))
    # as the results have it, which saves a file
    recipe = finals[0].recipe if finals else _recipe(storage, f"{folder}/recipe.toml")
    noted = [(str(note.get("host", "")), str(note.get("device", ""))) for note in starts.values()]
    noted += [(final.host, final.device) for final in finals]
    devices = [device for _, device in noted if device]
    return SegmentHours(
        id=name,
        segment=None if recipe is None else recipe.segment,
        kind="cpu" if recipe is None else recipe.device,
        device=devices[-1] if devices else "" if recipe is None else recipe.device_name,
        hosts=tuple(sorted({host for host, _ in noted if host})),
        threads=1 if recipe is None else recipe.threads,
        repeats=len(finals),
        trained=sum(final.seconds for final in finals),
        held=sum(end - start for _, (start, end) in spans),
        attempts=len(numbers),
        without_end=without_end,
        spans=tuple(spans),
    )


def _last_sign(storage: Storage, folder: str, names: Sequence[str]) -> float | None:
    """When the lease of an attempt that is under way, or was killed, was renewed last."""
    numbers = [number for name in names if (number := parse_lease(name)) is not None]
    return _moment(_note(storage, layout.lease(folder, max(numbers))).get("updated")) if numbers else None


def _recipe(storage: Storage, path: str) -> Recipe | None:
    with passed_over(storage, path):
        return parse_toml(Recipe, storage.read(path), path)
    return None


def _note(storage: Storage, path: str) -> dict[str, Any]:
    with passed_over(storage, path):
        return json_object(storage.read(path), path)
    return {}


def _moment(text: object) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        moment = datetime.fromisoformat(str(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def _shares(segments: Sequence[SegmentHours], gpus_per_host: int) -> dict[tuple[str, str], float]:
    """Per (host, device) the part of a GPU that an attempt had on average."""
    spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for segment in segments:
        if segment.kind == "cuda":
            for host, span in segment.spans:
                spans[host, segment.device].append(span)
    alone = {place: sum(end - start for start, end in own) for place, own in spans.items()}
    return {place: together(own, gpus_per_host) / alone[place] for place, own in spans.items() if alone[place] > 0}


def _with_share(segment: SegmentHours, shares: Mapping[tuple[str, str], float]) -> SegmentHours:
    known = [(end - start, shares.get((host, segment.device), 1.0)) for host, (start, end) in segment.spans]
    total = sum(length for length, _ in known)
    if segment.kind != "cuda" or total <= 0:
        return segment
    return replace(segment, share=sum(length * share for length, share in known) / total)

"""How long every bundle kept a device busy, from final records and the times of attempts."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from orchestrator.results.histories import Repeats, list_bundles, read_repeats
from orchestrator.store.layout import BundleKey, parse_attempt, parse_lease
from orchestrator.store.storage import Storage

Span = tuple[float, float]
"""Start and end, in seconds since 1970."""


@dataclass(frozen=True)
class BundleHours:
    """One bundle. Times in seconds.

    trained: training time of the repeats that have a result. held: time that attempts took, opening of features,
    checkpoints and lost work included. share: the part of a device that an attempt had on average, because several
    shared it. without_end: attempts of which nobody knows when they ended; they count nothing in `held`.
    """

    key: BundleKey
    kind: str
    """cpu or cuda."""
    device: str
    hosts: tuple[str, ...]
    threads: int
    repeats: int
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
    def device_seconds(self) -> float:
        """Of one GPU, or of one processor core."""
        return self.seconds * (self.share if self.kind == "cuda" else self.threads)


def bundle_hours(
    storage: Storage, gpus_per_host: int = 1, keys: Sequence[BundleKey] | None = None, repeats: Repeats | None = None
) -> tuple[BundleHours, ...]:
    """Every bundle that anybody began, sorted. Attempts that ran at once on a host shared its `gpus_per_host` GPUs.

    `keys` and `repeats`, of all bundles, save reading them again.
    """
    keys = list_bundles(storage) if keys is None else keys
    repeats = read_repeats(storage, keys) if repeats is None else repeats
    finals = _finals(repeats)
    found = [_bundle(storage, key, finals.get(key, [])) for key in keys]
    busy = [bundle for bundle in found if bundle.attempts or bundle.repeats]
    shares = _shares(busy, gpus_per_host)
    return tuple(_with_share(bundle, shares) for bundle in busy)


def together(spans: Iterable[Span], devices: int) -> float:
    """Seconds that `devices` equal devices were busy while each span kept one, as far as there were enough of them."""
    edges = sorted(edge for start, end in spans if end > start for edge in ((start, 1), (end, -1)))
    busy, running, before = 0.0, 0, 0.0
    for moment, change in edges:
        busy += min(running, devices) * (moment - before)
        running, before = running + change, moment
    return busy


def _finals(repeats: Repeats) -> dict[BundleKey, list[dict[str, Any]]]:
    found: dict[BundleKey, list[dict[str, Any]]] = defaultdict(list)
    columns = ("partition", "configuration", "repeat", "seconds", "host", "device", "recipe")
    values = [repeats.table[name].tolist() for name in columns]
    for row in zip(*values, strict=True):
        note = dict(zip(columns, row, strict=True))
        found[BundleKey.of_repeat(note["partition"], note["configuration"], int(note["repeat"]))].append(note)
    return found


def _bundle(storage: Storage, key: BundleKey, finals: Sequence[Mapping[str, Any]]) -> BundleHours:
    names = storage.list(key.folder)
    numbers = sorted(number for name in names if (number := parse_attempt(name)) is not None)
    starts = {number: _note(storage, f"{key.attempt(number)}/started.json") for number in numbers}
    spans: list[tuple[str, Span]] = []
    without_end = 0
    for number in numbers:
        start = _moment(starts[number].get("started"))
        end = _moment(_note(storage, f"{key.attempt(number)}/ended.json").get("ended"))
        if end is None and number == numbers[-1]:
            end = _last_sign(storage, key, names)
        if start is None or end is None or end < start:
            without_end += 1
        else:
            spans.append((str(starts[number].get("host", "")), (start, end)))
    recipe = _recipe(storage, key, finals)
    devices = [str(note["device"]) for note in (*starts.values(), *finals) if note.get("device")]
    hosts = {str(note["host"]) for note in (*starts.values(), *finals) if note.get("host")}
    seconds = [float(final["seconds"]) for final in finals if final["seconds"] == final["seconds"]]
    return BundleHours(
        key=key,
        kind=str(recipe.get("device", "cpu")),
        device=devices[-1] if devices else str(recipe.get("device_name", "")),
        hosts=tuple(sorted(hosts)),
        threads=int(recipe.get("threads", 1)),
        repeats=len(finals),
        trained=sum(seconds),
        held=sum(end - start for _, (start, end) in spans),
        attempts=len(numbers),
        without_end=without_end,
        spans=tuple(spans),
    )


def _last_sign(storage: Storage, key: BundleKey, names: Sequence[str]) -> float | None:
    """When the lease of an attempt that is under way, or was killed, was renewed last."""
    numbers = [number for name in names if (number := parse_lease(name)) is not None]
    return _moment(_note(storage, key.lease(max(numbers))).get("updated")) if numbers else None


def _recipe(storage: Storage, key: BundleKey, finals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """As the results have it, which saves a file; from the bundle's own while there is none."""
    for final in finals:
        with contextlib.suppress(TypeError, ValueError):
            recipe = json.loads(final["recipe"])
            if isinstance(recipe, dict) and recipe:
                return recipe
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return tomllib.loads(storage.read(key.recipe).decode())
    return {}


def _note(storage: Storage, path: str) -> dict[str, Any]:
    with contextlib.suppress(FileNotFoundError, ValueError):
        note = json.loads(storage.read(path))
        return note if isinstance(note, dict) else {}
    return {}


def _moment(text: object) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        moment = datetime.fromisoformat(str(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def _shares(bundles: Sequence[BundleHours], gpus_per_host: int) -> dict[tuple[str, str], float]:
    """Per (host, device) the part of a GPU that an attempt had on average."""
    spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for bundle in bundles:
        if bundle.kind == "cuda":
            for host, span in bundle.spans:
                spans[host, bundle.device].append(span)
    alone = {place: sum(end - start for start, end in found) for place, found in spans.items()}
    return {place: together(found, gpus_per_host) / alone[place] for place, found in spans.items() if alone[place] > 0}


def _with_share(bundle: BundleHours, shares: Mapping[tuple[str, str], float]) -> BundleHours:
    known = [(end - start, shares.get((host, bundle.device), 1.0)) for host, (start, end) in bundle.spans]
    total = sum(length for length, _ in known)
    if bundle.kind != "cuda" or total <= 0:
        return bundle
    return replace(bundle, share=sum(length * share for length, share in known) / total)

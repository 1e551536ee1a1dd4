"""Where every repeat that was asked for stands: from requests, final records, leases and failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orchestrator.results.histories import Damaged
from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.layout import REQUESTS, BundleKey, ConfigurationKey, parse_attempt, parse_lease
from orchestrator.store.leases import LeaseView
from orchestrator.store.schema import RepeatState, Request, parse_json, parse_toml
from orchestrator.store.storage import Storage
from trainables.bundles.failures import Failure, failures_of

SILENT_AFTER_S = 600.0
"""A lease that was last renewed longer ago than this is not shown as running. Shown only: nothing is decided by it."""


@dataclass(frozen=True)
class Standing:
    """One repeat: its state, the epochs it was asked for and those it has."""

    repeat: int
    state: RepeatState
    epochs_asked: int
    epochs_done: int
    cause: str = ""
    """Of a failure, one line."""
    kind: str = ""
    """Of a failure: memory, exception, hang, worker, features."""
    record: str = ""
    """Of a failure: its file in the study, which has the traceback too."""


@dataclass(frozen=True)
class Result:
    """What a final record says about a repeat, as far as its standing goes."""

    epochs: int
    state: RepeatState
    last_attempt: int


def read_requests(storage: Storage) -> tuple[tuple[Request, ...], list[Damaged]]:
    """All requests, oldest first, and the files that are none."""
    requests: list[Request] = []
    damaged: list[Damaged] = []
    for name in storage.list(REQUESTS):
        path = f"{REQUESTS}/{name}"
        if not name.endswith(".toml"):
            continue
        try:
            requests.append(parse_toml(Request, storage.read(path), path))
        except FileNotFoundError:
            continue
        except DamagedRecordError as error:
            damaged.append(Damaged(path, error.message))
    return tuple(sorted(requests, key=lambda request: (request.created, request.id))), damaged


def epochs_asked(requests: Iterable[Request]) -> dict[ConfigurationKey, list[int]]:
    """Per configuration the epochs asked of each repeat, by repeat number: the union of all requests."""
    asked: dict[ConfigurationKey, list[int]] = {}
    for request in requests:
        for item in request.items:
            for partition in request.partitions:
                epochs = asked.setdefault(ConfigurationKey(partition, item.configuration), [])
                epochs.extend([0] * (item.repeats - len(epochs)))
                epochs[: item.repeats] = [max(item.epochs, before) for before in epochs[: item.repeats]]
    return asked


def standings(
    storage: Storage,
    asked: Sequence[int],
    results: Mapping[int, Result],
    bundles: Iterable[BundleKey],
    now: datetime,
) -> tuple[tuple[Standing, ...], list[Damaged]]:
    """Where each repeat of one configuration stands, in order; repeats with a result that nobody asked for included.

    Leases and failures are read only where a repeat is still owed. A repeat that ended by itself is done however many
    epochs are asked: more of them would end at the same one. A failure counts until somebody tries again: not while a
    lease of the bundle lives, and not once an attempt began after the one that failed.
    """
    damaged: list[Damaged] = []
    numbers = sorted({*range(len(asked)), *results})
    wanted = {number: asked[number] if number < len(asked) else 0 for number in numbers}
    whole = {n for n, result in results.items() if result.state.ended_by_itself() or result.epochs >= wanted[n]}
    owed = set(numbers) - whole
    live: dict[int, int] = {}
    trained: dict[int, int] = {}
    failures: dict[int, Failure] = {}
    for bundle in bundles:
        if owed.isdisjoint(bundle.repeats):
            continue
        names = storage.list(bundle.folder)
        try:
            lease = _newest_lease(storage, bundle, names)
            done = {int(number): int(epochs) for number, epochs in (lease or {}).get("done", {}).items()}
            trained.update(done)
            if lease is not None and _is_live(lease, now):
                live.update(done or dict.fromkeys(owed & set(bundle.repeats), 0))
                continue
            newest = max((attempt for name in names if (attempt := parse_attempt(name)) is not None), default=0)
            for failure in failures_of(storage, bundle, names):
                if failure.attempt >= newest:
                    failures.update(dict.fromkeys(failure.repeats, failure))
        except (DamagedRecordError, AttributeError, TypeError, ValueError) as error:
            damaged.append(Damaged(bundle.folder, f"{bundle.folder}: a lease or failure cannot be read: {error}"))
    found = []
    for number in numbers:
        result, failed = results.get(number), failures.get(number)
        epochs = max(result.epochs if result else 0, trained.get(number, 0) if number in owed else 0)
        if number not in owed:
            state = results[number].state
            epochs = max(epochs, wanted[number])  # of one that ended by itself: nothing more of them is owed
        elif number in live:
            state = RepeatState.RUNNING
        elif failed is not None and failed.attempt > (result.last_attempt if result else -1):
            state = RepeatState.FAILED
        else:
            state = RepeatState.WAITING
        standing = Standing(number, state, wanted[number] or epochs, epochs)
        if state is RepeatState.FAILED and failed is not None:
            standing = replace(standing, cause=failed.cause, kind=failed.kind, record=failed.path)
        found.append(standing)
    return tuple(found), damaged


def _newest_lease(storage: Storage, bundle: BundleKey, names: Sequence[str]) -> dict[str, Any] | None:
    numbers = [number for name in names if (number := parse_lease(name)) is not None]
    if not numbers:
        return None
    path = bundle.lease(max(numbers))
    try:
        lease: dict[str, Any] = parse_json(storage.read(path), path)
    except FileNotFoundError:
        return None
    return lease


def _is_live(lease: Mapping[str, Any], now: datetime) -> bool:
    if lease.get("released") or LeaseView(0, lease).owner_is_dead():
        return False
    updated = datetime.fromisoformat(str(lease.get("updated")))
    if (updated.tzinfo is None) != (now.tzinfo is None):
        updated = updated.replace(tzinfo=now.tzinfo)
    return (now - updated).total_seconds() < SILENT_AFTER_S

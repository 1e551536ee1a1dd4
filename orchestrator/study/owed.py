"""What is still to be trained: requests minus final records, bundle by bundle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from orchestrator.store.layout import BundleKey, ConfigurationKey
from orchestrator.store.schema import BUNDLE_SIZE
from orchestrator.store.storage import Storage
from trainables.bundles.work import Work, owed_repeats


def bundles(asked: Mapping[ConfigurationKey, Sequence[int]]) -> list[Work]:
    """Every piece of work in requests, the first repeats of all configurations first.

    asked: per configuration and partition the epochs asked of each repeat, by repeat number. Repeats of one bundle that
    are asked different numbers of epochs are different work.
    """
    found: list[Work] = []
    for (partition, configuration), epochs in asked.items():
        parts: dict[tuple[int, int], list[int]] = defaultdict(list)
        for repeat, count in enumerate(epochs):
            parts[repeat // BUNDLE_SIZE, count].append(repeat)
        for (index, count), repeats in parts.items():
            found.append(Work(BundleKey(partition, configuration, index), tuple(repeats), count))
    return sorted(found, key=lambda work: work.key.index)


def owed(storage: Storage, asked: Mapping[ConfigurationKey, Sequence[int]]) -> list[Work]:
    """Work of which at least one repeat lacks a final record with enough epochs."""
    return [work for work in bundles(asked) if owed_repeats(storage, work)]

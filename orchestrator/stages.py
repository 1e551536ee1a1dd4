"""The feature stage: decoding and the frozen part as Ray tasks, chunk by chunk, while bundles wait for them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ray

from orchestrator.store.errors import OrchError
from orchestrator.store.schema import Configuration
from trainables.places import Places
from trainables.trial import feature_task, pixel_task
from trainables.workbench import Frozen, Workbench


@dataclass
class FeatureSet:
    """One feature set that some bundles need: first its pixels, then its chunks."""

    configuration: Configuration
    partition: str
    frozen: Frozen | None = None
    left: list[int] = field(default_factory=list)
    running: set[int] = field(default_factory=set)

    @property
    def is_ready(self) -> bool:
        return self.frozen is not None and not self.left and not self.running


class FeatureStage:
    """Keeps as many tasks in flight as there are devices; `poll` never waits.

    Bundles whose network, weights, depth and samples agree share a set; a set is known by the first of them.
    """

    def __init__(self, study: str, places: Places, bench: Workbench, width: int, options: dict[str, Any]) -> None:
        self.study = study
        self.places = places
        self.bench = bench
        self.width = max(1, width)
        self._features = feature_task.options(**options)
        self._pixels = pixel_task.options(num_cpus=1)
        self._sets: dict[str, FeatureSet] = {}
        self._set_of: dict[tuple[str, str], str] = {}
        self._in_flight: dict[Any, tuple[str, int, bool]] = {}
        self._total = 0
        self._done = 0
        self._rows = 0
        self._started = time.monotonic()

    def add(self, wanted: Iterable[tuple[str, Configuration]]) -> None:
        """Note what (partition, configuration) pairs will need; cheap, nothing is read yet."""
        for partition, c in wanted:
            name = "|".join(
                str(part)
                for part in (
                    partition,
                    c.backbone,
                    c.weights,
                    c.image_size,
                    c.store_size,
                    c.crops,
                    c.interpolation,
                    c.precision,
                    c.standardisation,
                    c.mean,
                    c.std,
                    c.balance,
                    c.views,
                    c.score_augmented,
                    c.unfrozen,
                    c.study_seed,
                )
            )
            self._set_of[partition, c.id] = name
            self._sets.setdefault(name, FeatureSet(c, partition))

    def is_ready(self, partition: str, configuration_id: str) -> bool:
        return self._sets[self._set_of[partition, configuration_id]].is_ready

    def layer(self, partition: str, configuration_id: str) -> str:
        """Name of the layer up to which the ready set is cached."""
        frozen = self._sets[self._set_of[partition, configuration_id]].frozen
        return frozen.layer if frozen else ""

    @property
    def is_done(self) -> bool:
        return all(entry.is_ready for entry in self._sets.values())

    def poll(self) -> None:
        """Collect finished tasks, submit further ones. Raises the OrchError that a task met."""
        if self._in_flight:
            ready, _ = ray.wait(list(self._in_flight), num_returns=len(self._in_flight), timeout=0)
            for reference in ready:
                self._collect(reference)
        for name, entry in self._sets.items():
            if len(self._in_flight) >= self.width:
                return
            if not entry.is_ready:
                self._submit(name, entry)

    def progress_line(self) -> str:
        """What is being prepared, for the display; "" when nothing is left."""
        if self.is_done:
            return ""
        if not self._total:
            return "reading images"
        spent = max(1e-3, time.monotonic() - self._started)
        return f"features {self._done}/{self._total} ({self._rows / spent:.1f} views/s)"

    def cancel(self) -> None:
        """Drop what is in flight; finished chunks stay."""
        for reference in self._in_flight:
            ray.cancel(reference)
        self._in_flight.clear()

    def _collect(self, reference: Any) -> None:
        name, chunk, is_feature = self._in_flight.pop(reference)
        entry = self._sets[name]
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, OrchError) else error from error
        entry.running.discard(chunk)
        if is_feature:
            self._done += 1
            if entry.frozen and entry.frozen.features:
                self._rows += len(entry.frozen.features.rows_of(chunk))

    def _submit(self, name: str, entry: FeatureSet) -> None:
        """Submit chunks of one set; squares come first, and the cut is chosen once they are all there."""
        if entry.frozen is None:
            if not entry.left and not entry.running:
                entry.left = self.bench.pixels(entry.configuration, entry.partition).missing()
                if not entry.left:
                    self._divide(entry)
                    return self._submit(name, entry)
            return self._send(name, entry, is_feature=False)
        return self._send(name, entry, is_feature=True)

    def _divide(self, entry: FeatureSet) -> None:
        entry.frozen = self.bench.frozen(entry.configuration, entry.partition)
        if entry.frozen.features is not None:
            entry.frozen.features.prepare()
            entry.left = entry.frozen.features.missing()
            self._total += len(entry.left)

    def _send(self, name: str, entry: FeatureSet, *, is_feature: bool) -> None:
        while entry.left and len(self._in_flight) < self.width:
            chunk = entry.left.pop(0)
            where = (self.study, self.places, entry.configuration.id, entry.partition)
            if is_feature and entry.frozen is not None:
                reference = self._features.remote(*where, entry.frozen.layer, chunk)
            else:
                reference = self._pixels.remote(*where, chunk)
            entry.running.add(chunk)
            self._in_flight[reference] = (name, chunk, is_feature)


def feature_options(gpus: float) -> dict[str, Any]:
    """Ray resources of one feature task: a GPU where there is one, else a core."""
    return {"num_gpus": 1, "num_cpus": 1} if gpus >= 1 else {"num_cpus": 1}

"""The feature stage: decoding and the frozen part as Ray tasks, part by part, while segments wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import ray

from orchestrator.store.errors import OrchError
from orchestrator.store.layout import ConfigurationKey
from orchestrator.store.place import Place
from orchestrator.store.record import canonical_json
from search_spaces.configuration import FROZEN_PART, Configuration
from search_spaces.live import Scope
from search_spaces.settings.image import FIXED
from trainables.bundles.workbench import Workbench
from trainables.chunks import feature_task, pixel_task
from trainables.features.cache_use import CacheUse
from trainables.features.frozen import Frozen, of_any_standardisation
from trainables.features.shards import FeatureRows, Part


@dataclass(eq=False)
class Pass:
    """One pass of a network over a set of views, which gives the features of every depth that is asked for."""

    partition: str
    depths: dict[Scope, Configuration] = field(default_factory=dict)
    """One configuration for each part of the network that is trained."""
    decided: dict[Scope, Frozen] = field(default_factory=dict)
    """Filled in once the images are decoded."""
    frozen: dict[Scope, Frozen] = field(default_factory=dict)
    """The same, once it is known which of their rows nobody else computes."""
    left: list[tuple[tuple[Scope, ...], Part | int]] = field(default_factory=list)
    """(depths that miss the part, part) still to be submitted; before that, chunks of images."""
    running: int = 0
    ready: set[Scope] = field(default_factory=set)
    """Depths whose features were there from the start."""
    error: Exception | None = None
    """What ended the pass; depths that were ready stay so."""

    @property
    def any_configuration(self) -> Configuration:
        return next(iter(self.depths.values()))

    @property
    def has_begun(self) -> bool:
        """From then on no depth can be added to it."""
        return bool(self.decided or self.left or self.running or self.error)

    @property
    def is_done(self) -> bool:
        return not self.running and (self.error is not None or (bool(self.frozen) and not self.left))

    def is_ready(self, depth: Scope) -> bool:
        return depth in self.ready or (self.is_done and self.error is None)

    @property
    def keys(self) -> set[str]:
        """Of the features that it is about."""
        return {frozen.features.key for frozen in self.decided.values() if frozen.features is not None}


class _Depth(NamedTuple):
    """Where the features of one configuration come from: a pass, and what is trained of the network in it."""

    one: Pass
    scope: Scope


class FeatureStage:
    """Keeps as many tasks in flight as there are devices; `poll` never waits."""

    def __init__(
        self,
        study: Place,
        bench: Workbench,
        devices: Callable[[], int],
        options: dict[str, Any],
        use: CacheUse,
    ) -> None:
        self.study = str(study)
        self.use = use
        self.places = bench.places
        self.bench = bench
        self._devices = devices
        self._features = feature_task.options(**options)
        self._pixels = pixel_task.options(num_cpus=1)
        self._passes: list[Pass] = []
        self._serving: dict[tuple[str, str, Scope], Pass] = {}
        """By partition, frozen part and depth."""
        self._depth_of: dict[ConfigurationKey, _Depth] = {}
        self._in_flight: dict[Any, tuple[Pass, int]] = {}
        self._awaited: dict[object, set[str]] = {}
        """By what they are of: rows that have no room on the disk yet, of all passes together."""
        self._total = 0
        self._done = 0
        self._rows = 0
        self._started = time.monotonic()

    def add(self, wanted: Iterable[ConfigurationKey]) -> None:
        """Note what configurations will need, at any time; cheap, nothing of their images is read yet.

        Depths that come once a pass over the images has begun are served by the next one.
        """
        for key in wanted:
            if key in self._depth_of:
                continue
            c = self.bench.configuration(key.configuration)
            shared, depth = (key.partition, canonical_json(c.key(*FROZEN_PART))), c.live.scope
            if (*shared, depth) not in self._serving:
                waiting = (one for (*known, _), one in self._serving.items() if tuple(known) == shared)
                feature_pass = next((one for one in waiting if not one.has_begun), None)
                if feature_pass is None:
                    feature_pass = Pass(key.partition)
                    self._passes.append(feature_pass)
                feature_pass.depths[depth] = c
                self._serving[*shared, depth] = feature_pass
            self._depth_of[key] = _Depth(self._serving[*shared, depth], depth)

    def reserve(self) -> None:
        """Hold what is in the cache already, and make room for the rest; nothing happens without a budget.

        Raises InputError where all that the search needs cannot fit.
        """
        if not self.use.is_limited:
            return
        for one in self._passes:
            store = self.bench.pixels(one.any_configuration, one.partition)
            self.use.need(store.folder, store.total_bytes)
            if store.is_prepared:
                self.use.hold(store.folder)
            for depth, c in one.depths.items():
                # Without squares their mean and std are not known, which change where features lie, not how large
                is_known = c.image.standardisation in FIXED or not store.missing()
                frozen = self.bench.frozen(c if is_known else of_any_standardisation(c), one.partition)
                if frozen.features is not None and is_known:
                    self._need(frozen.features)
                elif frozen.features is not None:
                    self.use.need(_Depth(one, depth), frozen.features.total_bytes)
        self.use.make_room()

    def is_ready(self, of: ConfigurationKey) -> bool:
        one, scope = self._depth_of[of]
        return one.is_ready(scope)

    def error(self, of: ConfigurationKey) -> Exception | None:
        """Why this configuration's features cannot be had, if they cannot."""
        one, scope = self._depth_of[of]
        return None if one.is_ready(scope) else one.error

    def layer(self, of: ConfigurationKey) -> str:
        """Name of the layer up to which the ready features are cached."""
        one, scope = self._depth_of[of]
        return one.frozen[scope].layer

    def poll(self) -> None:
        """Collect finished tasks, submit further ones. An error ends its own pass only."""
        if self._in_flight:
            finished, _ = ray.wait(list(self._in_flight), num_returns=len(self._in_flight), timeout=0)
            for reference in finished:
                self._collect(reference)
        for one in self._passes:
            if len(self._in_flight) >= self._devices():
                return
            if one.is_done:
                continue
            try:
                self._submit(one)
            except OrchError as error:
                self._end(one, error)

    def progress_line(self) -> str:
        """What is being prepared, for the display; "" when nothing is left."""
        if all(one.is_done for one in self._passes):
            return ""
        if not self._total:
            return "reading images"
        spent = max(1e-3, time.monotonic() - self._started)
        pace = f" ({self._rows / spent:.1f} views/s)" if self._rows else ""
        return f"features {self._done}/{self._total}{pace}"

    def cancel(self) -> None:
        """Drop what is in flight; finished chunks stay."""
        for reference in self._in_flight:
            ray.cancel(reference)
        self._in_flight.clear()

    def _collect(self, reference: Any) -> None:
        one, rows = self._in_flight.pop(reference)
        one.running -= 1
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            self._end(one, error.cause if isinstance(error.cause, Exception) else error)
            return
        except ray.exceptions.RayError as error:
            self._end(one, OrchError(f"a worker died while it computed features: {error}", "Run the command again."))
            return
        if rows:
            self._done += 1
            self._rows += rows

    def _end(self, one: Pass, error: Exception) -> None:
        one.error = one.error or error
        one.left = []

    def _submit(self, one: Pass) -> None:
        """Submit chunks of one pass; images come first, and the cuts are chosen once they are all there."""
        if not one.frozen and not one.left and not one.running:
            store = self.bench.pixels(one.any_configuration, one.partition)
            self.use.need(store.folder, store.total_bytes)
            self.use.hold(store.folder)
            one.left = [((), chunk) for chunk in store.missing()]
            if one.left:
                self.use.make_room()
            if not one.left:
                self._divide(one)
        while one.left and len(self._in_flight) < self._devices():
            depths, part = one.left.pop(0)
            one.running += 1
            if isinstance(part, int):
                reference = self._pixels.remote(self.study, self.places, one.any_configuration.id, one.partition, part)
                self._in_flight[reference] = (one, 0)
                continue
            wanted = [(one.depths[depth].id, one.frozen[depth].layer) for depth in depths]
            reference = self._features.remote(self.study, self.places, wanted, one.partition, part)
            self._in_flight[reference] = (one, part.rows)

    def _divide(self, one: Pass) -> None:
        """Choose the cuts, and list the parts that some depth misses; rows that several miss are computed together.

        While another pass computes features of the same key, its rows may be those that this one needs: it waits.
        """
        one.decided = one.decided or {depth: self.bench.frozen(c, one.partition) for depth, c in one.depths.items()}
        if any(one.keys & other.keys for other in self._passes if other.frozen and not other.is_done):
            return
        for depth, frozen in one.decided.items():
            self.use.need(_Depth(one, depth), 0)
            if frozen.features is not None:
                self._need(frozen.features)
        if any(frozen.features is not None and not frozen.features.is_prepared for frozen in one.decided.values()):
            self.use.make_room()
        self.bench.reserve(list(one.decided.values()))
        parts: dict[Part, list[Scope]] = {}
        for depth, frozen in one.decided.items():
            missing = []
            if frozen.features is not None:
                self._need(frozen.features)
                missing = frozen.features.missing()
            if not missing:
                one.ready.add(depth)
            for part in missing:
                parts.setdefault(part, []).append(depth)
        one.frozen, one.left = one.decided, [(tuple(depths), part) for part, depths in parts.items()]
        self._total += len(one.left)

    def _need(self, rows: FeatureRows) -> None:
        """Hold the shards in which some of the rows lie, and note what the others will take, once for all passes."""
        for store in rows.stores():
            self.use.need(store.folder, store.total_bytes)
            self.use.hold(store.folder)
        unreserved = rows.unreserved()
        awaited = self._awaited.setdefault(rows.key, set())
        awaited.difference_update(rows.names)
        awaited.update(unreserved)
        self.use.need(rows.key, len(awaited) * rows.row_bytes)


def feature_options(gpus: float) -> dict[str, Any]:
    """Ray resources of one feature task: a GPU where there is one, else a core."""
    return {"num_gpus": 1, "num_cpus": 1} if gpus >= 1 else {"num_cpus": 1}

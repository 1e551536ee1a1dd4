"""What one backbone costs at each depth: where its frozen part ends, what that takes, how fast its trials learn."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from orchestrator.planning.frozen_cost import FrozenCost
from orchestrator.planning.rates import (
    GroupRate,
    Parts,
    Stopwatch,
    between,
    decode_seconds,
    deep_rate,
    head_rate,
    prefix_seconds,
)
from orchestrator.resolved import Search
from orchestrator.store.record import canonical_json
from orchestrator.store.segments import Segment
from search_spaces.configuration import FROZEN_PART, Configuration
from search_spaces.live import LAST, Live, Scope
from search_spaces.resolve import BackboneFacts
from search_spaces.settings.image import FIXED
from trainables.bundles.memory import FLOAT32, StepAndScore, network_bytes
from trainables.bundles.recipe import scoring_batch
from trainables.features.frozen import Frozen, of_any_standardisation
from trainables.features.samples import Samples
from trainables.features.store import frozen_values, room
from trainables.learning.heads.head import head_of, layers_of
from trainables.learning.heads.layer import parameter_count
from trainables.learning.optimisers.optimiser import rule_of
from trainables.network.backbone import open_backbone
from trainables.network.division import FEATURES, PIXELS, Cut
from trainables.network.frontier import places_to_cut
from trainables.network.opened import Pooled

DEPTHS = 3
"""Depths of one kind that are timed; others lie on lines between."""
FRONTIER_ROWS = 16


class Computed(NamedTuple):
    """How much of a network a step computes: times of one kind lie on lines between sizes that were timed."""

    kind: tuple[str, bool]
    size: int
    """Weights of the head where features are cached, else unfrozen layers."""

    @classmethod
    def of(cls, c: Configuration, width: int) -> Computed:
        """width: of the features."""
        if c.live.has_features:
            kind = "fit" if c.head.is_fitted else "head"
            return cls((kind, head_of(c.head).is_written_out), parameter_count(layers_of(c, width)))
        images = ", ".join(c.augmentation.names) if c.live.from_pixels else ""
        scope = c.live.scope
        trained = "" if scope.name == LAST else str(scope.key)
        kind = " ".join(filter(None, ("body", trained, c.adaptation.arithmetic, images)))
        return cls((kind, c.live.from_pixels), scope.unfrozen)


@dataclass(frozen=True)
class Rates:
    """Rates of the depths and batch sizes that were timed, of one backbone and one kind of trial."""

    width: int
    """Of the backbone's features."""
    heads: dict[Computed, dict[int, GroupRate]]
    """Computed → batch size → rate; step_s is per step."""
    deep: dict[Computed, GroupRate]
    """step_s is per trained row."""
    lanes: dict[Computed, int]
    """Lanes of the stack that was timed; 1 where repeats are trained in turn."""
    prefix: dict[Scope, float]
    """What is trained → seconds of the frozen part per view, one worker."""

    @property
    def shapes(self) -> int:
        return sum(len(rates) for rates in self.heads.values()) + len(self.deep)

    def epoch_s(self, c: Configuration, training: int, scored: int) -> tuple[float, float]:
        """(training, scoring) of one epoch of one group, in seconds of one worker."""
        score = self._at(c, {depth: rate.score_s for depth, rate in self._any_batch().items()}) * scored
        if not c.live.has_features:
            return self._at(c, {depth: rate.step_s for depth, rate in self.deep.items()}) * training, score
        at_batch = {
            depth: between(c.optimiser.batch_size, {size: rate.step_s for size, rate in rates.items()})
            for depth, rates in self.heads.items()
        }
        return self._at(c, at_batch) * math.ceil(training / c.batch_size(training)), score

    def lanes_of(self, c: Configuration) -> float:
        """Lanes that the times of `epoch_s` and `checkpoint` are of."""
        return self._at(c, {depth: float(count) for depth, count in self.lanes.items()})

    def prefix_s(self, scope: Scope) -> float:
        """Seconds of the frozen part per view, one worker."""
        if scope in self.prefix:
            return self.prefix[scope]
        known = {of.unfrozen: seconds for of, seconds in self.prefix.items() if seconds and of.name == LAST}
        return between(scope.unfrozen, known)

    def checkpoint(self, c: Configuration) -> tuple[float, int]:
        """(seconds, bytes) of one checkpoint of one group."""
        known = self._any_batch()
        seconds = self._at(c, {depth: rate.checkpoint_s for depth, rate in known.items()})
        return seconds, int(self._at(c, {depth: float(rate.checkpoint_bytes) for depth, rate in known.items()}))

    def _any_batch(self) -> dict[Computed, GroupRate]:
        return {**{depth: next(iter(rates.values())) for depth, rates in self.heads.items()}, **self.deep}

    def _at(self, c: Configuration, known: dict[Computed, float]) -> float:
        own = Computed.of(c, self.width)
        return between(own.size, {depth.size: value for depth, value in known.items() if depth.kind == own.kind})


class _Depth(NamedTuple):
    """What the place where the frozen part ends, and its rows on a partition, follow from."""

    frozen_part: str
    live: Live

    @classmethod
    def of(cls, c: Configuration) -> _Depth:
        return cls(canonical_json(c.key(*FROZEN_PART)), c.live)


class BackboneCosts:
    """One backbone with its weights, opened once; `configurations` are those of it that owe repeats, in `segments`."""

    def __init__(
        self, search: Search, configurations: Sequence[Configuration], segments: Sequence[Segment], device: torch.device
    ) -> None:
        first = configurations[0]
        self.search = search
        self.device = device
        self.configurations = configurations
        self.segments = segments
        self.bench = search.bench()
        self.partition = next(iter(search.epochs)).partition
        watch = Stopwatch(torch.device("cpu"))
        weights = search.places.weights_of(first.network.weights)
        opened = open_backbone(first.form, weights, first.data.seed)
        self.facts: BackboneFacts = opened.facts
        self.network: nn.Module = opened.module.to(device)
        self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.opening_s = watch.seconds
        """What every worker spends on opening it."""
        self._cuts: dict[Scope, list[Cut]] = {}
        self._frozen: dict[_Depth, FrozenCost] = {}
        self._partitions: dict[_Depth, list[str]] = {}
        depths = {c.id: _Depth.of(c) for c in configurations}
        mine = [(depths[name], one.partition) for one in segments for name in one.configurations if name in depths]
        for depth, partition in dict.fromkeys(mine):
            self._partitions.setdefault(depth, []).append(partition)

    def samples(self, c: Configuration) -> Samples:
        return self.bench.samples(c, self.partition)

    def frozen(self, c: Configuration) -> FrozenCost:
        """Where the frozen part ends, as the workbench decides it, and why there."""
        depth = _Depth.of(c)
        if depth not in self._frozen:
            self._frozen[depth] = self._looked_up(c)
        return self._frozen[depth]

    def partitions(self, c: Configuration) -> list[str]:
        """Those that owe something of its depth."""
        return self._partitions.get(_Depth.of(c), [self.partition])

    def _looked_up(self, c: Configuration) -> FrozenCost:
        decided = self._decided(c)
        rows, values = decided.samples.rows, sum(math.prod(shape) for shape in decided.shapes)
        store, note = decided.features, ""
        if not c.live.trains_body:
            why = "nothing of the backbone is trained"
        else:
            candidates = [cut for cut in self._candidates(c) if not cut.is_pixels]
            why = "all before the first trained layer"
            if store is None:
                why, note = self._why_pixels(c, candidates, rows)
            elif decided.layer != candidates[-1].layer:
                why = "what follows does not fit"
        if c.live.from_pixels:
            why = f"for scoring only; training images change in each step ({', '.join(c.augmentation.names)})"
        if store is None:
            return FrozenCost(PIXELS, why, values, rows, note=note)
        wanted, lacking = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for partition in self.partitions(c):
            features = self._decided(c, partition).features
            if features is not None:
                key = features.key if self._is_known(c, partition) else f"{features.key} {partition}"
                wanted[key].update(features.names)
                lacking[key].update(features.lacking())
        return FrozenCost(decided.layer, why, values, rows, store.row_bytes, wanted, lacking, note)

    def cut(self, c: Configuration) -> Cut:
        """Where the workbench cuts, in the network with its weights."""
        layer = self._decided(c).layer
        return next(cut for cut in self._candidates(c) if cut.layer == layer)

    def images(self, c: Configuration, partition: str) -> tuple[str, int, float | None]:
        """(key, images not decoded yet, seconds per image where any are) of the stored squares."""
        store = self.bench.pixels(c, partition)
        missing = sum(len(store.rows_of(chunk)) for chunk in store.missing())
        seconds = decode_seconds(self.samples(c).images, c, self.search.places.data_root) if missing else 0.0
        return store.folder.name, missing, seconds

    def rates(self) -> Rates:
        """Time a few depths and batch sizes; see `DEPTHS`. The longest part of an estimate."""
        width = self.facts.feature_width
        of_depth: dict[Computed, list[Configuration]] = {}
        for c in sorted(self.configurations, key=lambda c: c.optimiser.batch_size):
            of_depth.setdefault(Computed.of(c, width), []).append(c)
        prefix: dict[Scope, float] = {}
        rates = Rates(width, {}, {}, {}, prefix)
        for depth in _spread(of_depth):
            here = of_depth[depth]
            if not here[0].live.has_features:
                one = here[len(here) // 2]
                prefix[one.live.scope], rates.deep[depth] = self._deep(one)
                rates.lanes[depth] = 1
                continue
            stack = self._usual({c.id for c in here})
            rates.lanes[depth] = math.prod(stack)
            rates.heads[depth] = {c.optimiser.batch_size: self._head(c, stack) for c in (here[0], here[-1])}
        shallow = [c for c in self.configurations if c.live.has_features]
        if Scope() not in prefix and any(self.frozen(c).missing for c in shallow):
            c = shallow[0]
            prefix[Scope()] = prefix_seconds(self.network, c.image.size, c.network.precision, self.device)
        return rates

    def memory_bytes(self, c: Configuration, frozen: FrozenCost, lanes: float) -> int:
        """Of one trial beside its process: resident features, weights, gradients, optimiser, activations of a network
        that steps compute, one checkpoint.

        Mapped frontier values are pages that the operating system shares and are not counted.
        """
        head = parameter_count(layers_of(c, self.facts.feature_width)) * lanes
        buffers = rule_of(c.optimiser.name).buffers_per_parameter + bool(c.optimiser.average)
        if c.live.has_features:
            copies = 5 if c.head.is_fitted else 1  # what is fitted to, in float32 twice and in float64
            return int(FLOAT32 * (copies * frozen.rows * frozen.values + head * (3 + 2 * buffers)))
        computed = StepAndScore.by(self.bench, c, frozen.layer)
        scored = scoring_batch(c, frozen.values, self.device)
        checkpoint = FLOAT32 * (head + computed.step.trained) * (1 + buffers)
        return int(network_bytes(c, self.facts, computed, scored, self.samples(c), self.device) + checkpoint)

    def _head(self, c: Configuration, stack: tuple[int, int]) -> GroupRate:
        samples = self.samples(c)
        scored = scoring_batch(c, self.facts.feature_width, self.device)
        rows = (len(samples.training), {name: len(rows) for name, rows in samples.scoring.items()})
        return head_rate(c, self.facts.feature_width, stack, rows, scored, self.device)

    def _deep(self, c: Configuration) -> tuple[float, GroupRate]:
        """(seconds of the frozen part per view, rate of what steps compute)."""
        width, layer, values = self.facts.feature_width, FEATURES, self.facts.feature_width
        prefix: nn.Module = Pooled(self.network)
        suffix = None
        if c.live.trains_body:
            division = self.cut(c).build()
            prefix, suffix, layer, values = division.prefix, division.suffix, division.layer, division.values_per_view
        scored = scoring_batch(c, values, self.device)
        seconds, frontier = 0.0, self._images(c)
        if layer != PIXELS:
            seconds = prefix_seconds(prefix, c.image.size, c.network.precision, self.device)
            frontier = frozen_values(prefix, frontier[0], c.network.precision)
            if c.network.precision == "bf16":
                frontier = tuple(tensor.to(torch.bfloat16) for tensor in frontier)
        images = self._images(c) if c.live.from_pixels else None
        parts = Parts(tuple(tensor.cpu() for tensor in frontier), suffix, width, images, prefix)
        return seconds, deep_rate(c, parts, scored, self.device)

    def _images(self, c: Configuration) -> tuple[torch.Tensor, ...]:
        images = torch.randn(FRONTIER_ROWS, 3, c.image.size, c.image.size, device=self.device)
        return (images.contiguous(memory_format=torch.channels_last),)

    def _candidates(self, c: Configuration) -> list[Cut]:
        scope = c.live.scope
        if scope not in self._cuts:
            self._cuts[scope] = places_to_cut(self.network, c.image.size, scope)
        return self._cuts[scope]

    def _is_known(self, c: Configuration, partition: str) -> bool:
        """Whether it is known by what images are standardised: of some kinds only once they are decoded."""
        return c.image.standardisation in FIXED or not self.bench.pixels(c, partition).missing()

    def _decided(self, c: Configuration, partition: str = "") -> Frozen:
        """Without decoded images their mean and std are not known; they change neither cut nor size."""
        partition = partition or self.partition
        return self.bench.frozen(c if self._is_known(c, partition) else of_any_standardisation(c), partition)

    def _why_pixels(self, c: Configuration, candidates: list[Cut], rows: int) -> tuple[str, str]:
        """Why nothing is cached, and the sentence that says what follows from it, where it is the machine's doing."""
        if not candidates:
            return "its first layers are trained, or it cannot be traced", ""
        here = room(self.search.places.cache)
        least = rows * min(cut.values_per_view for cut in candidates) * (2 if c.network.precision == "bf16" else 4)
        return "no features fit", (
            f"{c.network.backbone}, {c.adaptation.said} trained: features need {least / 1e9:.1f} GB, of which "
            f"{here / 1e9:.1f} GB may be used (memory and free disk): the whole network is computed in every step "
            "instead, which is slow"
        )

    def _usual(self, ids: set[str]) -> tuple[int, int]:
        """(configurations, repeats) of most stacks of these configurations; (1, 1) where they are trained in turn."""
        mine = [one for one in self.segments if one.configurations[0] in ids]
        counts = Counter((len(one.configurations), len(one.repeats)) for one in mine)
        return counts.most_common(1)[0][0]


def _spread(depths: Iterable[Computed]) -> list[Computed]:
    """At most `DEPTHS` of each kind: the ends and the middle."""
    spread: list[Computed] = []
    for _, alike in itertools.groupby(sorted(depths), key=lambda depth: depth.kind):
        ordered = list(alike)
        spread += ordered if len(ordered) <= DEPTHS else [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    return spread

"""One outer fold: every candidate is trained on the inner train split, one is selected, and only that one is tested.

The selected configuration is trained a second time, up to the epochs that were selected, to have its weights there: so
the outer images are scored after the selection is made, and by nothing that was not selected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from orchestrator.evaluation.nested_features import FeatureTable, View, frozen_part, views_of
from orchestrator.store.schema import BUNDLE_SIZE
from orchestrator.store.segments import Segment
from search_spaces.configuration import Configuration
from trainables.bundles.recipe import scoring_batch
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.workbench import Workbench
from trainables.data.partition import Partition, splits
from trainables.features.samples import Samples, collect, samples_key
from trainables.learning.group import Group
from trainables.learning.heads.head import scoring_head
from trainables.learning.learner import Lane, Resident
from trainables.learning.material import Material, begin_group
from trainables.learning.metrics import selection_scores
from trainables.learning.weights import put

SLICE_S = 2.0
"""How long is trained between two words about it."""
NOWHERE = "nested"
"""In place of a partition's id: nothing of an outer fold lies among the study's segments."""

Told = Callable[[int], None]


@dataclass(frozen=True)
class Candidate:
    """A configuration whose features are cached, as the study asked for it."""

    configuration: Configuration
    repeats: tuple[int, ...]
    epochs: int

    @property
    def work(self) -> int:
        """Epochs over all repeats."""
        return len(self.repeats) * self.epochs


@dataclass(frozen=True)
class Outcome:
    """Of one outer fold. selected: which candidate. epochs: the selected one of each repeat.

    scores: float64 [candidates], the mean of what selects over repeats, larger is better. logits: float32 [repeats,
    outer images, outputs] of the selected one, images in manifest order.
    """

    selected: int
    epochs: tuple[int, ...]
    scores: np.ndarray
    logits: np.ndarray


def samples_of(manifest: pd.DataFrame, fold: Partition, configuration: Configuration) -> Samples:
    """The inner train and valid images of a fold."""
    return collect(manifest, splits(manifest, fold), configuration)


def outer_views(manifest: pd.DataFrame, fold: Partition) -> list[View]:
    """The upright view of every outer image, in manifest order."""
    outer = (splits(manifest, fold) == "test").to_numpy()
    return [(file, 0) for file in manifest.loc[outer, "file"].tolist()]


class FoldTraining:
    """Trains the candidates on one fold; tables: features by `frozen_part`; by_valid: what compares them, see
    `ConfigurationSummary`."""

    def __init__(
        self,
        bench: Workbench,
        manifest: pd.DataFrame,
        fold: Partition,
        candidates: Sequence[Candidate],
        tables: dict[str, FeatureTable],
        told: Told,
        by_valid: bool = True,
    ) -> None:
        self.bench = bench
        self.manifest = manifest
        self.fold = fold
        self.candidates = candidates
        self.by_valid = by_valid
        self.tables = tables
        self.told = told
        self._materials: dict[tuple[str, str], Material] = {}

    def run(self) -> Outcome:
        """Train all, select, score the outer images with the selected one; told(n) hears of n further epochs."""
        bench = self.bench
        bench.remember(candidate.configuration for candidate in self.candidates)
        wanted = [segment for candidate in self.candidates for segment in _segments(candidate)]
        best: dict[tuple[str, int], tuple[int, float]] = {}
        begun: dict[tuple[str, int], tuple[Lane, ...]] = {}
        for stack in divide_into_stacks(bench, wanted, workers=1):
            for segment in stack.segments():
                lanes = [Lane(bench.configuration(lane.configuration), lane.repeat) for lane in segment.lanes]
                group = self._begin(lanes, segment.epochs)
                self._train(group)
                for index, lane in enumerate(lanes):
                    key = lane.configuration.id, lane.repeat
                    best[key] = _selected(group, index, self.by_valid)
                    begun[key] = tuple(lanes)
        scores = np.array(
            [np.mean([best[c.configuration.id, repeat][1] for repeat in c.repeats]) for c in self.candidates]
        )
        selected = min(range(len(scores)), key=lambda n: (-scores[n], self.candidates[n].configuration.id))
        winner = self.candidates[selected]
        epochs = {repeat: best[winner.configuration.id, repeat][0] for repeat in winner.repeats}
        logits: dict[int, np.ndarray] = {}
        for together in dict.fromkeys(begun[winner.configuration.id, repeat] for repeat in winner.repeats):
            logits |= self._outer(winner, list(together), epochs)
        stacked = np.stack([logits[repeat] for repeat in winner.repeats])
        return Outcome(selected, tuple(epochs.values()), scores, stacked)

    def _outer(self, winner: Candidate, lanes: list[Lane], epochs: dict[int, int]) -> dict[int, np.ndarray]:
        """Logits of the outer images by repeat, from training the same lanes again."""
        features = self.tables[frozen_part(winner.configuration)].of(outer_views(self.manifest, self.fold))
        places = {lane.repeat: n for n, lane in enumerate(lanes) if lane.configuration.id == winner.configuration.id}
        group = self._begin(lanes, winner.epochs)
        head = scoring_head(winner.configuration, features.shape[1], features.device)
        logits = {}
        for repeat in sorted(places, key=lambda repeat: epochs[repeat]):
            while group.epoch < epochs[repeat] and not group.is_done:
                group.advance(0.0)
            weights = group.learner.weights_of(places[repeat])
            put(weights, head=head, body=None)
            logits[repeat] = head(features).cpu().numpy()
        return logits

    def _begin(self, lanes: list[Lane], epochs: int) -> Group:
        configuration, device = lanes[0].configuration, self.bench.device
        rows = scoring_batch(configuration, self.bench.facts(configuration).feature_width, device)
        return begin_group(self._material(configuration), lanes, rows, epochs, device)

    def _train(self, group: Group) -> None:
        while not group.is_done:
            before = group.epoch
            group.advance(SLICE_S)
            self.told((group.epoch - before) * len(group.lanes))
        self.told((group.epochs - group.epoch) * len(group.lanes))

    def _material(self, configuration: Configuration) -> Material:
        part = frozen_part(configuration)
        key = part, samples_key(configuration, self.fold.id)
        if key not in self._materials:
            samples, device = samples_of(self.manifest, self.fold, configuration), self.bench.device
            table = self.tables[part]
            features = table.of(views_of(samples))
            labels = torch.from_numpy(samples.labels).to(device)
            weights = None if samples.weights is None else torch.from_numpy(samples.weights).to(device)
            width = features.shape[1]
            self._materials[key] = Material(samples, labels, weights, width, Resident(features), None, table.layer)
        return self._materials[key]


def _segments(candidate: Candidate) -> list[Segment]:
    """A candidate's repeats, no more than ten together, as a search divides them."""
    bundles: dict[int, list[int]] = {}
    for repeat in candidate.repeats:
        bundles.setdefault(repeat // BUNDLE_SIZE, []).append(repeat)
    name = candidate.configuration.id
    return [Segment(NOWHERE, (name,), tuple(bundles[index]), 0, candidate.epochs) for index in sorted(bundles)]


def _selected(group: Group, index: int, by_valid: bool) -> tuple[int, float]:
    """(selected epoch, what is compared there) of a lane; a diverged one counts untrained."""
    epoch, _ = group.selected(index)
    values = selection_scores(group.lanes[index].configuration.selection.metric, group.history(index), by_valid)
    return epoch, float(values[epoch])

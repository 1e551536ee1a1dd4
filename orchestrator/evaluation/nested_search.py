"""One outer fold of a search that decides: the whole search once more, in a study of the fold's own.

the fold's study → decisions → what they ask for is trained here → (back to who proposes) → selected → outer images

The study holds the fold's division into train and valid, whose test split is the outer fold, and the searches with
their budgets, without a decision. So whatever the study's search did is done again by the same code on inner results
alone: rungs, screenings, races, networks that unfreeze. It lies in the cache, with what is computed for it, until the
fold is finished: a command that was interrupted goes on there, and nothing of it is left in the study.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from orchestrator.evaluation.choice import choose
from orchestrator.evaluation.nested_record import FinishedFold
from orchestrator.proposing.deciding import Deciding, Machine
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.decided import Decided
from orchestrator.results.names import describe_configuration
from orchestrator.results.news import NewsReader
from orchestrator.results.summary import Summary, summarise
from orchestrator.statistics.partition_table import over_partitions
from orchestrator.statistics.score_table import ranked_table
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.leases import Lease, current_lease
from orchestrator.store.schema import Metric
from orchestrator.store.searches import SearchRecord, search_file
from orchestrator.store.segments import Segment
from orchestrator.store.storage import LocalStorage
from orchestrator.study.studies import Study, raise_budget
from search_spaces.limits import Limits
from trainables.bundles.failures import SupersededError
from trainables.bundles.prediction import predict
from trainables.bundles.segment_run import SegmentRun
from trainables.bundles.stacks import divide_into_stacks
from trainables.bundles.trained import results, trained
from trainables.bundles.work import Finals, all_parts, parts
from trainables.bundles.workbench import open_bench
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition
from trainables.data.rotation import rotate
from trainables.learning.metrics import is_loss
from trainables.machine.places import Places

SLICE_S = 2.0
"""How long is trained between two words about it."""
KEEPS = 1 << 40
"""Bytes that an end state may take: all are kept, until the fold is finished, since any lane may be asked for more."""

Told = Callable[[int], None]


@dataclass(frozen=True)
class Repeated:
    """A search of the study that every fold repeats, on as many partitions. most: (repeats, epochs) that its budget
    allows of each configuration on each. spent: epochs that it asked for so far. suggestions: how many configurations
    its sampler may suggest, of those or made from them; None where it has none."""

    record: SearchRecord
    most: dict[str, tuple[int, int]]
    spent: int
    suggestions: int | None = None

    @property
    def work(self) -> int:
        """Epochs of everything that it may ask for, at most."""
        each = [repeats * epochs for repeats, epochs in self.most.values()]
        all_of_them = sum(each) if self.suggestions is None else self.suggestions * max(each)
        return len(self.record.partitions) * all_of_them

    @property
    def words(self) -> str:
        """ "adaptive (epochs halving, repeats screen)"."""
        told = ", ".join(f"{key} {value}" for key, value in self.record.settings.items() if isinstance(value, str))
        return f"{self.record.proposer} ({told})" if told else self.record.proposer


class FoldSearch:
    """Repeats searches on one fold, and where they go through several partitions on further divisions of the groups
    outside it. folder: on this machine, of the nested evaluation; told(n): of n further epochs."""

    def __init__(
        self, study: Study, searches: Sequence[Repeated], fold: Partition, places: Places, folder: Path, told: Told
    ) -> None:
        self.study = study
        self.searches = searches
        self.fold = fold
        manifest = read_manifest(study.storage.read(layout.MANIFEST))
        count = max(len(search.record.partitions) for search in searches)
        own = manifest.drop(columns="fold", errors="ignore")  # of the data's folds the outer ones take no notice
        self.partitions = rotate(own, [fold], count, study.record.seed)
        self.folder = folder
        self.storage = LocalStorage(folder / fold.id)
        self.bench = open_bench(self.storage, replace(places, cache=folder / "cache"))
        self.told = told

    def run(self, selection: Metric, outer: pd.DataFrame) -> FinishedFold:
        """Search, select as `orch evaluate` does, then predict the outer images (columns file, content)."""
        self._write()
        decisions = self._search()
        summary = summarise(self.storage)
        winner = choose(summary, None, None).entry
        epochs, logits = self._outer(winner, outer)
        scores = _scores(summary, self.fold.id, selection)
        trained_epochs = summary.totals.epochs_trained
        return FinishedFold(
            self.fold.id,
            winner.id,
            winner.with_result,
            epochs,
            scores,
            logits,
            decisions,
            trained_epochs,
            describe_configuration(winner.configuration),
        )

    def forget(self) -> None:
        """Remove the fold's study."""
        shutil.rmtree(self.storage.root, ignore_errors=True)

    def _write(self) -> None:
        """What of it is not there yet."""
        names = dict.fromkeys(name for search in self.searches for name in search.most)
        for path in (layout.MANIFEST, *map(layout.configuration, names)):
            self.storage.create(path, self.study.storage.read(path))
        record = self.study.record.model_copy(update={"partition": self.fold.id})
        self.storage.create(layout.STUDY, record.to_toml())
        for partition in self.partitions:
            self.storage.create(layout.partition(partition.id), partition.to_bytes())
        for search in self.searches:
            ids = tuple(one.id for one in self.partitions[: len(search.record.partitions)])
            update = {"partitions": ids, "configurations": tuple(search.most)}
            again = search.record.model_copy(update=update)
            self.storage.create(search_file(again.id), again.to_toml())
            raise_budget(self.storage, again.id, search.most, again.command, Limits(search.suggestions))

    def _search(self) -> int:
        """Decide and train until nobody has anything to say; how many decisions there were."""
        decided, reader = Decided(self.storage), NewsReader(self.storage)
        divide = partial(divide_into_stacks, self.bench, workers=1)
        machine = Machine(1, self.bench.device.type, divide, self.bench.remember)
        decided.read()
        while True:
            for search in decided.searches:
                deciding = Deciding(self.storage, decided, search, reader, machine)
                while deciding.decide() is not None:
                    pass
            due = list(self._due(decided.segments()))
            if not due:
                return sum(map(len, decided.decisions.values()))
            for segment in due:
                self._train(segment)

    def _due(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        finals = Finals(self.storage)
        for segment in all_parts(self.storage, segments):
            if finals.owed(segment):
                yield segment

    def _train(self, segment: Segment) -> None:
        """To its end, in parts where it does not fit into memory as a whole."""
        lease = current_lease(self.storage, segment.folder)
        taken = Lease.take(self.storage, segment.folder, lease.number if lease else 0, self.bench.device.type)
        if taken is None:
            raise self._is_busy()
        with suppress(SupersededError):
            run, done = SegmentRun.begin(self.bench, segment, taken, keeps=KEEPS), 0
            is_over = False
            while not is_over:
                is_over = run.advance(SLICE_S)
                self.told(run.epochs_trained - done)
                done = run.epochs_trained
            return
        smaller = parts(self.storage, segment)
        if smaller == (segment,):
            raise self._is_busy()
        for part in smaller:
            self._train(part)

    def _is_busy(self) -> InputError:
        return InputError(
            f"another process is training outer fold {self.fold.id} in {self.storage.root}",
            "Wait until it has finished; then the same command scores its results.",
        )

    def _outer(self, winner: ConfigurationSummary, outer: pd.DataFrame) -> tuple[tuple[int, ...], np.ndarray]:
        """The selected epoch of each of its repeats, and logits float32 [repeats, images, outputs]."""
        where = self.fold.id, winner.id, winner.with_result
        records = results(self.storage, *where)
        models = trained(self.bench, *where)
        layer = str(next(iter(records.values())).meta["recipe"]["frontier"])
        frozen = self.bench.frozen_ready(winner.configuration, self.fold.id, layer)
        weights = [model.weights for model in models.values()]
        logits = predict(self.bench, frozen, outer, self.bench.places.data_root, weights)
        return tuple(int(record.meta["selected_epoch"]) for record in records.values()), logits[:, :, 0]


def _scores(summary: Summary, partition: str, selection: Metric) -> dict[str, float]:
    """By configuration the mean of what selects, larger is better: over repeats, or over the partitions' means."""
    sign, table = -1.0 if is_loss(selection) else 1.0, over_partitions(summary, selection)
    if table is not None:
        return {of[0].id: sign * float(mean) for of, mean in zip(table.members, table.means.mean(axis=1), strict=True)}
    one = ranked_table(summary, partition, selection)
    return {member.id: sign * float(np.nanmean(own)) for member, own in zip(one.members, one.scores, strict=True)}

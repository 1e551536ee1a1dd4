"""What a nested evaluation is going to train: candidates, outer folds, and the looks they are. Nothing is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from orchestrator.choosing.selection import selecting_metric
from orchestrator.evaluation.choice import on_partition
from orchestrator.evaluation.looks import short_hashes, test_set_of
from orchestrator.evaluation.nested_folds import outer_folds
from orchestrator.evaluation.nested_search import Repeated
from orchestrator.evaluation.nested_training import Candidate
from orchestrator.evaluation.record import Look
from orchestrator.proposing.sampling import most_suggested
from orchestrator.results.amounts import duration
from orchestrator.results.comparing import are_mixed, looked_at
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.results.names import counted, counted_who, describe_configuration
from orchestrator.results.summary import Summary, summarise
from orchestrator.store import layout
from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from orchestrator.store.schema import Metric
from orchestrator.store.searches import asked_of_lanes
from orchestrator.study.studies import Study
from search_spaces.classes import check_confusion
from search_spaces.proposers import AT_ONCE
from search_spaces.stored import read_configuration
from trainables.data.manifest import read_manifest
from trainables.data.partition import Partition, splits

NESTED = "nested: mean over the repeats that each outer fold selected, single models, no test-time augmentation"


@dataclass(frozen=True)
class NestedOptions:
    """What `orch evaluate --nested` takes. folds: how many outer ones."""

    folds: int
    partition: str | None = None
    data_root: Path | None = None
    weights: str | None = None


@dataclass(frozen=True)
class NestedPlan:
    """All that follows from the study and the options. looks: one for each fold, described but not yet written."""

    summary: Summary
    manifest: pd.DataFrame
    partition: Partition
    candidates: tuple[Candidate, ...]
    selection: Metric
    by_valid: bool
    """By what candidates are compared, as in the study; `looked_at` says it in words."""
    looked_at: str
    folds: tuple[Partition, ...]
    key: str
    looks: tuple[Look, ...]
    notes: tuple[str, ...]
    searches: tuple[Repeated, ...] = ()
    """Those that each fold repeats, where one of them decides by results; () where all candidates are trained."""

    @property
    def work(self) -> int:
        """Epochs of one fold at most."""
        return sum(one.work for one in self.searches) or sum(one.work for one in self.candidates)

    def cost(self, folds: int) -> str:
        """What so many folds train, said before anything is opened."""
        if not self.searches:
            return (
                f"To train on this machine, one after the other: {counted(folds, 'outer fold')} of {self.work:,} "
                f"epochs, about {duration(folds * self._seconds())} at the pace of the search."
            )
        spent = sum(one.spent for one in self.searches)
        seconds = self.summary.totals.seconds
        rules = " and ".join(one.words for one in self.searches)
        return (
            f"{counted_who(folds, 'outer fold', 'repeats', 'repeat')} the whole search, {rules}, on this machine: at "
            f"most {self.work:,} epochs each, all that its budget allows. The study's own search took {spent:,} epochs "
            f"and {duration(seconds)} of training, so expect about {folds * spent:,} epochs and "
            f"{duration(folds * seconds)}. What a fold trains stays in the cache until it is finished."
        )

    def _seconds(self) -> float:
        """Of one fold at the pace of the search, which had fewer or more images to train on."""
        ids = {candidate.configuration.id for candidate in self.candidates}
        there = (one for one in self.summary.configurations if one.partition == self.partition.id and one.id in ids)
        images = [int((splits(self.manifest, one) == "train").sum()) for one in (self.partition, self.folds[0])]
        return sum(one.seconds for one in there) * images[1] / max(1, images[0])

    def outer(self, number: int) -> pd.DataFrame:
        """Rows of the manifest in outer fold `number` (from 0), with the class index as `truth`."""
        index = {name: place for place, name in enumerate(self.summary.study.classes)}
        rows = self.manifest[(splits(self.manifest, self.folds[number]) == "test").to_numpy()]
        return rows.assign(truth=rows["label"].map(index)).reset_index(drop=True)

    @property
    def sealed(self) -> pd.DataFrame:
        """Rows of the study's own test split."""
        return self.manifest[(splits(self.manifest, self.partition) == "test").to_numpy()]


def make_nested_plan(study: Study, options: NestedOptions) -> NestedPlan:
    """Choose and check. Raises InputError for what cannot be nested."""
    check_confusion(study.record.task, f"study {study.name}, nested cross-validation")
    summary = summarise(study.storage)
    repeats_searches = any(one.proposer not in AT_ONCE for one in summary.searches)
    entries, notes = (_searched if repeats_searches else _candidates)(summary, options.partition)
    name = entries[0].partition
    searches = tuple(_repeated(study, summary, name)) if repeats_searches else ()
    manifest = read_manifest(study.storage.read(layout.MANIFEST))
    partition = Partition.from_bytes(study.storage.read(layout.partition(name)), layout.partition(name))
    folds = tuple(outer_folds(manifest, partition, options.folds, summary.study.seed))
    candidates = tuple(Candidate(e.configuration, e.with_result, e.epochs) for e in entries)
    if searches:
        most = {name: each for search in searches for name, each in search.most.items()}
        candidates = tuple(
            Candidate(read_configuration(study.storage, one), tuple(range(repeats)), epochs)
            for one, (repeats, epochs) in most.items()
        )
    asked = [[c.configuration.id, c.repeats, c.epochs] for c in sorted(candidates, key=lambda c: c.configuration.id)]
    rules = [
        [
            *(one.record.proposer, dict(one.record.settings), one.record.seed, sorted(one.most)),
            *(len(one.record.partitions), one.suggestions),
            *(drawn.model_dump(mode="json") for drawn in one.record.distributions),
        ]
        for one in searches
    ]
    mixed = ["by valid"] if are_mixed(entries) else []
    key = short_hash([name, [fold.id for fold in folds], asked, *mixed, *([rules] if rules else [])])
    metric = entries[0].configuration.selection.metric
    compared = entries[0].by_valid, looked_at(entries)
    made = NestedPlan(summary, manifest, partition, candidates, metric, *compared, folds, key, (), (), searches)
    if len(made.sealed):
        notes.append(
            "The outer folds include the images of the study's test split, and the other folds train on them. The "
            "primary test estimate is still that of orch evaluate without --nested."
        )
    if not searches and any(c.configuration.image.standardisation == "train" for c in candidates):
        notes.append(
            "The features are those of the study: its images were normalised by the mean and standard deviation of its "
            "training images, some of which are in the outer folds. Labels had no part in that."
        )
    notes.append("The folds share training images. The intervals ignore this, so they are somewhat too narrow.")
    looks = tuple(_look(study, made, number) for number in range(len(folds)))
    return replace(made, looks=looks, notes=tuple(dict.fromkeys(notes)))


def _repeated(study: Study, summary: Summary, partition: str) -> Iterator[Repeated]:
    """The searches of this partition, without later stages."""
    for search in summary.searches:
        budgets, decisions = summary.budgets.get(search.id), summary.decisions.get(search.id)
        if partition not in search.partitions or not budgets or not decisions:
            continue
        most = {
            name: each
            for name, each in budgets[-1].of_each().items()
            if not read_configuration(study.storage, name).begins_from
        }
        if most:
            spent, suggestions = sum(asked_of_lanes(decisions).values()), most_suggested(search, budgets[-1])
            yield Repeated(search, most, spent, suggestions)


def _searched(summary: Summary, partition: str | None) -> tuple[list[ConfigurationSummary], list[str]]:
    """Ranked configurations of searches that decide, best first; and what is left out."""
    ranked, later, _ = _ranked(summary, partition)
    metric = selecting_metric(summary, None)
    selecting = [entry for entry in ranked if entry.configuration.selection.metric == metric]
    notes = []
    if others := len(ranked) - len(selecting):
        told = counted_who(others, "configuration", "selects", "select")
        notes.append(f"{told} by a metric other than {metric}: trained, but not selected.")
    if later:
        notes.append(f"Left out: {counted(later, 'configuration')} of later stages.")
    if not selecting:
        raise InputError(
            f"study {summary.study.name!r}: no configuration with all its repeats finished selects by {metric}",
            f"orch table {summary.study.name} lists them",
        )
    return selecting, notes


def _candidates(summary: Summary, partition: str | None) -> tuple[list[ConfigurationSummary], list[str]]:
    """Ranked configurations that train a head alone and select by one metric, best first; and what is left out."""
    study = summary.study.name
    ranked, later, unfinished = _ranked(summary, partition)
    heads = [entry for entry in ranked if entry.configuration.live.has_features]
    if not heads:
        raise InputError(
            f"study {study!r}: every configuration unfreezes layers of its backbone or augments images; nested "
            "cross-validation only trains heads on cached features",
            f"orch search {study} BACKBONE --unfrozen 0 --augmentation none",
        )
    split_by_split = [entry for entry in heads if entry.configuration.image.standardisation == "each_split"]
    heads = [entry for entry in heads if entry not in split_by_split]
    if not heads:
        raise InputError(
            f"study {study!r}: every configuration that trains only a head normalises each split by its own mean and "
            "standard deviation, but the folds of nested cross-validation are other splits",
            f"orch search {study} BACKBONE --unfrozen 0 --set image.standardisation=train",
        )
    metric = selecting_metric(summary, None)
    selecting = [entry for entry in heads if entry.configuration.selection.metric == metric]
    if not selecting:
        raise InputError(
            f"study {study!r}: no configuration that trains only a head, with all its repeats finished, selects by "
            f"{metric}",
            f"orch table {study} lists them",
        )
    notes = []
    if deep := len(ranked) - len(heads) - len(split_by_split):
        best = ranked[0].configuration
        told = "" if best.live.has_features else f" They include the best one, {describe_configuration(best)}."
        notes.append(
            f"Left out: {deep} of {counted(len(ranked), 'configuration')}, because layers are unfrozen or images "
            f"augmented. This tests the selection among heads on cached features.{told}"
        )
    if split_by_split:
        lost = counted_who(len(split_by_split), "configuration", "that normalises", "that normalise")
        notes.append(
            f"Left out: {lost} each split by its own mean and standard deviation, because the folds are other splits."
        )
    if others := len(heads) - len(selecting):
        lost = counted_who(others, "configuration", "that selects", "that select")
        notes.append(f"Left out: {lost} by a metric other than {metric}.")
    if later:
        notes.append(f"Left out: {counted(later, 'configuration')} of later stages.")
    if unfinished:
        every = len(ranked) + later + unfinished
        notes.append(f"Left out: {unfinished} of {counted(every, 'configuration')}, with repeats still missing.")
    return selecting, notes


def _ranked(summary: Summary, partition: str | None) -> tuple[list[ConfigurationSummary], int, int]:
    """Best first those that begin from nothing; how many others are of later stages, and how many have no rank."""
    study = summary.study.name
    there = on_partition(summary, partition)
    every = [entry for entry in there if entry.rank is not None]
    if not every:
        raise InputError(
            f"study {study!r}: no configuration has finished all its repeats yet, so there is no selection to repeat",
            f"orch status {study} says what is missing; orch resume {study} trains it",
        )
    if every[0].configuration.begins_from:
        raise InputError(
            f"study {study!r}: the selected configuration, {describe_configuration(every[0].configuration)}, belongs "
            "to a later stage; nested cross-validation repeats the selection among first-stage configurations only",
            f"orch evaluate {study} scores it on the test split",
        )
    ranked = [entry for entry in every if not entry.configuration.begins_from]
    return ranked, len(every) - len(ranked), len(there) - len(every)


def _look(study: Study, plan: NestedPlan, number: int) -> Look:
    contents = plan.outer(number)["content"]
    test_set = test_set_of(contents)
    return Look(
        id=short_hash([test_set, plan.key, number]),
        test_set=test_set,
        study=study.name,
        partition=plan.folds[number].id,
        configuration="",
        name=f"nested cross-validation, outer fold {number + 1} of {len(plan.folds)}",
        repeats=plan.candidates[0].repeats,
        epochs=max(candidate.epochs for candidate in plan.candidates),
        primary=NESTED,
        time=datetime.now(UTC).isoformat(timespec="microseconds"),
        images=short_hashes(contents),
    )

"""The leak experiment on a user's own images: what a split that divides groups would have shown.

As in the neuroblastoma report, a network that can memorise is trained on independent, slightly mixed and shuffled train
and valid images, and scored on groups that neither has. Here it is a head on frozen features that the study's cache may
hold already. Records lie in results/leak, apart from everything that can be selected or evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orchestrator.leak.partitions import EXPERIMENTS, SPLITS, TRAIN, LeakPartition, check_groups, leak_partitions
from orchestrator.leak.records import LeakAnswer, LeakRun, answer, pack_run, read_runs, run_path, selected_epoch
from orchestrator.results.amounts import duration
from orchestrator.results.decided import Decided
from orchestrator.results.names import counted
from orchestrator.store.errors import InputError
from orchestrator.store.record import short_hash
from orchestrator.store.searches import SearchRecord
from orchestrator.study.asked import find_weights
from orchestrator.study.preparation import reopen
from orchestrator.study.studies import Study
from search_spaces.classes import check_confusion
from search_spaces.configuration import Configuration
from search_spaces.live import LAST
from search_spaces.resolve import deepest_extension
from search_spaces.stored import read_configuration
from trainables.bundles.workbench import Workbench, open_bench
from trainables.features.samples import Samples
from trainables.learning.group import Group
from trainables.learning.learner import Lane
from trainables.learning.material import Material, learner_of
from trainables.machine.places import Places

Progress = Callable[[int, int], None]
Timed = Callable[[Configuration, int, tuple[int, dict[str, int]], int, int, torch.device], float]
"""Seconds of a training: see `orchestrator.planning.rates.head_seconds`."""
SCORING_BATCH = 4096


@dataclass(frozen=True)
class LeakOptions:
    """backbone: part of a name that the study has searched; None takes the first. epochs: enough to memorise."""

    cache: Path
    backbone: str | None = None
    repeats: int = 10
    epochs: int = 60
    lr: float = 1e-3
    data_root: Path | None = None
    weights: str | None = None


def leak_experiment(
    study: Study, options: LeakOptions, say: Callable[[str], None], progress: Progress, timed: Timed | None = None
) -> LeakAnswer:
    """Train what is missing of the three experiments and say what they show; again, and nothing is trained.

    progress(done, total) counts trainings; `timed` says beforehand how long they take. Raises InputError where the
    study has no groups to hold back.
    """
    decided = Decided.of(study.storage)
    check_confusion(study.record.task, f"study {study.name}, leak experiment")
    configuration = memoriser(_base(study, decided, options.backbone), options)
    bench = _bench(study, configuration, decided.searches.values(), options, say)
    configuration = _deep_enough(bench, configuration)
    samples = bench.samples(configuration, study.record.partition)
    labels, groups = samples.labels, np.unique(samples.images["group"].to_numpy(dtype=object), return_inverse=True)[1]
    check_groups(labels, groups, study.record.classes, study.name)
    settings = _settings(study, configuration, options)
    key = short_hash([settings, configuration.id])
    done = {(run.partition.experiment, run.partition.repeat) for run in read_runs(study.storage, key)}
    wanted = [(e, r) for r in range(options.repeats) for e in EXPERIMENTS if (e, r) not in done]
    material = bench.material(configuration, study.record.partition) if wanted else None
    for count, (experiment, repeat) in enumerate(wanted):
        assert material is not None
        partition = leak_partitions(labels, groups, repeat, configuration.data.seed)[experiment]
        if not count:
            time_of_all = _time_of(len(wanted), configuration, material, partition, options.epochs, bench.device, timed)
            say(f"{counted(len(wanted), 'training')} of {counted(options.epochs, 'epoch')}{time_of_all}.")
        progress(count, len(wanted))
        run = train(configuration, material, partition, options.epochs, bench.device)
        study.storage.create(run_path(key, experiment, repeat), pack_run(run, settings))
    progress(len(wanted), len(wanted))
    runs = [run for run in read_runs(study.storage, key) if run.partition.repeat < options.repeats]
    return answer(runs, settings)


def memoriser(base: Configuration, options: LeakOptions) -> Configuration:
    """The same frozen backbone and images with one added layer, no dropout, no decay, Adam, to the last epoch.

    Its splits are others than the study's, so that none is standardised by its own.
    """
    by = base.image.standardisation
    return base.with_values(
        {
            "parent": None,
            "image.standardisation": "train" if by == "each_split" else by,
            "head.name": "halving",
            "head.non_linearities": 1,
            "head.negative_slope": 0.2,
            "head.dropout": 0.0,
            "adaptation.name": LAST,
            "adaptation.unfrozen": 0,
            "optimiser.name": "adam",
            "optimiser.lr": options.lr,
            "optimiser.batch_size": 16,
            "optimiser.betas": (0.9, 0.999),
            "optimiser.weight_decay": 0.0,
            "schedule.name": "constant",
            "ending.name": "complete",
            "loss.name": "cross_entropy",
            "balance.name": "none",
            "augmentation.names": ("none",),
            "image.views": 1,
        }
    )


def train(
    configuration: Configuration, material: Material, partition: LeakPartition, epochs: int, device: torch.device
) -> LeakRun:
    """One training on a leak partition of the images in `material`, whose rows are one view of each."""
    lanes = [Lane(configuration, partition.repeat)]
    whole = material.samples
    scoring = {name: partition.rows(index) for index, name in enumerate(SPLITS)}
    samples = Samples(whole.images, whole.views, whole.labels, partition.rows(TRAIN), scoring, None)
    learner = learner_of(lanes, replace(material, weights=None))
    group = Group(lanes, learner, samples, epochs, SCORING_BATCH, device)
    while not group.is_done:
        group.advance(3600.0)
    history = group.history(0)
    return LeakRun(partition, history, selected_epoch(configuration, history))


def _time_of(
    count: int,
    configuration: Configuration,
    material: Material,
    partition: LeakPartition,
    epochs: int,
    device: torch.device,
    timed: Timed | None,
) -> str:
    """How long so many trainings take, where somebody can say."""
    if timed is None:
        return ""
    rows = len(partition.rows(TRAIN)), {name: len(partition.rows(index)) for index, name in enumerate(SPLITS)}
    return f", about {duration(count * timed(configuration, material.width, rows, epochs, SCORING_BATCH, device))}"


def _base(study: Study, decided: Decided, wanted: str | None) -> Configuration:
    """The first configuration that was asked for, of the backbone that is wanted."""
    asked = [read_configuration(study.storage, identity) for _, identity in decided.asked()]
    if not asked:
        raise InputError(
            f"study {study.name!r}: no backbone has been searched yet, so there are no features to train on",
            f"orch search {study.name} resnet18",
        )
    fitting = [c for c in asked if wanted is None or wanted.lower() in c.network.backbone.lower()]
    if not fitting:
        known = ", ".join(sorted({c.network.backbone for c in asked}))
        raise InputError(
            f"--backbone {wanted!r}: expected a backbone of study {study.name!r}: {known}",
            f"orch data leak {study.name}",
        )
    return fitting[0]


def _deep_enough(bench: Workbench, configuration: Configuration) -> Configuration:
    """Without the added layer where the features are too narrow for one."""
    width = bench.facts(configuration).feature_width
    if deepest_extension(width, configuration.outputs) >= 1:
        return configuration
    return configuration.with_values({"head.non_linearities": 0})


def _bench(
    study: Study,
    configuration: Configuration,
    searches: Iterable[SearchRecord],
    options: LeakOptions,
    say: Callable[[str], None],
) -> Workbench:
    root = reopen(study, options.data_root, options.cache, say).data_root
    weights = find_weights([configuration], searches, options.weights)
    return open_bench(study.storage, Places.here(root, options.cache, weights))


def _settings(study: Study, configuration: Configuration, options: LeakOptions) -> dict[str, Any]:
    return {
        "backbone": configuration.network.backbone,
        "partition": study.record.partition,
        "epochs": options.epochs,
        "lr": options.lr,
        "group_meaning": study.record.group_meaning,
    }

"""Candidates of ensembles with made-up predictions."""

from __future__ import annotations

import numpy as np

from orchestrator.ensembles.candidates import Candidates
from orchestrator.ensembles.target import Target, target_of
from orchestrator.results.configuration_summary import ConfigurationSummary
from orchestrator.store.schema import Metric
from search_spaces.configuration import Configuration
from tests.support.configurations import changed, configured

CLASSES = ("a", "b", "c")


def configuration(metric: Metric = "loss", lr: float = 0.01) -> Configuration:
    one = configured(task="multiclass", classes=CLASSES)
    return changed(one, lr=lr, selection=metric)


def target(metric: Metric, of_class: str | None = None, precision: float | None = None) -> Target:
    return target_of(configuration(), metric, of_class, precision, "study")


def candidates(
    logits: np.ndarray, truth: np.ndarray, group: np.ndarray, counts: tuple[int, ...] | None = None
) -> Candidates:
    """logits: [C, R, N, K]. counts: repeats of each configuration, R of all where none are given."""
    several = counts or (logits.shape[1],) * len(logits)
    members = []
    for number in range(len(logits)):
        one = configuration(lr=0.001 * (number + 1))
        members.append(ConfigurationSummary("partition", one.id, one, ()))
    values = logits.astype(np.float32)
    for row, count in enumerate(several):
        values[row, count:] = np.nan
    return Candidates(
        "partition",
        tuple(members),
        tuple(tuple(range(count)) for count in several),
        values,
        np.full(logits.shape[:2], np.nan),
        truth.astype(np.int64),
        group.astype(np.int64),
        int(group.max()) + 1,
    )


def drawn(
    seed: int, members: int = 4, repeats: int = 3, groups: int = 12, per_group: int = 5, skill: float = 1.0
) -> Candidates:
    """Logits of the true class are larger by `skill`; half of the noise is shared by the repeats of a configuration."""
    draw = np.random.default_rng(seed)
    images = groups * per_group
    truth, group = np.arange(images) % 3, np.arange(images) // per_group
    own, each = draw.normal(size=(members, 1, images, 3)), draw.normal(size=(members, repeats, images, 3))
    return candidates(own + each + skill * np.eye(3)[truth], truth, group)

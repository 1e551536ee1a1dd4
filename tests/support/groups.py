"""Groups of lanes of a tiny study, before their first epoch and after their last."""

from __future__ import annotations

import torch

from tests.support.tiny_study import TinyStudy
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.group_state import GroupState
from trainables.learning.learner import Lane
from trainables.learning.material import learner_of


def group_of_lanes(
    study: TinyStudy, lanes: list[Lane], epochs: int, bench: Workbench | None = None, scoring: int = 64
) -> Group:
    material = (bench or study.bench()).material(lanes[0].configuration, study.partition)
    return Group(lanes, learner_of(lanes, material), material.samples, epochs, scoring, torch.device("cpu"))


def saved(group: Group) -> GroupState:
    """Its state as it is read from a file again."""
    return GroupState.from_bytes(group.snapshot({}).to_bytes(), "a checkpoint")


def done(group: Group) -> Group:
    group.advance(float("inf"))
    assert group.is_done
    return group

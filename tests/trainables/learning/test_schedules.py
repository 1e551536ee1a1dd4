"""Learning rates that change: the same as plain torch, however training was cut up, and nothing of it in a state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search_spaces.settings import schedule as settings
from search_spaces.settings.schedule import SCHEDULES
from tests.support.groups import done, group_of_lanes, saved
from tests.support.plain_probe import train_losses
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.learning.group import Group
from trainables.learning.learner import Lane
from trainables.learning.schedules.schedule import schedule_of

CPU = torch.device("cpu")
EPOCHS, LENGTH = 3, 4
STRETCHES, FACTOR = 4, 0.2
CHANGING = [name for name in SCHEDULES.names if name != "constant"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("schedules"))


def of_torch(name: str, optimiser: torch.optim.Optimizer, steps: int) -> Any:
    """The same schedule as torch has it, stepped after each batch."""
    schedules = torch.optim.lr_scheduler
    if name == "linear":
        return schedules.LinearLR(optimiser, 1.0, 0.0, steps)
    if name == "step":
        return schedules.StepLR(optimiser, steps // STRETCHES, FACTOR)
    rise = round(0.3 * steps)
    up = schedules.LinearLR(optimiser, 1 / (rise + 1), 1.0, rise)
    down = schedules.CosineAnnealingLR(optimiser, steps - rise)
    return schedules.SequentialLR(optimiser, [up, down], [rise])


def group_of(study: TinyStudy, **changes: Any) -> Group:
    given = {"length": LENGTH, "warm_up": 0.3, "stretches": STRETCHES, "factor": FACTOR}
    settings = {f"schedule.{name}": value for name, value in given.items()}
    configuration = study.configuration(lr=0.05, momentum=0.9, **settings, **changes)
    lanes = [Lane(configuration, repeat) for repeat in (0, 1)]
    return group_of_lanes(study, lanes, EPOCHS)


@pytest.mark.parametrize("name", CHANGING)
def test_three_epochs_equal_torch(study: TinyStudy, name: str) -> None:
    group = group_of(study, schedule=name)
    group.advance(float("inf"))
    c = group.lanes[1].configuration
    expected = train_losses(study, c, 1, EPOCHS, schedule_of=lambda o, steps: of_torch(name, o, LENGTH * steps))
    assert group.history(1).loss[1:, 0].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", CHANGING)
def test_going_on_is_never_having_stopped(study: TinyStudy, name: str, tmp_path: Path) -> None:
    whole, cut = group_of(study, schedule=name), group_of(study, schedule=name)
    whole.advance(float("inf"))
    while not cut.is_done:
        cut.advance(0.0)  # one step or one scoring
        state = saved(cut)
        cut = group_of(study, schedule=name)
        cut.load(state)
    for lane in (0, 1):
        assert np.array_equal(whole.history(lane).loss, cut.history(lane).loss)
    assert not np.array_equal(whole.history(0).loss, done(group_of(study)).history(0).loss), "it changes something"


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_factors_are_finite_and_end(name: str) -> None:
    schedule = schedule_of(settings.Schedule(name=name, length=10, warm_up=0.2))
    factors = [schedule.factor(step, 50) for step in range(80)]
    assert all(0.0 <= factor <= 1.0 for factor in factors)
    assert max(factors) == pytest.approx(1.0)
    assert schedule.is_constant == (set(factors) == {1.0})
    if not schedule.is_constant:
        assert set(factors[50:]) == {factors[49] if name == "step" else 0.0}


@pytest.mark.parametrize(
    ("stretches", "falls"), [(1, []), (3, [17, 34]), (4, [13, 25, 38]), (7, [8, 15, 22, 29, 36, 43])]
)
def test_a_step_falls_where_a_share_of_the_length_is_over(stretches: int, falls: list[int]) -> None:
    """Of 50 steps; the one in which a stretch ends still has its rate."""
    schedule = schedule_of(settings.Schedule(name="step", length=10, stretches=stretches, factor=0.5))
    factors = [schedule.factor(step, 50) for step in range(60)]
    assert [step for step in range(1, 60) if factors[step] != factors[step - 1]] == falls
    assert factors[-1] == 0.5 ** (stretches - 1)

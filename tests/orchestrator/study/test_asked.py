"""What a search cannot ask for together."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.store.errors import InputError
from orchestrator.study.asked import check_epochs
from tests.support.configurations import configured


@pytest.mark.parametrize(("settings", "fits"), [({"schedule": "linear"}, False), ({}, True)])
def test_epochs_behind_the_end_of_a_schedule_are_refused(settings: dict[str, Any], fits: bool) -> None:
    configuration = configured(**settings, **{"schedule.length": 20})
    check_epochs({configuration.id: configuration}, {configuration.id: (1, 20)})
    if fits:
        check_epochs({configuration.id: configuration}, {configuration.id: (1, 21)})
        return
    with pytest.raises(InputError, match=r"linear: expected a length of at least 21.* found 20") as told:
        check_epochs({configuration.id: configuration}, {configuration.id: (1, 21)})
    assert "--set schedule.length=21" in told.value.advice


def test_patience_beyond_the_epochs_is_refused() -> None:
    """It could end nothing, and would look as if it had been tried."""
    patient = configured(ending="patience", **{"ending.patience": 6})
    idle = configured(**{"ending.patience": 6}), configured(ending="patience", head="logistic")
    check_epochs({c.id: c for c in (patient, *idle)}, {patient.id: (1, 6), **{c.id: (1, 1) for c in idle}})
    with pytest.raises(InputError) as told:
        check_epochs({patient.id: patient}, {patient.id: (1, 5)})
    assert told.value.message == "epochs: patience: expected at most 5, the number of epochs, found 6"
    assert told.value.advice == "Train for more (--epochs 6), or wait for fewer: --set ending.patience=N."


def test_all_that_epochs_do_not_fit_is_told_together() -> None:
    both = configured(schedule="linear", ending="patience", **{"schedule.length": 4, "ending.patience": 10})
    with pytest.raises(InputError) as told:
        check_epochs({both.id: both}, {both.id: (1, 5)})
    assert len(told.value.faults) == len(told.value.advice.split("\n")) == 2

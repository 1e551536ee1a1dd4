"""What a search cannot ask for together."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.store.errors import InputError
from orchestrator.study.asked import check_schedules
from tests.support.configurations import configured


@pytest.mark.parametrize(("settings", "fits"), [({"schedule": "linear"}, False), ({}, True)])
def test_epochs_behind_the_end_of_a_schedule_are_refused(settings: dict[str, Any], fits: bool) -> None:
    configuration = configured(**settings, **{"schedule.length": 20})
    check_schedules({configuration.id: configuration}, {configuration.id: (1, 20)})
    if fits:
        check_schedules({configuration.id: configuration}, {configuration.id: (1, 21)})
        return
    with pytest.raises(InputError, match=r"linear: expected a length of at least 21.* found 20") as told:
        check_schedules({configuration.id: configuration}, {configuration.id: (1, 21)})
    assert "--set schedule.length=21" in told.value.advice

"""How a search went, told from its records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.results.course import Course, course_of
from orchestrator.results.decided import Decided
from orchestrator.store.searches import SearchRecord
from tests.support.adaptive_study import HALVING, adaptive_study
from tests.support.generated_study import PARTITION, small_study
from tests.support.undecided_study import UndecidedStudy


def course(desk: UndecidedStudy, search: SearchRecord) -> Course | None:
    decided = Decided.of(desk.storage)
    return course_of(desk.storage, search, decided.budgets[search.id][-1], decided.decisions[search.id])


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> tuple[UndecidedStudy, Course]:
    desk, search = adaptive_study(tmp_path_factory.mktemp("halved"), HALVING)
    found = course(desk, search)
    assert found is not None
    return desk, found


def test_stages_count_who_went_on_who_stopped_and_who_is_checked(halved: tuple[UndecidedStudy, Course]) -> None:
    told = [(s.epochs, s.repeats, len(s.entered), len(s.stopped), len(s.checked)) for s in halved[1].stages]
    assert told == [
        ("4", "3", 16, 8, 2),
        ("6", "3", 8, 4, 2),
        ("12", "3", 4, 2, 2),
        ("20", "3", 2, 0, 0),
        ("20", "8", 2, 0, 0),
        ("20", "12", 2, 0, 0),
    ]
    assert [stage.number for stage in halved[1].stages] == [1, 3, 5, 7, 8, 9]
    assert all(stage.checked <= stage.stopped <= stage.entered for stage in halved[1].stages)


def test_a_stop_says_after_how_much_and_is_no_verdict(halved: tuple[UndecidedStudy, Course]) -> None:
    _, found = halved
    first = [found.stops[name] for name in found.stages[0].stopped]
    assert {stop.reason for stop in first} == {"rung 2 of 4: the best 8 of 16 after 3 repeats go on to 30%"}
    assert sorted({stop.words for stop in first}) == [
        "stopped by the search after 3 repeats, 4 epochs: its final score is unknown",
        "stopped by the search after 3 repeats, 4 epochs: trained to the end as a check",
    ]
    assert {name for name, stop in found.stops.items() if stop.is_checked} == {
        lane.configuration for lane in found.checks
    }
    assert set(found.checks.values()) == {20}
    assert set(found.stops) == set(found.decisions[-1].stopped)


def test_the_best_mean_is_of_what_was_not_stopped_and_ends_with_results_that_no_decision_saw(
    halved: tuple[UndecidedStudy, Course],
) -> None:
    desk, found = halved
    decided = Decided.of(desk.storage)
    ((search, decisions),) = decided.decisions.items()
    known = list(found.known())
    assert [one.decision.number for one in known if one.decision] == [*range(2, 11)], "the last says how it ended"
    earlier = course_of(desk.storage, decided.searches[search], decided.budgets[search][-1], decisions[:-1])
    assert earlier is not None
    known = list(earlier.known())
    assert [one.decision.number if one.decision else None for one in known] == [*range(2, 10), None]
    assert [one.spent for one in known[:-1]] == [decision.spent_epochs for decision in earlier.decisions[1:]]
    assert all(one.configuration not in one.decision.stopped for one in known if one.decision)
    last = known[-1]
    assert last.n == 12
    best = next(c for c in desk.study.configurations() if c.id == last.configuration)
    valid = [float(desk.study.final(best, repeat, 20).history.loss[:, 1].min()) for repeat in range(12)]
    assert found.score(last.value) == pytest.approx(np.mean(valid))
    assert last.error == pytest.approx(np.std(valid, ddof=1) / np.sqrt(12))
    assert found.least == 3


def test_a_screen_that_does_not_check_has_stages_by_repeats(tmp_path: Path) -> None:
    found = course(*adaptive_study(tmp_path, {"repeats": "screen"}, repeats=6, epochs=4))
    assert found is not None
    assert [(s.epochs, s.repeats, len(s.entered), len(s.stopped)) for s in found.stages] == [
        ("4", "5", 16, 8),
        ("4", "6", 8, 0),
    ]
    assert not found.checks


def test_the_grid_has_nothing_to_tell(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path)
    desk = UndecidedStudy(storage, study)  # type: ignore[arg-type]
    (search,) = Decided.of(storage).searches.values()
    assert search.partitions == (PARTITION,)
    assert course(desk, search) is None

"""The looks of a race computed again: the same exclusions as the search's own, and differences worked out apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.proposing.adaptive import survivors
from orchestrator.proposing.blocks import Blocks
from orchestrator.proposing.proposer import View
from orchestrator.results.course import Course, course_of
from orchestrator.results.decided import Decided
from orchestrator.statistics.looks import LOOKS
from orchestrator.statistics.race_looks import race_looks
from orchestrator.store.searches import SearchRecord
from tests.support.adaptive_study import adaptive_study
from tests.support.undecided_study import UndecidedStudy


def course(desk: UndecidedStudy, search: SearchRecord) -> Course:
    decided = Decided.of(desk.storage)
    found = course_of(desk.storage, search, decided.budgets[search.id][-1], decided.decisions[search.id])
    assert found is not None
    return found


def blocks(found: Course) -> Blocks:
    return Blocks(View(found.search, found.budget, found.decisions, found.results, (), 2))


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_a_look_excludes_what_the_search_excluded(tmp_path: Path, margin: float) -> None:
    settings = {"repeats": "race", "margin": margin}
    found = course(*adaptive_study(tmp_path, settings, epochs=6, depths=((0, 0), (2, 0)), lrs=(1e-3, 1e-2)))
    first, second = race_looks(found)
    assert first.names == found.search.configurations
    assert (first.look, second.look) == LOOKS[:2]
    assert {name for name, out in zip(first.names, first.excluded, strict=True) if out} == set(
        found.decisions[1].stopped
    )
    assert 0 < first.excluded.sum() < len(first.names) - 1
    left = [name for name, out in zip(second.names, second.excluded, strict=True) if not out]
    assert left == survivors(blocks(found), list(first.names), LOOKS[:2], margin, found.search.seed)


def test_differences_are_paired_with_the_leader_of_those_left(tmp_path: Path) -> None:
    found = course(*adaptive_study(tmp_path, {"repeats": "race"}, epochs=6, depths=((0, 0), (2, 0)), lrs=(1e-3, 1e-2)))
    (*_, last) = race_looks(found)
    scores = blocks(found).scores(last.names, range(last.look.repeats))
    assert last.leader == int(np.argmax(scores.mean(axis=1)))
    assert last.away.mean == pytest.approx((scores - scores[last.leader]).mean(axis=1))
    assert not last.excluded[last.leader]


def test_a_look_without_all_its_results_is_none_yet(tmp_path: Path) -> None:
    desk, search = adaptive_study(tmp_path, {"repeats": "race"}, epochs=6, depths=((0, 0),), lrs=(1e-3, 1e-2))
    found = course(desk, search)
    cut = Course(found.search, found.budget, found.decisions[:1], (), found.metric)
    assert race_looks(found)
    assert race_looks(cut) == []


def test_who_was_stopped_at_a_rung_does_not_race(tmp_path: Path) -> None:
    found = course(*adaptive_study(tmp_path, {"epochs": "halving", "repeats": "race", "ranked_on": 8}))
    checked = {lane.configuration for lane in found.checks}
    assert checked
    assert race_looks(found)
    assert not checked.intersection(race_looks(found)[0].names), "though it has all repeats of the first look"


def test_a_search_that_does_not_race_has_none(tmp_path: Path) -> None:
    assert race_looks(course(*adaptive_study(tmp_path, {"epochs": "halving"}, repeats=3, epochs=8))) == []

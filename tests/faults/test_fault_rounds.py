"""The short form of the harness: every kind of fault a few times. `python -m tests.faults.report --full` does all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from orchestrator.store.schema import parse_toml
from orchestrator.store.searches import Decision, decision_file
from orchestrator.store.storage import LocalStorage
from tests.faults.damage import DAMAGED, cut_short, damaged_and_finished, flipped, subjects
from tests.faults.drivers import drivers_hurt, drivers_that_settle, drivers_with_odd_views
from tests.faults.lanes import NEW
from tests.faults.refusals import bad_lines, drivers_in_a_bucket, full_disk, limited_files
from tests.faults.rounds import (
    DIVIDED,
    GOING_ON,
    HALVING_AND_RACE,
    RESTORING,
    SETTLED,
    STAGED,
    WHOLE,
    WRITES,
    Plan,
    World,
    killed_at_moments,
    killed_at_steps,
    killed_in_writes,
    refused_writes,
    world,
)
from tests.faults.signals import interrupted
from tests.faults.steps import CREATING, HALF, REPLACING, STEPS
from tests.faults.tally import Compared, Tally, as_markdown, compare, unfounded

SEED = 7


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as found:
        yield found


def check(tally: Tally | None) -> Tally:
    if tally is None:
        pytest.skip("this machine does not allow a file system to be mounted")
    assert tally.tried
    assert tally.happened, "the fault met nobody at work"
    assert tally.passed, (tally.cells(), tally.remarks)
    return tally


def test_killed_at_any_moment(hurt: World) -> None:
    assert check(killed_at_moments(hurt, 2, SEED)).seconds


@pytest.mark.parametrize(
    "lanes",
    [
        lanes if lanes in ("augmented images", "a stage of bodies") else pytest.param(lanes, marks=pytest.mark.slow)
        for lanes in NEW
    ],
)
def test_killed_after_a_step(hurt: World, lanes: str) -> None:
    check(killed_at_steps(hurt, lanes, 2))


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_interrupted(hurt: World, twice: bool) -> None:
    check(interrupted(hurt, 2, SEED, twice=twice))


@pytest.mark.parametrize(
    ("plan", "kind", "step"),
    [
        (WHOLE, "decision", HALF),
        (WHOLE, "checkpoint", "renamed"),
        (GOING_ON, "state", "linked"),
        (GOING_ON, "history", "linked"),
        (RESTORING, "state", HALF),
        (DIVIDED, "division", "linked"),
        (HALVING_AND_RACE, "decision", "linked"),
        (HALVING_AND_RACE, "lease on deciding", "linked"),
        (SETTLED, "claim of a decision", "renamed"),
    ],
)
def test_killed_inside_a_write(hurt: World, plan: Plan, kind: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert step in (*CREATING, *REPLACING)
    monkeypatch.setitem(STEPS, kind, (step,))
    check(killed_in_writes(hurt, plan, kind, 1))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("plan", "kind"), [(plan, kind) for plan, kinds in WRITES.items() for kind in kinds])
def test_killed_at_every_step_of_a_write(hurt: World, plan: Plan, kind: str) -> None:
    check(killed_in_writes(hurt, plan, kind, 1))


def test_three_drivers_killed_paused_and_continued(hurt: World) -> None:
    check(drivers_hurt(hurt, 1, SEED))


def test_two_drivers_on_a_search_with_stages(hurt: World) -> None:
    check(drivers_hurt(hurt, 1, SEED, drivers=2, plans=(STAGED,)))


@pytest.mark.parametrize("clocks", [True, False], ids=["clocks off", "stale views"])
def test_drivers_with_odd_views(hurt: World, clocks: bool) -> None:
    check(drivers_with_odd_views(hurt, 1, minutes=10 if clocks else 0))


def test_an_adaptive_search_halves_and_races(hurt: World) -> None:
    """What its rounds are compared with: every kind of decision, on both kinds of folder the same."""
    found = hurt.unbroken(HALVING_AND_RACE).results
    assert [said.reason for said in found.decisions] == [
        "rung 1 of 2: all 5 configurations up to 50% of their epochs",
        "rung 1: 2 configurations of those that stopped, to the end as a check",
        "rung 2 of 2: the best 3 of 5 after 2 repeats go on to 100%",
        "race, look 1: 6 repeats of 3 configurations, on this partition",
        "race, after look 1 of 2: 2 of 3 configurations left, 1 excluded on this partition",
        "race, look 2: 8 repeats of 2 configurations, on this partition; 1 excluded before",
        "race, after look 2 of 2: 2 of 3 configurations left, 1 excluded on this partition",
    ]
    assert hurt.unbroken(SETTLED).results.decisions == found.decisions
    assert compare(hurt.fresh(SETTLED).study.storage, found).decisions == 7, "none is there"


def test_three_drivers_on_an_adaptive_search(hurt: World) -> None:
    check(drivers_hurt(hurt, 1, SEED, plans=(HALVING_AND_RACE,)))
    check(drivers_with_odd_views(hurt, 1, minutes=300, plan=HALVING_AND_RACE))


def test_three_drivers_where_claims_settle_who_decides(hurt: World) -> None:
    check(drivers_that_settle(hurt, 1, SEED, SETTLED))


@pytest.mark.slow
def test_three_drivers_on_an_adaptive_search_in_a_bucket(hurt: World) -> None:
    check(drivers_in_a_bucket(hurt, 1, SEED, 3, HALVING_AND_RACE))


def test_a_torn_decision_is_made_again(hurt: World) -> None:
    check(damaged_and_finished(hurt, "decision", 2, SEED, HALVING_AND_RACE))


def test_a_decision_that_does_not_follow_is_found(hurt: World) -> None:
    """The comparison of the rounds can fail: another decision than its proposer's is counted."""
    storage = hurt.unbroken(HALVING_AND_RACE).folder
    copied = LocalStorage(hurt.folder / "copied")
    shutil.copytree(storage, copied.root)
    (search,) = copied.list("searches")
    path = decision_file(search, 3)
    decision = parse_toml(Decision, copied.read(path), path)
    assert unfounded(copied) == 0
    copied.replace(path, decision.model_copy(update={"asks": decision.asks[:0], "stacks": ()}).to_toml())
    assert unfounded(copied) >= 1


def test_a_refused_write_stops_the_run_and_says_so(hurt: World) -> None:
    check(refused_writes(hurt, "EIO", 30, 70))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", ["short write, then no space", "EACCES", "read-only", "quota"])
def test_every_kind_of_refused_write(hurt: World, fault: str) -> None:
    check(refused_writes(hurt, fault, 5, 200))


def test_a_limit_on_files_and_a_full_disk(hurt: World) -> None:
    check(limited_files(hurt, [3000]))
    check(full_disk(hurt, [48]))


def test_a_bad_line_to_an_object_store(hurt: World) -> None:
    check(bad_lines(hurt, 1, SEED))


def test_two_drivers_in_one_bucket(hurt: World) -> None:
    check(drivers_in_a_bucket(hurt, 1, SEED))


@pytest.mark.parametrize(
    "kind", [kind if kind in ("decision", "state") else pytest.param(kind, marks=pytest.mark.slow) for kind in DAMAGED]
)
def test_a_damaged_file_costs_no_more_than_its_work(hurt: World, kind: str) -> None:
    check(damaged_and_finished(hurt, kind, 2, SEED))


def test_files_cut_short_and_flipped_are_found_out(hurt: World) -> None:
    for subject in subjects(hurt):
        check(cut_short(subject, SEED, 200))
        check(flipped(subject, SEED, 100))


def test_the_table_says_what_was_lost() -> None:
    tally = Tally("a fault")
    tally.add(Compared())
    tally.add(Compared(lost=2, twice=1, decisions=3), happened=False)
    tally.epochs, tally.seconds = [0.25, 1.0], [0.51]
    assert not tally.passed
    assert as_markdown([tally]).splitlines()[-1] == "| a fault | 2 (1) | 2 | 1 | 0 | 3 | 1 | 0.5 |"

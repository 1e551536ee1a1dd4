"""Configurations that a rung stopped and that were trained to the end as a check, by figures worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.proposing.history import about_text, decided_about, history, history_text, stop_words
from orchestrator.results.course import Course
from orchestrator.results.decided import Decided
from orchestrator.statistics.audits import Audit, audit_of
from orchestrator.store.searches import Ask, Budget, Decision, News, SearchRecord, allowances
from tests.support.adaptive_study import HALVING, adaptive_study
from tests.support.generated_study import small_study

A, B, C, D = (letter * 12 for letter in "abcd")
PLACE = "e" * 12


def news(name: str, epochs: int, *values: float) -> News:
    states, digests = ("finished",) * len(values), ("0" * 16,) * len(values)
    return News(
        partition=PLACE,
        configuration=name,
        epochs=epochs,
        repeats=tuple(range(len(values))),
        states=states,
        values=values,
        digests=digests,
    )


def decision(number: int, reason: str, epochs: int, names: tuple[str, ...], *seen: News, stopped: str = "") -> Decision:
    asks = (Ask(partition=PLACE, configurations=names, repeats=(0, 1), epochs=epochs),)
    return Decision(
        number=number,
        budget=1,
        reason=reason,
        asks=asks,
        stacks=(),
        news=seen,
        stopped=tuple(letter * 12 for letter in stopped),
    )


def audit(ends: Mapping[str, tuple[float, float]]) -> Audit:
    """Losses of a, b and of the checks c, d with all eight epochs; after four c and d were stopped."""
    search = SearchRecord(proposer="adaptive", settings={}, partitions=(PLACE,), configurations=(A, B, C, D))
    budget = Budget(number=1, allowances=allowances(dict.fromkeys((A, B, C, D), (2, 8))))
    first = [news(name, 4, -0.5, -0.6) for name in (A, B, C, D)]
    decisions = [
        decision(1, "all", 4, (A, B, C, D)),
        decision(2, "check", 8, (C, D), *first, stopped="cd"),
        decision(3, "the best go on", 8, (A, B), stopped="cd"),
    ]
    fresh = tuple(news(letter * 12, 8, *(-loss for loss in losses)) for letter, losses in ends.items())
    found = audit_of(Course(search, budget, decisions, fresh, "loss"))
    assert found is not None
    return found


def test_a_check_that_would_have_been_the_best_is_a_regret() -> None:
    found = audit({"a": (0.30, 0.40), "b": (0.25, 0.35), "c": (0.20, 0.28), "d": (0.27, 0.37)})
    assert found.selected == B
    best, other = found.checks
    assert (best.configuration, best.rank, best.of) == (C, 1, 3)
    assert best.regret == pytest.approx(0.06)
    assert (other.configuration, other.rank, other.of) == (D, 2, 3)
    assert other.regret == pytest.approx(-0.02)
    half = 12.706 * 0.01  # of differences 0.05 and 0.07, Student's t with one degree of freedom
    assert (best.low, best.high) == pytest.approx((0.06 - half, 0.06 + half), abs=1e-4)
    assert found.said == (
        "1 of the 2 stopped configurations trained to the end as a check would have been the best; the largest regret "
        "is 0.0600 (loss, 95 % interval −0.0671 to 0.1871, n = 2)."
    )
    assert (best.stop.repeats, best.stop.epochs, best.stop.reason) == (2, 4, "the best go on")


def test_checks_that_would_not_have_been_the_best() -> None:
    found = audit({"a": (0.30, 0.40), "b": (0.25, 0.35), "c": (0.26, 0.38), "d": (0.40, 0.50)})
    assert found.said.startswith(
        "None of the 2 stopped configurations trained to the end as a check would have been the best; the closest "
        "trails the selected one by 0.0200 (loss, 95 % interval"
    )
    assert "worse" not in found.said


def test_a_check_that_is_not_done_is_told_as_such() -> None:
    found = audit({"a": (0.30, 0.40), "b": (0.25, 0.35), "c": (0.26, 0.38)})
    assert (len(found.checks), found.pending) == (1, 1)
    assert found.said.startswith("The stopped configuration trained to the end as a check would not have been the best")
    assert found.said.endswith(" 1 stopped configuration is still to be trained to the end as a check.")
    none = audit({"c": (0.26, 0.38), "d": (0.40, 0.50)})
    assert (none.selected, none.checks, none.pending) == ("", (), 2), "there is nothing to compare with yet"
    assert none.said == "2 stopped configurations are still to be trained to the end as a check."


def test_decisions_tell_what_the_checks_showed(tmp_path: Path) -> None:
    desk, search = adaptive_study(tmp_path, HALVING)
    decided = Decided.of(desk.storage)
    (told,) = history(decided)
    assert told["audit"]["said"] in history_text("x", decided)
    assert told["audit"]["said"].startswith("None of the 6 stopped configurations")
    assert {one["repeats"] for one in told["audit"]["checks"]} == {3}
    stopped = next(name for name in decided.stopped() if name not in str(told["audit"]["checks"]))
    words = stop_words(decided, stopped)
    assert words[0].startswith(f"{search.id}: stopped by the search after 3 repeats, ")
    assert words[0].endswith(" epochs: its final score is unknown")
    assert about_text(stopped, decided_about(decided, stopped), words).endswith(words[0])


def test_a_grid_has_no_checks(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    assert [one["audit"] for one in history(Decided.of(storage))] == [None]

"""Configurations that a search stops: on disk, in the summary, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.choosing.selection import select
from orchestrator.choosing.selection_report import selection_report
from orchestrator.proposing.checking import check, faulty
from orchestrator.proposing.history import about_text, decided_about, history, named
from orchestrator.report import status_report
from orchestrator.results.decided import Decided
from orchestrator.results.summary import summarise
from orchestrator.statistics.divergence import rate_interval
from orchestrator.store.errors import InputError
from orchestrator.store.place import Place
from orchestrator.store.searches import SearchRecord
from orchestrator.study.studies import Study
from tests.support.generated_study import PARTITION, GeneratedStudy
from tests.support.undecided_study import UndecidedStudy, undecided_study


@pytest.fixture
def desk(tmp_path: Path) -> UndecidedStudy:
    return undecided_study(tmp_path)


def played(desk: UndecidedStudy, repeats: int = 3, epochs: int = 20) -> SearchRecord:
    """Halving among four configurations, every result as soon as it is asked for."""
    search = desk.search(desk.names, repeats, epochs, proposer="adaptive", settings={"epochs": "halving"})
    desk.play(search)
    return search


def test_a_decision_says_which_it_stops_and_can_be_made_again(desk: UndecidedStudy) -> None:
    search = played(desk)
    decided = Decided.of(desk.storage)
    last = decided.decisions[search.id][-1]
    assert len(last.stopped) == 3
    assert set(decided.stopped()) == set(last.stopped)
    assert not faulty(check(desk.storage, decided))


def test_what_another_search_goes_on_with_is_not_stopped(desk: UndecidedStudy) -> None:
    played(desk)
    stopped = sorted(Decided.of(desk.storage).stopped())
    desk.decide(desk.search(stopped[:1], 3, 20))
    assert sorted(Decided.of(desk.storage).stopped()) == stopped[1:]


def test_stopped_configurations_have_no_rank_and_are_named_so(desk: UndecidedStudy) -> None:
    played(desk)
    summary = summarise(desk.storage)
    ranked = [member for member in summary.configurations if member.rank is not None]
    stopped = [member for member in summary.configurations if member.stopped_by_search]
    assert (len(ranked), len(stopped)) == (1, 3)
    assert summary.configurations[0] is ranked[0]
    assert all(member.stopped_by_search.startswith("rung ") for member in stopped)
    assert summary.totals.owed == 0
    study = Study(Place.of(str(desk.storage.root)), desk.storage, summary.study)
    lines = "\n".join(status_report(study).lines)
    assert "The search stopped 3 configurations" in lines
    assert "final scores unknown" in lines


def test_no_figure_is_corrected_for_a_choice_among_survivors(desk: UndecidedStudy) -> None:
    played(desk)
    summary = summarise(desk.storage)
    selection = select(desk.storage, summary, PARTITION, "loss")
    assert selection is not None
    assert selection.bias is None
    assert "orch evaluate generated --nested 5" in selection.no_bias
    text = selection_report(summary, selection).as_text()
    assert "Everything here compares only the 1 that reached the last rung." in text
    assert "of the search" not in text


def test_what_was_decided_about_one_configuration(desk: UndecidedStudy) -> None:
    played(desk)
    decided = Decided.of(desk.storage)
    name = sorted(decided.stopped())[0]
    about = decided_about(decided, named(decided, name[:8]))
    assert [one["stopped"] for one in about].count(True) == 1
    assert about[0]["reason"].startswith("rung 1")
    assert name in about_text(name, about)
    with pytest.raises(InputError, match="expected the beginning of one id"):
        named(decided, "")


def test_how_often_a_configuration_diverged_stands_beside_what_was_decided(tmp_path: Path) -> None:
    """With the exact interval (Clopper and Pearson), of the one that diverged alone."""
    study = GeneratedStudy(depths=((0, 0),), lrs=(1e-3, 1e-2), diverges=lambda c, repeat: c.optimiser.lr > 5e-3)
    desk = undecided_study(tmp_path, study)
    search = desk.search(desk.names, 8, 4, proposer="adaptive", settings={"repeats": "race"})
    desk.play(search)
    decided = Decided.of(desk.storage)
    worse = desk.names[[c.optimiser.lr > 5e-3 for c in study.configurations()].index(True)]
    about = decided_about(decided, worse)
    assert [(one["repeats_seen"], one["diverged"]) for one in about] == [(0, 0)]
    assert about[0]["diverged_rate"] is None
    (last,) = [one for one in history(decided)[0]["decisions"] if one["repeats"] == 0]
    assert last["reason"].endswith("no guarantee for the mean including diverged repeats")
    assert last["narrowed"] == [{"by": "race", "of": 4, "left": 4, "blocks": 8}], "nothing compares it"
    played(desk)
    later = decided_about(Decided.of(desk.storage), worse)
    seen = [one for one in later if one["repeats_seen"]]
    assert seen[0]["diverged_rate"] == pytest.approx(rate_interval(seen[0]["diverged"], seen[0]["repeats_seen"]))
    assert "diverged " in about_text(worse, later)

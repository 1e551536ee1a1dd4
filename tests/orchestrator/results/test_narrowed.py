"""What is said of configurations that a search left, and by which of their repeats: everywhere where it is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from dashboards.figures.choice import Choice, Source
from dashboards.figures.differences import difference_data
from dashboards.page.page import render
from orchestrator.choosing.partitions_report import partitions_report
from orchestrator.choosing.selection import Selection, select
from orchestrator.choosing.selection_report import selection_report
from orchestrator.command_line import main
from orchestrator.evaluation.choice import choose
from orchestrator.proposing.checking import check, faulty
from orchestrator.report import status_report
from orchestrator.results.decided import Decided
from orchestrator.results.narrowed import among_words
from orchestrator.results.summary import Summary, summarise
from orchestrator.results.summary_table import build_table
from orchestrator.statistics.confidence_set import confidence_set
from orchestrator.statistics.epoch_choices import epoch_choices
from orchestrator.statistics.partition_table import over_partitions
from orchestrator.store.place import Place
from orchestrator.store.searches import Narrowing
from orchestrator.study.studies import Study
from tests.support.generated_study import NOW, PARTITION, GeneratedStudy
from tests.support.search_study import partitioned_study
from tests.support.undecided_study import UndecidedStudy, undecided_study

LRS = (1e-4, 2e-4, 4e-4, 8e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1e-2, 2e-2, 4e-2, 8e-2)


@dataclass
class Slow(GeneratedStudy):
    """One configuration for each learning rate; the smallest hardly learn."""

    name: str = "slides"
    depths: tuple[tuple[int, int], ...] = ((0, 0),)
    lrs: tuple[float, ...] = LRS
    batch_sizes: tuple[int, ...] = (16,)


def played(folder: Path, settings: dict[str, Any], repeats: int, study: GeneratedStudy | None = None) -> UndecidedStudy:
    desk = undecided_study(folder / "slides", study or Slow())
    search = desk.search(desk.names, repeats, 8, proposer="adaptive", settings=settings)
    desk.play(search)
    assert not faulty(check(desk.storage, Decided.of(desk.storage)))
    return desk


def whole(folder: Path, repeats: int) -> Summary:
    """The same configurations, all asked at once."""
    desk = undecided_study(folder / "whole", Slow())
    desk.decide(desk.search(desk.names, repeats, 8))
    for place in range(len(desk.names)):
        desk.finish(place, range(repeats), 8)
    return summarise(desk.storage)


def selected(desk: UndecidedStudy) -> tuple[Summary, Selection, str]:
    summary = summarise(desk.storage)
    selection = select(desk.storage, summary, PARTITION, "loss")
    assert selection is not None
    return summary, selection, selection_report(summary, selection).as_text()


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> UndecidedStudy:
    """Eight of twelve kept after five of 17 repeats."""
    return played(tmp_path_factory.mktemp("screened"), {"repeats": "screen"}, 17)


def test_survivors_of_a_screening_are_compared_on_later_repeats_alone(screened: UndecidedStudy, tmp_path: Path) -> None:
    summary, selection, text = selected(screened)
    every = {member.id: member for member in whole(tmp_path, 17).configurations}
    ranked = [member for member in summary.configurations if member.rank is not None]
    assert [member.n for member in ranked] == [12] * 8
    for member in ranked:
        alone = every[member.id]
        assert member.selection is not None
        assert alone.selection is not None
        assert member.with_result == tuple(range(5, 17))
        assert np.array_equal(member.selection.values, alone.selection.values[5:])
        other, own = alone.score("loss", "train"), member.score("loss", "train")
        assert other is not None
        assert own is not None
        assert np.array_equal(own.values, other.values[5:])
        curve = member.curve("loss", "valid")
        assert curve is not None
        assert curve.n.tolist() == [12] * 9
        assert (member.asked, member.screened, member.extended, member.seconds) == (17, 5, 0, alone.seconds)
    means = [float(every[member.id].selection.values[5:].mean()) for member in ranked]  # type: ignore[union-attr]
    assert means == sorted(means)
    scores = np.array([every[member.id].selection.values for member in ranked])  # type: ignore[union-attr]
    assert selection.best_set.members == confidence_set(scores[:, 5:], False).members
    assert selection.best_set.look is not None
    assert selection.best_set.look.repeats == 12
    assert "May be the best, among the 8 kept by screening: " in text
    assert "Selected by the best mean loss among the 8 kept by screening (n = 12 repeats)" in text
    assert "the first 5 of each configuration decided which were kept, and count in no mean, difference or rank" in text
    assert "of the search" not in text


def test_what_else_reads_single_repeats_reads_those_that_count(screened: UndecidedStudy, tmp_path: Path) -> None:
    summary, every = summarise(screened.storage), whole(tmp_path, 17)
    best = summary.configurations[0]
    alone = next(member for member in every.configurations if member.id == best.id)
    found, other = epoch_choices(summary, best, "loss"), epoch_choices(every, alone, "loss")
    assert found is not None
    assert other is not None
    assert np.array_equal(found.at_last.values, other.at_last.values[5:])
    source = Source(summary, screened.storage)
    singles, others = source.histories.of(best), Source(every, screened.storage).histories.of(alone)
    assert [one.repeat for one in singles] == list(range(5, 17))
    assert all(np.array_equal(one.loss, two.loss) for one, two in zip(singles, others[5:], strict=True))
    data = difference_data(source, Choice(PARTITION))
    assert data.attrs["said"][0].startswith("May be the best, among the 8 kept by screening: ")
    rows = build_table(summary, "epoch")
    mine = rows[rows["configuration"] == best.id]
    assert sorted(set(mine["repeat"])) == list(range(5, 17))
    frame = build_table(every, "epoch")
    theirs = frame[(frame["configuration"] == best.id) & (frame["repeat"] >= 5)]
    assert np.array_equal(mine["loss"].to_numpy(), theirs["loss"].to_numpy())


def test_before_there_is_a_later_repeat_those_of_the_screening_are_shown(tmp_path: Path) -> None:
    desk = undecided_study(tmp_path / "slides", Slow())
    search = desk.search(desk.names, 12, 8, proposer="adaptive", settings={"repeats": "screen"})
    desk.decide(search)
    for place in range(12):
        desk.finish(place, range(5), 8)
    desk.decide(search)
    summary = summarise(desk.storage)
    assert {member.n for member in summary.configurations} == {5}
    assert [member for member in summary.configurations if member.rank is not None] == []
    assert sum(bool(member.narrowed) for member in summary.configurations) == 8


def test_a_screening_of_partitions_leaves_out_its_blocks_on_each(tmp_path: Path) -> None:
    """Five blocks on two partitions are repeats 0, 1 and 2 of the first and 0 and 1 of the second."""
    desk = undecided_study(tmp_path / "slides", Slow())
    other = "0" * 12
    desk.search(desk.names, 4, 8, proposer="adaptive", settings={"repeats": "screen"}, partitions=(PARTITION, other))
    search = next(iter(Decided.of(desk.storage).searches.values()))
    decision = desk.decide(search)
    asked = {(ask.partition, ask.repeats) for ask in decision.asks}
    assert asked == {(PARTITION, (0, 1, 2)), (other, (0, 1))}


def test_what_a_grid_asks_for_as_well_is_compared_by_all_it_has(tmp_path: Path) -> None:
    desk = played(tmp_path, {"repeats": "screen"}, 12)
    desk.decide(desk.search(desk.names, 12, 8))
    for place in range(12):
        desk.finish(place, range(12), 8)
    summary, selection, text = selected(desk)
    assert {member.n for member in summary.configurations} == {12}
    assert "of 12 configurations" in text
    assert "orch evaluate slides --nested" not in selection.no_bias


def test_after_halving_it_is_among_those_that_reached_the_last_rung(tmp_path: Path) -> None:
    desk = played(tmp_path, {"epochs": "halving"}, 8)
    summary, selection, text = selected(desk)
    ranked = [member for member in summary.configurations if member.rank is not None]
    assert among_words(ranked) == f"the {len(ranked)} that reached the last rung"
    assert f"among the {len(ranked)} that reached the last rung" in text
    assert (ranked[0].n, ranked[0].screened) == (8, 0), "rungs leave no repeat out"
    assert selection.bias is None
    assert choose(summary, None, None).how.endswith(f"among the {len(ranked)} that reached the last rung")


@pytest.mark.parametrize("settings", [{"epochs": "halving"}, {"repeats": "screen"}, {"repeats": "race"}])
def test_nothing_is_corrected_for_the_choosing_where_results_decided(tmp_path: Path, settings: dict[str, Any]) -> None:
    desk = played(tmp_path, settings, 12)
    _, selection, text = selected(desk)
    assert selection.bias is None
    assert "No bias-corrected figure: results decided what was trained" in text
    assert "orch evaluate slides --nested 5" in text
    assert "Corrected for choosing" not in text
    page = render(desk.storage, now=NOW)
    assert "No figure is corrected for this choice: results decided what was trained" in page
    best = CliRunner().invoke(main, ["best", "slides", "--studies", str(tmp_path), "--json"])
    assert '"bias_corrected": null' in best.stdout
    both = ["compare", "--study", "slides", "--studies", str(tmp_path)]
    names = [member.id for member in summarise(desk.storage).configurations[:1]]
    compared = CliRunner().invoke(main, [*both, "straightforward", *names])
    assert "slides: no crossed score: results decided what was trained" in compared.stdout, compared.output


def test_a_race_that_excluded_nobody_is_a_search_that_chose_all_the_same(tmp_path: Path) -> None:
    """Former failure: a figure was corrected, since nothing was stopped."""
    alike = Slow(lrs=(1e-3, 1.001e-3, 1.002e-3))
    desk = played(tmp_path, {"repeats": "race", "margin": 100.0}, 8, alike)
    summary, selection, text = selected(desk)
    assert not any(member.stopped_by_search for member in summary.configurations)
    assert selection.bias is None
    assert selection.best_set.look is None, "its looks are spent: orch best tests no more"
    assert "May be the best: the 3 that the race kept of 3 (0 excluded by looks at 8 blocks;" in text


def test_a_race_is_told_as_it_was_decided_and_tests_no_more(tmp_path: Path) -> None:
    desk = played(tmp_path, {"repeats": "race"}, 12)
    decided = Decided.of(desk.storage)
    (search,) = decided.searches.values()
    narrowed = decided.decisions[search.id][-1].narrowed
    left = narrowed[-1].left
    assert 1 <= left < 12
    summary, selection, text = selected(desk)
    assert len(selection.best_set.members) == left, "no test beside those of the race"
    assert f"May be the best: the {left} that the race kept of 12 ({12 - left} excluded by looks at" in text
    assert "the best of them is excluded in at most 5 % of searches" in text
    study = Study(Place.of(str(desk.storage.root)), desk.storage, summary.study)
    assert f"The search stopped {12 - left} configurations" in "\n".join(status_report(study).lines)


def test_words_for_every_way_to_be_left(screened: UndecidedStudy) -> None:
    member = summarise(screened.storage).configurations[0]

    def words(*several: tuple[Narrowing, ...]) -> str:
        return among_words([replace(member, narrowed=narrowed) for narrowed in several])

    rung = Narrowing(by="rung", of=30, left=9, blocks=3)
    screen, race = (Narrowing(by=by, of=9, left=8, blocks=8) for by in ("screen", "race"))
    last = Narrowing(by="race", of=8, left=2, blocks=12)
    assert words((), ()) == "2 configurations"
    assert words(*[(rung,)] * 9) == "the 9 that reached the last rung"
    assert words(*[(screen,)] * 8) == "the 8 kept by screening"
    assert words(*[(screen,)] * 3) == "3 of the 8 kept by screening"
    assert words(*[(rung, screen)] * 8) == "the 8 kept by screening, of 9 that reached the last rung"
    assert words(*[(race, last)] * 2) == "the 2 that the race kept of 9"
    assert words(*[(rung, race, last)] * 2) == "the 2 that the race kept of 9 that reached the last rung"
    assert words((screen,), ()) == "the 2 that searches continued with"


def test_over_partitions_it_is_said_among_whom_and_what_a_race_promises(tmp_path: Path) -> None:
    storage, _ = partitioned_study(tmp_path)
    found = summarise(storage)
    count = len({member.id for member in found.configurations})
    narrowed = (Narrowing(by="race", of=30, left=count, blocks=8),)
    members = tuple(replace(one, narrowed=narrowed, is_asked_at_once=False) for one in found.configurations)
    summary = replace(found, configurations=members)
    table = over_partitions(summary, "loss")
    assert table is not None
    report = partitions_report(summary, table)
    text, k = report.as_text(), len(table.partitions)
    assert f"each) among the {count} that the race kept of 30: " in text
    assert (
        f"({30 - count} excluded by looks at 8 blocks; the best of them is excluded in at most 5 % of searches)" in text
    )
    assert f"This concerns these {k} partitions." in text
    assert report.data["among"] == f"the {count} that the race kept of 30"

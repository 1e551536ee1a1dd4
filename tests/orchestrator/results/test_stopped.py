"""Repeats that stopped early are results of their own length, beside others that did not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dashboards.page.answer_sentence import answer_sentence
from dashboards.page.best_table import best_table_data
from dashboards.page.page import render
from orchestrator.command_line import main
from orchestrator.export.chosen import _repeat
from orchestrator.results.how_ended import how_ended, how_many_diverged
from orchestrator.results.summary import Summary, summarise
from orchestrator.statistics.epoch_choices import epoch_choices
from orchestrator.store.schema import FinalRecord, History, RepeatState
from orchestrator.store.searches import Budget, allowances, budget_file
from search_spaces.configuration import Configuration
from tests.support.asked import Item
from tests.support.configurations import changed
from tests.support.generated_study import NOW, GeneratedStudy, small_study
from trainables.learning.metrics import selected_epoch

STOPS = {1: 3, 2: 4}
"""Epoch by repeat; the others have all 6."""


class Stopping(GeneratedStudy):
    """Repeat 1 stops at epoch 3 and repeat 2 at epoch 4."""

    def final(self, configuration: Configuration, repeat: int, epochs: int) -> FinalRecord:
        record = super().final(configuration, repeat, epochs)
        if repeat not in STOPS:
            return record
        rows = STOPS[repeat] + 1
        history = History(record.history.splits, record.history.loss[:rows], record.history.statistics[:rows])
        meta = {
            "state": "stopped",
            "selected_epoch": selected_epoch(self.selection, history, configuration.selects_by_valid_alone),
        }
        return FinalRecord({**record.meta, **meta}, history, record.logits)


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    return summarise(small_study(tmp_path, study=Stopping, repeats=4)[0], NOW)


def test_a_shorter_history_shortens_no_other(summary: Summary, tmp_path: Path) -> None:
    whole = summarise(small_study(tmp_path / "whole", repeats=4)[0], NOW)
    expected = {member.id: member for member in whole.configurations}
    assert (summary.totals.done, summary.totals.owed) == (whole.totals.done, 0)
    for member in summary.configurations:
        assert member.epochs == 6
        assert [standing.state for standing in member.standings] == [
            RepeatState.STOPPED if repeat in STOPS else RepeatState.FINISHED for repeat in range(4)
        ]
        epochs, score = member.selected_epochs, member.score("loss", "valid")
        other, its_score = expected[member.id].selected_epochs, expected[member.id].score("loss", "valid")
        assert epochs is not None
        assert other is not None
        assert score is not None
        assert its_score is not None
        for repeat in (0, 3):
            assert epochs.values[repeat] == other.values[repeat]
            assert score.values[repeat] == its_score.values[repeat]
        assert all(epochs.values[repeat] <= end for repeat, end in STOPS.items())
        curve = member.curve("loss", "valid")
        assert curve is not None
        assert curve.n.tolist() == [4, 4, 4, 4, 3, 2, 2]


def test_other_ways_to_choose_an_epoch_carry_the_last_one_on(summary: Summary) -> None:
    member = summary.configurations[0]
    found = epoch_choices(summary, member, "loss")
    assert found is not None
    table = summary.repeats
    rows = np.flatnonzero((table.table["configuration"] == member.id).to_numpy())
    last = [table.loss[table.start[row + 1] - 1, 1] for row in rows]
    assert found.at_last.values.tolist() == last


def test_where_all_stopped_the_longest_counts(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, study=Stopping, repeats=3, skip=lambda _, repeat: repeat == 0)
    assert {member.epochs for member in summarise(storage, NOW).configurations} == {4}


def test_the_page_tells_them_apart(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path, study=Stopping, repeats=4)
    page = render(storage, now=NOW)
    assert "4 of 4 repeats done, 2 stopped early (done)" in page
    assert 'class="stopped"' in page


class Hopeless(GeneratedStudy):
    """Training makes everything worse."""

    def history(self, configuration: Configuration, repeat: int, epochs: int, diverged: int | None) -> History:
        made = super().history(configuration, repeat, epochs, diverged)
        return History(made.splits, np.sort(made.loss, axis=0), made.statistics)


def test_an_untrained_selection_is_said(tmp_path: Path) -> None:
    summary = summarise(small_study(tmp_path, study=Hopeless)[0], NOW)
    best = summary.configurations[0]
    assert best.untrained_selected == best.n - best.diverged > 0
    said = f"In {best.untrained_selected} of {best.n} repeats the untrained network (epoch 0) was selected."
    assert said in answer_sentence(summary, [best])


def test_nothing_more_is_owed_of_them_when_more_is_asked(tmp_path: Path) -> None:
    storage, study = small_study(tmp_path, study=Stopping, repeats=4)
    items = [Item(c.id, 4, 20) for c in study.configurations()]
    study.ask(storage, items)
    summary = summarise(storage, NOW)
    for member in summary.configurations:
        done = [(standing.epochs_done, standing.epochs_asked) for standing in member.standings]
        assert done == [(20, 20) if repeat in STOPS else (6, 20) for repeat in range(4)]
    assert summary.totals.epochs_trained == len(items) * (6 + 3 + 4 + 6)


def test_one_that_stopped_can_be_exported(summary: Summary) -> None:
    member = summary.configurations[0]
    assert [_repeat(summary, member, asked) for asked in (None, 1, 2)] == [0, 1, 2]


def test_what_is_listed_says_how_its_repeats_ended_and_count(tmp_path: Path) -> None:
    """Of eight configurations one is owed more epochs, a search may ask more of two, in all repeat 0 diverged."""
    storage, study = small_study(tmp_path / "slides", study=Stopping, repeats=4, diverges=lambda _, repeat: repeat == 0)
    summary = summarise(storage, NOW)
    (search,) = summary.searches
    owed, *paused = (member.id for member in summary.configurations[:3])
    most = allowances({member.id: (4, 12 if member.id in paused else 6) for member in summary.configurations})
    storage.create(budget_file(search.id, 2), Budget(number=2, allowances=most).to_toml())
    study.ask(storage, [Item(owed, 4, 12)])
    members = summarise(storage, NOW).configurations
    found = {member.id: (member.diverged, member.stopped, member.paused, member.extended) for member in members}
    assert found.pop(owed) == (1, 2, 0, 1)
    assert {found.pop(name) for name in paused} == {(1, 2, 1, 0)}
    assert set(found.values()) == {(1, 2, 0, 0)}
    told = (
        "Of 32 repeats with a result, 16 stopped early, 2 paused (more epochs may follow), 1 owed more epochs; each "
        "counts at the epoch selected among those trained so far."
    )
    lost = "8 repeats diverged; means count each with its scores at epoch 0, differences leave it out."
    assert (how_ended(members), how_many_diverged(members)) == (told, lost)
    best = CliRunner().invoke(main, ["best", "slides", "--studies", str(tmp_path)])
    assert told in best.stdout
    assert "8 of 32 repeats diverged" in best.stdout
    both = ["compare", "--study", "slides", "--studies", str(tmp_path), "straightforward", "extension"]
    assert "straightforward: Of 4 repeats with a result, 2 stopped early" in CliRunner().invoke(main, both).stdout
    rows = json.loads(CliRunner().invoke(main, ["best", "slides", "--studies", str(tmp_path), "--json"]).stdout)
    assert {(row["id"] in paused, row["paused"]) for row in rows["configurations"]} == {(True, 1), (False, 0)}
    assert {row["stopped"] for row in rows["configurations"]} == {2}
    page = render(storage, now=NOW)
    assert told in page
    assert lost in page
    first = next(member for member in members if member.id in paused)
    assert best_table_data([first], ["loss"])["n"].tolist() == ["4 (1 diverged, 2 stopped early, 1 paused)"]


def test_where_all_have_all_their_epochs_nothing_is_said(tmp_path: Path) -> None:
    storage, _ = small_study(tmp_path)
    members = summarise(storage, NOW).configurations
    assert how_ended(members) == ""
    assert best_table_data(members[:1], ["loss"])["n"].tolist() == ["3"]


def test_a_head_that_is_fitted_has_not_stopped_early(tmp_path: Path) -> None:
    """Its one epoch is all, whatever was asked."""

    class Fitted(Stopping):
        def configurations(self) -> list[Configuration]:
            return [changed(super().configurations()[0], head="logistic")]

    storage, _ = small_study(tmp_path, study=Fitted, repeats=4)
    (member,) = summarise(storage, NOW).configurations
    assert member.count(RepeatState.STOPPED) == 2
    assert how_ended([member]) == ""

"""When repeats end by themselves: causally, each for itself, and the same however training was cut up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.store.schema import RepeatState
from search_spaces.settings import ending as settings
from tests.support.groups import done, group_of_lanes, saved
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.trained import results, trained
from trainables.learning.endings.ending import ending_of
from trainables.learning.group import EXPLODED, IN_A_ROW, RUNAWAY, Group
from trainables.learning.learner import Lane
from trainables.learning.metrics import selection_scores

CPU = torch.device("cpu")
REPEATS = (0, 1, 2, 3)
PATIENT = {"ending": "patience", "ending.patience": 2}
HASTY = {"lr": 0.02, "momentum": 0.9}
"""Gets worse again after five to eight epochs, by the repeat."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    torch.set_num_threads(1)
    return make_tiny_study(tmp_path_factory.mktemp("endings"), ("few", "many", "some"))


def begun(study: TinyStudy, epochs: int, repeats: tuple[int, ...] = REPEATS, **changes: Any) -> Group:
    configuration = study.configuration(**{**HASTY, **changes})
    lanes = [Lane(configuration, repeat) for repeat in repeats]
    return group_of_lanes(study, lanes, epochs)


def assert_equal(one: Group, other: Group) -> None:
    for lane in range(len(one.lanes)):
        assert one.state(lane) is other.state(lane)
        assert np.array_equal(one.history(lane).loss, other.history(lane).loss)
        assert np.array_equal(one.history(lane).statistics, other.history(lane).statistics)
        assert one.selected(lane)[0] == other.selected(lane)[0]
        assert np.array_equal(one.selected(lane)[1], other.selected(lane)[1])


@pytest.mark.parametrize("rule", ["valid", "worse_of_both"])
def test_each_lane_ends_where_its_own_scores_say(study: TinyStudy, rule: str) -> None:
    complete, patient = done(begun(study, 12, rule=rule)), done(begun(study, 12, rule=rule, **PATIENT))
    ends = []
    for lane in range(len(REPEATS)):
        scores = selection_scores("loss", complete.history(lane), rule == "valid")
        over = [epoch for epoch in range(13) if epoch - int(np.argmax(scores[: epoch + 1])) >= 2]
        ends.append(over[0] if over else 12)
        history = patient.history(lane)
        assert history.epochs == ends[-1]
        assert np.array_equal(history.loss, complete.history(lane).loss[: ends[-1] + 1]), "no bit is another"
        assert patient.selected(lane)[0] == int(np.argmax(scores[: ends[-1] + 1]))
        assert patient.state(lane) is (RepeatState.STOPPED if ends[-1] < 12 else RepeatState.FINISHED)
    assert len(set(ends)) > 1, "a shorter one shortens no other"


@pytest.mark.parametrize("gain", [0.0, 0.02, 0.1])
def test_small_gains_do_not_count_and_the_best_epoch_is_selected(study: TinyStudy, gain: float) -> None:
    """Though it is better than the last that counted by less than asked."""
    complete = done(begun(study, 12))
    patient = done(begun(study, 12, **PATIENT, **{"ending.min_gain": gain}))
    assert (patient.lanes[0].configuration == study.configuration(**HASTY, **PATIENT)) == (gain == 0)
    for lane in range(len(REPEATS)):
        scores, waited, best = selection_scores("loss", complete.history(lane)).tolist(), 0, -np.inf
        end = 12
        for epoch, score in enumerate(scores):
            waited, best = (0, score) if score > best + gain else (waited + 1, best)
            if waited == 2:
                end = epoch
                break
        history = patient.history(lane)
        assert history.epochs == end
        assert np.array_equal(history.loss, complete.history(lane).loss[: end + 1])
        assert patient.selected(lane)[0] == int(np.argmax(scores[: end + 1]))
        if gain == 0.1:
            assert max(scores[: end + 1]) > best, "an epoch that did not count is selected"


@pytest.mark.parametrize(
    ("scores", "ends"),
    [
        ([0.0, 0.25, 0.5, 0.75, 1.0], []),  # each by no more than 0.25 above the one before, every second one counts
        ([0.0, 0.5, 0.75, 0.5, 0.75], [3, 4]),
        ([0.0, -np.inf, -np.inf, 0.0, 0.5], [2, 3]),
        ([-np.inf, -np.inf, 0.0, 0.0, 0.0], [4]),
    ],
)
def test_what_a_gain_is_compared_with(scores: list[float], ends: list[int]) -> None:
    """The last epoch that counted, not the best: small gains add up."""
    ending = ending_of(settings.Ending(name="patience", patience=2, min_gain=0.25))
    if scores[0] == -np.inf:
        assert ending.is_over(np.array([*scores[:2], -np.inf]))
    assert [n for n in range(len(scores)) if ending.is_over(np.array(scores[: n + 1]))] == ends


@pytest.mark.parametrize(
    "changes", [PATIENT, {**PATIENT, "non_linearities": 1, "dropout": 0.2}, {**PATIENT, "unfrozen": 1}]
)
def test_going_on_is_never_having_stopped(study: TinyStudy, changes: dict[str, Any]) -> None:
    repeats = REPEATS[:1] if "unfrozen" in changes else REPEATS
    unbroken, cut = done(begun(study, 8, repeats, **changes)), begun(study, 8, repeats, **changes)
    while not cut.is_done:
        cut.advance(0.0)  # one step or one scoring
        state = saved(cut)
        cut = begun(study, 8, repeats, **changes)
        cut.load(state)
    assert_equal(unbroken, cut)


def test_two_epochs_and_then_twelve_are_twelve(study: TinyStudy) -> None:
    grown = done(begun(study, 2, **PATIENT))
    state = saved(grown)
    grown = begun(study, 12, **PATIENT)
    grown.load(state)
    assert_equal(done(begun(study, 12, **PATIENT)), done(grown))


def test_stopped_repeats_are_results_whatever_is_asked_later(study: TinyStudy) -> None:
    configuration = study.configuration(**HASTY, **PATIENT)
    finals = study.train(configuration, REPEATS, 12)
    states = {repeat: record.meta["state"] for repeat, record in finals.items()}
    assert "stopped" in states.values()
    again = study.train(configuration, REPEATS, 30)
    assert set(again) == {repeat for repeat, state in states.items() if state == "finished"}, "nothing else is owed"
    found = trained(study.bench(), study.partition, configuration.id, REPEATS)
    assert {r: one.epoch for r, one in found.items()} == {
        r: f.meta["selected_epoch"] for r, f in {**finals, **again}.items()
    }
    assert all(one.deviation == 0.0 for one in found.values())
    alike = results(study.storage, study.partition, configuration.id, REPEATS, 12)
    assert [record.meta["epochs"] for record in alike.values()] == [12] * len(REPEATS), "the number that all have"


@pytest.mark.parametrize("name", settings.ENDINGS.names)
def test_an_ending_looks_back_alone(name: str) -> None:
    ending = ending_of(settings.Ending(name=name, patience=3))
    falling = -np.arange(20.0)
    ends = [epoch for epoch in range(20) if ending.is_over(falling[: epoch + 1])]
    assert ends == ([] if ending.is_complete else list(range(3, 20)))
    assert not any(ending.is_over(np.arange(1.0 + epoch)) for epoch in range(20)), "what gets better goes on"


def test_a_loss_that_has_run_away_has_diverged(study: TinyStudy) -> None:
    """However finite it is."""
    group = done(begun(study, 8, lr=0.5, non_linearities=1))
    for lane in range(len(REPEATS)):
        assert group.state(lane) is RepeatState.DIVERGED
        assert group.selected(lane)[0] == 0
        losses = np.stack([loss[0, lane] for loss in group._loss])
        above = losses > RUNAWAY * losses[0]
        first = next(epoch for epoch in range(IN_A_ROW, 9) if above[epoch - IN_A_ROW + 1 : epoch + 1].all())
        exploded = np.flatnonzero(losses > EXPLODED * losses[0])
        assert group.diverged[lane] == min([first, *exploded])
    assert np.isfinite(losses).all()
    assert done(begun(study, 8)).diverged.tolist() == [-1] * len(REPEATS)


@pytest.mark.parametrize("lr", [1e5, 1e9])
def test_two_epochs_are_enough_to_see_that_weights_have_exploded(study: TinyStudy, lr: float) -> None:
    group = done(begun(study, 2, lr=lr))
    assert [group.state(lane) for lane in range(len(REPEATS))] == [RepeatState.DIVERGED] * len(REPEATS)
    assert [group.selected(lane)[0] for lane in range(len(REPEATS))] == [0] * len(REPEATS)


def test_exploded_weights_do_not_win_by_a_loss_of_nothing(study: TinyStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image is on the right side, a million from the boundary."""
    group = begun(study, 2)
    right = 1e6 * torch.nn.functional.one_hot(torch.from_numpy(group.samples.labels).long(), 3).float()
    untrained = group._logits

    def logits(rows: np.ndarray) -> torch.Tensor:
        found = untrained(rows)
        return found if group.epoch == 0 else right[rows].expand_as(found)

    monkeypatch.setattr(group, "_logits", logits)
    done(group)
    assert [loss[0].max() for loss in group._loss[1:]] == [0.0]
    assert group.diverged.tolist() == [1] * len(REPEATS)

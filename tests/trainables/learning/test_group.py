"""The loop: every image counted, the right epoch kept, a diverged lane alone in it, checkpoints anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.store.errors import DamagedRecordError
from orchestrator.store.schema import History
from search_spaces.configuration import Configuration
from tests.support.groups import done, group_of_lanes, saved
from tests.support.tiny_study import TinyStudy, make_tiny_study
from trainables.bundles.workbench import Workbench
from trainables.learning.group import Group
from trainables.learning.group_state import GroupState, LaneState
from trainables.learning.learner import Lane
from trainables.learning.metrics import selected_epoch
from trainables.learning.tasks.confusion import precision, recall

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return make_tiny_study(tmp_path_factory.mktemp("group"), ("few", "many", "some"))


@pytest.fixture(scope="module")
def bench(study: TinyStudy) -> Workbench:
    return study.bench()


def group_of(
    study: TinyStudy, bench: Workbench, lanes: list[tuple[Configuration, int]], epochs: int = 4, scoring: int = 64
) -> Group:
    made = [Lane(configuration, repeat) for configuration, repeat in lanes]
    return group_of_lanes(study, made, epochs, bench, scoring)


def test_histories_count_every_image_from_epoch_0_on(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration(score_augmented=True, balance="ngca")
    group = done(group_of(study, bench, [(c, 0), (c, 1)]))
    for lane in range(2):
        history = group.history(lane)
        assert history.splits == ("train", "valid", "valid_views")
        assert history.epochs == 4
        assert history.loss.shape == (5, 3)
        assert history.loss.dtype == np.float64
        assert history.statistics.shape == (5, 3, 3, 3)
        assert history.statistics.dtype == np.int32
        truth = history.statistics.sum(axis=3)
        assert (truth == [[7, 18, 12], [4, 8, 6], [32, 32, 24]]).all()
    assert group.history(0).loss[0, 0] != group.history(1).loss[0, 0], "repeats start from different weights"


def test_without_any_epoch_there_is_the_untrained_score(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration()
    group = done(group_of(study, bench, [(c, 0)], epochs=0))
    longer = done(group_of(study, bench, [(c, 0)]))
    assert group.history(0).loss.tolist() == longer.history(0).loss[:1].tolist()
    assert group.selected(0)[0] == 0


@pytest.mark.parametrize("selection", ["loss", "accuracy", "balanced_accuracy", "macro_f1"])
@pytest.mark.parametrize("rule", ["valid", "worse_of_both"])
def test_the_selected_epoch_is_the_rules(study: TinyStudy, bench: Workbench, selection: Any, rule: str) -> None:
    """The logits kept are those of that epoch: their loss is the history's."""
    c = study.configuration(selection=selection, rule=rule, lr=0.4, momentum=0.9, batch_size=5)
    group = done(group_of(study, bench, [(c, repeat) for repeat in range(6)], epochs=6))
    chosen = set()
    for lane in range(6):
        history = group.history(lane)
        epoch, logits = group.selected(lane)
        assert epoch == selected_epoch(selection, history, valid_alone=rule == "valid")
        truth = group.samples.labels[group.samples.scoring["valid"]]
        values = torch.from_numpy(logits.astype(np.float64))
        loss = torch.nn.functional.cross_entropy(values, torch.from_numpy(truth))
        assert float(loss) == pytest.approx(history.loss[epoch, 1], abs=2e-3)
        hits = np.trace(history.statistics[epoch, 1])
        assert (logits.argmax(axis=1) == truth).sum() == hits
        chosen.add(epoch)
    assert len(chosen) > 1, "else a fixed epoch would pass this test"


@pytest.mark.parametrize("rule", ["valid", "worse_of_both"])
@pytest.mark.parametrize(("selection", "of"), [("class_precision", precision), ("class_recall", recall)])
def test_a_measured_metric_selects_by_the_class_it_is_of(
    study: TinyStudy, bench: Workbench, selection: str, of: Any, rule: str
) -> None:
    settings = {"selection": selection, "of_class": "few", "rule": rule, "lr": 0.05, "momentum": 0.9, "batch_size": 5}
    group = done(group_of(study, bench, [(study.configuration(**settings), n) for n in range(6)], epochs=6))
    chosen = set()
    for lane in range(6):
        history = group.history(lane)
        values = of(history.statistics)[..., study.classes.index("few")]
        assert history.measured is not None
        assert history.measured.dtype == np.float64
        assert np.array_equal(history.measured, values)
        looked_at = values[:, 1] if rule == "valid" else values.min(axis=1)
        assert group.selected(lane)[0] == selected_epoch(selection, history, rule == "valid") == looked_at.argmax()
        chosen.add(group.selected(lane)[0])
    assert len(chosen) > 1, "else a fixed epoch would pass this test"


@pytest.mark.parametrize("n", [0, 1])
def test_a_diverged_lane_is_alone_in_it(study: TinyStudy, bench: Workbench, n: int) -> None:
    good, other, wild = (study.configuration(lr=lr, non_linearities=n) for lr in (0.05, 0.06, 1e37))
    calm = done(group_of(study, bench, [(good, 0), (other, 0), (good, 1), (other, 1)]))
    mixed = done(group_of(study, bench, [(good, 0), (wild, 0), (good, 1), (wild, 1)]))
    for lane in (0, 2):
        assert mixed.diverged[lane] == -1
        assert np.array_equal(mixed.history(lane).loss, calm.history(lane).loss)
        assert np.array_equal(mixed.history(lane).statistics, calm.history(lane).statistics)
        assert mixed.selected(lane)[0] == calm.selected(lane)[0]
        assert np.array_equal(mixed.selected(lane)[1], calm.selected(lane)[1])
    assert (mixed.diverged[[1, 3]] >= 1).all()
    for lane in (1, 3):
        rows = len(mixed.history(lane).loss)
        assert mixed.history(lane).loss[0].tolist() == calm.history(lane).loss[0].tolist()
        assert rows == mixed.diverged[lane], "no epoch from the one on in which it diverged"
        assert mixed.selected(lane)[0] == 0
        assert np.isfinite(mixed.selected(lane)[1]).all()
    untrained = done(group_of(study, bench, [(good, 1)], epochs=0)).selected(0)[1]
    assert np.allclose(mixed.selected(3)[1], untrained, atol=1e-3)


@pytest.mark.parametrize("selection", ["loss", "accuracy"])
def test_when_all_have_diverged_the_group_is_done(study: TinyStudy, bench: Workbench, selection: Any) -> None:
    wild = study.configuration(lr=1e37, selection=selection)
    group = done(group_of(study, bench, [(wild, 0), (wild, 1)], epochs=1000))
    assert group.epoch == 1
    assert group.diverged.tolist() == [1, 1]
    assert [group.selected(lane)[0] for lane in range(2)] == [0, 0]


def test_logits_that_half_precision_does_not_hold_are_of_a_lane_that_diverged(
    study: TinyStudy, bench: Workbench
) -> None:
    c = study.configuration(lr=1e7, momentum=0.0, selection="accuracy")
    group = done(group_of(study, bench, [(c, 0)]))
    assert group.diverged[0] == 1, "enormous, though not infinite"
    assert group.selected(0)[0] == 0
    valid = torch.from_numpy(group.samples.scoring["valid"])
    assert float(group.learner.score(valid).abs().max()) > 65504, "more than a half can hold"
    assert np.isfinite(group.selected(0)[1]).all()


def test_the_last_smaller_batch_is_used(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration(batch_size=8, views=1)
    group = group_of(study, bench, [(c, 0)], epochs=2)
    seen: list[tuple[int, int, int]] = []
    rows: list[list[int]] = [[], []]
    train = group.learner.train

    def noted(batch: torch.Tensor, epoch: int, first: int) -> None:
        seen.append((epoch, first, batch.shape[1]))
        rows[epoch - 1] += batch[0].tolist()
        train(batch, epoch, first)

    group.learner.train = noted  # type: ignore[method-assign]
    done(group)
    assert seen == [(e, f, min(8, 37 - f)) for e in (1, 2) for f in (0, 8, 16, 24, 32)]
    for epoch in rows:
        assert sorted(epoch) == sorted(group.samples.training.tolist()), "each row once per epoch"
    assert rows[0] != rows[1]


def test_scoring_batches_change_no_count(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration()
    one, other = (done(group_of(study, bench, [(c, 0)], scoring=size)) for size in (64, 5))
    assert other.history(0).loss == pytest.approx(one.history(0).loss, abs=1e-5)
    assert np.array_equal(other.history(0).statistics, one.history(0).statistics)


SETTINGS: list[dict[str, Any]] = [
    {"non_linearities": 1, "dropout": 0.4, "optimiser": "adam", "betas": (0.9, 0.99), "lr": 0.01},
    {"unfrozen": 1, "lr": 0.02, "weight_decay": 0.01},
    {"lr": 3.0, "selection": "macro_f1", "balance": "ngca", "score_augmented": True},
    {"lr": 1e37, "batch_size": 2},
    {"lr": 0.4, "selection": "class_recall", "of_class": "some"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["adam", "unfrozen", "wild", "diverging", "measured"])
def test_a_checkpoint_anywhere_changes_nothing(study: TinyStudy, bench: Workbench, settings: dict[str, Any]) -> None:
    c = study.configuration(**settings)
    lanes = [(c, 0)] if c.adaptation.unfrozen else [(c, 0), (c, 1), (c, 4)]
    unbroken = done(group_of(study, bench, lanes, epochs=3))
    steps = np.random.default_rng(0)
    group, loads, moments = group_of(study, bench, lanes, epochs=3), 0, set()
    while not group.is_done:
        for _ in range(int(steps.integers(1, 4))):
            group.advance(0.0)
        moments.add((group.epoch, group.position, len(group._loss)))
        state = saved(group)
        group = group_of(study, bench, lanes, epochs=3)
        group.load(state)
        loads += 1
    assert loads > 4
    assert any(position for _, position, _ in moments)
    for lane in range(len(lanes)):
        one, other = unbroken.history(lane), group.history(lane)
        assert np.array_equal(one.loss, other.loss)
        assert np.array_equal(one.statistics, other.statistics)
        assert (one.measured is None) == (settings.get("selection") != "class_recall")
        if one.measured is not None:
            assert np.array_equal(one.measured, other.measured)
        assert unbroken.selected(lane)[0] == group.selected(lane)[0]
        assert np.array_equal(unbroken.selected(lane)[1], group.selected(lane)[1])
    state = group.learner.state()
    for name, values in unbroken.learner.state().items():
        assert np.array_equal(values, state[name], equal_nan=True), name


def test_a_checkpoint_before_the_first_score(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration()
    state = saved(group_of(study, bench, [(c, 0)]))
    group = group_of(study, bench, [(c, 0)])
    group.load(state)
    assert np.array_equal(done(group).history(0).loss, done(group_of(study, bench, [(c, 0)])).history(0).loss)


def test_more_epochs_go_on_from_fewer(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration(lr=0.2)
    short = done(group_of(study, bench, [(c, 0), (c, 1)], epochs=2))
    group = group_of(study, bench, [(c, 0), (c, 1)], epochs=5)
    group.load(saved(short))
    assert not group.is_done
    expected = done(group_of(study, bench, [(c, 0), (c, 1)], epochs=5))
    assert np.array_equal(done(group).history(1).loss, expected.history(1).loss)


def test_foreign_checkpoints_are_refused(study: TinyStudy, bench: Workbench) -> None:
    c, other = study.configuration(), study.configuration(lr=0.3)
    state = saved(done(group_of(study, bench, [(c, 0), (c, 1)], epochs=1)))
    for lanes in ([(c, 0)], [(c, 1), (c, 0)], [(other, 0), (other, 1)], [(c, 0), (c, 2)]):
        with pytest.raises(DamagedRecordError, match=r"holds other repeats|does not fit"):
            group_of(study, bench, lanes).load(state)
    meta, arrays = state.meta, state.arrays
    for name in ("parameter.0", "buffer.1", "steps", "history.loss", "selected.logits", "diverged", "absent"):
        less = {key: value for key, value in arrays.items() if key != name}
        with pytest.raises(DamagedRecordError, match="a checkpoint does not fit"):
            group_of(study, bench, [(c, 0), (c, 1)]).load(GroupState(meta, less, "a checkpoint"))
    wrong = {**arrays, "parameter.0": np.zeros((2, 9, 9), np.float32)}
    with pytest.raises(DamagedRecordError, match="does not fit"):
        group_of(study, bench, [(c, 0), (c, 1)]).load(GroupState(meta, wrong))


def test_a_history_is_what_the_metrics_take(study: TinyStudy, bench: Workbench) -> None:
    history = done(group_of(study, bench, [(study.configuration(), 0)])).history(0)
    assert isinstance(history, History)
    assert 0 <= selected_epoch("accuracy", history) <= 4


GOING_ON: dict[str, dict[str, Any]] = {
    "momentum": {"lr": 0.2, "momentum": 0.9},
    "adam, dropout": {"lr": 0.01, "optimiser": "adam", "betas": (0.9, 0.99), "non_linearities": 1, "dropout": 0.4},
    "cosine": {"lr": 0.3, "schedule": "cosine", "schedule.length": 6, "warm_up": 0.2},
    "patience": {"lr": 0.4, "momentum": 0.9, "ending": "patience", "ending.patience": 2},
    "measured": {"lr": 0.4, "momentum": 0.9, "selection": "class_f1", "of_class": "few"},
    "clipped": {"lr": 0.4, "momentum": 0.9, "non_linearities": 1, "clip": 0.3},
    "averaged": {"lr": 0.2, "momentum": 0.9, "non_linearities": 1, "average": 0.7},
    "averaged, batch norm": {"head": "widths", "widths": (8,), "batch_norm": True, "lr": 0.1, "average": 0.7},
    "unfrozen": {"unfrozen": 1, "lr": 0.02, "norms": "moving", "momentum": 0.9},
    "batch norm": {"head": "widths", "widths": (8,), "batch_norm": True, "lr": 0.1},
}


@pytest.mark.parametrize("settings", GOING_ON.values(), ids=GOING_ON.keys())
def test_lanes_that_go_on_from_their_states_never_stopped(
    study: TinyStudy, bench: Workbench, settings: dict[str, Any]
) -> None:
    c = study.configuration(**settings)
    lanes = [(c, 0)] if c.live.trains_body or c.head.name == "widths" else [(c, 0), (c, 1), (c, 4)]
    unbroken = done(group_of(study, bench, lanes, epochs=6))
    before = saved(done(group_of(study, bench, lanes, epochs=2)))
    group = group_of(study, bench, lanes, epochs=6)
    group.go_on_from(2, [before.lane(c.id, repeat) for _, repeat in lanes])
    assert (group.epoch, group.is_scored) == (2, True)
    done(group)
    assert saved(group).digest() == saved(unbroken).digest()
    assert (group.seconds > before.about["seconds"]).all()
    for name, values in unbroken.learner.state().items():
        assert np.array_equal(values, group.learner.state()[name]), name


@pytest.mark.parametrize(("n", "average"), [(0, 0.0), (2, 0.0), (2, 0.8)])
def test_lanes_of_any_stacks_go_on_in_any_other(study: TinyStudy, bench: Workbench, n: int, average: float) -> None:
    """Each puts its own part of weights and buffers, laid out otherwise, in its place."""
    settings = {"non_linearities": n, "momentum": 0.9, "dropout": 0.2, "average": average}
    a, b, d = (study.configuration(lr=lr, **settings) for lr in (0.02, 0.05, 0.1))
    wide = saved(done(group_of(study, bench, [(c, r) for r in (0, 1) for c in (a, b, d)], epochs=2)))
    alone = saved(done(group_of(study, bench, [(d, 5)], epochs=2)))
    for lanes in ([(d, 0)], [(d, 1), (d, 5)], [(b, 0), (a, 0), (b, 1), (a, 1)]):
        states = [wide.lane(c.id, repeat) or alone.lane(c.id, repeat) for c, repeat in lanes]
        group = group_of(study, bench, lanes, epochs=4)
        group.go_on_from(2, states)
        for lane, found in enumerate(states):
            assert found is not None
            expected = group_of(study, bench, [lanes[lane]], epochs=4)
            expected.go_on_from(2, [found])
            for name, values in expected.learner.weights_of(0).items():
                assert np.array_equal(values, group.learner.weights_of(lane)[name]), name
            assert group.history(lane).loss.tolist() == expected.history(0).loss.tolist()
        done(group)
        for lane, (c, repeat) in enumerate(lanes):
            whole = done(group_of(study, bench, [(c, repeat)], epochs=4))
            assert group.history(lane).loss == pytest.approx(whole.history(0).loss, abs=1e-4)


def test_a_lane_that_ended_before_keeps_its_place(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration(lr=0.1)
    lanes = [(c, 0), (c, 1), (c, 2)]
    before = saved(done(group_of(study, bench, lanes, epochs=2)))
    one, other = (group_of(study, bench, lanes, epochs=4) for _ in range(2))
    one.go_on_from(2, [before.lane(c.id, repeat) for repeat in (0, 1, 2)])
    other.go_on_from(2, [before.lane(c.id, 0), None, before.lane(c.id, 2)])
    done(one)
    resumed = group_of(study, bench, lanes, epochs=4)
    other.advance(0.0)
    resumed.load(saved(other))
    done(resumed)
    assert resumed.absent.tolist() == [False, True, False]
    for lane in (0, 2):
        assert np.array_equal(one.history(lane).loss, resumed.history(lane).loss), "no bit of the others is another"
        assert np.array_equal(one.selected(lane)[1], resumed.selected(lane)[1])
    assert saved(resumed).lane(c.id, 1) is None
    nobody = group_of(study, bench, lanes, epochs=4)
    nobody.go_on_from(2, [None] * 3)
    assert nobody.is_done


def test_states_that_do_not_fit_are_refused(study: TinyStudy, bench: Workbench) -> None:
    c, deep = study.configuration(), study.configuration(non_linearities=1)
    before = saved(done(group_of(study, bench, [(c, 0)], epochs=2)))
    for start, configuration, state in ((1, c, before), (3, c, before), (2, deep, before)):
        group = group_of(study, bench, [(configuration, 0)], epochs=5)
        with pytest.raises(DamagedRecordError, match="a checkpoint does not fit repeat 0"):
            group.go_on_from(start, [LaneState(state, 0)])


def test_the_digest_is_of_what_was_learned_alone(study: TinyStudy, bench: Workbench) -> None:
    c = study.configuration(lr=1e37)
    one, other = (done(group_of(study, bench, [(c, 0), (c, 1)], epochs=3)) for _ in range(2))
    other.seconds += 1.0
    assert one.diverged.tolist() == [1, 1], "what is no number counts too"
    assert saved(one).digest() == one.snapshot({"host": "another"}).digest() == saved(other).digest()
    other.best_epoch[0] = 1
    assert saved(one).digest() != saved(other).digest()


def test_what_is_kept_is_the_average_and_what_learns_is_not(study: TinyStudy, bench: Workbench) -> None:
    """Raw weights are bit for bit those without an average, which holds nothing where it is not asked for."""
    settings = {"lr": 0.2, "momentum": 0.9, "non_linearities": 1}
    plain, averaged = (study.configuration(**settings, average=kept) for kept in (0.0, 0.8))
    assert plain == study.configuration(**settings)
    one, other = (done(group_of(study, bench, [(c, 0), (c, 1)], epochs=3)) for c in (plain, averaged))
    raw, both = one.learner.state(), other.learner.state()
    assert not any(name.startswith("average") for name in raw)
    for name, values in raw.items():
        assert np.array_equal(values, both[name]), name
    assert one.history(0).loss[0].tolist() == other.history(0).loss[0].tolist()
    assert one.history(0).loss[1].tolist() != other.history(0).loss[1].tolist()
    for lane in (0, 1):
        kept, without = other.learner.weights_of(lane), one.learner.weights_of(lane)
        assert kept.keys() == without.keys()
        assert not any(np.array_equal(kept[name], without[name]) for name in kept)
        assert np.array_equal(kept["head.3.bias"], both["average.3"][lane, 0])

"""Ways to weigh members: what each promises, against brute force where there is one."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from orchestrator.ensembles.combining import LOGITS, PROBABILITIES, VOTES, Combining
from orchestrator.ensembles.problem import Problem
from orchestrator.ensembles.ways import COMBININGS, WEIGHINGS
from orchestrator.ensembles.weighing.genetic import genetic
from orchestrator.ensembles.weighing.greedy import greedy
from orchestrator.ensembles.weighing.grid import check_size, grid
from orchestrator.ensembles.weighing.least_loss import least_loss
from orchestrator.ensembles.weighing.steps import SHARES, count_of, dealt
from orchestrator.store.errors import InputError
from tests.support.candidates import drawn, target


def problem(
    seed: int, metric: str = "loss", combining: Combining = PROBABILITIES, members: int = 4, skill: float = 1.0
) -> Problem:
    """Images that count 0 to 2 times; members of different worth."""
    of = drawn(seed, members, skill=skill)
    logits = of.logits + np.linspace(0, 1, members)[:, None, None, None] * np.eye(3)[of.truth]
    often = np.random.default_rng(seed).integers(0, 3, len(of.truth))
    mean = combining.values(logits.astype(np.float64)).mean(axis=1)
    return Problem(mean, of.truth, often, combining, target(metric, "b" if metric == "class_f1" else None), seed)


@pytest.mark.parametrize("weigh", list(WEIGHINGS))
@pytest.mark.parametrize("combine", ["probabilities", "logits"])
def test_weights_are_shares(weigh: str, combine: str) -> None:
    found = WEIGHINGS[weigh].load()(problem(1, combining=COMBININGS[combine].load()))
    assert found.shape == (4,)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("metric", ["loss", "accuracy", "macro_f1", "class_f1", "macro_auc"])
@pytest.mark.parametrize("combining", [PROBABILITIES, LOGITS, VOTES])
def test_greedy_is_never_worse_than_its_best_member(metric: str, combining: Combining) -> None:
    for seed in range(5):
        of = problem(seed, metric, combining)
        assert of.goodness(greedy(of)[None])[0] >= of.goodness(np.eye(4)).max() - 1e-12


def test_greedy_is_the_selection_of_the_paper() -> None:
    """Step by step by plain lists: the member that helps most is added, with replacement."""
    of, bag, path = problem(2), [], []
    for _ in range(25):
        values = [of.goodness((np.bincount([*bag, m], minlength=4) / (len(bag) + 1))[None])[0] for m in range(4)]
        bag.append(int(np.argmax(values)))
        path.append((max(values), np.bincount(bag, minlength=4) / len(bag)))
    best = max(path, key=lambda step: step[0])[1]
    assert greedy(of) == pytest.approx(best)


def test_all_weights_in_steps_are_dealt_once_the_most_even_first() -> None:
    for members in (1, 2, 3, 4):
        found = dealt(members)
        every = {w for w in itertools.product(range(SHARES + 1), repeat=members) if sum(w) == SHARES}
        assert len(found) == len(every) == count_of(members)
        assert {tuple(row) for row in found.tolist()} == every
    assert dealt(4)[0].tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize("metric", ["loss", "balanced_accuracy"])
def test_the_grid_has_the_optimum_of_brute_force(metric: str) -> None:
    of = problem(4, metric, members=3)
    every = [w for w in itertools.product(range(SHARES + 1), repeat=3) if sum(w) == SHARES]
    values = np.array([of.goodness(np.array([w]) / SHARES)[0] for w in every])
    best = {every[i] for i in np.flatnonzero(values == values.max())}
    found = grid(of)
    assert tuple(np.rint(found * SHARES).astype(int).tolist()) in best
    assert reduce(min, ((np.array(w) ** 2).sum() for w in best)) == round(((found * SHARES) ** 2).sum())


def test_a_grid_that_is_too_large_is_refused_with_its_count() -> None:
    with pytest.raises(InputError, match=r"6 members have 53,130 combinations .* at most 20,000") as raised:
        check_size(6)
    assert "at most 5 members (--top 5)" in raised.value.advice
    check_size(5)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("members", [3, 4])
def test_genetic_finds_the_optimum_of_the_grid_within_one_step(seed: int, members: int) -> None:
    of = problem(seed, members=members, skill=0.5)
    assert np.abs(genetic(of) - grid(of)).max() <= 1 / SHARES + 1e-12


def test_genetic_is_as_good_as_the_grid_where_many_weights_are_the_best() -> None:
    for seed in range(4):
        of = problem(seed, "accuracy")
        assert of.goodness(genetic(of)[None])[0] >= of.goodness(grid(of)[None])[0] - 1 / of.often.sum() - 1e-12


def test_genetic_draws_the_same_again_and_deals_whole_shares() -> None:
    of = problem(7, members=5)
    found = genetic(of)
    assert np.array_equal(found, genetic(of))
    assert found * SHARES == pytest.approx(np.rint(found * SHARES))


@pytest.mark.parametrize("combining", [PROBABILITIES, LOGITS])
def test_the_least_loss_is_the_grids_or_less_and_none_near_it_is_less(combining: Combining) -> None:
    for seed in range(4):
        of = problem(seed, combining=combining, skill=0.5)
        found = least_loss(of)
        value = of.goodness(found[None])[0]
        assert value >= of.goodness(grid(of)[None])[0] - 1e-6
        near = np.random.default_rng(seed).dirichlet(found * 200 + 0.5, size=300)
        assert (of.goodness(near) <= value + 1e-5).all()


def test_the_slope_of_the_loss_of_logits_is_that_of_differences() -> None:
    from orchestrator.ensembles.weighing.least_loss import _by_logits, _by_probabilities

    for combining, of in ((LOGITS, _by_logits), (PROBABILITIES, _by_probabilities)):
        one, at = problem(3, combining=combining), np.array([0.4, 0.3, 0.2, 0.1])
        slope = [(of(at + step, one)[0] - of(at - step, one)[0]) / 2e-6 for step in np.eye(4) * 1e-6]
        assert of(at, one)[1] == pytest.approx(slope, abs=1e-5)


def test_votes_have_no_least_loss() -> None:
    with pytest.raises(InputError, match="--weights loss"):
        least_loss(problem(0, combining=VOTES))


def test_losses_here_are_those_of_probabilities() -> None:
    of = problem(5, combining=LOGITS)
    mean = np.tensordot(np.full(4, 0.25), of.members, axes=1)
    own = log_softmax(mean, axis=-1)[np.arange(len(of.truth)), of.truth]
    assert of.goodness(np.full((1, 4), 0.25))[0] == pytest.approx((own * of.often).sum() / of.often.sum())
    assert of.chances(np.full((1, 4), 0.25))[0] == pytest.approx(softmax(mean, axis=-1))

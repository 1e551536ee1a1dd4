"""Out-of-bag scores: everything is chosen again, and what was luck is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from orchestrator.choosing.kept_predictions import read_predictions
from orchestrator.ensembles.bags import Honest, Trio, bags_of, honest, in_sample
from orchestrator.ensembles.candidates import Candidates, read_candidates
from orchestrator.ensembles.choosing import Chooser, Chosen, Rule, all_once
from orchestrator.ensembles.diversity import diversity, of_pairs
from orchestrator.ensembles.make import EnsembleOptions, _target
from orchestrator.results.summary import summarise
from orchestrator.statistics.bias_corrected import bias_corrected
from orchestrator.statistics.score_table import ranked_table
from tests.support.candidates import candidates, drawn, target
from tests.support.predicted_study import predicted_study


def chosen_of(of: Candidates, metric: str, rule: Rule) -> tuple[Chooser, Chosen]:
    chooser = Chooser(of, target(metric, "b" if metric.startswith("class_") else None), rule)
    once = all_once(of)
    return chooser, chooser.choose(once[0][of.group], chooser.singles(once)[0])


def judged(of: Candidates, metric: str, rule: Rule, rounds: int = 60) -> tuple[Trio, Honest]:
    chooser, chosen = chosen_of(of, metric, rule)
    found = honest(chooser, chosen, rounds, 0)
    assert found is not None
    return in_sample(chooser, chosen), found


def test_of_pure_noise_the_gain_is_all_in_sample() -> None:
    gains = []
    for seed in range(12):
        own, found = judged(drawn(seed, members=8, groups=24, skill=0.0), "accuracy", Rule(top=6))
        gains.append((own.ensemble - own.single, found.out.ensemble - found.out.single))
    inside, outside = np.array(gains).T
    assert (inside > 0).all()
    assert inside.mean() > 0.05
    assert abs(outside.mean()) < 0.01
    assert abs(outside.mean()) < inside.mean() / 5


def test_where_members_err_apart_the_gain_is_there_out_of_bag_too() -> None:
    own, found = judged(drawn(1, members=6, groups=30, skill=1.0), "loss", Rule(top=6))
    assert found.out.ensemble < found.out.rival < found.out.single
    assert own.ensemble < own.rival < own.single
    assert found.over_single.better > 50


def test_bags_are_those_of_plain_loops() -> None:
    """Members, weights and the best configuration of every bag, and the pooled score, by other code."""
    of = drawn(5, members=4, repeats=2, groups=10, skill=0.7)
    _, found = judged(of, "balanced_accuracy", Rule(top=2, weigh="equal"), rounds=30)
    draws = np.random.default_rng(0).integers(0, 10, size=(30, 10))
    chances = softmax(of.logits.astype(np.float64), axis=-1)

    def score(said: np.ndarray, rows: list[int]) -> float:
        return float(balanced_accuracy_score(of.truth[rows], said[rows].argmax(axis=-1)))

    every = list(range(len(of.truth)))
    means = [np.mean([score(chances[c, r], every) for r in range(2)]) for c in range(4)]
    winner = int(np.argmax(means))
    pooled: dict[str, list[np.ndarray]] = {"single0": [], "single1": [], "own0": [], "own1": [], "ensemble": []}
    truth, ahead, same = [], [0, 0, 0], 0
    for draw in draws:
        bag = [image for group in draw for image in np.flatnonzero(of.group == group)]
        out = [image for image in every if of.group[image] not in draw]
        values = np.array([np.mean([score(chances[c, r], bag) for r in range(2)]) for c in range(4)])
        order = np.argsort(-values, kind="stable")
        ensemble = chances[order[:2]].mean(axis=(0, 1))
        truth.append(of.truth[out])
        for r in range(2):
            pooled[f"single{r}"].append(chances[order[0], r][out])
            pooled[f"own{r}"].append(chances[winner, r][out])
        pooled["ensemble"].append(ensemble[out])
        away = score(ensemble, out) - np.mean([score(chances[order[0], r], out) for r in range(2)])
        ahead[0 if away > 1e-12 else 1 if away < -1e-12 else 2] += 1
        same += int(order[0] == winner)
    labels = np.concatenate(truth)
    scored = {k: balanced_accuracy_score(labels, np.concatenate(v).argmax(axis=-1)) for k, v in pooled.items()}
    own = (scored["own0"] + scored["own1"]) / 2
    assert found.rounds == 30
    assert found.out.single == pytest.approx(means[winner] + (scored["single0"] + scored["single1"]) / 2 - own)
    assert found.out.ensemble == pytest.approx(means[winner] + scored["ensemble"] - own)
    assert [found.over_single.better, found.over_single.worse, found.over_single.same] == ahead
    assert found.chose_single == pytest.approx(same / 30)


def test_weights_are_chosen_again_in_every_bag(monkeypatch: pytest.MonkeyPatch) -> None:
    of, rule = drawn(2, members=5, skill=0.3), Rule(top=3)
    chooser, chosen = chosen_of(of, "accuracy", rule)
    seen = []
    original = Chooser.choose

    def spy(self: Chooser, often: np.ndarray, singles: np.ndarray) -> Chosen:
        seen.append(original(self, often, singles))
        return seen[-1]

    monkeypatch.setattr(Chooser, "choose", spy)
    found = honest(chooser, chosen, 40, 0)
    assert found is not None
    assert len(seen) == found.rounds == 40
    assert len({one.rows for one in seen}) > 5
    assert len({tuple(one.weights.tolist()) for one in seen}) > 5
    assert len({one.single for one in seen}) > 1
    shares = [
        np.mean([c in dict(zip(o.rows, o.weights, strict=True)) and o.weights[o.rows.index(c)] > 0 for o in seen])
        for c in range(5)
    ]
    assert found.members == pytest.approx(shares)


def test_the_single_configuration_is_what_orch_best_corrects(tmp_path: Path) -> None:
    """The same bags, the same choice, the same figure."""
    storage, study = predicted_study(tmp_path, qualities={(0, 0): 1.0, (1, 0): 1.05, (0, 2): 0.95})
    summary, partition = summarise(storage), study.ids()[0]
    table = ranked_table(summary, partition, "loss")
    kept = read_predictions(storage, summary, table)
    assert kept is not None
    wanted = bias_corrected(kept.predictions, 0, "loss", rounds=200)
    of = _target(summary, partition, EnsembleOptions())
    chooser = Chooser(read_candidates(storage, summary, partition, of), of, Rule())
    once = all_once(chooser.of)
    chosen = chooser.choose(once[0][chooser.of.group], chooser.singles(once)[0])
    found = honest(chooser, chosen, 200, 0)
    assert wanted is not None
    assert found is not None
    assert chooser.of.members[chosen.single].id == table.members[0].id
    assert found.out.single == pytest.approx(wanted.corrected["loss"], abs=1e-5)
    assert found.chose_single == pytest.approx(wanted.chosen[0])


def test_the_rival_has_as_many_models_as_the_ensemble_or_all_there_are() -> None:
    of = drawn(3, members=4, repeats=3)
    chooser, chosen = chosen_of(of, "loss", Rule(top=2, repeats="one", weigh="equal"))
    assert (chooser.models(chosen), chooser.rivals(chosen)) == (2, 2)
    by_hand = softmax(of.logits[chosen.single, :2].astype(np.float64), axis=-1).mean(axis=0)
    assert chooser.rival(chosen) == pytest.approx(by_hand)
    chooser, chosen = chosen_of(of, "loss", Rule(top=2, weigh="equal"))
    assert (chooser.models(chosen), chooser.rivals(chosen)) == (6, 3)


def test_a_member_that_counts_nothing_has_no_models() -> None:
    chooser, chosen = chosen_of(drawn(3), "loss", Rule(top=3))
    assert chooser.models(replace(chosen, weights=np.array([0.5, 0.0, 0.5]))) == 6


def test_configurations_with_fewer_repeats_have_no_part_in_the_rest() -> None:
    """A repeat that diverged is not there; scores are of those that are."""
    of = drawn(4, members=3, repeats=3)
    fewer = candidates(of.logits, of.truth, of.group, (3, 1, 2))
    chooser, chosen = chosen_of(fewer, "loss", Rule(top=3))
    alone = candidates(of.logits[1:2, :1], of.truth, of.group)
    assert chooser.scored_alone(1) == pytest.approx(chosen_of(alone, "loss", Rule())[0].scored_alone(0))
    found = honest(chooser, chosen, 30, 0)
    assert found is not None
    assert np.isfinite([found.out.single, found.out.rival, found.out.ensemble]).all()


@pytest.mark.parametrize("metric", ["loss", "macro_f1", "class_precision", "macro_auc"])
def test_what_each_scores_by_itself_in_bags_is_that_of_repeated_images(metric: str) -> None:
    of = drawn(6, members=2, skill=0.5)
    chooser, _ = chosen_of(of, metric, Rule())
    bags = bags_of(of.groups, 5, 0)
    for bag, values in zip(bags, chooser.singles(bags), strict=True):
        rows = np.repeat(np.arange(len(of.truth)), bag[of.group])
        for c in range(2):
            each = chooser.target.scores(chooser.chances[c][:, rows].astype(np.float64), of.truth[rows])
            assert values[c] == pytest.approx(each.mean(), abs=1e-6)


def test_where_train_ranks_too_the_worse_of_both_chooses() -> None:
    of = drawn(8, members=2)
    chooser, _ = chosen_of(replace(of, train=np.full((2, 3), 99.0)), "loss", Rule())
    assert chooser.singles(all_once(of)).tolist() == [[99.0, 99.0]]


def test_one_group_has_no_bags() -> None:
    of = drawn(1, groups=1, per_group=30)
    chooser, chosen = chosen_of(of, "loss", Rule())
    assert honest(chooser, chosen, 50, 0) is None
    many, its = chosen_of(drawn(1), "loss", Rule())
    assert honest(many, its, 0, 0) is None


def test_diversity_is_that_of_plain_numpy() -> None:
    draw = np.random.default_rng(0)
    truth, predicted = draw.integers(0, 3, 50), draw.integers(0, 3, (3, 50))
    found = diversity(predicted, truth)
    assert found.disagreement[0, 2] == np.mean(predicted[0] != predicted[2])
    assert found.correlation == pytest.approx(np.corrcoef(predicted != truth))
    perfect = diversity(np.stack([truth, predicted[0], predicted[1]]), truth)
    assert np.isnan(perfect.correlation[0]).all()
    assert len(of_pairs(perfect.correlation)) == 1
    assert len(of_pairs(perfect.disagreement)) == 3

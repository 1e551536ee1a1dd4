"""Rules of other tools, as a user would write them, without their processes: Optuna and Ray Tune decide themselves.

A trial is one repeat, or several at once of which it reports the mean. They are told of epochs at which their pruners
decide, and of the last one: between these nothing that is reported changes an answer. Trials run one after the other,
so that samplers know all results before they suggest the next: a favour to the peers.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from round_of_search import Round, Rule

METRIC, TIME = "score", "training_iteration"
SINGLE = 10
"""Trials of each given configuration where a trial is one repeat."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def distributions(search: Round) -> dict[str, BaseDistribution]:
    """The space, as Optuna has it."""
    return {
        one.name: IntDistribution(int(one.low), int(one.high), log=one.log)
        if one.whole
        else FloatDistribution(one.low, one.high, log=one.log)
        for one in search.world.dimensions
    }


def grid(repeats: int) -> Rule:
    """Every given configuration whole, one repeat of all after the other; the best mean."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        sums = np.zeros(search.given)
        for repeat in range(repeats):
            sums += [search.train(place, repeat, search.epochs) for place in range(search.given)]
            search.choose(int(sums.argmax()))

    return rule


def random(repeats: int) -> Rule:
    """Configurations at random, whole, so many repeats of each; the best mean."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        best = -np.inf
        while not search.is_over:
            place = search.add(_sampled(search, draw))
            value = search.mean(place, repeats, search.epochs)
            if value > best:
                best = value
                search.choose(place)

    return rule


class Trial(NamedTuple):
    """One configuration with the repeats that it trains at once."""

    configuration: int
    repeats: range

    def mean(self, search: Round, epochs: int) -> float:
        return float(np.mean([search.train(self.configuration, repeat, epochs) for repeat in self.repeats]))


def optuna_tpe(repeats: int, *, given: bool = False, hyperband: bool = True) -> Rule:
    """Its TPE sampler (with `given`: the given configurations, in random order) and its Hyperband pruner, whose
    defaults begin at one epoch and keep a third, or no pruner; the study's best trial."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        most = search.epochs
        pruner = optuna.pruners.HyperbandPruner(1, most, 3) if hyperband else optuna.pruners.NopPruner()
        rungs = (*(milestones(1, 3, most) if hyperband else ()), most)
        study, trials = _study(draw, pruner), []
        for asked, trial in _asked(search, study, draw, repeats, given):
            trials.append(trial)
            is_pruned, value = False, 0.0
            for epochs in rungs:
                value = trial.mean(search, epochs)
                asked.report(value, epochs)
                is_pruned = epochs < most and asked.should_prune()
                if is_pruned:
                    break
            study.tell(asked, None if is_pruned else value, TrialState.PRUNED if is_pruned else TrialState.COMPLETE)
            search.choose(trials[study.best_trial.number].configuration)

    return rule


def optuna_wilcoxon(repeats: int, *, given: bool = False) -> Rule:
    """Its TPE sampler (or the given ones) and its Wilcoxon pruner over repeats, all of them whole trainings, as its
    documentation shows it: a pruned trial answers with its mean so far. The study's best trial."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner = optuna.pruners.WilcoxonPruner()
        study, trials = _study(draw, pruner), []
        for asked, trial in _asked(search, study, draw, repeats, given):
            trials.append(trial)
            values: list[float] = []
            for repeat in trial.repeats:
                values.append(search.train(trial.configuration, repeat, search.epochs))
                asked.report(values[-1], repeat)
                if asked.should_prune():
                    break
            study.tell(asked, float(np.mean(values)))
            search.choose(trials[study.best_trial.number].configuration)

    return rule


def ray_asha(repeats: int, *, given: bool = False, sampler: str = "", least: int = 1, eta: int = 4) -> Rule:
    """Its asynchronous halving, whose defaults begin at one epoch and keep a quarter, with the given configurations, at
    random, or with its OptunaSearch (`sampler`: "tpe"); the best last result of any trial, which is what
    `get_best_result` takes."""

    def rule(search: Round, draw: np.random.Generator) -> None:
        from ray.tune.schedulers import AsyncHyperBandScheduler

        scheduler: Any = AsyncHyperBandScheduler(TIME, METRIC, "max", search.epochs, least, eta)
        searcher = _optuna_search(search, draw) if sampler else None
        order, best = _in_turn(search, draw, repeats), -np.inf
        rungs = (*milestones(least, eta, search.epochs), search.epochs)
        for name in map(str, itertools.count()):
            if search.is_over:
                return
            if given:
                trial = next(order, None)
            else:
                point = searcher.suggest(name) if searcher else _sampled(search, draw)
                trial = Trial(search.add(point), range(repeats))
            if trial is None:
                return
            known, result = SimpleNamespace(trial_id=name), {}
            scheduler.on_trial_add(None, known)
            for epochs in rungs:
                result = {TIME: epochs, METRIC: trial.mean(search, epochs)}
                if scheduler.on_trial_result(None, known, result) == "STOP":
                    break
                if searcher:
                    searcher.on_trial_result(name, result)
            scheduler.on_trial_complete(None, known, result)
            if searcher:
                searcher.on_trial_complete(name, result)
            if result[METRIC] > best:
                best = result[METRIC]
                search.choose(trial.configuration)

    return rule


def milestones(least: int, eta: int, epochs: int) -> list[int]:
    """Epochs below the last at which something is decided: least, times eta, and so on."""
    rungs = [least]
    while rungs[-1] * eta < epochs:
        rungs.append(rungs[-1] * eta)
    return rungs


def _asked(
    search: Round, study: optuna.Study, draw: np.random.Generator, repeats: int, given: bool
) -> Iterator[tuple[optuna.Trial, Trial]]:
    """Trials until the budget is spent, or there are no more given ones."""
    if given:
        for trial in _in_turn(search, draw, repeats):
            if search.is_over:
                return
            yield study.ask(), trial
    space = distributions(search)
    while not given and not search.is_over:
        asked = study.ask(space)
        yield asked, Trial(search.add(asked.params), range(repeats))


def _in_turn(search: Round, draw: np.random.Generator, repeats: int) -> Iterator[Trial]:
    """Every given configuration with its repeats; with one repeat each ten times, a trial of each in turn."""
    for repeat in range(SINGLE if repeats == 1 else 1):
        for place in draw.permutation(search.given).tolist():
            yield Trial(place, range(repeat, repeat + repeats))


def _sampled(search: Round, draw: np.random.Generator) -> dict[str, float]:
    return {one.name: float(one.drawn(draw, 1)[0]) for one in search.world.dimensions}


def _study(draw: np.random.Generator, pruner: optuna.pruners.BasePruner) -> optuna.Study:
    """Its name decides which bracket a trial falls into, so it is the same in every round."""
    return optuna.create_study(direction="maximize", study_name="peer", sampler=_tpe(draw), pruner=pruner)


def _tpe(draw: np.random.Generator) -> optuna.samplers.TPESampler:
    return optuna.samplers.TPESampler(multivariate=True, seed=int(draw.integers(2**31)))


def _optuna_search(search: Round, draw: np.random.Generator) -> Any:
    from ray.tune.search.optuna import OptunaSearch

    return OptunaSearch(distributions(search), metric=METRIC, mode="max", sampler=_tpe(draw))

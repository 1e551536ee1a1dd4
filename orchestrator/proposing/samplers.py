"""Where the next points of a space are: spread evenly, or by Optuna's samplers of what was learnt so far.

Each is a function of what it is given: Optuna's study is made anew every time from means over repeats, in the order in
which they were suggested, with a seed of the search and of the decision. Samplers that lose their state so (NSGA-II,
CMA-ES, quasi-Monte Carlo after its first points) are not offered.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from scipy.stats import qmc

from orchestrator.proposing.dimensions import Choose, Dimension, Dimensions
from orchestrator.proposing.proposer import Suggested

TRIES = 20
"""Times that a sampler of Optuna's is asked again where it suggests what was suggested before."""
SPREADS = 4
"""Times that as many points as are wanted are spread over the space."""


@dataclass(frozen=True)
class Seen:
    """All that a sampler knows. suggested: so far, in order. means: by id, of what has results, one for each goal;
    larger is better."""

    dimensions: Dimensions
    suggested: Sequence[Suggested]
    means: Mapping[str, tuple[float, ...]]
    seed: int


def random(seen: Seen, count: int) -> list[Suggested]:
    """Points of a scrambled Sobol sequence (Owen 1998), which cover every dimension evenly."""
    dimensions = seen.dimensions.every
    if not dimensions:
        return _others(seen, [], count)
    places = {one.name: index for index, one in enumerate(dimensions)}
    points = qmc.Sobol(len(dimensions), rng=seen.seed)
    wave = 2 ** math.ceil(math.log2(count))  # keeps the sequence balanced
    drawn = (seen.dimensions.made(_reading(point, places)) for _ in range(SPREADS) for point in points.random(wave))
    return _different(seen, drawn, count)


def tpe(seen: Seen, count: int) -> list[Suggested]:
    """Multivariate TPE (Bergstra et al. 2011; Falkner et al. 2018), of several goals as Ozaki et al. 2020 do it;
    conditional dimensions in groups; that keeps away from what is under way."""
    group = not seen.dimensions.are_common
    return _suggested(partial(TPESampler, multivariate=True, group=group), seen, count)


def gp(seen: Seen, count: int) -> list[Suggested]:
    """A Gaussian process with expected improvement; takes seconds for a suggestion where hundreds are known."""
    return _suggested(GPSampler, seen, count)


def _suggested(sampler: Callable[..., BaseSampler], seen: Seen, count: int) -> list[Suggested]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        directions = [StudyDirection.MAXIMIZE for _ in next(iter(seen.means.values()))]
        study = optuna.create_study(directions=directions, sampler=sampler(n_startup_trials=0, seed=seen.seed))
        for one in seen.suggested:
            study.add_trial(_trial(seen, one))
        drawn = (seen.dimensions.made(_asking(study.ask())) for _ in range(TRIES * count))
        return _different(seen, drawn, count)


def _trial(seen: Seen, one: Suggested) -> FrozenTrial:
    """What a configuration is to Optuna; one without its results is under way."""
    chosen = seen.dimensions.chosen(one)
    mean = seen.means.get(one.configuration.id)
    return create_trial(
        state=TrialState.RUNNING if mean is None else TrialState.COMPLETE,
        values=mean,
        params={dimension.name: _parameter(dimension, value) for dimension, value in chosen.items()},
        distributions={dimension.name: _distribution(dimension) for dimension in chosen},
    )


def _distribution(one: Dimension) -> BaseDistribution:
    if one.range is not None:
        return FloatDistribution(one.range.low, one.range.high, log=one.range.log, step=one.range.step)
    if one.is_ordered:
        return IntDistribution(0, len(one.values) - 1)
    return CategoricalDistribution(tuple(range(len(one.values))))


def _parameter(one: Dimension, value: Any) -> float | int:
    """Of a list the place of the value in it."""
    return float(value) if one.range is not None else one.values.index(value)


def _asking(trial: Trial) -> Choose:
    """Optuna's choice."""

    def choose(one: Dimension) -> Any:
        if one.range is not None:
            return trial.suggest_float(one.name, one.range.low, one.range.high, log=one.range.log, step=one.range.step)
        places = range(len(one.values))
        if one.is_ordered:
            return one.values[trial.suggest_int(one.name, 0, places[-1])]
        return one.values[int(trial.suggest_categorical(one.name, tuple(places)))]

    return choose


def _different(seen: Seen, drawn: Iterable[Suggested], count: int) -> list[Suggested]:
    """The first `count` that nobody suggested before; where too few are drawn, others of the search's own."""
    known = {one.configuration.id for one in seen.suggested}
    new: list[Suggested] = []
    for one in drawn:
        if one.configuration.id not in known:
            known.add(one.configuration.id)
            new.append(one)
        if len(new) == count:
            return new
    return _others(seen, new, count)


def _others(seen: Seen, new: list[Suggested], count: int) -> list[Suggested]:
    taken = [one.configuration.id for one in (*seen.suggested, *new)]
    others = seen.dimensions.others(taken)
    order = np.random.default_rng(seen.seed).permutation(len(others))
    return [*new, *(others[place] for place in order[: count - len(new)])]


def _reading(point: Sequence[float], places: Mapping[str, int]) -> Choose:
    """What a point of the unit cube stands for."""

    def choose(one: Dimension) -> Any:
        share = point[places[one.name]]
        return one.range.at(share) if one.range is not None else one.values[int(share * len(one.values))]

    return choose

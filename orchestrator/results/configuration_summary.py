"""One configuration over its repeats: where they stand, and what those with a result say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.results.mean_curves import Curve
from orchestrator.results.standing import Standing
from orchestrator.results.statistic import Statistic
from orchestrator.store.schema import Metric, RepeatState
from orchestrator.store.searches import Narrowing
from search_spaces.configuration import Configuration
from trainables.learning import metrics


@dataclass(frozen=True)
class ConfigurationSummary:
    """One configuration on one partition.

    `standings` has every repeat asked; the statistics are over those that have a result, in the order of `with_result`,
    at each one's selected epoch among the first `epochs`. A diverged repeat counts with its scores at epoch 0.
    """

    partition: str
    id: str
    configuration: Configuration
    standings: tuple[Standing, ...]
    others: str = ""
    """Settings in which the study's configurations differ beside those that every name says: `dropout 0.2`."""
    screened: int = 0
    """Repeats with a result by which its search kept it and stopped others (`narrowed`): they are in no statistic."""
    with_result: tuple[int, ...] = ()
    epochs: int = 0
    """The largest number of epochs that all repeats have which did not end by themselves."""
    diverged: int = 0
    paused: int = 0
    """Repeats that have all epochs asked of them and did not end by themselves, where a budget allows more."""
    at_selected: Mapping[tuple[Metric, str], Statistic] | None = None
    at_start: Mapping[tuple[Metric, str], Statistic] | None = None
    curves: Mapping[tuple[Metric, str], Curve] | None = None
    selection: Statistic | None = None
    """What ranks it and is compared with others (`by_valid`), of the selection metric."""
    by_valid: bool = False
    """Whether `selection` is of valid alone, else the worse of train and valid: the same for all that are ranked
    together, see `comparing`."""
    selected_epochs: Statistic | None = None
    seconds: float = 0.0
    """Training time of the repeats that have a result."""
    total_parameters: int | None = None
    trainable_parameters: int | None = None
    stopped_by_search: str = ""
    """Why no more is asked of it although its search goes on; its final score is not known."""
    narrowed: tuple[Narrowing, ...] = ()
    """How its search came to go on with it; () where nothing was chosen by results."""
    is_asked_at_once: bool = True
    """Whether all of it was asked for whatever would come of it."""
    rank: int | None = None
    """From 1 within the partition; none until every repeat asked has a result, and none where the search stopped it.
    Configurations that select by another metric than the study come last, metric by metric: their values cannot be
    compared."""

    @property
    def asked(self) -> int:
        return len(self.standings)

    @property
    def n(self) -> int:
        """Repeats that have a result and count."""
        return len(self.with_result)

    @property
    def counting(self) -> int:
        """Repeats asked that count, or will."""
        return self.asked - self.screened

    @property
    def is_whole(self) -> bool:
        """Whether every repeat asked has a result (perhaps not yet all the epochs that were asked later)."""
        return self.asked > 0 and self.n == self.counting

    @property
    def may_rank(self) -> bool:
        """Whether its mean is that of all that was asked, and all was asked that others have."""
        return self.is_whole and not self.stopped_by_search

    @property
    def stopped(self) -> int:
        """Repeats that their ending stopped early; the one epoch of a head that is fitted is all of its training."""
        return 0 if self.configuration.head.is_fitted else self.count(RepeatState.STOPPED)

    @property
    def extended(self) -> int:
        """Repeats that have a result and are owed further epochs."""
        return self.n + self.screened - sum(standing.state.has_result() for standing in self.standings)

    @property
    def did_diverge(self) -> np.ndarray:
        """bool [n], in the order of `with_result`."""
        states = {standing.repeat: standing.state for standing in self.standings}
        return np.array([states.get(repeat) is RepeatState.DIVERGED for repeat in self.with_result], dtype=bool)

    @property
    def untrained_selected(self) -> int:
        """Repeats that did not diverge and whose selected epoch is 0: training made nothing better."""
        epochs = self.selected_epochs
        return 0 if epochs is None else int((epochs.values == 0).sum()) - self.diverged

    @property
    def depth(self) -> tuple[str, int, int]:
        """(strategy, non-linearities, unfrozen layers): what a heat map and a grid of curves hold fixed."""
        return (
            self.configuration.strategy,
            self.configuration.head.non_linearities,
            self.configuration.adaptation.unfrozen,
        )

    def score(self, metric: Metric, split: str) -> Statistic | None:
        """The metric at the selected epoch; none where there is no result or no such split."""
        return None if self.at_selected is None else self.at_selected.get((metric, split))

    def untrained(self, metric: Metric, split: str) -> Statistic | None:
        """The metric at epoch 0."""
        return None if self.at_start is None else self.at_start.get((metric, split))

    def curve(self, metric: Metric, split: str) -> Curve | None:
        return None if self.curves is None else self.curves.get((metric, split))

    def count(self, state: RepeatState) -> int:
        return sum(standing.state is state for standing in self.standings)

    def best_repeat(self) -> tuple[int, int] | None:
        """(repeat number, place in `with_result`) of the repeat with the best selection value; never a ranking."""
        if self.selection is None or not np.isfinite(self.selection.values).any():
            return None
        values = self.selection.values * (-1 if metrics.is_loss(self.configuration.selection.metric) else 1)
        place = int(np.argmax(np.where(np.isfinite(values), values, -np.inf)))
        return self.with_result[place], place

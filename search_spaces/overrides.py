"""What the command line changes of a study's file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.store.errors import Faults
from orchestrator.store.schema import Metric, Strategy
from search_spaces.faults import nearest
from search_spaces.layers import Settings, product
from search_spaces.schema import STRATEGIES, Balance, Optimiser, OptimiserName


@dataclass(frozen=True)
class Overrides:
    """None: as in the space. Given lr or batch sizes are tried in every combination, also where the space lists pairs.

    non_linearities are those of the extension; they are those of the unfreezing's head where unfreezing alone is asked.
    """

    strategies: tuple[Strategy, ...] | None = None
    lr: tuple[float, ...] | None = None
    batch_size: tuple[int, ...] | None = None
    non_linearities: tuple[int, ...] | None = None
    unfrozen: tuple[int, ...] | None = None
    epochs: int | None = None
    repeats: int | None = None
    optimiser: OptimiserName | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    balance: Balance | None = None
    selection: Metric | None = None

    def check(self, chosen: Sequence[str]) -> None:
        """Raise InputError with all faults of the values given; `chosen` are the strategies that will run."""
        faults = Faults("command line")
        for strategy in self.strategies or ():
            if strategy not in STRATEGIES:
                meant = nearest(strategy, STRATEGIES)
                hint = f"; did you mean {meant[0]}?" if meant else ""
                faults.add(f"--strategy: expected some of {', '.join(STRATEGIES)}, found {strategy!r}{hint}")
        _check_list(faults, "--strategy", self.strategies, lambda _: True, "strategies")
        _check_list(faults, "--lr", self.lr, _above_zero, "numbers above 0")
        _check_list(faults, "--batch-size", self.batch_size, lambda size: size >= 1, "whole numbers of 1 or more")
        _check_list(faults, "--non-linearities", self.non_linearities, lambda n: n >= 0, "whole numbers of 0 or more")
        _check_list(faults, "--unfrozen", self.unfrozen, lambda u: u >= 0, "whole numbers of 0 or more")
        for option, number in (("--epochs", self.epochs), ("--repeats", self.repeats)):
            if number is not None and number < 1:
                faults.add(f"{option}: expected 1 or more, found {number}")
        for option, share in (("--momentum", self.momentum), ("--weight-decay", self.weight_decay)):
            if share is not None and not 0 <= share < 1:
                faults.add(f"{option}: expected a number from 0 to below 1, found {share:g}")
        if self.momentum is not None and self.optimiser in ("adam", "adamw"):
            faults.add(f"--momentum: expected the optimiser sgd with it, found {self.optimiser}")
        if self.unfrozen is not None and "unfreezing" not in chosen:
            faults.add(f"--unfrozen: expected --strategy unfreezing with it, found {', '.join(chosen)}")
        if self.non_linearities is not None and not {"extension", "unfreezing"} & set(chosen):
            faults.add(f"--non-linearities: expected --strategy extension with it, found {', '.join(chosen)}")
        faults.raise_if_any("See the options: orch search --help")

    def applied_to(self, settings: Settings, strategy: Strategy, chosen: Sequence[str]) -> Settings:
        """The settings of one strategy with these values in the place of the space's."""
        changes: dict[str, Any] = {
            key: getattr(self, key)
            for key in ("epochs", "repeats", "balance", "selection")
            if getattr(self, key) is not None
        }
        if self.lr is not None or self.batch_size is not None:
            changes["pairs"] = product(self.lr or settings.lr, self.batch_size or settings.batch_size)
        if self.unfrozen is not None and strategy == "unfreezing":
            changes["unfrozen"] = self.unfrozen
        takes_n = strategy == "extension" or (strategy == "unfreezing" and "extension" not in chosen)
        if self.non_linearities is not None and takes_n:
            changes["non_linearities"] = self.non_linearities
        changes["optimiser"] = self._optimiser(settings.optimiser)
        return dataclasses.replace(settings, **changes)

    def _optimiser(self, optimiser: Optimiser) -> Optimiser:
        given = {"name": self.optimiser, "momentum": self.momentum, "weight_decay": self.weight_decay}
        return optimiser.model_copy(update={key: value for key, value in given.items() if value is not None})


def _above_zero(value: float) -> bool:
    return value > 0 and math.isfinite(value)


def _check_list(
    faults: Faults, option: str, values: tuple[Any, ...] | None, is_right: Callable[[Any], bool], expected: str
) -> None:
    if values is None:
        return
    if not values:
        faults.add(f"{option}: expected {expected}, found none")
    wrong = [value for value in values if not is_right(value)]
    if wrong:
        faults.add(f"{option}: expected {expected}, found {', '.join(map(str, wrong))}")
    if len(set(values)) < len(values):
        faults.add(f"{option}: expected different values, found {', '.join(map(str, values))}")

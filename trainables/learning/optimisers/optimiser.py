"""The optimiser of a stack: its tensors, the state that its rule keeps of them, each configuration's rates.

State is a flat list of tensors, so that a checkpoint stores it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import torch

from search_spaces.settings import optimiser as settings
from search_spaces.settings.declaration import declared
from trainables.learning.optimisers.clipping import clipped
from trainables.learning.optimisers.rates import Parameter, Rate
from trainables.learning.products import Outer

Gradient = torch.Tensor | Outer
RATES = tuple(
    one.name
    for one in declared("optimiser", settings.Optimiser)
    if one.setting.stackable and one.setting.scale != "categorical"
)
"""Numbers that may differ between the configurations of a stack."""


class Rule(Protocol):
    """How one kind of optimiser takes a step. `search_spaces.settings.optimiser.OPTIMISERS` names them all."""

    buffers_per_parameter: ClassVar[int]
    """Tensors of a parameter's shape that it keeps."""

    def __init__(self, same: settings.Optimiser) -> None:
        """same: settings of the stack; those that are stackable are read from the optimiser's rates instead."""

    def step(self, of: Optimiser, gradients: Sequence[Gradient]) -> None:
        """Change the optimiser's tensors and buffers in place; gradients may be overwritten."""


class Optimiser:
    """Updates parameters in place, by the rule of its configurations, each with rates of its own."""

    def __init__(self, parameters: Sequence[Parameter], configurations: Sequence[settings.Optimiser]) -> None:
        """configurations: the settings of each in the stack, in their order; they differ in stackable ones alone."""
        kind = rule_of(configurations[0].name)
        self.rule = kind(configurations[0])
        self.clip = configurations[0].clip
        self.configurations = len(configurations)
        self.parameters = list(parameters)
        self.tensors = [parameter.tensor for parameter in parameters]
        self.buffers = [torch.zeros_like(t) for t in self.tensors for _ in range(kind.buffers_per_parameter)]
        self.steps = torch.zeros((), dtype=torch.float64, device=self.tensors[0].device)
        """Updates so far, of rules that count them; on a GPU it stays there, for a recorded step counts on."""
        self._factor: torch.Tensor | None = None
        """Lies on the device, where a recorded step reads it."""
        self._rates: dict[str, list[Rate] | None] = {}
        for name in RATES:
            each = [
                [
                    one.rate(name, is_weight=of.is_weight) * (of.lr_factor if name == "lr" else 1.0)
                    for one in configurations
                ]
                for of in parameters
            ]
            several = [of.rate(values) for of, values in zip(parameters, each, strict=True)]
            self._rates[name] = several if any(map(any, each)) else None

    def rates(self, name: str) -> list[Rate] | None:
        """One of `RATES`, one per parameter; None where it is 0 in all configurations."""
        rates = self._rates[name]
        if name == "lr" and rates is not None and self._factor is not None:
            return [self._factor * rate for rate in rates]
        return rates

    def every_rate(self, name: str) -> list[Rate]:
        """The same, with zeros in the place of None."""
        return self.rates(name) or [0.0] * len(self.tensors)

    def scale_learning_rates(self, factor: float) -> None:
        """From the next step on, of rates that a schedule changes; called before the first step or never."""
        if self._factor is None:
            self._factor = torch.ones((), device=self.tensors[0].device)
        self._factor.fill_(factor)

    @torch.no_grad()
    def step(self, gradients: Sequence[Gradient]) -> None:
        """One update; gradients are in the order of the parameters and may be overwritten."""
        if self.clip:
            dense = [one.dense() if isinstance(one, Outer) else one for one in gradients]
            gradients = clipped(dense, self.parameters, self.configurations, self.clip)
        self.rule.step(self, gradients)


def rule_of(name: str) -> type[Rule]:
    """The class behind an optimiser's name."""
    rule: type[Rule] = settings.OPTIMISERS.load(name)
    return rule
